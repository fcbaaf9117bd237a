"""When backups are made by the site itself, and which are kept.

Each is made by the command, in a niced process of its own: pages go on answering.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from jiepin.web import backup, round_run
from jiepin.web.site import Site

log = logging.getLogger(__name__)

EVERY: Final = timedelta(hours=1)
LOOK_EVERY: Final = 60.0  # seconds
LONGEST: Final = 600.0  # seconds
KEPT_LAST, KEPT_DAYS = 48, 35
PROGRAM: Sequence[str] = (
    sys.executable,
    "-P",
    "-c",
    f"import os; os.nice({round_run.NICE}); from jiepin.web.cli import main; main()",
)
_NAME: Final = re.compile(r"jiepin-(\d{8}T\d{6}\.\d{3}Z)\.age")


def made_at(name: str) -> datetime | None:
    """Return when a backup was made, by its name; None for any other file.

    >>> made_at("jiepin-20260419T080530.250Z.age").isoformat()
    '2026-04-19T08:05:30.250000+00:00'
    """
    if found := _NAME.fullmatch(name):
        with suppress(ValueError):
            return datetime.fromisoformat(found.group(1))
    return None


def newest(folder: Path) -> datetime | None:
    """Return when the newest backup in a folder was made, None where there is none."""
    if not folder.is_dir():
        return None
    moments = (made_at(file.name) for file in folder.iterdir())
    return max((one for one in moments if one is not None), default=None)


def is_due(last: datetime | None, now: datetime) -> bool:
    """Tell whether it is time for a backup, the last one having been made then.

    One of the future is of a clock that has been put back.

    >>> now = datetime(2026, 4, 19, 8)
    >>> [is_due(now - timedelta(minutes=n), now) for n in (-1, 0, 59, 60)]
    [True, False, False, True]
    """
    return last is None or not timedelta() <= now - last < EVERY


def superfluous(names: Iterable[str]) -> list[str]:
    """Return which backups may go: all but the last 48, and one a day for 35 days.

    Days without any do not count, so that a clock gone wrong deletes nothing.

    >>> hours = [f"jiepin-202604{day:02}T{hour:02}0000.000Z.age"
    ...          for day in (1, 2, 3) for hour in range(24)]
    >>> superfluous(hours) == hours[:23]
    True
    """
    made = sorted((at, name) for name in names if (at := made_at(name)) is not None)
    last_of_day = {at.date(): name for at, name in made}
    days = sorted(last_of_day)[-KEPT_DAYS:]
    kept = {name for _, name in made[-KEPT_LAST:]} | {last_of_day[day] for day in days}
    return [name for _, name in made if name not in kept]


class Backups:
    """Makes a backup every hour as long as `run` does, and whenever `now` is asked."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.settings.backups
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Make what is due until cancelled; without a folder for them nothing is."""
        await asyncio.to_thread(backup.sweep, self._site.settings.data, self._folder)
        while self._folder is not None:
            if await asyncio.to_thread(self._due, self._folder):
                await self.now()
            await asyncio.sleep(LOOK_EVERY)

    def _due(self, folder: Path) -> bool:
        try:
            return is_due(newest(folder), self._site.clock.now())
        except OSError:
            return True  # making one will say what is wrong

    async def now(self) -> bool:
        """Make a backup and return whether there is one; true where none are made."""
        if self._folder is None:
            return True
        async with self._one:
            done = await self._make(self._folder)
        if done:
            await asyncio.to_thread(_clear, self._folder)
        return done

    async def _make(self, folder: Path) -> bool:
        """Call the command; what it says when it fails goes to the log."""
        try:
            code, told = await self._call(folder)
        except OSError as fault:
            code, told = None, str(fault.strerror)
        if code != 0:
            log.error("no backup was made: %s", told)
        return code == 0

    async def _call(self, folder: Path) -> tuple[int | None, str]:
        settings = self._site.settings
        process = await asyncio.create_subprocess_exec(
            *(*PROGRAM, "backup", "make"),
            *("--data", str(settings.data), "--keys", str(settings.keys)),
            *("--to", str(folder), "--recipient", settings.backup_recipient),
            env=round_run.environment(settings.data),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, told = await asyncio.wait_for(process.communicate(), LONGEST)
        except TimeoutError:
            told = b"took too long"
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            if await process.wait() != 0:
                await asyncio.to_thread(backup.sweep, settings.data, folder)
        return process.returncode, told.decode("utf-8", "replace").strip()


def _clear(folder: Path) -> None:
    try:
        for name in superfluous(file.name for file in folder.iterdir()):
            (folder / name).unlink(missing_ok=True)
    except OSError as fault:
        log.error("earlier backups were not cleared away: %s", fault.strerror)
