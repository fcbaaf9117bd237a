"""The optimum with a size limit: against the slow twin, and what it promises."""

from __future__ import annotations

import os
from dataclasses import replace

import markets
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Case, Draft, cases, exchange_stage, round_of, rule_sets

from jiepin.core import Outcome, Rules, Stage, reference_packing, solve, terms
from jiepin.core.errors import BadArgument
from jiepin.core.market import Encoded, encode
from jiepin.core.mechanisms import (
    annealing,
    exchange_packing,
    packing_bound,
    packing_pool,
    staged,
)
from jiepin.core.mechanisms.keeping import no_demands
from jiepin.core.mechanisms.packing_pool import Plan, Pool, plan_of, pool_of
from jiepin.core.options import Options
from jiepin.core.reference import Position, applicants_of, open_seats_of

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
SIZES = st.integers(2, 5)
KEEPS = st.sampled_from(("", terms.STAGED))


def closed(case: Case) -> Case:
    """Let no stage reopen seats."""
    stages = tuple(replace(stage, reopen=False) for stage in case.rules.stages)
    return replace(case, rules=replace(case.rules, stages=stages))


def few(case: Case, most: int = 9) -> Case:
    draft = replace(case.draft, teachers=case.draft.teachers[:most])
    return replace(closed(case), draft=draft)


ANY = cases().map(closed)
SMALL = cases().map(few)
CHAIN = tuple(
    replace(exchange_stage(size), name=f"{size} people") for size in range(2, 6)
)
CLOSED = cases(rule_sets(st.just(list(CHAIN))))


def best(case: Case, max_size: int, keep: str = "") -> Outcome:
    options = Options(max_size=max_size, keep=keep)
    return solve(
        case.round_, case.rules, case.seed, mechanism="optimum", options=options
    )


def by_the_rules(case: Case, max_size: int) -> Outcome:
    stages = tuple(s for s in case.rules.stages if s.size <= max_size)
    return solve(case.round_, replace(case.rules, stages=stages), case.seed)


def places(outcome: Outcome) -> dict[str, Position]:
    rows = outcome.moves.select("teacher_id", "school", "subject").iter_rows()
    return {teacher: Position(school, subject) for teacher, school, subject in rows}


@given(case=SMALL, size=SIZES, keep=KEEPS)
@settings(max_examples=100 if JIT else 25, deadline=None)
def test_same_as_the_slow_twin(case: Case, size: int, keep: str) -> None:
    found = best(case, size, keep)
    kept = places(by_the_rules(case, size)) if keep else {}
    expected = reference_packing.most_moves(
        case.round_, case.rules, case.seed, size, kept
    )
    assert found.moves.height == found.bound == expected


@given(case=ANY, size=st.integers(2, 6), keep=KEEPS)
@settings(max_examples=100 if JIT else 25, deadline=None)
def test_p1_a_lawful_plan_no_worse_than_the_rules(
    case: Case, size: int, keep: str
) -> None:
    found, ruled = best(case, size, keep), by_the_rules(case, size)
    assert found.bound is not None
    assert ruled.moves.height <= found.moves.height <= found.bound
    after, before = places(found), places(ruled)
    people = {p.teacher_id: p for p in applicants_of(case.round_, case.rules, 0)}
    wished = {t: [wish.position for wish in p.wishes] for t, p in people.items()}
    exchanged = check_exchanges(found, people, after, size)
    assert all(after[teacher] in wished[teacher] for teacher in after)
    if keep:
        for teacher, place in before.items():
            assert wished[teacher].index(after[teacher]) <= wished[teacher].index(place)
    room = open_seats_of(case.round_)
    for teacher in after.keys() - exchanged:
        room[after[teacher]] -= 1
        assert room[after[teacher]] >= 0
        assert may_take(case, people[teacher], after[teacher])


def check_exchanges(found, people, after, size) -> set[str]:
    """Each goes to the home of the next, all homes differ; return who exchanged."""
    exchanged: set[str] = set()
    for teachers in found.exchanges["teachers"].to_list():
        homes = [people[teacher].home for teacher in teachers]
        assert 2 <= len(teachers) <= size
        assert len(set(homes)) == len(homes)
        assert [after[teacher] for teacher in teachers] == homes[1:] + homes[:1]
        assert exchanged.isdisjoint(teachers)
        exchanged.update(teachers)
    return exchanged


