"""Why somebody moved or did not, worked out by the engine in a process beside the site.

One explanation takes a fifth of a second of Python at 5,000 applicants: too much for
the loop, and too much for the moment when all of them ask. So the process, which is
niced, is kept, and what it said as well; and from the moment a publication is planned
it works out what will be asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from jiepin.web.language import CHINESE, ENGLISH

if TYPE_CHECKING:
    from jiepin.core import Explanation

NICE: Final = 10
# -P: no module may come out of the folder that the site was started in
PROGRAM: Final = (sys.executable, "-P", "-m", "jiepin.web.explainer")
MOST_WAITING: Final = 40  # who comes later is asked to come again
SOON: Final = 0.25  # seconds that somebody waits who is not the only one to ask
_PATIENCE: Final = 60  # seconds for one answer
_IDLE: Final = 600  # seconds after which the process ends by itself
_LONGEST: Final = 2**24  # bytes of one answer
_KEPT: Final = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH")
_LANGUAGES: Final = {CHINESE: "zh", ENGLISH: "en"}


class NotExplained(Exception):
    """There is no explanation now: too many ask, or the process has ended."""


class Run(Protocol):
    """A run and its folders, below the data folder."""

    @property
    def run(self) -> int: ...
    @property
    def round_folder(self) -> str: ...
    @property
    def run_folder(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Reasons:
    """Wishes in a row that failed alike: (school, subject), and why, by language."""

    wishes: tuple[tuple[str, str], ...]
    why: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Explained:
    """What kept each wish better than the result from it."""

    reasons: tuple[Reasons, ...]


class Explainer:
    """Asks the process, one question at a time, and keeps its answers."""

    def __init__(self, data: Path, program: Sequence[str] = PROGRAM) -> None:
        self._data = data
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._run = 0  # that the process knows
        self._kept: dict[tuple[int, str], bytes] = {}
        self._one = asyncio.Lock()
        self._asked: set[asyncio.Task[None]] = set()
        self._prepared = 0  # the run that was prepared last
        self._preparing: asyncio.Task[None] | None = None

    async def explain(self, run: Run, number: str) -> Explained:
        """Return why a teacher of a run is where he is; raises NotExplained.

        Where others ask as well he does not wait long for his turn: it will be there
        when he asks again.
        """
        if (run.run, number) not in self._kept:
            if len(self._asked) >= MOST_WAITING:
                raise NotExplained
            patience = SOON if self._asked else None
            fetching = asyncio.create_task(self._fetch(run, number))
            self._asked.add(fetching)
            fetching.add_done_callback(self._answered)
            await asyncio.wait([fetching], timeout=patience)
            if not fetching.done():
                raise NotExplained
            await fetching
        return _explained(json.loads(self._kept[run.run, number]))

    def _answered(self, fetching: asyncio.Task[None]) -> None:
        self._asked.discard(fetching)
        if not fetching.cancelled():
            fetching.exception()  # told to whoever still waits for it

    def prepare(self, run: Run, numbers: Iterable[str]) -> None:
        """Begin to work out what these will ask, once for a run."""
        if self._prepared != run.run:
            self._prepared = run.run
            if self._preparing:
                self._preparing.cancel()
            self._preparing = asyncio.create_task(self._prepare(run, numbers))

    async def stop(self) -> None:
        """End the process, and what is being prepared."""
        under_way = [*self._asked, *([self._preparing] if self._preparing else [])]
        for work in under_way:
            work.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._end()

    async def _prepare(self, run: Run, numbers: Iterable[str]) -> None:
        with suppress(NotExplained):
            for number in numbers:
                while self._asked:
                    await asyncio.sleep(0.2)
                await self._fetch(run, number)

    async def _fetch(self, run: Run, number: str) -> None:
        async with self._one:
            if (run.run, number) not in self._kept:
                self._kept[run.run, number] = await self._ask(run, number)

    async def _ask(self, run: Run, number: str) -> bytes:
        answer = b""
        try:
            async with asyncio.timeout(_PATIENCE):
                process = await self._process_for(run)
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(f"{number}\n".encode())
                await process.stdin.drain()
                answer = await process.stdout.readline()
        except (OSError, ValueError, TimeoutError):
            raise NotExplained from None
        finally:
            if not answer.endswith(b"\n"):
                await self._end()  # or its answer is taken for that of the next
        if not answer:
            raise NotExplained
        return answer

    async def _process_for(self, run: Run) -> asyncio.subprocess.Process:
        process = self._process
        if process and process.returncode is None and self._run == run.run:
            return process
        await self._end()
        folders = (self._data / run.round_folder, self._data / run.run_folder)
        self._run = run.run
        self._process = await asyncio.create_subprocess_exec(
            *(*self._program, *map(str, folders)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            limit=_LONGEST,
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _explained(answer: dict[str, Any]) -> Explained:
    return Explained(
        tuple(
            Reasons(
                tuple((school, subject) for school, subject in one["wishes"]),
                {language: tuple(lines) for language, lines in one["why"].items()},
            )
            for one in answer["reasons"]
        ),
    )


# the process


def main() -> None:
    """Answer each number on a line of stdin with a line of JSON, until it ends."""
    os.nice(NICE)
    answers = _Answers(Path(sys.argv[1]), Path(sys.argv[2]))
    while select.select([sys.stdin.buffer], [], [], _IDLE)[0]:
        number = sys.stdin.buffer.readline().decode().strip()
        if not number:
            return
        print(json.dumps(answers.of(number), ensure_ascii=False), flush=True)


class _Answers:
    """A round and its result, and what they say of each teacher."""

    def __init__(self, round_folder: Path, run_folder: Path) -> None:
        # the engine is slow to load and the site does not need it
        from jiepin.core import Outcome, Round, explain

        self._explain = explain
        self._outcome = Outcome.read(run_folder)
        self._round = Round.read(round_folder, self._outcome.rules.limits)

    def of(self, number: str) -> dict[str, Any]:
        """Explain the result of one teacher."""
        return told(self._explain(self._round, self._outcome, number))


def told(found: Explanation) -> dict[str, Any]:
    """Return an explanation in both languages: wishes in a row that failed alike."""
    return {
        "reasons": [
            {
                "wishes": [(one.place.school, one.place.subject) for one in alike],
                "why": {
                    language: [reason.text(lang) for reason in reasons]
                    for language, lang in _LANGUAGES.items()
                },
            }
            for reasons, alike in groupby(found.wishes, lambda one: one.reasons)
        ]
    }


if __name__ == "__main__":
    main()
