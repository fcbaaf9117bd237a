"""The bench folder: peers compute what they say, the page says what was measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import markets
import numpy as np
import others
import plots
import pytest
import report
import tables

BENCH = Path(__file__).resolve().parents[1] / "bench"


class TestMarkets:
    def test_wishes_are_twelve_in_two_counties_other_than_home(self) -> None:
        market = markets.exchange_market(2_000, seed=3)
        wishes = markets.wishes_in_order(market).reshape(-1, 12)
        assert market.n_positions == 2_000 // 3
        assert all(len(set(row)) == 12 for row in wishes.tolist())
        share = 1 / np.arange(1, 23) ** 0.7
        ends = np.round(np.cumsum(share / share.sum()) * market.n_positions)
        county = np.searchsorted(ends, wishes, side="right")
        home = np.searchsorted(ends, market.home_of, side="right")
        assert all(len(set(row)) <= 2 for row in county.tolist())
        assert not (county == home[:, None]).any()

    def test_a_union_falls_into_its_parts(self) -> None:
        market = markets.union_of_markets(3, 900)
        part_of = np.repeat(np.arange(3), 300)
        wishes = markets.wishes_in_order(market).reshape(-1, 12)
        assert (part_of[wishes] == part_of[market.home_of][:, None]).all()
        assert sorted(market.rank_of) == list(range(2_700))

    def test_the_same_seed_gives_the_same_market(self) -> None:
        first, second = (markets.exchange_market(400, seed=1) for _ in range(2))
        other = markets.exchange_market(400, seed=2)
        assert (first.graph.wish_position == second.graph.wish_position).all()
        assert (first.claim_order == second.claim_order).all()
        assert (first.graph.wish_position != other.graph.wish_position).any()


class TestPeers:
    @pytest.fixture
    def people(self) -> Any:
        return others.People(markets.exchange_market(70))

    @pytest.mark.parametrize("seed", range(5))
    def test_the_engine_makes_what_the_rules_make(self, seed: int) -> None:
        people = others.People(markets.exchange_market(300, seed))
        made = others.engine(people)
        assert made == others.same_rules(people)
        assert {len(exchange) for exchange in made} >= {2, 3, 4}

    def test_all_cycles_are_counted_alike(self, people: Any) -> None:
        right = others.networkx_cycles(people)
        assert right > 10
        assert others.search_per_request(people, 5) == right
        assert others.igraph_cycles(people) <= right  # 1.0.0 may miss some

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in kep_solver
    def test_packings_move_equally_many(self, people: Any) -> None:
        most = others.highs(people)
        assert others.cp_sat(people) == others.kep(people) == most
        assert most >= sum(len(exchange) for exchange in others.engine(people))

    def test_top_trading_cycles_by_hand(self) -> None:
        three: Any = SimpleNamespace(
            home=[0, 1, 2],
            order=[2, 0, 1],
            wishes=[[1], [2, 0], [0]],
            sitting=[[0], [1], [2]],
        )
        assert others.ttc(three) == 3  # 2 takes 0's seat, 0 takes 1's, 1 takes 2's
        three.wishes = [[1], [0], [0]]
        assert others.ttc(three) == 2
        assert others.ttc_package(three) == 2


ROW = {
    "unit": 0.001,
    "seconds": {"1": 0.2, "2": 0.15},
    "peak": {"1": 1 << 20, "2": 2 << 20},
    "stages": {"1": {"exchange of 2": 0.2}, "2": {"exchange of 2": 0.15}},
    "exchanges": [4, 3, 2, 1],
    "wishes": 48,
    "process_peak": 1 << 30,
}
PARTS: dict[str, dict[str, Any]] = {
    "targets": {
        "machine": "a machine",
        "versions": "a version",
        "rows": [
            {"name": "E(4,000)", "applicants": 4_000, **ROW},
            {"name": "E(100,000)", "applicants": 100_000, **ROW},
            {"name": "E(1,000,000)", "applicants": 1_000_000, **ROW},
        ],
    },
    "peers": {
        "machine": "a machine",
        "versions": "another version",
        "rows": [
            {
                "peer": peer,
                "computes": "cycles",
                "n": n,
                "seconds": n / 10,
                "engine": 0.001,
                "answer": answer,
                "exchanges": 3,
            }
            for peer, answer in (("networkx simple_cycles", 30), ("igraph", 29))
            for n in (50, 100)
        ],
    },
}


class TestPage:
    def test_aims_are_met_or_missed(self) -> None:
        page = tables.page(PARTS, with_plots=False)
        assert "| E(1,000,000), two threads | ≤ 400 U | 150 U (150 ms) | met |" in page
        assert "| two threads against one | ≥ 1.7 × | 1.33 × | **missed** |" in page
        assert "| E(4,000), one thread | ≤ 5 ms | 200 ms | **missed** |" in page

    def test_a_wrong_count_stands_beside_the_right_one(self) -> None:
        page = tables.page(PARTS, with_plots=False)
        assert "| igraph | cycles | E(100) | 10 s | 29 (right: 30) | 1 ms |" in page

    def test_each_part_says_where_it_was_measured(self) -> None:
        page = tables.page(PARTS, with_plots=False)
        assert "- targets: a machine; a version\n- peers: a machine; another" in page

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(12.345, "12.3 s"), (0.5, "500 ms"), (0.0005, "500 µs"), (1234.5, "1,234 s")],
    )
    def test_times_have_three_digits(self, seconds: float, text: str) -> None:
        assert tables.time(seconds) == text

    def test_plots_are_the_same_bytes_again(self, tmp_path: Path) -> None:
        plots.draw(PARTS, tmp_path / "a")
        plots.draw(PARTS, tmp_path / "b")
        names = sorted(file.name for file in (tmp_path / "a").iterdir())
        assert names == ["growth.svg", "peers.svg", "stages.svg", "threads.svg"]
        for name in names:
            assert (tmp_path / "a" / name).read_bytes() == (
                tmp_path / "b" / name
            ).read_bytes()

    def test_the_page_is_the_one_of_the_results(self) -> None:
        page = (BENCH / "README.md").read_text("utf-8")
        assert page == tables.page(report.kept(), with_plots=True)


def test_a_row_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "targets.py"), "real shape, 5,000"]
    compiled = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        command, check=True, capture_output=True, cwd=tmp_path, env=compiled
    )
    row = json.loads(done.stdout)
    assert row["name"] == "real shape, 5,000"
    assert set(row["seconds"]) == {"1", "2"}
    assert sum(row["exchanges"]) > 0


def test_an_unknown_revision_is_told() -> None:
    command = [sys.executable, str(BENCH / "compare.py"), "no-such-revision"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no-such-revision" in done.stderr
    assert "commit" in done.stderr
