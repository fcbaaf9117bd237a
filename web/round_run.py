"""Runs of the engine: one at a time, each step a niced process of its own.

Nothing of the engine is done in the process of the site, whose pages go on answering.
A run that the site's end interrupts waits again at its next start: the same snapshot,
rules and seed give the same result.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import logging
import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jiepin.web.logs import wordless
from jiepin.web.site import Site
from jiepin.web.store import round_folder as folders
from jiepin.web.store import runs, schools, snapshots
from jiepin.web.store.round_folder import RULES
from jiepin.web.store.runs import Finding, Move, Run
from jiepin.web.store.snapshots import Snapshot

log = logging.getLogger(__name__)

NICE: Final = 10
HIDDEN: Final = "****"  # stands for the seed, in the log and in the command line
SEED: Final = "JIEPIN_SEED"
# every user of the machine can read the command line of a process
MAIN: Final = (
    f"import os, sys; seed = os.environ.pop('{SEED}', ''); "
    f"sys.argv = [seed if word == '{HIDDEN}' else word for word in sys.argv]; "
    "from jiepin.core.cli import main; main()"
)
# Linux ends the engine with the site, even one that is killed (PR_SET_PDEATHSIG): its
# result would come into the way of the run when it is taken up again
SITE: Final = "JIEPIN_SITE"  # whose process it is
END_WITH_SITE: Final = (
    "import ctypes, os, sys; "
    "sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); "
    f"os.getppid() == int(os.environ.pop('{SITE}')) or sys.exit('the site has ended')"
)
# -P: no module may come out of the data folder, where it works
PROGRAM: Sequence[str] = (
    sys.executable,
    "-P",
    "-c",
    f"{END_WITH_SITE}; os.nice({NICE}); {MAIN}",
)
AFTER_A_FAULT: Final = 60  # seconds until the next try
MOST_LINES: Final = 400
LONGEST_LINE: Final = 400
DONE, VIOLATIONS = 0, 1  # exit codes of the engine
REPORTS: Final = {"zh": "-report", "en": "-report-en"}  # behind the result's folder
CACHE: Final = "cache"  # below the data folder; may be deleted at any time
_KEPT: Final = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "MPLCONFIGDIR")
_PATH: Final = re.compile(r"(?<![\w./])/(?:[\w.@+-]+/)+")  # of this machine
_PROGRESS: Final = re.compile(r"progress (\d+) (\d+) (.*)")


class CameToNothing(Exception):
    """A step of a run failed, or its process was ended."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run under way is: its phase, and in it a stage, done out of total."""

    run: int
    phase: str
    stage: str = ""
    done: int = 0
    total: int = 0


def round_folder(site: Site, snapshot: Snapshot) -> Path:
    """Return the folder of a snapshot: what the engine reads, and its rules."""
    return site.settings.data / snapshot.folder


def outcome_folder(site: Site, run: Run) -> Path:
    """Return the result folder of a run that is done."""
    return site.settings.data / run.folder


def report_folder(site: Site, run: Run, lang: str = "zh") -> Path:
    """Return where the report of a run is: report.html, figures.json, pictures."""
    return site.settings.data / f"{run.folder}{REPORTS[lang]}"


