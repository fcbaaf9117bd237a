"""The mechanisms beside the rules: each against its slow twin, and what it promises."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import numba
import pytest
from algmatch import HospitalResidentsProblem
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from strategies import (
    Case,
    Draft,
    Place,
    cases,
    cases_and_second_drafts,
    round_of,
    rule_sets,
)
from test_properties import marked, renamed, renamed_outcome, shuffled

from jiepin.core import Limits, Outcome, Rules, Stage, reference_others, solve, terms
from jiepin.core.errors import BadArgument
from jiepin.core.reference import (
    Applicant,
    Position,
    Run,
    Wish,
    applicants_of,
    open_seats_of,
)

DA, TTC = "deferred_acceptance", "top_trading_cycles"
BOTH = (DA, TTC)
MANY = 30 if numba.config.DISABLE_JIT else 60
SOME = settings(max_examples=MANY, deadline=None)
FEW = settings(max_examples=MANY // 3, deadline=None)
N_MARKETS = 60  # of the twin
ANY_LIMITS = Limits(counties=0, subjects=0, choices=0, home_county=True)
NEAR = Rules(
    name="near",
    stages=(Stage("one-way", terms.ONE_WAY),),
    limits=ANY_LIMITS,
    tie_break=(terms.SERVICE_YEARS,),
)


def places(outcome: Outcome) -> dict[str, Place]:
    rows = outcome.assignments.select("teacher_id", "school", "subject").iter_rows()
    return {teacher: (school, subject) for teacher, school, subject in rows}


@pytest.mark.parametrize("mechanism", BOTH)
@given(case=cases())
@SOME
def test_same_as_the_slow_twin(mechanism: str, case: Case) -> None:
    found = solve(case.round_, case.rules, case.seed, mechanism=mechanism)
    expected = reference_others.solve(case.round_, case.rules, case.seed, mechanism)
    assert_frame_equal(found.assignments, expected.assignments)
    assert_frame_equal(found.exchanges, expected.exchanges)


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(BadArgument, match="expected one of staged, top_"):
        solve(round_of(Draft((), (), (), ())), NEAR, mechanism="best")


# P1


@pytest.mark.parametrize("mechanism", BOTH)
@given(case=cases())
@FEW
def test_p1_nobody_below_home_and_seats_kept(mechanism: str, case: Case) -> None:
    after = places(solve(case.round_, case.rules, case.seed, mechanism=mechanism))
    people = applicants_of(case.round_, case.rules, case.seed)
    for person in people:
        allowed = {wish.position for wish in person.wishes} | {person.home}
        assert after[person.teacher_id] in allowed
    there, held = Counter(after.values()), Counter(person.home for person in people)
    room, swap = seats_in_all(case, people), swap_only(case)
    for place in there.keys() | held.keys():
        assert there[place] <= room.get(Position(*place), 0)
        if place[0] in swap:
            assert there[place] == held[Position(*place)]


# Small markets, tried whole


@st.composite
def small_cases(draw: st.DrawFn, most: int = 4) -> Case:
    """Draw a round of a few teachers who hold nearly all seats."""
    case = draw(cases(rule_sets()))
    draft = case.draft
    few = tuple(draft.teachers[:most])
    rules = replace(NEAR, priority=case.rules.priority)
    return Case(replace(draft, teachers=few), rules, case.seed)


def assignments(people: list[Applicant], room: dict[Position, int]) -> Iterable[dict]:
    """Yield each way to place everybody at home or at a wish, within the seats."""
    options = [
        [person.home, *(wish.position for wish in person.wishes)] for person in people
    ]
    for chosen in product(*options):
        counts = {place: chosen.count(place) for place in chosen}
        if all(count <= room.get(place, 0) for place, count in counts.items()):
            yield dict(zip((p.teacher_id for p in people), chosen, strict=True))


def standing(person: Applicant, place: Place) -> int:
    """Return how good a place is for somebody, 0 being best."""
    wished = [wish.position for wish in person.wishes]
    return wished.index(place) if place in wished else len(wished)


def swap_only(case: Case) -> set[str]:
    """Return the schools that take part in exchanges alone."""
    return {s.code for s in case.draft.schools if terms.SWAP_ONLY in s.tags}


def seats_in_all(case: Case, people: list[Applicant]) -> dict[Position, int]:
    """Return the seats of each position, held and open."""
    swap = swap_only(case)
    room = {
        place: seats
        for place, seats in open_seats_of(case.round_).items()
        if place.school not in swap
    }
    for person in people:
        room[person.home] = room.get(person.home, 0) + 1
    return room


@given(case=small_cases())
@SOME
def test_p2_top_trading_cycles_is_efficient(case: Case) -> None:
    """No other assignment is better for one and worse for none.

    Only those count that leave swap-only schools as full as they are.
    """
    people = applicants_of(case.round_, case.rules, case.seed)
    found = places(solve(case.round_, case.rules, case.seed, mechanism=TTC))
    swap = swap_only(case)
    held = [person.home for person in people if person.home.school in swap]
    for other in assignments(people, seats_in_all(case, people)):
        if any(list(other.values()).count(home) < held.count(home) for home in held):
            continue
        change = [
            standing(p, other[p.teacher_id]) - standing(p, found[p.teacher_id])
            for p in people
        ]
        assert not (min(change, default=0) < 0 and max(change, default=0) <= 0), other


# Markets of the twin: as many as can be tried in a second


def person(
    number: int,
    home: str,
    wanted: Iterable[str],
    points: Sequence[int] = (50,),
    years: int = 0,
) -> Applicant:
    """Return somebody; school X stands in the county of number X modulo the points."""
    wishes = tuple(
        Wish(Position(code, "g"), choice, points[ord(code) % len(points)])
        for choice, code in enumerate(wanted, start=1)
    )
    name = f"T{number}"
    return Applicant(name, Position(home, "g"), (), wishes, (-years, name))


def cleared(
    people: Iterable[Applicant], seats: dict[str, int], mechanism: str
) -> dict[str, str]:
    """Return at which school everybody ends, by the slow twin."""
    everyone = list(people)
    run = Run(
        tags=dict.fromkeys("ABCDEFGH", ()),
        unmoved=list(everyone),
        open_seats={Position(code, "g"): n for code, n in seats.items()},
    )
    clear = reference_others.MECHANISMS[mechanism]
    clear(run, Stage(mechanism, terms.ONE_WAY))
    after = {p.teacher_id: p.home.school for p in everyone}
    return after | {t: move.wish.position.school for t, move in run.moves.items()}


def ranked(someone: Applicant) -> list[str]:
    """Return the schools from best to home."""
    return [*(w.position.school for w in someone.wishes), someone.home.school]


def drawn_market(
    rng: random.Random, n_people: int, homes: str, points: int
) -> list[Applicant]:
    """Return people whose homes are drawn, with any lists and `points` counties."""
    people = []
    for number in range(n_people):
        home = homes[number] if len(homes) == n_people else rng.choice(homes)
        others = [code for code in dict.fromkeys(homes) if code != home]
        wanted = rng.sample(others, rng.randint(0, len(others)))
        scores = [rng.randint(1, 4) for _ in range(points)]
        people.append(person(number, home, wanted, scores, rng.randint(0, 2)))
    return people


# P3, P4


def trades(members: Sequence[Applicant]) -> Iterator[dict[str, str]]:
    """Yield each way in which some people can share out their own homes."""
    homes = [member.home.school for member in members]
    for order in set(permutations(homes)):
        yield dict(zip((m.teacher_id for m in members), order, strict=True))


def gains(members: Iterable[Applicant], a: dict[str, str], b: dict[str, str]) -> list:
    """Return by how many places each is better off in b; None where b is no wish."""
    found = []
    for member in members:
        order, teacher = ranked(member), member.teacher_id
        wanted = b[teacher] in order
        found.append(
            order.index(a[teacher]) - order.index(b[teacher]) if wanted else None
        )
    return found


def blocks(people: Sequence[Applicant], after: dict[str, str], strictly: bool) -> bool:
    """Tell whether a group does better on its own homes.

    All of it if strictly, else at least one and nobody worse.
    """
    for size in range(1, len(people) + 1):
        for members in combinations(people, size):
            for trade in trades(members):
                gained = gains(members, after, trade)
                if None in gained or min(gained) < 0:
                    continue
                if min(gained) > 0 or (max(gained) > 0 and not strictly):
                    return True
    return False


def test_p3_with_one_seat_per_position_no_group_does_better() -> None:
    for seed in range(N_MARKETS):
        people = drawn_market(random.Random(seed), 5, "ABCDE", points=1)
        assert not blocks(people, cleared(people, {}, TTC), strictly=False), people


def test_p4_with_copies_in_the_weak_core_and_in_the_strict_one_if_any() -> None:
    n_without = 0
    for seed in range(N_MARKETS):
        people = drawn_market(random.Random(seed), 4, "AABC", points=2)
        after = cleared(people, {}, TTC)
        assert not blocks(people, after, strictly=True)
        if blocks(people, after, strictly=False):
            n_without += 1
            names = [p.teacher_id for p in people]
            for places_ in set(permutations(p.home.school for p in people)):
                other = dict(zip(names, places_, strict=True))
                if None in gains(people, other, other):
                    continue
                assert blocks(people, other, strictly=False), (people, other)
    assert n_without > 0  # there are such markets


# P5


def lies(liar: Applicant, codes: str) -> Iterator[tuple[str, ...]]:
    """Yield all lists there are: other orders, parts and longer ones."""
    others = [code for code in codes if code != liar.home.school]
    for length in range(len(others) + 1):
        yield from permutations(others, length)


@pytest.mark.parametrize("mechanism", BOTH)
def test_p5_no_false_list_helps(mechanism: str) -> None:
    """Whatever schools somebody lists, he is placed no better.

    For top trading cycles a list must not lift the overall rank: see the next test.
    """
    n_tried = 0
    for seed in range(3 * N_MARKETS):
        rng = random.Random(seed)
        codes = "ABCD"[: rng.randint(3, 4)]
        people = drawn_market(rng, rng.randint(3, 5), codes + "A", points=2)
        seats = {code: rng.choice((0, 0, 1)) for code in codes}
        honest = cleared(people, seats, mechanism)
        for at, liar in enumerate(people):
            scores = [rng.randint(1, 4) for _ in range(2)]
            for wish in liar.wishes:
                scores[ord(wish.position.school) % 2] = wish.points
            best = ranked(liar).index(honest[liar.teacher_id])
            for told in lies(liar, codes):
                false = person(at, liar.home.school, told, scores, -liar.tie[0])
                rank = reference_others.overall
                if mechanism == TTC and rank(false) < rank(liar):
                    continue
                n_tried += 1
                others = [*people[:at], false, *people[at + 1 :]]
                got = cleared(others, seats, mechanism)[liar.teacher_id]
                assert got not in ranked(liar)[:best], (people, seats, told)
    assert n_tried > 10 * N_MARKETS


def test_p5_a_school_with_more_points_lifts_the_overall_rank() -> None:
    """The overall rank is that of the own list, and an open seat goes by it."""
    people = [person(0, "A", "C", (70, 50)), person(1, "B", "C", (60, 60))]
    assert cleared(people, {"C": 1}, TTC) == {"T0": "A", "T1": "C"}
    more = person(0, "A", "CD", (70, 50))
    assert cleared([more, people[1]], {"C": 1}, TTC) == {"T0": "C", "T1": "B"}


# P7


@given(case=cases())
@SOME
def test_p7_who_is_envied_holds_or_outranks(case: Case) -> None:
    """Those at swap-only schools take no part and may envy."""
    people = applicants_of(case.round_, case.rules, case.seed)
    after = places(solve(case.round_, case.rules, case.seed, mechanism=DA))
    room, swap = seats_in_all(case, people), swap_only(case)
    by_id = {person.teacher_id: person for person in people}
    for person in people:
        if person.home.school in swap:
            assert after[person.teacher_id] == person.home
            continue
        for wish in person.wishes[: standing(person, after[person.teacher_id])]:
            there = [by_id[t] for t, place in after.items() if place == wish.position]
            assert len(there) == room.get(wish.position, 0)
            for other in there:
                if other.home == wish.position:
                    continue
                [won] = [w for w in other.wishes if w.position == wish.position]
                assert (-won.points, other.tie) < (-wish.points, person.tie)


# P8, P22


@given(case=cases(), order=st.randoms(use_true_random=False))
@FEW
def test_p8_whoever_proposes_first(case: Case, order: random.Random) -> None:
    """The twin lets the last of a list propose first."""
    people = applicants_of(case.round_, case.rules, case.seed)
    tags = dict(case.round_.schools.select("school", "tags").iter_rows())
    runs = []
    for _ in range(3):
        runs.append(Run(tags, list(people), open_seats_of(case.round_)))
        reference_others.deferred_acceptance(runs[-1], Stage(DA, terms.ONE_WAY))
        order.shuffle(people)
    assert runs[0].moves == runs[1].moves == runs[2].moves


@pytest.mark.parametrize("mechanism", BOTH)
@given(case=cases(), data=st.data())
@FEW
def test_p8_p22_renaming_renames_the_result(
    mechanism: str, case: Case, data: st.DataObject
) -> None:
    """Positions and people are numbered by their names, so the numbers change too."""
    teachers = tuple(
        replace(teacher, service_years=years)
        for years, teacher in enumerate(case.draft.teachers)
    )
    draft = replace(case.draft, teachers=teachers)
    rules = replace(case.rules, tie_break=(terms.SERVICE_YEARS,))
    names = shuffled(data, (teacher.teacher_id for teacher in teachers))
    schools = shuffled(data, (school.code for school in draft.schools))
    other = renamed(draft, teachers=names, schools=schools)
    expected = solve(round_of(draft), rules, mechanism=mechanism)
    expected = renamed_outcome(expected, teachers=names, schools=schools)
    found = solve(round_of(other), rules, mechanism=mechanism)
    assert_frame_equal(found.assignments, expected.assignments)
    assert_frame_equal(found.exchanges, expected.exchanges)


@pytest.mark.parametrize("mechanism", BOTH)
@given(drawn=cases_and_second_drafts())
@FEW
def test_p22_two_markets_together_are_the_union(
    mechanism: str, drawn: tuple[Case, Draft]
) -> None:
    case, second = drawn
    parts = [marked(case.draft, "1"), marked(second, "2")]
    both = Draft(
        schools=parts[0].schools + parts[1].schools,
        subjects=tuple(dict.fromkeys(parts[0].subjects + parts[1].subjects)),
        seats=parts[0].seats + parts[1].seats,
        teachers=parts[0].teachers + parts[1].teachers,
    )
    together, *alone = (
        solve(round_of(draft), case.rules, case.seed, mechanism=mechanism)
        for draft in (both, *parts)
    )
    assert places(together) == places(alone[0]) | places(alone[1])
    apart = [circle for outcome in alone for circle in circles(outcome)]
    assert sorted(circles(together)) == sorted(apart)


def circles(outcome: Outcome) -> list[list[str]]:
    return [sorted(teachers) for teachers in outcome.exchanges["teachers"].to_list()]


@pytest.mark.parametrize("mechanism", BOTH)
@given(case=cases())
@FEW
def test_p22_who_lists_nothing_stays(mechanism: str, case: Case) -> None:
    silent = {t.teacher_id for t in case.draft.teachers if not t.choices}
    outcome = solve(case.round_, case.rules, case.seed, mechanism=mechanism)
    assert silent.isdisjoint(outcome.moves["teacher_id"])


# P16


@given(case=cases())
@FEW
def test_p16_one_order_and_nobody_at_home_is_serial_dictatorship(case: Case) -> None:
    """Everybody sits where nobody wishes to go, and has one score everywhere."""
    schools = tuple(replace(school, tags=()) for school in case.draft.schools)
    aside = tuple(replace(s, code=s.code + "h") for s in schools)
    teachers = tuple(
        replace(
            teacher,
            school=teacher.school + "h",
            points=tuple(
                (county, teacher.points[0][1]) for county, _ in teacher.points
            ),
        )
        for teacher in case.draft.teachers
    )
    draft = replace(case.draft, schools=schools + aside, teachers=teachers)
    rules = replace(case.rules, limits=ANY_LIMITS)
    people = applicants_of(round_of(draft), rules, case.seed)
    free, expected = open_seats_of(round_of(draft)), {}
    for someone in sorted(people, key=reference_others.overall):
        wished = (wish.position for wish in someone.wishes)
        place = next((p for p in wished if free.get(p, 0) > 0), someone.home)
        free[place] = free.get(place, 0) - 1
        expected[someone.teacher_id] = place
    for mechanism in BOTH:
        outcome = solve(round_of(draft), rules, case.seed, mechanism=mechanism)
        assert places(outcome) == expected


# An oracle


@given(case=cases())
@FEW
def test_deferred_acceptance_is_that_of_algmatch(case: Case) -> None:
    """Holders come first in the lists of the hospitals, and all list home last."""
    people = applicants_of(case.round_, case.rules, case.seed)
    room, swap = seats_in_all(case, people), swap_only(case)
    lists = {
        p.teacher_id: [
            *(
                wish.position
                for wish in p.wishes
                if not {p.home.school, wish.position.school} & swap
                and room.get(wish.position, 0)
            ),
            p.home,
        ]
        for p in people
    }
    expected = by_algmatch(people, lists, room)
    outcome = solve(case.round_, case.rules, case.seed, mechanism=DA)
    assert places(outcome) == expected


def by_algmatch(
    people: Sequence[Applicant],
    lists: dict[str, list[Position]],
    room: dict[Position, int],
) -> dict[str, Position]:
    """Return where everybody ends; residents and hospitals are numbered from 1."""
    if not people:
        return {}
    numbers = {p.teacher_id: n for n, p in enumerate(people, start=1)}
    wanted = [p for listed in lists.values() for p in listed]
    positions = list(dict.fromkeys(wanted))
    hospital = {position: n for n, position in enumerate(positions, start=1)}
    problem = HospitalResidentsProblem(
        dictionary={
            "residents": {
                numbers[t]: [hospital[p] for p in listed] for t, listed in lists.items()
            },
            "hospitals": {
                hospital[position]: {
                    "capacity": room[position],
                    "preferences": [
                        numbers[p.teacher_id]
                        for p in sorted(people, key=lambda p: at(p, position))
                        if position in lists[p.teacher_id]
                    ],
                }
                for position in positions
            },
        }
    )
    matching = problem.get_stable_matching()["resident_sided"]
    return {t: positions[int(matching[f"r{n}"][1:]) - 1] for t, n in numbers.items()}


def at(someone: Applicant, position: Position) -> tuple:
    """Return who comes first at a position."""
    points = [w.points for w in someone.wishes if w.position == position]
    return position != someone.home, -max(points, default=0), someone.tie
