"""Cases for pytest-benchmark: kernels alone, the whole solve, reading, the reference.

    .venv/bin/python -m pytest bench/bench_core.py --benchmark-group-by=group

Every case is warmed, seeded, and its answer checked: by the rules (`verify`), against
the reference, or against another way of computing it. `-k 1000-` and the like choose.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import markets
import numpy as np
import others
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from jiepin.core import Round, Rules, reference, solve, verify
from jiepin.core.kernels import exchange
from jiepin.core.kernels.components import connect
from jiepin.core.kernels.encode import group
from jiepin.core.market import Market, encode
from jiepin.core.mechanisms import staged
from jiepin.core.mechanisms.exchange_stage import (
    BlockSearch,
    ExchangeStage,
    bounds_of,
)
from jiepin.core.simulation.population import generate
from jiepin.core.warm_up import warm_up
from jiepin.core.workers import Workers

RULES = Rules.load("taiwan-110")
SIZES = (1_000, 10_000, 100_000)


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    warm_up(1)
    warm_up(2)


@cache
def market(n_applicants: int) -> Market:
    return markets.exchange_market(n_applicants)


@cache
def folder(parent: Path, n_teachers: int) -> Path:
    made = parent / f"round-{n_teachers}"
    generate(made, n_teachers)
    return made


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def stage_of(found: Market, size: int) -> ExchangeStage:
    n_applicants = found.n_applicants
    return ExchangeStage(
        found,
        size,
        True,
        exchange.Made(
            moved_by=np.full(n_applicants, -1, dtype=np.int32),
            members=np.empty(n_applicants, dtype=np.int32),
            n_members=np.zeros(1, dtype=np.int32),
        ),
        exchange.links_for(found.graph, 1),
        Workers(),
        bounds_of(found),
        lambda _done, _all: None,
    )


def search_of(found: Market) -> BlockSearch:
    stage = stage_of(found, 3)
    return BlockSearch(stage, stage.blocks()[0], stage.workers)


@pytest.mark.parametrize("n_applicants", SIZES)
@pytest.mark.benchmark(group="kernels: list wishes anew")
def bench_list_anew(benchmark: BenchmarkFixture, n_applicants: int) -> None:
    search = search_of(market(n_applicants))

    def run() -> None:
        search.task.alive[:] = 1  # listing takes out those whom nobody can replace
        search.list_all(0)
        search.list_anew()

    benchmark(run)
    sat = np.bincount(search.task.graph.home_of_claim, minlength=len(search.task.held))
    wishes = market(n_applicants).graph.wish_position
    assert search.task.links.n_wishes[0] == np.count_nonzero(sat[wishes])


@pytest.mark.parametrize("n_applicants", SIZES)
@pytest.mark.benchmark(group="kernels: look back two wishes from 1,000 homes")
def bench_look_back(benchmark: BenchmarkFixture, n_applicants: int) -> None:
    search = search_of(market(n_applicants))
    search.list_all(0)
    search.list_anew()
    homes = np.random.default_rng(0).integers(0, len(search.task.held), 1_000)

    def run() -> list[int]:
        scratch = search.scratches[0]
        return [exchange.look_back(search.task, scratch, int(p), 1) for p in homes]

    seen = benchmark(run)
    assert all(-1 <= depth < search.task.size for depth in seen)


@pytest.mark.parametrize("n_applicants", SIZES)
@pytest.mark.benchmark(group="kernels: components")
def bench_connect(benchmark: BenchmarkFixture, n_applicants: int) -> None:
    graph = market(n_applicants).graph
    root = np.empty(len(graph.claim_start) - 1, dtype=np.int32)
    benchmark(connect, graph.home_of_claim, graph.wish_start, graph.wish_position, root)
    assert (
        root[graph.home_of_claim[graph.wish_claim]] == root[graph.wish_position]
    ).all()


@pytest.mark.parametrize("n_applicants", SIZES)
@pytest.mark.benchmark(group="kernels: group wishes by position")
def bench_group(benchmark: BenchmarkFixture, n_applicants: int) -> None:
    position = market(n_applicants).graph.wish_position
    starts = np.empty(market(n_applicants).n_positions + 1, dtype=np.int32)
    members = np.empty_like(position)
    benchmark(group, position, starts, members)
    assert (members == np.argsort(position, kind="stable")).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_applicants", SIZES)
@pytest.mark.benchmark(group="solve: exchanges of 2–5 on E(N)")
def bench_exchanges(
    benchmark: BenchmarkFixture, n_applicants: int, threads: int
) -> None:
    encoded = markets.encoded(market(n_applicants))
    moves = benchmark(staged.run, encoded, others.EXCHANGES, threads)
    people = others.People(market(n_applicants))
    if n_applicants <= 1_000:
        assert others.engine(people) == others.same_rules(people)
    assert len(np.unique(moves.members)) == np.count_nonzero(moves.moved_by >= 0)


@pytest.mark.parametrize("n_teachers", SIZES)
@pytest.mark.benchmark(group="solve: a generated round, encoded and solved")
def bench_solve(benchmark: BenchmarkFixture, scratch: Path, n_teachers: int) -> None:
    round_ = Round.read(folder(scratch, n_teachers), RULES.limits)
    outcome = benchmark(solve, round_, RULES)
    if n_teachers <= 10_000:
        assert not verify(round_, outcome).violations


@pytest.mark.parametrize("n_teachers", SIZES)
@pytest.mark.benchmark(group="reading: a generated round, checked")
def bench_read(benchmark: BenchmarkFixture, scratch: Path, n_teachers: int) -> None:
    round_ = benchmark(Round.read, folder(scratch, n_teachers), RULES.limits)
    assert round_.teachers.height == n_teachers


@pytest.mark.parametrize("n_teachers", SIZES)
@pytest.mark.benchmark(group="reading: a generated round, encoded")
def bench_encode(benchmark: BenchmarkFixture, scratch: Path, n_teachers: int) -> None:
    round_ = Round.read(folder(scratch, n_teachers), RULES.limits)
    encoded = benchmark(encode, round_, RULES)
    assert encoded.market.n_applicants <= n_teachers


@pytest.mark.parametrize("n_teachers", [100, 1_000])
@pytest.mark.benchmark(group="reference: a generated round")
def bench_reference(
    benchmark: BenchmarkFixture, scratch: Path, n_teachers: int
) -> None:
    round_ = Round.read(folder(scratch, n_teachers), RULES.limits)
    expected = benchmark.pedantic(reference.solve, (round_, RULES), rounds=3)
    found = solve(round_, RULES)
    assert found.assignments.equals(expected.assignments)
    assert found.exchanges.equals(expected.exchanges)
