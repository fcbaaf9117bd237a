"""The mechanisms beside the rules: each against its slow twin, and what it promises."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from strategies import Case, Draft, Place, Teacher, cases, round_of, rule_sets

from jiepin.core import Limits, Outcome, Rules, Stage, reference_others, solve, terms
from jiepin.core.errors import BadArgument
from jiepin.core.reference import Applicant, Position, applicants_of, open_seats_of

BOTH = ("deferred_acceptance", "top_trading_cycles")
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
@settings(max_examples=200, deadline=None)
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
@settings(max_examples=200, deadline=None)
def test_p1_nobody_below_home_and_seats_kept(mechanism: str, case: Case) -> None:
    after = places(solve(case.round_, case.rules, case.seed, mechanism=mechanism))
    people = applicants_of(case.round_, case.rules, case.seed)
    room = open_seats_of(case.round_)
    for person in people:
        here = after[person.teacher_id]
        allowed = {wish.position for wish in person.wishes} | {person.home}
        assert here in allowed
        room[person.home] = room.get(person.home, 0) + 1
    for position in {Position(*place) for place in after.values()}:
        room[position] -= sum(place == position for place in after.values())
        assert room[position] >= 0


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
    for chosen in itertools.product(*options):
        counts = {place: chosen.count(place) for place in chosen}
        if all(count <= room.get(place, 0) for place, count in counts.items()):
            yield dict(zip((p.teacher_id for p in people), chosen, strict=True))


def standing(person: Applicant, place: Place) -> int:
    """Return how good a place is for somebody, 0 being best."""
    wished = [wish.position for wish in person.wishes]
    return wished.index(place) if place in wished else len(wished)


def seats_in_all(case: Case, people: list[Applicant]) -> dict[Position, int]:
    swap = {
        school.code for school in case.draft.schools if terms.SWAP_ONLY in school.tags
    }
    room = {
        place: seats
        for place, seats in open_seats_of(case.round_).items()
        if place.school not in swap
    }
    for person in people:
        room[person.home] = room.get(person.home, 0) + 1
    return room


@given(case=small_cases())
@settings(max_examples=200, deadline=None)
def test_p2_top_trading_cycles_is_efficient(case: Case) -> None:
    """No other assignment is better for one and worse for none.

    Only those count that leave swap-only schools as full as they are.
    """
    people = applicants_of(case.round_, case.rules, case.seed)
    found = places(
        solve(case.round_, case.rules, case.seed, mechanism="top_trading_cycles")
    )
    swap = {s.code for s in case.draft.schools if terms.SWAP_ONLY in s.tags}
    held = [person.home for person in people if person.home.school in swap]
    for other in assignments(people, seats_in_all(case, people)):
        if any(list(other.values()).count(home) < held.count(home) for home in held):
            continue
        change = [
            standing(p, other[p.teacher_id]) - standing(p, found[p.teacher_id])
            for p in people
        ]
        assert not (min(change, default=0) < 0 and max(change, default=0) <= 0), other


@pytest.mark.parametrize("mechanism", BOTH)
@given(case=small_cases(most=3), who=st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_p5_no_false_list_helps(mechanism: str, case: Case, who: int) -> None:
    """Whatever order or part of the schools somebody lists, he is placed no better."""
    if who >= len(case.draft.teachers):
        return
    liar = case.draft.teachers[who]
    if len(liar.choices) > 4 or case.rules.priority == terms.BEST:
        return  # the points that count depend on the list itself
    [truth] = [
        person
        for person in applicants_of(case.round_, case.rules, case.seed)
        if person.teacher_id == liar.teacher_id
    ]
    honest = standing(truth, _placed(case, mechanism, liar))
    for length in range(len(liar.choices) + 1):
        for choices in itertools.permutations(liar.choices, length):
            told = replace(liar, choices=choices)
            teachers = tuple(
                told if t.teacher_id == liar.teacher_id else t
                for t in case.draft.teachers
            )
            other = replace(case, draft=replace(case.draft, teachers=teachers))
            assert standing(truth, _placed(other, mechanism, liar)) >= honest, choices


def _placed(case: Case, mechanism: str, teacher: Teacher) -> Place:
    outcome = solve(case.round_, case.rules, case.seed, mechanism=mechanism)
    return places(outcome)[teacher.teacher_id]


# P7


@given(case=cases())
@settings(max_examples=200, deadline=None)
def test_p7_who_is_envied_holds_or_outranks(case: Case) -> None:
    people = applicants_of(case.round_, case.rules, case.seed)
    after = places(
        solve(case.round_, case.rules, case.seed, mechanism="deferred_acceptance")
    )
    room = seats_in_all(case, people)
    by_id = {person.teacher_id: person for person in people}
    for person in people:
        for wish in person.wishes[: standing(person, after[person.teacher_id])]:
            there = [by_id[t] for t, place in after.items() if place == wish.position]
            assert len(there) == room.get(wish.position, 0)
            for other in there:
                if other.home == wish.position:
                    continue
                [won] = [w for w in other.wishes if w.position == wish.position]
                assert (-won.points, other.tie) < (-wish.points, person.tie)