def may_take(case: Case, person, place: Position) -> bool:
    """Tell whether a one-way stage of the rules may grant an open seat."""
    tags = {school.code: school.tags for school in case.draft.schools}
    return (
        terms.SWAP_ONLY not in tags[place.school] + tags[person.home.school]
    ) and any(
        stage.kind == terms.ONE_WAY
        and (stage.applicants is None or stage.applicants in person.groups)
        and (stage.schools is None or stage.schools in tags[place.school])
        for stage in case.rules.stages
    )


def test_exchanges_come_by_rank_and_the_best_ranked_initiates() -> None:
    encoded = market_of(300)
    moves = packed(encoded, 3)
    owner = encoded.market.graph.holder_of[encoded.market.graph.wish_claim]
    rank = encoded.market.rank_of[encoded.market.graph.wish_claim[moves.members]]
    parts = np.split(rank, moves.starts[1:-1])
    assert len(set(owner[moves.members])) == len(moves.members) > 0
    assert all(part[0] == part.min() for part in parts)
    firsts = [part[0] for part in parts]
    assert firsts == sorted(firsts)


def test_rules_that_reopen_seats_are_refused() -> None:
    rules = Rules("again", (Stage("again", terms.ONE_WAY, reopen=True),))
    with pytest.raises(BadArgument, match="'again' with reopen"):
        solve(
            round_of(Draft((), (), (), ())),
            rules,
            mechanism="optimum",
            options=Options(max_size=3),
        )


# P17, P19, P20


def mutual_wishes(case: Case) -> nx.Graph:
    people = applicants_of(case.round_, case.rules, case.seed)
    wished = [{wish.position for wish in person.wishes} for person in people]
    graph = nx.Graph()
    for i, one in enumerate(people):
        for j, other in enumerate(people[:i]):
            if one.home in wished[j] and other.home in wished[i]:
                graph.add_edge(i, j)
    return graph


@given(case=CLOSED)
@settings(max_examples=100 if JIT else 30, deadline=None)
def test_p17_twice_the_largest_matching(case: Case) -> None:
    pairs = nx.max_weight_matching(mutual_wishes(case), maxcardinality=True)
    found = best(case, 2)
    assert found.moves.height == found.bound == 2 * len(pairs)


@given(case=CLOSED, size=SIZES)
@settings(max_examples=60 if JIT else 15, deadline=None)
def test_p19_what_is_maximal_is_not_far_from_it(case: Case, size: int) -> None:
    """After stages 2 … K no exchange of K or fewer is left."""
    assert by_the_rules(case, size).moves.height * size >= best(case, size).moves.height


@given(case=ANY, who=st.integers(0, 20))
@settings(max_examples=25 if JIT else 6, deadline=None)
def test_p20_more_is_never_less(case: Case, who: int) -> None:
    case = few(case, 14)
    moved = [best(case, size).moves.height for size in range(2, 6)]
    assert moved == sorted(moved)
    if not case.draft.teachers:
        return
    teacher = case.draft.teachers[who % len(case.draft.teachers)]
    others = tuple(t for t in case.draft.teachers if t != teacher)
    without = replace(case, draft=replace(case.draft, teachers=others))
    assert moved[1] - 3 <= best(without, 3).moves.height <= moved[1]
    if teacher.choices:
        shorter = replace(teacher, choices=teacher.choices[:-1])
        fewer = replace(case, draft=replace(case.draft, teachers=(*others, shorter)))
        assert best(fewer, 3).moves.height <= moved[1]


# Prices and the search, which small markets do not need


def pool_and_start(case: Case, size: int, keep: str) -> tuple[Pool, Plan, int]:
    encoded = encode(case.round_, case.rules, case.seed)
    rules = exchange_packing.within(case.rules, size)
    moves = staged.run(encoded, rules)
    demands = no_demands(encoded.market)
    if keep:
        demands = exchange_packing.demands_of(encoded.market, moves)
    pool = pool_of(encoded, case.rules, demands, size)
    return pool, plan_of(encoded.market, moves, size), encoded.market.n_applicants


