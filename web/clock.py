"""The one clock: UTC inside, Asia/Taipei and ROC years for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

TAIPEI = ZoneInfo("Asia/Taipei")
STANDS_STILL: Final = timedelta(minutes=1)  # at the most, after a step back
ROC_BEFORE = 1911  # years between the common era and that of the Republic

log = logging.getLogger(__name__)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _machine() -> datetime:
    return datetime.now(UTC)


class Clock(Protocol):
    """Tells what time it is; the only thing that does."""

    def now(self) -> datetime:
        """Return the present moment, in UTC and aware of it."""
        ...


class SystemClock:
    """The clock of the machine; it stands still while a small step back is made up for.

    Time servers set clocks back by seconds: what is closed stays closed meanwhile. A
    clock set back by more was wrong before: it is followed, and the log says so.
    """

    def __init__(self, read: Callable[[], datetime] = _machine) -> None:
        self._read = read
        self._latest = read()

    def now(self) -> datetime:
        found = self._read()
        if found < self._latest - STANDS_STILL:
            back = (self._latest - found).total_seconds()
            log.error("the clock of this machine was set back by %.0f seconds", back)
            self._latest = found
        self._latest = max(found, self._latest)
        return self._latest


class SetClock:
    """A clock that stands still until it is moved; for tests.

    >>> clock = SetClock(datetime(2026, 4, 19, 15, 59, tzinfo=UTC))
    >>> clock.move(minutes=1)
    >>> moment_text(clock.now(), "zh-Hant")
    '115年4月20日 00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def move(self, **step: float) -> None:
        """Move on by so many seconds, minutes, hours or days."""
        self._now += timedelta(**step)

    def set(self, moment: datetime) -> None:
        self._now = moment


def to_ms(moment: datetime) -> int:
    """Return a moment as whole milliseconds since 1970, as the database holds it.

    >>> to_ms(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC))
    1000
    """
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    """Return the moment that the database holds.

    >>> from_ms(1000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def maybe_from_ms(ms: int | None) -> datetime | None:
    """Return the moment, or None where the database holds none."""
    return None if ms is None else from_ms(ms)


def roc_year(day: date) -> int:
    """Return the year as counted in Taiwan.

    >>> roc_year(date(2026, 4, 19))
    115
    """
    return day.year - ROC_BEFORE


def date_text(day: date, language: str) -> str:
    """Write a day for people.

    >>> date_text(date(1985, 3, 9), "zh-Hant"), date_text(date(1985, 3, 9), "en")
    ('74年3月9日', '9 March 1985')
    """
    if language == "en":
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    return f"{roc_year(day)}年{day.month}月{day.day}日"


def moment_text(moment: datetime, language: str, seconds: bool = False) -> str:
    """Write a moment in Taiwan's time for people.

    >>> moment_text(datetime(2026, 4, 19, 1, 5, 7, tzinfo=UTC), "zh-Hant", seconds=True)
    '115年4月19日 09:05:07'
    """
    there = moment.astimezone(TAIPEI)
    return f"{date_text(there, language)} {there:%H:%M:%S}"[: None if seconds else -3]


def left_text(left: timedelta, language: str) -> str:
    """Write how much time is left, in its two largest units.

    >>> left_text(timedelta(days=2, hours=3, minutes=9), "zh-Hant")
    '2 天 3 小時'
    >>> left_text(timedelta(minutes=9, seconds=3), "en")
    '9 min 3 s'
    """
    seconds = max(int(left.total_seconds()), 0)
    numbers = (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    units = ("d", "h", "min", "s") if language == "en" else ("天", "小時", "分", "秒")
    first = next((at for at, number in enumerate(numbers) if number), 3)
    last = min(first + 2, len(units))
    return " ".join(f"{numbers[at]} {units[at]}" for at in range(first, last))
