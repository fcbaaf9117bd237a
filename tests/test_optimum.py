"""The optimum without a size limit: best by the flow and by trying every plan."""

from __future__ import annotations

import sys
from dataclasses import replace

import networkx as nx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from strategies import Case, Draft, School, Teacher, cases

from jiepin.core import Outcome, Rules, reference, reference_optimum, solve, terms
from jiepin.core.errors import BadArgument, NotInstalled
from jiepin.core.kernels import decomposing
from jiepin.core.options import Options
from jiepin.core.reference_optimum import Market, Plan

KEEPS = ("", terms.STAGED)


def optimum(case: Case, objective: str = "moves", keep: str = "") -> Outcome:
    options = Options(objective=objective, keep=keep)
    return solve(
        case.round_, case.rules, case.seed, mechanism="optimum", options=options
    )


@st.composite
def small_cases(draw: st.DrawFn) -> Case:
    """Draw a round of a few teachers and few wishes, so that plans can be counted."""
    case = draw(cases())
    few = tuple(
        replace(teacher, choices=teacher.choices[:3], subjects=teacher.subjects[:2])
        for teacher in case.draft.teachers[:6]
    )
    return replace(case, draft=replace(case.draft, teachers=few))


def market_of(case: Case, keep: str = "") -> Market:
    return Market.of(case.round_, case.rules, case.seed, keep)


def by_county(market: Market, case: Case) -> Market:
    """Return the market with the points of the county itself at each wish."""
    rules = replace(case.rules, priority=terms.PER_COUNTY)
    own = {
        (person.teacher_id, wish.position): wish.points
        for person in reference.applicants_of(case.round_, rules, case.seed)
        for wish in person.wishes
    }
    people = [
        replace(
            person,
            wishes=tuple(
                wish._replace(points=own[person.teacher_id, wish.position])
                for wish in person.wishes
            ),
        )
        for person in market.people
    ]
    return replace(market, people=people)


def check_exchanges(outcome: Outcome, market: Market, plan: Plan) -> None:
    """Each exchange is a circle of different positions; nobody is in two of them.

    The others do not go round in a short circle.
    """
    home = {person.teacher_id: person.home for person in market.people}
    rank_of = {person.teacher_id: n for n, person in enumerate(market.people)}
    firsts = []
    for teachers, size in outcome.exchanges.select("teachers", "size").iter_rows():
        assert len(teachers) == size == len({home[who] for who in teachers})
        for who, following in zip(teachers, [*teachers[1:], teachers[0]], strict=True):
            assert plan[who].position == home[following]
        firsts.append(rank_of[teachers[0]])
        assert firsts[-1] == min(rank_of[who] for who in teachers)
    assert firsts == sorted(firsts)
    members = [who for row in outcome.exchanges["teachers"] for who in row]
    numbered = outcome.moves.filter(pl.col("exchange").is_not_null())
    assert sorted(members) == sorted(numbered["teacher_id"])
    others = plan.keys() - set(members)
    graph = nx.DiGraph([(home[who], plan[who].position) for who in others])
    assert not list(nx.simple_cycles(graph, length_bound=decomposing.SHORT))


# Against the flow of networkx


@pytest.mark.parametrize("keep", KEEPS)
@given(case=cases())
@settings(max_examples=50)
def test_p18_most_moves_is_the_minimum_cost_flow(keep: str, case: Case) -> None:
    market = market_of(case, keep)
    outcome = optimum(case, keep=keep)
    plan = reference_optimum.plan_of(market, outcome)
    assert market.fits(plan)
    assert market.value(plan, "moves") == reference_optimum.most_moves(market)
    assert (outcome.bound, outcome.gap) == (len(plan), 0)
    check_exchanges(outcome, market, plan)


