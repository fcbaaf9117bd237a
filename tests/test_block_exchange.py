"""The block exchanges: each against its slow twin, and what they promise.

The statements P1, P11 to P15 and P22 are those of docs/mechanisms.md. Markets that are
tried whole are so small that all assignments, trades and lists can be written down.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from strategies import Case, Draft, Place, School, Teacher, cases, round_of

from jiepin.core import Limits, Rules, Stage, solve, terms
from jiepin.core.errors import NoHomePoints
from jiepin.core.reference_blocks import Assignment, Points, Seats
from jiepin.core.reference_blocks import solve as solve_slowly

BLOCK, ONE_SIDED = "block_exchange", "one_sided_block_exchange"
TEACHER_OPTIMAL = "teacher_optimal_block_exchange"
TWO_SIDED = (BLOCK, TEACHER_OPTIMAL)
ALL = (*TWO_SIDED, ONE_SIDED)
RULES = Rules(
    name="small",
    stages=(Stage("mutual", terms.EXCHANGE, size=2),),
    limits=Limits(counties=0, subjects=0, choices=0, home_county=True),
    tie_break=(),
)
SCORES = (0, 100, 200, 300)


# ---- The slow twins


@given(case=cases())
@settings(max_examples=50, deadline=None)
def test_same_as_the_slow_twin(case: Case) -> None:
    for mechanism in ALL:
        check_twin(mechanism, case)


def check_twin(mechanism: str, case: Case) -> None:
    found = solve(case.round_, case.rules, case.seed, mechanism=mechanism)
    expected = solve_slowly(case.round_, case.rules, case.seed, mechanism)
    assert_frame_equal(found.assignments, expected.assignments)
    assert_frame_equal(found.exchanges, expected.exchanges)


@pytest.mark.parametrize("mechanism", ALL)
@pytest.mark.parametrize(
    ("seed", "n_schools", "longest"), [(0, 14, 9), (339, 12, 3), (762, 42, 5)]
)
def test_same_as_the_slow_twin_where_many_trade(
    mechanism: str, seed: int, n_schools: int, longest: int
) -> None:
    """In the last two a one-sided trade leads up to a part of several applicants."""
    market = random_market(random.Random(seed), 42, n_schools, longest)
    check_twin(mechanism, Case(draft_of(market), RULES))


# ---- Small markets


Market = Sequence[Teacher]  # its schools are those that somebody holds


def school_of(number: int) -> str:
    return f"S{number:02}"


def random_market(
    rng: random.Random, n_teachers: int, n_schools: int, longest: int
) -> Market:
    """Draw teachers, at least one for each school; each school is its own county."""
    homes = [*range(n_schools)]
    homes += [rng.randrange(n_schools) for _ in range(n_teachers - n_schools)]
    teachers = []
    for number, home in enumerate(homes):
        others = [school_of(other) for other in range(n_schools) if other != home]
        points = tuple((other, rng.choice(SCORES)) for other in others)
        wished = rng.sample(others, min(len(others), rng.randint(0, longest)))
        teachers.append(
            Teacher(
                teacher_id=f"T{number:03}",
                school=school_of(home),
                subjects=("s",),
                points=points,
                choices=tuple(wished),
                home_points=rng.choice(SCORES),
            )
        )
    return teachers


@st.composite
def small_markets(
    draw: st.DrawFn, copies: bool = False, n: tuple[int, ...] = (2, 3, 4, 4)
) -> Market:
    """Draw a market of a few teachers, one per school or, with copies, in two or three.

    Hypothesis cannot shrink it well, and need not.
    """
    size = draw(st.sampled_from(n))
    rng = random.Random(draw(st.integers(0, 1 << 40)))
    return random_market(rng, size, min(size, rng.randint(2, 3)) if copies else size, 4)


def draft_of(market: Market) -> Draft:
    """Return the round of a market.

    A county is a school, so that any teacher may have any points there.
    """
    codes = sorted({teacher.school for teacher in market})
    return Draft(
        schools=tuple(School(code, code, terms.ELEMENTARY) for code in codes),
        subjects=(("s", terms.ELEMENTARY),),
        seats=(),
        teachers=tuple(market),
    )


def named(teacher: Teacher, start: str) -> Teacher:
    return replace(
        teacher,
        teacher_id=start + teacher.teacher_id,
        school=start + teacher.school,
        points=tuple((start + county, points) for county, points in teacher.points),
        choices=tuple(start + choice for choice in teacher.choices),
    )


def results(markets: Sequence[Market], mechanism: str) -> list[dict[str, str]]:
    """Return where everybody is afterwards in each of some markets, solved as one.

    They do not touch: "0/" stands before all codes of the first one.
    """
    whole = [
        named(teacher, f"{number}/")
        for number, market in enumerate(markets)
        for teacher in market
    ]
    found: list[dict[str, str]] = [{} for _ in markets]
    for code, place in result(whole, mechanism).items():
        number, teacher_id = code.split("/")
        found[int(number)][teacher_id] = place.split("/")[1]
    return found


def result(market: Market, mechanism: str) -> dict[str, str]:
    """Return where everybody is afterwards."""
    found = solve(round_of(draft_of(market)), RULES, mechanism=mechanism)
    return dict(found.assignments.select("teacher_id", "school").iter_rows())


def seats_of(market: Market) -> Seats:
    return Seats.of(round_of(draft_of(market)), RULES, seed=0)


def as_places(seats: Seats, now: Assignment) -> dict[str, str]:
    return {who: seats.place(who, now).school for who in seats.people}


def worth(seats: Seats, who: str, now: Assignment) -> int:
    """Return how many wishes of somebody are better than what he has."""
    return len(seats.envied(who, now))


# ---- P1, and what is listed


@given(case=cases())
@settings(max_examples=30, deadline=None)
def test_p1_nobody_below_home_and_seats_kept(case: Case) -> None:
    """Who moves takes a wish, and at each position there are as many as before."""
    for mechanism in ALL:
        check_places(mechanism, case)


def check_places(mechanism: str, case: Case) -> None:
    found = solve(case.round_, case.rules, case.seed, mechanism=mechanism)
    people = Seats.of(case.round_, case.rules, case.seed).people
    after: dict[str, Place] = {
        teacher: (school, subject)
        for teacher, school, subject in found.assignments.select(
            "teacher_id", "school", "subject"
        ).iter_rows()
    }
    for who, person in people.items():
        assert after[who] in {person.home, *(wish.position for wish in person.wishes)}
    assert sorted(after.values()) == sorted(person.home for person in people.values())
    moved = found.moves["teacher_id"].to_list()
    assert sorted(found.exchanges["teachers"].explode().drop_nulls()) == moved
    for exchange in found.exchanges["teachers"]:
        homes = [people[who].home for who in exchange]
        assert [after[who] for who in exchange] == [*homes[1:], homes[0]]
        assert len(set(homes)) == len(homes) > 1


# ---- P11, P12, P15: one seat per position, all assignments and all ways to trade


def assignments(seats: Seats) -> Iterator[Assignment]:
    """Yield each way to place everybody at home or at a wish, seats being kept."""
    options = [(None, *person.wishes) for person in seats.people.values()]
    homes = sorted(person.home for person in seats.people.values())
    for chosen in itertools.product(*options):
        now = dict(zip(seats.people, chosen, strict=True))
        if sorted(seats.place(who, now) for who in now) == homes:
            yield now


def outcomes(seats: Seats, points: Points) -> list[dict[str, str]]:
    """Return every assignment that trading circles can end with, in any order."""
    ends: list[dict[str, str]] = []
    waiting, seen = [seats.home()], [as_places(seats, seats.home())]
    while waiting:
        now = waiting.pop()
        circles = [*nx.simple_cycles(nx.DiGraph(seats.points_to(points, now)))]
        if not circles:
            ends.append(as_places(seats, now))
        for circle in circles:
            after = seats.traded(circle, now)
            if as_places(seats, after) not in seen:
                seen.append(as_places(seats, after))
                waiting.append(after)
    return ends


def same_sets(some: list[dict[str, str]], others: list[dict[str, str]]) -> bool:
    return sorted(map(str, some)) == sorted(map(str, others))


def holder_key(seats: Seats, who: str, now: Assignment) -> tuple[object, ...]:
    return seats.key(who, seats.place(who, now))


def two_sided_worse(seats: Seats, now: Assignment, other: Assignment) -> bool:
    """Tell whether other is better for a person or position and worse for none."""
    change = [worth(seats, who, other) - worth(seats, who, now) for who in now]
    held = {seats.place(who, now): holder_key(seats, who, now) for who in now}
    for who in other:
        key, before = holder_key(seats, who, other), held[seats.place(who, other)]
        change.append((key > before) - (key < before))
    return max(change) <= 0 and min(change) < 0


def at_least_home(seats: Seats, now: Assignment) -> bool:
    """Tell whether no position is held by somebody whom its holder outranks."""
    homes = {person.home: who for who, person in seats.people.items()}
    return not any(
        seats.outranks(homes[seats.place(who, now)], who, seats.place(who, now))
        for who in now
    )


@given(market=small_markets())
@settings(max_examples=60, deadline=None)
def test_p11_p12_what_trading_can_end_with(market: Market) -> None:
    """What no other assignment beats two-sidedly; both mechanisms end with such one."""
    seats = seats_of(market)
    possible = [now for now in assignments(seats) if at_least_home(seats, now)]
    best = [
        as_places(seats, now)
        for now in possible
        if not any(two_sided_worse(seats, now, other) for other in possible)
    ]
    assert same_sets(outcomes(seats, Seats.two_sided), best)
    for mechanism in TWO_SIDED:
        assert result(market, mechanism) in best


def blocking(seats: Seats, now: Assignment) -> set[tuple[str, str]]:
    """Return who envies a position whose holder he outranks."""
    holder = {seats.place(who, now): who for who in now}
    return {
        (who, wish.position.school)
        for who in now
        for wish in seats.envied(who, now)
        if seats.outranks(who, holder[wish.position], wish.position)
    }


@given(market=small_markets())
@settings(max_examples=60, deadline=None)
def test_p15_what_one_sided_trading_can_end_with(market: Market) -> None:
    seats = seats_of(market)
    at_home = blocking(seats, seats.home())
    possible = [n for n in assignments(seats) if blocking(seats, n) <= at_home]

    def beaten(now: Assignment, other: Assignment) -> bool:
        change = [worth(seats, who, other) - worth(seats, who, now) for who in now]
        better = max(change) <= 0 and min(change) < 0
        return better and blocking(seats, other) <= blocking(seats, now)

    best = [
        as_places(seats, now)
        for now in possible
        if not any(beaten(now, other) for other in possible)
    ]
    assert same_sets(outcomes(seats, Seats.one_sided), best)
    assert result(market, ONE_SIDED) in best


# ---- P12, P13: no false list helps


def lies(market: Market, who: Teacher) -> Iterator[Market]:
    """Yield the market with every list that somebody could hand in instead of his."""
    schools = [county for county, _ in who.points]
    for length in range(len(schools) + 1):
        for choices in itertools.permutations(schools, length):
            told = replace(who, choices=choices)
            yield [told if other == who else other for other in market]


@given(market=small_markets() | small_markets(copies=True, n=(4, 5, 6)))
@settings(max_examples=25, deadline=None)
def test_p12_p13_no_false_list_helps(market: Market) -> None:
    """Reordered, cut short or made longer: nobody ends at a place he likes better."""
    for who in market:
        order = [*who.choices, who.school]
        told = [market, *lies(market, who)]
        after = [found[who.teacher_id] for found in results(told, TEACHER_OPTIMAL)]
        for place in after[1:]:
            assert place not in order[: order.index(after[0])]


# ---- P13, P14


@pytest.mark.parametrize("mechanism", TWO_SIDED)
@given(market=small_markets(copies=True, n=(5, 8, 12)))
@settings(max_examples=30, deadline=None)
def test_p13_each_position_ends_with_better_ones(
    mechanism: str, market: Market
) -> None:
    """Compared one by one from the best down, by what counts there."""
    seats, after = seats_of(market), result(market, mechanism)
    for place in {person.home for person in seats.people.values()}:
        before = [who for who in after if seats.people[who].home == place]
        now = [who for who in after if after[who] == place.school]
        keys = [sorted(seats.key(who, place) for who in some) for some in (now, before)]
        assert all(key <= held for key, held in zip(*keys, strict=True))


@given(case=cases(), score=st.lists(st.sampled_from(SCORES), min_size=30, max_size=30))
@settings(max_examples=25, deadline=None)
def test_p14_with_one_common_score_nobody_moves(case: Case, score: list[int]) -> None:
    teachers = tuple(
        replace(
            teacher,
            home_points=points,
            points=tuple((county, points) for county, _ in teacher.points),
        )
        for teacher, points in zip(case.draft.teachers, score, strict=False)
    )
    round_ = round_of(replace(case.draft, teachers=teachers))
    for mechanism in TWO_SIDED:
        assert not solve(round_, case.rules, mechanism=mechanism).moves.height


# ---- P22


@pytest.mark.parametrize("mechanism", ALL)
@given(first=small_markets(copies=True, n=(6, 9)), second=small_markets(n=(4,)))
@settings(max_examples=15, deadline=None)
def test_p22_two_markets_are_solved_as_each_alone(
    mechanism: str, first: Market, second: Market
) -> None:
    alone = [result(first, mechanism), result(second, mechanism)]
    assert results([first, second], mechanism) == alone
    for teacher in first:
        assert teacher.choices or alone[0][teacher.teacher_id] == teacher.school


@pytest.mark.parametrize("mechanism", ALL)
@given(market=small_markets(copies=True, n=(6, 9)))
@settings(max_examples=15, deadline=None)
def test_p22_new_names_give_the_same_result(mechanism: str, market: Market) -> None:
    """Schools in reverse; who comes first of equals is still the same person."""
    other = {school_of(number): school_of(98 - number) for number in range(99)}
    renamed = [
        replace(
            teacher,
            teacher_id="U" + teacher.teacher_id,
            school=other[teacher.school],
            points=tuple((other[county], points) for county, points in teacher.points),
            choices=tuple(other[choice] for choice in teacher.choices),
        )
        for teacher in reversed(market)
    ]
    expected = {
        "U" + who: other[school] for who, school in result(market, mechanism).items()
    }
    assert result(renamed, mechanism) == expected


# ---- Points at home


def of_two(home_points: int | None) -> Draft:
    """Two who would trade, each with 200 points abroad; B has `home_points` at home."""
    market = [
        Teacher("A", "S0", ("s",), (("S1", 200),), ("S1",), home_points=100),
        Teacher("B", "S1", ("s",), (("S0", 200),), ("S0",), home_points=home_points),
        Teacher("C", "S1", ("s",), home_points=None),
    ]
    return draft_of(market)


@pytest.mark.parametrize("mechanism", ALL)
@pytest.mark.parametrize("priority", [terms.PER_COUNTY, terms.BEST])
def test_a_seat_is_held_with_the_points_at_home(mechanism: str, priority: str) -> None:
    """Of equals the smaller id comes first: A outranks B with 200 at home, not 201.

    One-sided he need not: he is the only one who would like that seat.
    """
    rules = replace(RULES, priority=priority)
    for points, moved in ((199, 2), (200, 2), (201, 0)):
        found = solve(round_of(of_two(points)), rules, mechanism=mechanism)
        assert found.moves.height == (2 if mechanism == ONE_SIDED else moved)


@pytest.mark.parametrize("mechanism", ALL)
def test_a_missing_home_points_cell_is_refused(mechanism: str) -> None:
    """C wishes nothing, so nobody asks for his."""
    with pytest.raises(NoHomePoints, match=f"{mechanism}: home_points missing") as one:
        solve(round_of(of_two(None)), RULES, mechanism=mechanism)
    caught = one.value
    assert (caught.mechanism, caught.n_missing, caught.n_wishing) == (mechanism, 1, 2)
    assert (caught.row, caught.teacher_id) == (2, "B")
    assert "1 of 2 teachers" in str(caught)
    assert "row 2 of the teachers, 'B'" in str(caught)


def test_a_missing_home_points_column_is_refused() -> None:
    round_ = round_of(of_two(100))
    bare = replace(round_, teachers=round_.teachers.drop("home_points"))
    with pytest.raises(NoHomePoints, match="missing for 2 of 2 teachers"):
        solve(bare, RULES, mechanism=BLOCK)
    assert solve(bare, RULES).moves.height == 2


def test_open_seats_are_not_taken() -> None:
    """A wishes a position that is vacant: it is never filled by these mechanisms."""
    draft = of_two(None)
    alone = replace(draft, teachers=draft.teachers[:1], seats=((("S1", "s"), 3),))
    for mechanism in ALL:
        found = solve(round_of(alone), RULES, mechanism=mechanism)
        assert found.moves.height == 0
