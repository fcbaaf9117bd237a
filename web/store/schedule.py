"""作業日程: the times of a year, and every change of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiosqlite

from jiepin.web.access import Actor
from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.site import Site
from jiepin.web.store import schools
from jiepin.web.store.applications import Refused
from jiepin.web.store.rounds import Save, saving
from jiepin.web.store.schools import Window

KINDS: Final = ("fill", "review", "notice", "freeze", "run", "result")
TYPED: Final = KINDS[:-1]  # when results are shown is set by their publication
CLOSING: Final = ("fill", "review")  # these must end

Windows = Mapping[str, Window]  # by kind


@dataclass(frozen=True, slots=True)
class Change:
    """What is asked for: windows by kind, for these levels; others are taken out.

    `confirmed`: whoever asks knows that something which is under way ends at once.
    """

    levels: tuple[str, ...]
    windows: Windows
    reason: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """One change that was made; `by` is the name of a member of staff."""

    level: str
    kind: str
    before: Window | None
    after: Window | None
    reason: str
    at: datetime
    by: str


async def of_year(db: aiosqlite.Connection, year: int) -> dict[str, dict[str, Window]]:
    """Return the windows of a year by level, then by kind."""
    rows = await db.execute_fetchall(
        "select level, kind, opens, closes from window where year = :year",
        {"year": year},
    )
    found: dict[str, dict[str, Window]] = {level: {} for level in schools.LEVELS}
    for level, kind, opens, closes in rows:
        found[level][kind] = Window(from_ms(opens), maybe_from_ms(closes))
    return found


async def changes(
    db: aiosqlite.Connection, year: int, most: int = 30
) -> Sequence[Changed]:
    """Return how the schedule was changed, newest first."""
    rows = await db.execute_fetchall(
        """select window_change.*, staff.name from window_change
        join staff on staff.id = window_change.by
        where year = :year order by window_change.id desc limit :most""",
        {"year": year, "most": most},
    )
    return tuple(
        Changed(
            row["level"],
            row["kind"],
            _window(row["opens_before"], row["closes_before"]),
            _window(row["opens"], row["closes"]),
            row["reason"],
            from_ms(row["at"]),
            row["name"],
        )
        for row in rows
    )


def _window(opens: int | None, closes: int | None) -> Window | None:
    return None if opens is None else Window(from_ms(opens), maybe_from_ms(closes))


async def unfinished(
    db: aiosqlite.Connection, year: int, levels: Sequence[str]
) -> dict[str, int]:
    """Return how many are still filling in, and how many still wait for review."""
    rows = await db.execute_fetchall(
        """select ifnull(sum(state in ('filling', 'returned')), 0) as fill,
        ifnull(sum(state = 'filed'), 0) as review from application
        where year = :year and level in (select value from json_each(:levels))""",
        {"year": year, "levels": json.dumps(list(levels))},
    )
    [row] = rows
    return dict(row)


async def save(site: Site, actor: Actor, seen: int, change: Change) -> None:
    """Save the schedule of some levels.

    Raises Refused for times out of order, for a change without a reason of what has
    begun, and for an end at once that was not confirmed.
    """
    async with saving(site, actor) as work:
        work.check_version(seen)
        before = await of_year(work.db, work.round.year)
        problems = problems_of(change, before, work.now)
        if problems:
            raise Refused(*problems)
        for level in change.levels:
            for kind in TYPED:
                old = before[level].get(kind)
                new = to_the_minute(old, change.windows.get(kind))
                if old != new:
                    await _write(work, level, kind, old, new, change.reason)
        await work.write(work.round)
        await work.note(
            "schedule-changed",
            version=seen + 1,
            levels=list(change.levels),
            opens={kind: to_ms(found.opens) for kind, found in change.windows.items()},
            closes={
                kind: to_ms(found.closes)
                for kind, found in change.windows.items()
                if found.closes
            },
        )


async def _write(
    work: Save, level: str, kind: str, old: Window | None, new: Window | None, why: str
) -> None:
    year = work.round.year
    if new is None:
        await work.db.execute(
            "delete from window where year = :year and level = :level and kind = :kind",
            {"year": year, "level": level, "kind": kind},
        )
    else:
        await schools.save_window(work.db, year, level, kind, new)
    await work.db.execute(
        """insert into window_change (year, level, kind, opens_before, closes_before,
        opens, closes, reason, at, by) values (:year, :level, :kind, :opens_before,
        :closes_before, :opens, :closes, :reason, :at, :by)""",
        {
            "year": year,
            "level": level,
            "kind": kind,
            "opens_before": _ms(old.opens if old else None),
            "closes_before": _ms(old.closes if old else None),
            "opens": _ms(new.opens if new else None),
            "closes": _ms(new.closes if new else None),
            "reason": why,
            "at": to_ms(work.now),
            "by": work.actor.account,
        },
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


# what holds for any schedule


def to_the_minute(old: Window | None, new: Window | None) -> Window | None:
    """Return a window as it was asked for; what is the same to the minute stays.

    Times are typed without the seconds that some have.

    >>> from datetime import UTC
    >>> old = Window(datetime(2026, 4, 19, 1, 0, 30, tzinfo=UTC), None)
    >>> to_the_minute(old, Window(old.opens.replace(second=0), None)) == old
    True
    """
    if old is None or new is None:
        return new
    pairs = ((old.opens, new.opens), (old.closes, new.closes))
    opens, closes = (was if _minute(was) == _minute(now) else now for was, now in pairs)
    assert opens is not None  # both are there
    return Window(opens, closes)


def _minute(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(second=0, microsecond=0)


def problems_of(
    change: Change, before: Mapping[str, Windows], now: datetime
) -> Problems:
    """Return what is wrong with a change; `before` are the windows by level."""
    pairs = [
        (old, to_the_minute(old, change.windows.get(kind)))
        for level in change.levels
        for kind in TYPED
        for old in [before[level].get(kind)]
    ]
    checks = [
        *order_problems(change.windows),
        Problem("reason", _("已開始的作業要變更時間，請填寫理由"))
        if not change.reason and any(has_begun(*pair, now) for pair in pairs)
        else None,
        Problem("confirmed", _("這樣會使進行中的作業立即截止，請確認"))
        if not change.confirmed and any(ends_at_once(*pair, now) for pair in pairs)
        else None,
    ]
    return Problems.of(*checks)


def order_problems(windows: Windows) -> Problems:
    """Return where times do not follow each other: each phase waits for the last."""
    checks = []
    begun: Window | None = None  # of the phase before
    for kind in TYPED:
        window = windows.get(kind)
        if window is None:
            continue
        checks.append(_span_problem(kind, window))
        if begun is not None:
            checks.append(_order_problem(kind, begun, window))
        begun = window
    checks.append(_freeze_problem(windows))
    return Problems.of(*checks)


def _span_problem(kind: str, window: Window) -> Problem | None:
    if window.closes is None and kind in CLOSING:
        return Problem(f"{kind}-closes", _("請填寫截止時間"))
    if window.closes is not None and window.closes <= window.opens:
        return Problem(f"{kind}-closes", _("截止時間應晚於開始時間"))
    return None


def _order_problem(kind: str, earlier: Window, window: Window) -> Problem | None:
    if window.opens < earlier.opens:
        return Problem(f"{kind}-opens", _("開始時間早於前一階段的開始時間"))
    if end(window) < end(earlier):
        return Problem(f"{kind}-closes", _("結束時間早於前一階段的結束時間"))
    return None


def _freeze_problem(windows: Windows) -> Problem | None:
    """Nothing may be frozen that somebody is still working on."""
    freeze = windows.get("freeze")
    working = [end(windows[kind]) for kind in CLOSING if kind in windows]
    if freeze is not None and any(freeze.opens < last for last in working):
        return Problem("freeze-opens", _("凍結應在填報與審核都截止之後"))
    return None


def end(window: Window) -> datetime:
    """Return when a phase is over: its close, or the moment it is."""
    return window.closes or window.opens


def has_begun(old: Window | None, new: Window | None, now: datetime) -> bool:
    """Tell whether a change touches what has begun."""
    return old is not None and old != new and old.opens <= now


def ends_at_once(old: Window | None, new: Window | None, now: datetime) -> bool:
    """Tell whether what is open now would not be any more."""
    return _is_open(old, now) and not _is_open(new, now)


def _is_open(window: Window | None, now: datetime) -> bool:
    if window is None or window.closes is None:
        return False
    return window.opens <= now < window.closes
