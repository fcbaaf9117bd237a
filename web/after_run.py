"""What becomes of a run when people drop out, worked out beside the loop.

Reading a round of 5,000 and working this out takes about a fifth of a second of a
thread, most of it outside Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jiepin.web.site import Site
from jiepin.web.store.dropouts import Dropout, Ending
from jiepin.web.store.runs import Move

if TYPE_CHECKING:  # the engine loads slowly: in the thread that needs it first
    from jiepin.core import Comparison, Outcome, Round

Dropped = Mapping[str, bool]  # numbers, and whether a seat was opened for each


class Run(Protocol):
    """A run and its folders, which lie below the data folder."""

    @property
    def run(self) -> int: ...
    @property
    def round_folder(self) -> str: ...
    @property
    def run_folder(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Decided:
    """A run as its folders have it: what was asked, and what came out."""

    round: Round
    outcome: Outcome

    @classmethod
    def read(cls, data: Path, run: Run) -> Decided:
        """Read the folders of a run."""
        from jiepin.core import Outcome, Round

        outcome = Outcome.read(data / run.run_folder)
        limits = outcome.rules.limits
        return cls(Round.read(data / run.round_folder, limits), outcome)

    def without(self, dropped: Dropped) -> Outcome:
        """Return the outcome after people dropped out; who did not move is let be."""
        from jiepin.core import void

        moved = set(self.outcome.moves["teacher_id"])
        gone = [number for number in dropped if number in moved]
        opened = [number for number in gone if dropped[number]]
        return void(self.round, self.outcome, gone, opened)

    def ending(self, run: int, dropped: Dropped) -> Ending:
        """Return where everybody is then, and what is noted of whom."""
        after = self.without(dropped)
        standing = set(after.moves["teacher_id"])
        kept = standing - set(
            self.without(dict.fromkeys(dropped, False)).moves["teacher_id"]
        )
        notes = dict.fromkeys(sorted(kept), "kept")
        for number in self.outcome.moves["teacher_id"]:
            if number not in standing:
                notes[number] = "dropped-out" if number in dropped else "void"
        columns = ("teacher_id", "stage", "exchange", "school", "subject", "choice")
        moves = [
            Move(number, stage or "", *place)
            for number, stage, *place in after.assignments[columns].iter_rows()
        ]
        return Ending(run, dict(dropped), moves, notes)

    def falling(self, number: str, others: Dropped) -> tuple[str, ...]:
        """Return whose moves fall when one more drops out, the nearest first."""
        from jiepin.core import dependents

        if number not in set(self.outcome.moves["teacher_id"]):
            return ()
        standing = set(self.without(others).moves["teacher_id"])
        left = set(self.without({**others, number: False}).moves["teacher_id"])
        fall = standing - left - {number}
        order = dependents(self.round, self.outcome, number)
        near = [one for one in order if one in fall]
        return (*near, *sorted(fall - set(near)))


async def endings(
    site: Site, runs: Iterable[Run], dropouts: Iterable[Dropout]
) -> tuple[Ending, ...]:
    """Return how each run ends when these have dropped out."""
    dropped = {one.number: one.opened for one in dropouts}

    def work() -> tuple[Ending, ...]:
        data = site.settings.data
        return tuple(Decided.read(data, run).ending(run.run, dropped) for run in runs)

    return await asyncio.to_thread(work)


async def falling(
    site: Site, run: Run, dropout: Dropout, others: Iterable[Dropout]
) -> tuple[str, ...]:
    """Return whose moves fall with that of a dropout, if no seat is opened."""
    dropped = {one.number: one.opened for one in others if one.id != dropout.id}

    def work() -> tuple[str, ...]:
        decided = Decided.read(site.settings.data, run)
        return decided.falling(dropout.number, dropped)

    return await asyncio.to_thread(work)


async def differences(
    site: Site, before: Run, after: Run, dropouts: Iterable[Dropout]
) -> Comparison:
    """Compare two runs person by person, both without who dropped out."""
    dropped = {one.number: one.opened for one in dropouts}

    def work() -> Comparison:
        from jiepin.core import compare

        data = site.settings.data
        earlier, later = Decided.read(data, before), Decided.read(data, after)
        return compare(earlier.without(dropped), later.without(dropped))

    return await asyncio.to_thread(work)
