"""The same answer, slow and obvious: the rules as written, in plain Python.

Section by section from the rules alone, so that every line of the engine has a twin to
be compared with. Tests and benchmarks use it, nothing else does.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import networkx as nx  # type: ignore[import-untyped]
import polars as pl

from jiepin.core import terms
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, EXCHANGE_SCHEMA, Outcome
from jiepin.core.round import Round
from jiepin.core.rules import Rules, Stage

LOT_BYTES = 8  # of the BLAKE2b digest that is a teacher's lot


class Position(NamedTuple):
    """One school and one subject category."""

    school: str
    subject: str


class Wish(NamedTuple):
    """A wanted position, the 1-based number of its school, and its points."""

    position: Position
    choice: int
    points: int  # hundredths; the highest of all wishes where priority = "best"


@dataclass(frozen=True)
class Applicant:
    """An applicant as the rules see one; of two ties the smaller comes first."""

    teacher_id: str
    home: Position
    groups: tuple[str, ...]
    wishes: tuple[Wish, ...]
    tie: tuple[Any, ...]


class Claim(NamedTuple):
    """The wishes of an applicant that share one points value, in wish order."""

    applicant: Applicant
    points: int
    wishes: tuple[Wish, ...]


class Step(NamedTuple):
    """An applicant and the wish by which it moves."""

    applicant: Applicant
    wish: Wish


Exchange = tuple[Step, ...]  # the initiator first, each moving to the home of the next


class Move(NamedTuple):
    """How an applicant moved; `exchange` is its number, None for a one-way move."""

    stage: str
    exchange: int | None
    wish: Wish


@dataclass
class Run:
    """Where a run stands: who has not moved, which seats are open, what was decided."""

    tags: Mapping[str, Sequence[str]]  # by school
    unmoved: list[Applicant]
    open_seats: dict[Position, int]
    moves: dict[str, Move] = field(default_factory=dict)  # by teacher_id
    exchanges: list[tuple[Stage, Exchange]] = field(default_factory=list)

    def move(self, steps: Iterable[Step], stage: Stage, exchange: int | None) -> None:
        """Let applicants move, for good."""
        for applicant, wish in steps:
            self.unmoved.remove(applicant)
            self.moves[applicant.teacher_id] = Move(stage.name, exchange, wish)

    def swap_only(self, position: Position) -> bool:
        """Tell whether a position takes part in exchanges alone."""
        return terms.SWAP_ONLY in self.tags[position.school]


def solve(round_: Round, rules: Rules, seed: int = 0) -> Outcome:
    """Clear a round by rules; seed is that of the lottery.

    Whether the round keeps to the limits of the rules is not asked here.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> outcome.exchanges["teachers"].to_list()
    [['T1', 'T3']]
    """
    everyone = applicants_of(round_, rules, seed)
    run = Run(
        tags=dict(round_.schools.select("school", "tags").iter_rows()),
        unmoved=list(everyone),
        open_seats=open_seats_of(round_),
    )
    for stage in rules.stages:
        if stage.kind == terms.ONE_WAY:
            run_one_way(run, stage)
        else:
            run_exchanges(run, stage)
    return tables_of(round_, rules, seed, everyone, run)


# ---- 1. A round


def open_seats_of(round_: Round) -> dict[Position, int]:
    """Return how many seats are open at each position of the list of vacancies."""
    rows = round_.vacancies.select("school", "subject", "seats").iter_rows()
    return {Position(school, subject): seats for school, subject, seats in rows}


def applicants_of(round_: Round, rules: Rules, seed: int) -> list[Applicant]:
    """Return the applicants of a round by teacher_id.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> first = applicants_of(round_, Rules.load("taiwan-110"), seed=0)[0]
    >>> first.home.school, first.wishes[0].position.school, first.wishes[0].points
    ('A', 'B', 8050)
    """
    county_of = dict(round_.schools.select("school", "county").iter_rows())
    rows = round_.teachers.iter_rows(named=True)
    return [
        Applicant(
            teacher_id=row["teacher_id"],
            home=Position(row["school"], row["subject"]),
            groups=tuple(row["groups"]),
            wishes=tuple(_wishes(row, county_of, rules.priority)),
            tie=tuple(_tie(row, rules.tie_break, seed)),
        )
        for row in sorted(rows, key=lambda row: str(row["teacher_id"]))
    ]


def _wishes(
    row: Mapping[str, Any], county_of: Mapping[str, str], priority: str
) -> list[Wish]:
    """Return each school in order with each subject in order, home and repeats out."""
    points_in = dict(zip(row["counties"], row["points"], strict=True))
    wishes: dict[Position, Wish] = {}
    for choice, school in enumerate(row["choices"], start=1):
        for subject in row["subjects"]:
            position = Position(school, subject)
            wish = Wish(position, choice, points_in[county_of[school]])
            if position != (row["school"], row["subject"]):
                wishes.setdefault(position, wish)
    if priority == terms.PER_COUNTY:
        return list(wishes.values())
    best = max((wish.points for wish in wishes.values()), default=0)
    return [wish._replace(points=best) for wish in wishes.values()]


# ---- 2. Who comes first


def _tie(row: Mapping[str, Any], keys: Sequence[str], seed: int) -> list[Any]:
    """Return what decides between equal points, the smaller value being better."""
    born, teacher_id = row["birth_date"], row["teacher_id"]
    ticket = f"{seed}:{teacher_id}".encode()
    value = {
        terms.SERVICE_YEARS: -(row["service_years"] or 0),
        terms.BIRTH_DATE: (born is None, born or datetime.date.max),
        terms.LOTTERY: hashlib.blake2b(ticket, digest_size=LOT_BYTES).digest(),
    }
    return [*(value[key] for key in keys), teacher_id]


def claims_of(applicants: Iterable[Applicant]) -> list[Claim]:
    """Return the claims of applicants in claim order: points, high first, then tie."""
    claims = []
    for applicant in applicants:
        by_points: dict[int, list[Wish]] = {}
        for wish in applicant.wishes:
            by_points.setdefault(wish.points, []).append(wish)
        claims += [
            Claim(applicant, points, tuple(wishes))
            for points, wishes in by_points.items()
        ]
    return sorted(claims, key=lambda claim: (-claim.points, claim.applicant.tie))


# ---- 3.1 One-way


def run_one_way(run: Run, stage: Stage) -> None:
    """Run one pass, or with `reopen` passes until one moves nobody."""
    while True:
        movers = one_pass(run, stage)
        run.move(movers, stage, exchange=None)
        for applicant, wish in movers:
            run.open_seats[wish.position] -= 1
            if stage.reopen:
                home = applicant.home
                run.open_seats[home] = run.open_seats.get(home, 0) + 1
        if not (stage.reopen and movers):
            return


def one_pass(run: Run, stage: Stage) -> list[Step]:
    """Return who is kept where: applicant-proposing deferred acceptance."""
    seats = {
        position: seats
        for position, seats in run.open_seats.items()
        if seats > 0 and is_offered(run, stage, position)
    }
    kept: dict[Position, list[Step]] = {position: [] for position in seats}
    proposing = [
        (applicant, [wish for wish in applicant.wishes if wish.position in seats])
        for applicant in run.unmoved
        if takes_part(run, stage, applicant)
    ]
    still_to_ask = {applicant.teacher_id: wishes for applicant, wishes in proposing}
    free = [applicant for applicant, _ in proposing]
    while free:
        applicant = free.pop()
        if not still_to_ask[applicant.teacher_id]:
            continue
        wish = still_to_ask[applicant.teacher_id].pop(0)
        held = kept[wish.position]
        held.append(Step(applicant, wish))
        held.sort(key=lambda step: (-step.wish.points, step.applicant.tie))
        if len(held) > seats[wish.position]:
            free.append(held.pop().applicant)
    return [step for held in kept.values() for step in held]


def takes_part(run: Run, stage: Stage, applicant: Applicant) -> bool:
    """Tell whether somebody who has not moved may move one-way in a stage."""
    in_group = stage.applicants is None or stage.applicants in applicant.groups
    return in_group and not run.swap_only(applicant.home)


def is_offered(run: Run, stage: Stage, position: Position) -> bool:
    """Tell whether the seats of a position, if any are open, can be had in a stage."""
    tagged = stage.schools is None or stage.schools in run.tags[position.school]
    return tagged and not run.swap_only(position)


# ---- 3.2 Exchanges


def run_exchanges(run: Run, stage: Stage) -> None:
    """Let every claim initiate once, in claim order."""
    circle_of = circles(wish_graph(run.unmoved))
    for claim in claims_of(run.unmoved):
        if claim.applicant not in run.unmoved:
            continue
        circle = circle_of[claim.applicant.home]
        if len(circle) < stage.size:
            continue
        holders = [person for person in run.unmoved if person.home in circle]
        claims_at: dict[Position, list[Claim]] = {}
        for held in claims_of(holders):
            claims_at.setdefault(held.applicant.home, []).append(held)
        found = first_exchange(claim, (), stage.size, claims_at)
        if found is not None:
            run.exchanges.append((stage, found))
            run.move(found, stage, exchange=len(run.exchanges))


def wish_graph(applicants: Iterable[Applicant]) -> nx.DiGraph:
    """Return the positions, with an edge where a holder of one wishes the other."""
    graph = nx.DiGraph()
    for applicant in applicants:
        graph.add_node(applicant.home)
        graph.add_edges_from(
            (applicant.home, wish.position) for wish in applicant.wishes
        )
    return graph


def circles(graph: nx.DiGraph) -> dict[Position, set[Position]]:
    """Return for each position those that it can be on a circle of wishes with.

    No exchange leaves them, so that nothing is lost by searching among them alone.
    """
    return {
        position: component
        for component in nx.strongly_connected_components(graph)
        for position in component
    }


def first_exchange(
    claim: Claim,
    path: Exchange,
    size: int,
    claims_at: Mapping[Position, Sequence[Claim]],
) -> Exchange | None:
    """Return the first exchange that goes on from a path with a wish of `claim`.

    `path` holds the steps before; `claims_at` the claims at each home, in claim order.
    """
    homes = [step.applicant.home for step in path] + [claim.applicant.home]
    for wish in claim.wishes:
        steps = (*path, Step(claim.applicant, wish))
        if len(steps) == size:
            if wish.position == homes[0]:
                return steps
        elif wish.position not in homes:
            for following in claims_at.get(wish.position, ()):
                found = first_exchange(following, steps, size, claims_at)
                if found is not None:
                    return found
    return None


# ---- The tables of the result


def tables_of(
    round_: Round, rules: Rules, seed: int, everyone: Sequence[Applicant], run: Run
) -> Outcome:
    """Return what a run decided."""
    return Outcome(
        rules=rules,
        seed=seed,
        assignments=_assignments(everyone, run),
        exchanges=_exchanges(run),
        digests=round_.digests,
    )


def _assignments(everyone: Sequence[Applicant], run: Run) -> pl.DataFrame:
    rows = []
    for applicant in everyone:
        move = run.moves.get(applicant.teacher_id)
        place = applicant.home if move is None else move.wish.position
        rows.append(
            {
                "teacher_id": applicant.teacher_id,
                "stage": move and move.stage,
                "exchange": move and move.exchange,
                "school": place.school,
                "subject": place.subject,
                "choice": move and move.wish.choice,
            }
        )
    return pl.DataFrame(rows, schema=ASSIGNMENT_SCHEMA)


def _exchanges(run: Run) -> pl.DataFrame:
    rows = [
        {
            "exchange": number,
            "stage": stage.name,
            "size": len(steps),
            "teachers": [step.applicant.teacher_id for step in steps],
        }
        for number, (stage, steps) in enumerate(run.exchanges, start=1)
    ]
    return pl.DataFrame(rows, schema=EXCHANGE_SCHEMA)