class Runner:
    """Takes what waits and runs it, as long as `run` does.

    `wake` when a run was asked for, `cancel` when one was cancelled; `idle` is set
    while nothing waits.
    """

    def __init__(self, site: Site) -> None:
        self.progress: Progress | None = None
        self.idle = asyncio.Event()
        self._site = site
        self._wake = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._cancelled = False
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._secret = ""

    def wake(self) -> None:
        """Look whether a run waits."""
        self.idle.clear()
        self._wake.set()

    def cancel(self, run: int) -> None:
        """End the processes of a run, if it is the one under way."""
        if self.progress is not None and self.progress.run == run:
            self._cancelled = True
            self._kill()

    @property
    def log(self) -> str:
        """What the run under way has said so far."""
        return "\n".join(self._lines)

    async def run(self) -> None:
        """Run what waits until cancelled; the process under way ends as well."""
        while True:
            self._wake.clear()
            if await self._outlived(self._all()) and not self._wake.is_set():
                self.idle.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), AFTER_A_FAULT)

    async def _outlived(self, work: Awaitable[None]) -> bool:
        try:
            await work
        except Exception as fault:
            name = type(fault).__name__
            log.error("runs: %s; trying again", name, exc_info=wordless(fault))
            return False
        return True

    async def _all(self) -> None:
        # of a site that has ended, or whose end could not be written down
        await runs.take_up_again(self._site)
        while (run := await runs.begin_next(self._site)) is not None:
            self._cancelled = False
            self._lines.clear()
            self.progress = Progress(run.id, "")
            try:
                await self._one(run)
            except CameToNothing as fault:
                self._lines.append(str(fault))
                await runs.fail(self._site, run.id, self.log)
            except Exception as fault:
                log.error("run %d", run.id, exc_info=wordless(fault))
                self._lines.append(type(fault).__name__)
                await runs.fail(self._site, run.id, self.log)
            finally:
                self.progress = None

    async def _one(self, run: Run) -> None:
        """Solve, verify, report, and store what came out."""
        async with self._site.database.reading() as db:
            snapshot = await snapshots.by_id(db, run.snapshot)
            seed = await snapshots.seed(db, self._site.vault, run.snapshot)
        assert snapshot is not None  # a run is of one
        self._secret = str(seed.seed)
        folder = f"rounds/{run.year}/run-{run.id}"
        self._sweep(folder)
        both = (snapshot.folder, folder)
        rules = f"{snapshot.folder}/{RULES}"
        solve = ("--rules", rules, "--seed", self._secret, "--out", folder, "-q")
        await self._phase(run, "solve", snapshot.folder, *solve, "--progress", "lines")
        verify = ("verify", *both, "--progress", "lines")
        lawful = await self._phase(run, *verify, allowed=(DONE, VIOLATIONS)) == DONE
        await self._report(run, *both)
        found = await asyncio.to_thread(read_back, self._site.settings.data / folder)
        await runs.finish(
            self._site, run.id, folder, replace(found, lawful=lawful), self.log
        )

    async def _report(self, run: Run, snapshot: str, folder: str) -> None:
        """Draw the pictures; a result without them is one all the same."""
        async with self._site.database.reading() as db:
            counties = await schools.counties(db)
        names = {
            "zh": [(code, one.name) for code, one in counties.items()],
            "en": [(code, one.name_en) for code, one in counties.items()],
        }
        (self._site.settings.data / CACHE).mkdir(exist_ok=True)
        for lang, rows in names.items():
            target, known = f"{folder}{REPORTS[lang]}", f"{CACHE}/counties-{lang}.csv"
            content = folders.table(("county", "name"), rows)
            (self._site.settings.data / known).write_bytes(content)
            out = ("--out", f"{target}/report.html", "--pictures", target)
            more = ("--counties", known, "--lang", lang)
            with suppress(CameToNothing):
                await self._phase(run, "report", snapshot, folder, *out, *more)
        if self._cancelled:
            raise CameToNothing("cancelled")

    async def _phase(
        self, run: Run, phase: str, *arguments: str, allowed: Sequence[int] = (DONE,)
    ) -> int:
        """Run one command of the engine to its end; raises CameToNothing."""
        if self._cancelled:
            raise CameToNothing("cancelled")
        self.progress = Progress(run.id, phase)
        self._take(" ".join(("$ jiepin", phase, *arguments)))
        await runs.at_phase(self._site, run.id, phase, self.log)
        code = await self._command(phase, *arguments)
        if code not in allowed:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise CameToNothing(f"jiepin {phase}: {how}")
        return code

    async def _command(self, *arguments: str) -> int:
        words = [HIDDEN if word == self._secret else word for word in arguments]
        seed = {SEED: self._secret} if HIDDEN in words else {}
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *words,
            cwd=self._site.settings.data,
            env=environment(self._site.settings.data) | seed | {SITE: str(os.getpid())},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout is not None  # it is piped
        try:
            if self._cancelled:  # while the process was being made
                self._kill()
            async for line in process.stdout:
                self._take(line.decode("utf-8", "replace").rstrip())
            return await process.wait()
        finally:
            self._kill()
            await process.wait()
            self._process = None

    def _take(self, line: str) -> None:
        """Take a line of the engine: how far it is, or something for the log."""
        found = _PROGRESS.fullmatch(line)
        if found and self.progress is not None:
            done, total, stage = found.groups()
            here = (self.progress.run, self.progress.phase)
            self.progress = Progress(*here, stage, int(done), int(total))
        elif line:
            shown = _PATH.sub("…/", line.replace(self._secret, HIDDEN))
            self._lines.append(shown[:LONGEST_LINE])

    def _kill(self) -> None:
        """End the process under way with all that it has started."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _sweep(self, folder: str) -> None:
        """Take away what an earlier try of the same run has left."""
        path = self._site.settings.data / folder
        left = [path.with_name(path.name + end) for end in ("", *REPORTS.values())]
        for old in (*left, *path.parent.glob(f".{path.name}-*")):
            shutil.rmtree(old, ignore_errors=True)


def environment(data: Path) -> dict[str, str]:
    """Return the little that the engine's processes know of ours.

    Compiled code and lists of fonts are kept below the data folder, unless
    NUMBA_CACHE_DIR and MPLCONFIGDIR say where.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    numba = {name: v for name, v in os.environ.items() if name.startswith("NUMBA_")}
    return {
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "MPLCONFIGDIR": str((data / CACHE / "matplotlib").absolute()),
        "NUMBA_CACHE_DIR": str((data / CACHE / "numba").absolute()),
        **kept,
        **numba,
    }


def read_back(folder: Path) -> Finding:
    """Read a result folder, once it is on the disk for good; lawful is not yet known.

    The seed stays out of it until the result is public.
    """
    for path in (*folder.iterdir(), folder, folder.parent):
        folders.settle(path)
    content = (folder / "assignments.csv").read_bytes()
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    del summary["seed"]
    rows = csv.DictReader(content.decode("utf-8").splitlines())
    return Finding(
        moves=[_move(row) for row in rows],
        summary=summary,
        digest=hashlib.sha256(content).hexdigest(),
        lawful=False,
        version=summary["version"],
    )


def _move(row: dict[str, str]) -> Move:
    return Move(
        row["teacher_id"],
        row["stage"],
        int(row["exchange"]) if row["exchange"] else None,
        row["school"],
        row["subject"],
        int(row["choice"]) if row["choice"] else None,
    )
