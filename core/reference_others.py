"""The mechanisms beside the rules of the year once more, slow and obvious.

For tests and benches alone. Everything is looked for anew at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from jiepin.core import terms
from jiepin.core.outcome import Outcome
from jiepin.core.reference import (
    Applicant,
    Position,
    Run,
    Step,
    Wish,
    applicants_of,
    open_seats_of,
    tables_of,
)
from jiepin.core.round import Round
from jiepin.core.rules import Rules, Stage

Key = tuple[object, ...]


def solve(round_: Round, rules: Rules, seed: int, mechanism: str) -> Outcome:
    """Clear a round by a mechanism; `rules` say who comes first.

    >>> from jiepin.core import Round, Rules
    >>> round_, rules = Round.read("fixtures/rounds/mutual"), Rules.load("taiwan-110")
    >>> solve(round_, rules, 0, "top_trading_cycles").moves["teacher_id"].to_list()
    ['T1', 'T3']
    """
    everyone = _reachable(applicants_of(round_, rules, seed), round_)
    run = Run(
        tags=dict(round_.schools.select("school", "tags").iter_rows()),
        unmoved=list(everyone),
        open_seats=open_seats_of(round_),
    )
    for position in run.open_seats:
        if run.swap_only(position):
            run.open_seats[position] = 0
    MECHANISMS[mechanism](run, Stage(mechanism, terms.ONE_WAY))
    return tables_of(round_, rules, seed, everyone, run)


def _reachable(everyone: Sequence[Applicant], round_: Round) -> list[Applicant]:
    """Drop wishes for positions that nobody holds and no list of vacancies names."""
    known = {person.home for person in everyone} | open_seats_of(round_).keys()
    return [
        replace(
            person,
            wishes=tuple(wish for wish in person.wishes if wish.position in known),
        )
        for person in everyone
    ]


def overall(applicant: Applicant) -> Key:
    """Return the overall rank: highest points over own wishes, then tie-break."""
    points = [wish.points for wish in applicant.wishes]
    return (not points, -max(points, default=0), applicant.tie)


def top_trading_cycles(run: Run, stage: Stage) -> None:
    """Follow who points where from the best-ranked one left, and trade the cycle."""
    left = sorted(run.unmoved, key=overall)
    while left:
        cycle, opened = _cycle(run, left)
        steps = tuple(
            Step(step.applicant, step.wish) for step in cycle if step.wish is not None
        )
        if steps:
            if not opened:
                run.exchanges.append((stage, steps))
            run.move(steps, stage, None if opened else len(run.exchanges))
            if opened:
                taken, freed = opened
                run.open_seats[taken] -= 1
                run.open_seats[freed] = run.open_seats.get(freed, 0) + 1
        gone = {step.applicant.teacher_id for step in cycle}
        left = [person for person in left if person.teacher_id not in gone]


@dataclass(frozen=True)
class Pointing:
    """Somebody, and the wish he points to; None: home."""

    applicant: Applicant
    wish: Wish | None


def _cycle(
    run: Run, left: Sequence[Applicant]
) -> tuple[list[Pointing], tuple[Position, Position] | None]:
    """Return the first cycle, and if it takes an open seat: which, and which opens."""
    path: list[Pointing] = []
    through: dict[Applicant, tuple[Position, Position]] = {}
    applicant = left[0]
    while True:
        wish = next((w for w in applicant.wishes if _had(run, left, w.position)), None)
        path.append(Pointing(applicant, wish))
        position = applicant.home if wish is None else wish.position
        target, opened = _target(run, left, position)
        if opened:
            through[applicant] = position, target.home
        at = [person.applicant for person in path]
        if wish is None and target == applicant:
            return path[-1:], None
        if target in at:
            cycle = at[at.index(target) :]
            used = [through[person] for person in cycle if person in through]
            return path[at.index(target) :], used[0] if used else None
        applicant = target


def _openers(run: Run, left: Iterable[Applicant]) -> list[Applicant]:
    return [person for person in left if not run.swap_only(person.home)]


def _had(run: Run, left: Sequence[Applicant], position: Position) -> bool:
    open_ = run.open_seats.get(position, 0) > 0 and bool(_openers(run, left))
    return open_ or any(person.home == position for person in left)


def _target(
    run: Run, left: Sequence[Applicant], position: Position
) -> tuple[Applicant, bool]:
    openers = _openers(run, left)
    if run.open_seats.get(position, 0) > 0 and openers:
        return openers[0], True
    return next(person for person in left if person.home == position), False


def deferred_acceptance(run: Run, stage: Stage) -> None:
    """Let applicants propose, home last; holders are never turned away at home.

    Those of schools that take part in exchanges alone stay where they are.
    """
    seats = dict(run.open_seats)
    for applicant in run.unmoved:
        seats[applicant.home] = seats.get(applicant.home, 0) + 1
    held: dict[Position, list[tuple[Key, Applicant, Wish | None]]] = {
        position: [] for position in seats
    }
    rest = {
        person.teacher_id: [] if run.swap_only(person.home) else list(person.wishes)
        for person in run.unmoved
    }
    free = list(run.unmoved)
    while free:
        applicant = free.pop()
        wishes = rest[applicant.teacher_id]
        wish = wishes.pop(0) if wishes else None
        position = applicant.home if wish is None else wish.position
        key = (1, -wish.points, applicant.tie) if wish else (0, 0, applicant.tie)
        at = held.setdefault(position, [])
        at.append((key, applicant, wish))
        at.sort(key=lambda entry: entry[0])
        if len(at) > seats.get(position, 0):
            free.append(at.pop()[1])
    steps = [
        Step(applicant, wish)
        for at in held.values()
        for _, applicant, wish in at
        if wish is not None
    ]
    run.move(steps, stage, exchange=None)


MECHANISMS: Final[Mapping[str, Callable[[Run, Stage], None]]] = {
    "deferred_acceptance": deferred_acceptance,
    "top_trading_cycles": top_trading_cycles,
}