@given(case=ANY, size=st.integers(2, 4), keep=KEEPS)
@settings(max_examples=80 if JIT else 15, deadline=None)
def test_prices_prove_and_the_search_finds(case: Case, size: int, keep: str) -> None:
    pool, start, n = pool_and_start(few(case, 14), size, keep)
    best_plan, best_bound = packing_bound.exact(pool, start, n, 2000)
    assert best_plan.moved == best_bound
    prices = packing_bound.prices_for(pool, n + 2, 20)
    assert prices is not None
    assert prices.total(pool) >= best_bound * packing_bound.UNIT
    rest = packing_bound.without_the_useless(pool, prices, start.moved)
    assert packing_bound.exact(rest, start, n, 2000)[1] == best_bound
    found = annealing.improved(pool, start, annealing.Search(0.3, 2000, best_bound))
    assert start.moved <= found.moved <= best_bound
    check_plan(pool, found)


def check_plan(pool: Pool, plan: Plan) -> None:
    """Everything made is in the pool, and nobody and no seat is used twice."""
    known = {frozenset(row[row >= 0].tolist()) for row in pool.cycles}
    made = [row[row >= 0].tolist() for row in plan.cycles]
    assert all(frozenset(row) in known for row in made)
    movers = [*(i for row in made for i in row), *plan.takers.tolist()]
    assert len(set(movers)) == len(movers) == plan.moved
    assert set(np.flatnonzero(pool.must_move)) <= set(movers)
    pairs = set(zip(pool.takers.tolist(), pool.taken.tolist(), strict=True))
    assert set(zip(plan.takers.tolist(), plan.taken.tolist(), strict=True)) <= pairs
    assert (np.bincount(plan.taken, minlength=len(pool.seats)) <= pool.seats).all()


def market_of(n: int) -> Encoded:
    return markets.encoded(markets.exchange_market(n))


def packed(encoded: Encoded, size: int, threads: int = 1):
    rules = Rules("sizes", CHAIN[: size - 1])
    n = encoded.market.n_applicants
    return exchange_packing.pack(encoded, rules, Options(max_size=size), threads, n)


@pytest.mark.skipif(not JIT, reason="minutes without the JIT")
def test_large_markets_are_searched_and_threads_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Too many things to be made for the exact search alone."""
    monkeypatch.setattr(exchange_packing, "WORK", 1_000_000)
    monkeypatch.setattr(exchange_packing, "SMALL", 100)
    encoded = market_of(400)
    one, two = packed(encoded, 3, threads=1), packed(encoded, 3, threads=2)
    assert np.array_equal(one.moved_by, two.moved_by)
    assert np.array_equal(one.members, two.members)
    assert one.bound == two.bound
    moved = int((one.moved_by != terms.NOBODY).sum())
    rules = Rules("sizes", CHAIN[:2])
    ruled = int((staged.run(encoded, rules).moved_by != terms.NOBODY).sum())
    assert ruled < moved <= one.bound <= 400
    assert one.bound - moved <= 0.03 * one.bound


@pytest.mark.skipif(not JIT, reason="minutes without the JIT")
def test_where_not_all_exchanges_are_listed_the_unlimited_bound_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_packing, "WORK", 1_000_000)
    monkeypatch.setattr(packing_pool, "MOST_LISTED", 3_000)
    encoded = market_of(400)
    rules = Rules("sizes", CHAIN[:3])
    pool = pool_of(encoded, rules, no_demands(encoded.market), 4)
    assert not pool.complete
    assert 700 < len(pool.cycles) < 6_001
    assert set(pool.sizes.tolist()) == {2, 3, 4}
    found = packed(encoded, 4)
    assert found.bound == 400
    check = int((found.moved_by != terms.NOBODY).sum())
    assert check > int((staged.run(encoded, rules).moved_by != terms.NOBODY).sum())
