"""The optimum with a size limit once more: everything listed, everything tried.

For tests on small rounds alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import networkx as nx  # type: ignore[import-untyped]

from jiepin.core import terms
from jiepin.core.reference import Applicant, Position, applicants_of, open_seats_of
from jiepin.core.round import Round
from jiepin.core.rules import Rules

Thing = tuple[tuple[int, ...], Position | None]  # who move, and the open seat it takes


def most_moves(
    round_: Round,
    rules: Rules,
    seed: int,
    max_size: int,
    at_least: dict[str, Position] | None = None,
) -> int:
    """Return how many can move in exchanges of at most max_size and to open seats.

    Whoever is named in `at_least` moves there or to an earlier wish.

    >>> from jiepin.core import Round, Rules
    >>> round_, rules = Round.read("fixtures/rounds/mutual"), Rules.load("taiwan-110")
    >>> most_moves(round_, rules, 0, 3)
    2
    """
    people = applicants_of(round_, rules, seed)
    kept = at_least or {}
    wished = [_allowed(person, kept.get(person.teacher_id)) for person in people]
    must = {i for i, person in enumerate(people) if person.teacher_id in kept}
    things = [
        *_exchanges(people, wished, max_size),
        *_one_way(round_, rules, people, wished),
    ]
    return _most(len(people), things, must, open_seats_of(round_))


def _allowed(person: Applicant, worst: Position | None) -> list[Position]:
    wished = [wish.position for wish in person.wishes]
    return wished if worst is None else wished[: wished.index(worst) + 1]


def _exchanges(
    people: Sequence[Applicant], wished: Sequence[Sequence[Position]], max_size: int
) -> Iterator[Thing]:
    graph = nx.DiGraph()
    for i, positions in enumerate(wished):
        for j, other in enumerate(people):
            if other.home in positions:
                graph.add_edge(i, j)
    for circle in nx.simple_cycles(graph, length_bound=max_size):
        if len({people[i].home for i in circle}) == len(circle):
            yield tuple(sorted(circle)), None


def _one_way(
    round_: Round,
    rules: Rules,
    people: Sequence[Applicant],
    wished: Sequence[Sequence[Position]],
) -> Iterator[Thing]:
    tags = dict(round_.schools.select("school", "tags").iter_rows())
    stages = [stage for stage in rules.stages if stage.kind == terms.ONE_WAY]
    for i, person in enumerate(people):
        if terms.SWAP_ONLY in tags[person.home.school]:
            continue
        for position in wished[i]:
            there = tags[position.school]
            if terms.SWAP_ONLY not in there and any(
                (stage.applicants is None or stage.applicants in person.groups)
                and (stage.schools is None or stage.schools in there)
                for stage in stages
            ):
                yield (i,), position


def _most(
    n: int, things: Sequence[Thing], must: set[int], seats: dict[Position, int]
) -> int:
    """Try, for each who is left in turn, to stay or to be part of each thing."""
    part_of: list[list[tuple[int, Position | None]]] = [[] for _ in range(n)]
    for members, position in sorted(set(things), key=str):
        mask = sum(1 << i for i in members)
        for i in members:
            part_of[i].append((mask, position))
    places = sorted({position for _, position in things if position is not None})

    @cache
    def best(left: int, room: tuple[int, ...]) -> int:
        if left == 0:
            return 0
        i = left.bit_length() - 1
        found = -n * n if i in must else best(left & ~(1 << i), room)
        for mask, position in part_of[i]:
            if mask & left != mask:
                continue
            rest = room
            if position is not None:
                at = places.index(position)
                if room[at] == 0:
                    continue
                rest = (*room[:at], room[at] - 1, *room[at + 1 :])
            found = max(found, mask.bit_count() + best(left & ~mask, rest))
        return found

    return best((1 << n) - 1, tuple(seats.get(place, 0) for place in places))