@pytest.mark.parametrize("keep", KEEPS)
@given(case=cases())
@settings(max_examples=12)
def test_by_rank_everybody_moves_who_still_can(keep: str, case: Case) -> None:
    market = market_of(case, keep)
    outcome = optimum(case, "rank", keep)
    plan = reference_optimum.plan_of(market, outcome)
    assert market.fits(plan)
    assert market.value(plan, "rank") == reference_optimum.by_rank(market)
    check_exchanges(outcome, market, plan)


@given(case=cases())
@settings(max_examples=40)
def test_p18_no_mechanism_moves_more(case: Case) -> None:
    bound = optimum(case).bound
    assert bound is not None
    for mechanism in ("staged", "top_trading_cycles", "deferred_acceptance"):
        outcome = solve(case.round_, case.rules, case.seed, mechanism=mechanism)
        assert outcome.moves.height <= bound, mechanism


# Against every plan there is


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("objective", terms.OBJECTIVES)
@given(case=small_cases())
@settings(max_examples=40)
def test_no_plan_is_better(objective: str, keep: str, case: Case) -> None:
    market = by_county(market_of(case, keep), case)
    outcome = optimum(case, objective, keep)
    plan = reference_optimum.plan_of(market, outcome)
    plans = list(market.plans())
    assert market.fits(plan)
    assert market.value(plan, objective) == max(
        market.value(other, objective) for other in plans
    )
    assert outcome.bound == max(map(len, plans))
    check_exchanges(outcome, market, plan)


@given(case=cases())
@settings(max_examples=30)
def test_keep_staged_harms_nobody(case: Case) -> None:
    """Whoever the rules place moves to that wish or one before it."""
    before = solve(case.round_, case.rules, case.seed)
    after = {row[0]: row[1:] for row in _places(optimum(case, keep=terms.STAGED))}
    wishes = {
        person.teacher_id: [wish.position for wish in person.wishes]
        for person in reference.applicants_of(case.round_, case.rules, case.seed)
    }
    for who, *place in _places(before):
        listed = wishes[who]
        assert listed.index(after[who]) <= listed.index(tuple(place))


def _places(outcome: Outcome) -> list[tuple[str, str, str]]:
    return outcome.moves.select("teacher_id", "school", "subject").rows()


# P20, P22


@given(case=cases(), who=st.integers(0, 30), which=st.integers(0, 8))
@settings(max_examples=25)
def test_p20_a_wish_or_a_person_more_never_hurts(
    case: Case, who: int, which: int
) -> None:
    teachers = list(case.draft.teachers)
    if not teachers:
        return
    bound = optimum(case).bound
    teacher = teachers[who % len(teachers)]
    at = which % (len(teacher.choices) + 1)
    fewer = replace(teacher, choices=teacher.choices[:at] + teacher.choices[at + 1 :])
    others = [other for other in teachers if other is not teacher]
    for changed in ([*others, fewer], others):
        draft = replace(case.draft, teachers=tuple(changed))
        assert optimum(replace(case, draft=draft)).bound <= bound


@given(case=cases())
@settings(max_examples=20)
def test_p22_the_order_of_rows_decides_nothing(case: Case) -> None:
    found = optimum(case)
    draft = replace(case.draft, teachers=case.draft.teachers[::-1])
    other = optimum(replace(case, draft=draft))
    assert_frame_equal(found.assignments, other.assignments)
    assert_frame_equal(found.exchanges, other.exchanges)


# What is refused


def test_points_beyond_exact_sums_are_refused() -> None:
    county = School("20", "10", "elementary"), School("3", "2", "elementary")
    one = Teacher("A", "20", ("普",), (("2", 10**18),), ("3",))
    seats = ((("3", "普"), 1),)
    draft = Draft(county, (("普", "elementary"),), seats, (one,))
    with pytest.raises(BadArgument, match="points of 10000000000000000, so large"):
        optimum(Case(draft, Rules.load("taiwan-110")), "points")


def test_without_the_solver_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.graph.python", None)
    draft = Draft((), (), (), ())
    with pytest.raises(NotInstalled, match=r"pip install 'jiepin\[optimum\]'"):
        optimum(Case(draft, Rules.load("taiwan-110")))
