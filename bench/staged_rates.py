"""How often the staged rules break what other mechanisms promise, on random markets.

    python bench/staged_rates.py [MARKETS] [SEED]

Small closed and open markets, one score per teacher and county, the stages of the
preset taiwan-110 as far as they apply. Counted, for markets and for teachers:

misreport     somebody gets a better place by some other list
inefficient   the seats taken and those left open can be shared out so that one is
              better off and none worse (a seat left one-way stays closed)
priority      one with a better claim envies a seat that somebody newly came to
more points   somebody gets a worse place when all his points go up
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations, product

from jiepin.core import Rules, Stage, reference, terms
from jiepin.core.reference import Applicant, Position, Run, Wish

STAGES = tuple(
    stage for stage in Rules.load("taiwan-110").stages if stage.applicants is None
)
SCHOOLS = "ABCD"
TOP = 10  # points are 1 to this
Places = Mapping[str, Position]


def main(n_markets: int, seed: int) -> None:
    """Draw markets, try everything, print the counts."""
    rng, counts = random.Random(seed), Counter[str]()
    for _ in range(n_markets):
        counts.update(found(*market(rng)))
    n_teachers = counts["teachers"]
    print(f"{n_markets:,} markets, {n_teachers:,} teachers, seed {seed}")
    for name in ("misreport", "inefficient", "priority", "more points"):
        markets, people = counts[name], counts[f"{name}, teachers"]
        print(
            f"{name:12} {markets:6,} markets {markets / n_markets:7.2%}"
            f"  {people:6,} teachers {people / n_teachers:7.2%}"
        )


def market(rng: random.Random) -> tuple[list[Applicant], dict[Position, int]]:
    """Draw 4 to 6 people at 4 schools, and few or no open seats."""
    people = [person(rng, number) for number in range(rng.randint(4, 6))]
    seats = {Position(code, "g"): rng.choice((0, 0, 0, 1)) for code in SCHOOLS}
    return people, seats


def person(rng: random.Random, number: int) -> Applicant:
    home = rng.choice(SCHOOLS)
    others = [code for code in SCHOOLS if code != home]
    listed = rng.sample(others, rng.randint(1, len(others)))
    scores = {code: rng.randint(1, TOP) for code in SCHOOLS}
    return telling(
        Applicant(f"T{number}", Position(home, "g"), (), (), (number,)), listed, scores
    )


def telling(
    someone: Applicant, listed: Sequence[str], scores: Mapping[str, int]
) -> Applicant:
    """Return somebody with another list; each school is in a county of its own."""
    wishes = tuple(
        Wish(Position(code, "g"), choice, scores[code])
        for choice, code in enumerate(listed, start=1)
    )
    return replace(someone, wishes=wishes)


def run_of(people: Sequence[Applicant], seats: Mapping[Position, int]) -> Run:
    """Run the staged rules."""
    run = Run(dict.fromkeys(SCHOOLS, ()), list(people), dict(seats))
    for stage in STAGES:
        by_kind(run, stage)
    return run


def cleared(people: Sequence[Applicant], seats: Mapping[Position, int]) -> Places:
    """Return where the staged rules take everybody."""
    return places(people, run_of(people, seats))


def places(people: Sequence[Applicant], run: Run) -> Places:
    after = {p.teacher_id: p.home for p in people}
    return after | {t: move.wish.position for t, move in run.moves.items()}


def by_kind(run: Run, stage: Stage) -> None:
    if stage.kind == terms.ONE_WAY:
        reference.run_one_way(run, stage)
    else:
        reference.run_exchanges(run, stage)


def found(people: list[Applicant], seats: dict[Position, int]) -> Iterator[str]:
    """Yield what a market breaks, once for it and once for each of the people."""
    run = run_of(people, seats)
    after = places(people, run)
    yield from ["teachers"] * len(people)
    everyone = range(len(people))
    liars = [at for at in everyone if gains_by_a_lie(people, seats, after, at)]
    losers = [at for at in everyone if loses_by_points(people, seats, after, at)]
    envious = [at for at in everyone if passed_over(people[at], people, after)]
    better = better_off(people, run.open_seats, after)
    for name, who in (
        ("misreport", liars),
        ("inefficient", better),
        ("priority", envious),
        ("more points", losers),
    ):
        yield from [f"{name}, teachers"] * len(who)
        if who:
            yield name


def standing(someone: Applicant, place: Position) -> int:
    wished = [wish.position for wish in someone.wishes]
    return wished.index(place) if place in wished else len(wished)


def gains_by_a_lie(
    people: list[Applicant], seats: dict[Position, int], after: Places, at: int
) -> bool:
    """Try every order and part of the schools listed."""
    liar = people[at]
    scores = {wish.position.school: wish.points for wish in liar.wishes}
    honest = standing(liar, after[liar.teacher_id])
    for length in range(len(scores) + 1):
        for listed in permutations(scores, length):
            others = [*people[:at], telling(liar, listed, scores), *people[at + 1 :]]
            got = cleared(others, seats)[liar.teacher_id]
            if standing(liar, got) < honest:
                return True
    return False


def loses_by_points(
    people: list[Applicant], seats: dict[Position, int], after: Places, at: int
) -> bool:
    """Try one to TOP more points everywhere."""
    someone = people[at]
    before = standing(someone, after[someone.teacher_id])
    for more in range(1, TOP + 1):
        wishes = tuple(w._replace(points=w.points + more) for w in someone.wishes)
        others = [*people[:at], replace(someone, wishes=wishes), *people[at + 1 :]]
        got = cleared(others, seats)[someone.teacher_id]
        if standing(someone, got) > before:
            return True
    return False


def passed_over(someone: Applicant, people: list[Applicant], after: Places) -> bool:
    """Tell whether one who came to an envied seat has a claim behind that for it."""
    for wish in someone.wishes[: standing(someone, after[someone.teacher_id])]:
        for other in people:
            for won in other.wishes:
                came = after[other.teacher_id] == won.position == wish.position
                if came and (-won.points, other.tie) > (-wish.points, someone.tie):
                    return True
    return False


def better_off(
    people: list[Applicant], still_open: dict[Position, int], after: Places
) -> list[int]:
    """Return who is better off in some assignment that is worse for none."""
    room = Counter(after.values())
    room.update(still_open)
    choices = [
        [wish.position for wish in p.wishes[: standing(p, after[p.teacher_id])]]
        + [after[p.teacher_id]]
        for p in people
    ]
    better: set[int] = set()
    for chosen in product(*choices):
        counts = Counter(chosen)
        if all(n <= room[place] for place, n in counts.items()):
            better.update(
                at
                for at, person in enumerate(people)
                if chosen[at] != after[person.teacher_id]
            )
    return sorted(better)


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], *("1000", "0")[len(sys.argv) - 1 :]]))
