"""The block exchanges once more, slow and obvious, for tests alone.

Everything is looked for anew after every trade. What the module calls an assignment
gives the wish by which each applicant has moved, or None at home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

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

Key = tuple[Any, ...]  # of two the smaller comes first
Assignment = Mapping[str, Wish | None]  # by teacher_id
Circle = Sequence[str]  # each takes the seat of the next one


@dataclass(frozen=True)
class Seats:
    """A market of the seats that are held."""

    people: Mapping[str, Applicant]
    home_points: Mapping[str, int]

    @classmethod
    def of(cls, round_: Round, rules: Rules, seed: int) -> Seats:
        """Return the market of a round; wishes for what is not there are left out."""
        everyone = applicants_of(round_, rules, seed)
        known = {person.home for person in everyone} | open_seats_of(round_).keys()
        rows = round_.teachers.select("teacher_id", "home_points").iter_rows()
        return cls(
            people={
                person.teacher_id: replace(
                    person,
                    wishes=tuple(w for w in person.wishes if w.position in known),
                )
                for person in everyone
            },
            home_points={teacher: points or 0 for teacher, points in rows},
        )

    def by_rank(self, some: Iterable[str]) -> list[str]:
        """Return applicants by overall rank: highest points over own wishes, tie."""

        def overall(who: str) -> Key:
            points = [wish.points for wish in self.people[who].wishes]
            return (not points, -max(points, default=0), self.people[who].tie)

        return sorted(some, key=overall)

    def home(self) -> Assignment:
        """Return the assignment that leaves everybody where he is."""
        return dict.fromkeys(self.people)

    def place(self, who: str, now: Assignment) -> Position:
        """Return where somebody is."""
        wish = now[who]
        return self.people[who].home if wish is None else wish.position

    def key(self, who: str, position: Position) -> Key:
        """Return what decides who comes first at a position."""
        person = self.people[who]
        points = self.home_points[who]
        for wish in person.wishes:
            if wish.position == position:
                points = wish.points
        return (-points, person.tie)

    def envied(self, who: str, now: Assignment) -> list[Wish]:
        """Return the wishes that stand before what somebody has."""
        wishes, wish = list(self.people[who].wishes), now[who]
        return wishes if wish is None else wishes[: wishes.index(wish)]

    def holders(self, position: Position, now: Assignment) -> list[str]:
        """Return who is at a position, the one who comes last there first."""
        there = [who for who in self.people if self.place(who, now) == position]
        return sorted(there, key=lambda who: self.key(who, position), reverse=True)

    def outranks(self, who: str, other: str, position: Position) -> bool:
        return self.key(who, position) < self.key(other, position)

    def two_sided(self, who: str, wish: Wish, other: str, _now: Assignment) -> bool:
        """Tell whether somebody points to the seat of another whom he envies."""
        return self.outranks(who, other, wish.position)

    def one_sided(self, who: str, wish: Wish, other: str, now: Assignment) -> bool:
        """Tell the same where the first who does not outrank the holder points too."""
        rivals = [
            rival
            for rival in self.people
            if rival != who
            and wish.position in [w.position for w in self.envied(rival, now)]
            and not self.outranks(rival, other, wish.position)
        ]
        return self.outranks(who, other, wish.position) or all(
            self.outranks(who, rival, wish.position) for rival in rivals
        )

    def points_to(self, points: Points, now: Assignment) -> dict[str, list[str]]:
        """Return to whose seats everybody points, in order of preference."""
        return {
            who: [
                other
                for wish in self.envied(who, now)
                for other in self.holders(wish.position, now)
                if points(self, who, wish, other, now)
            ]
            for who in self.people
        }

    def traded(self, circle: Circle, now: Assignment) -> Assignment:
        """Return the assignment after a trade."""
        after = dict(now)
        for who, other in zip(circle, [*circle[1:], circle[0]], strict=True):
            position = self.place(other, now)
            after[who] = next(
                wish for wish in self.envied(who, now) if wish.position == position
            )
        return after


Points = Callable[[Seats, str, Wish, str, Assignment], bool]


def solve(round_: Round, rules: Rules, seed: int, mechanism: str) -> Outcome:
    """Clear a round by one of the block exchanges; `rules` say who comes first.

    >>> from jiepin.core import Round, Rules
    >>> round_, rules = Round.read("fixtures/rounds/mutual"), Rules.load("taiwan-110")
    >>> solve(round_, rules, 0, "block_exchange").moves["teacher_id"].to_list()
    ['T1', 'T2']
    """
    seats = Seats.of(round_, rules, seed)
    after = MECHANISMS[mechanism](seats)
    everyone = [seats.people[who] for who in sorted(seats.people)]
    run = Run(tags={}, unmoved=list(everyone), open_seats={})
    stage = Stage(mechanism, terms.EXCHANGE)
    for number, circle in enumerate(circles(seats, after), start=1):
        steps = tuple(
            Step(seats.people[who], wish)
            for who in circle
            if (wish := after[who]) is not None
        )
        run.exchanges.append((stage, steps))
        run.move(steps, stage, number)
    return tables_of(round_, rules, seed, everyone, run)


def exchanged(seats: Seats, points: Points) -> Assignment:
    """Trade the first circle of the best-ranked one who has any, until none is left."""
    now = seats.home()
    while True:
        edges = seats.points_to(points, now)
        for who in seats.by_rank(seats.people):
            circle = shortest_circle(who, edges)
            if circle:
                now = seats.traded(circle, now)
                break
        else:
            return now


def shortest_circle(start: str, edges: Mapping[str, Sequence[str]]) -> Circle:
    """Return the first of the shortest circles of somebody, empty if there is none."""
    paths, seen = [[start]], {start}
    while paths:
        longer = []
        for path in paths:
            for other in edges[path[-1]]:
                if other == start:
                    return path
                if other not in seen:
                    seen.add(other)
                    longer.append([*path, other])
        paths = longer
    return []


def teacher_optimal(seats: Seats) -> Assignment:
    """Run top trading cycles, seat by seat, on the lists of what each may have."""
    home = seats.home()
    edges = seats.points_to(Seats.two_sided, home)
    left, after = set(seats.people), dict(home)
    while left:
        aims = {
            who: next((u for u in edges[who] if u in left), who) for who in sorted(left)
        }
        who = min(left)
        for _ in left:  # so many steps lead from anybody to a circle
            who = aims[who]
        circle = [who]
        while aims[circle[-1]] != who:
            circle.append(aims[circle[-1]])
        if len(circle) > 1:
            traded = seats.traded(circle, home)
            after.update((one, traded[one]) for one in circle)
        left -= set(circle)
    return after


def circles(seats: Seats, after: Assignment) -> list[list[str]]:
    """Return the circles of a result, as `mechanisms.seat_trading` tells them apart."""
    left = seats.by_rank(who for who in seats.people if after[who] is not None)
    found = []
    path: list[str] = []
    while left or path:
        here = seats.place(path[-1], after) if path else None
        homes = [seats.people[who].home for who in path]
        if here in homes:
            circle = path[homes.index(here) :]
            path = path[: homes.index(here)]
            first = circle.index(seats.by_rank(circle)[0])
            found.append(circle[first:] + circle[:first])
            continue
        who = next(w for w in left if here in (None, seats.people[w].home))
        left.remove(who)
        path.append(who)
    ranked = seats.by_rank(seats.people)
    return sorted(found, key=lambda circle: ranked.index(circle[0]))


MECHANISMS: Final[Mapping[str, Callable[[Seats], Assignment]]] = {
    "block_exchange": lambda seats: exchanged(seats, Seats.two_sided),
    "one_sided_block_exchange": lambda seats: exchanged(seats, Seats.one_sided),
    "teacher_optimal_block_exchange": teacher_optimal,
}
