"""A replication is the same anywhere; its cases share round and lottery."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import markets
import numpy as np
import polars as pl
import pytest

from jiepin.core import BadRound, Round, Rules, errors, measures, solve
from jiepin.core.market import Encoded, encode
from jiepin.core.simulation import uniform
from jiepin.core.simulation.draws import Draws
from jiepin.core.simulation.population import Country, generate
from jiepin.core.simulation.replicate import (
    RESULT_SCHEMA,
    Seeds,
    prepare,
    replicate,
    situations,
    with_seats,
)
from jiepin.core.simulation.resampling import Resampled
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.toml_text import toml_text
from jiepin.core.simulation.uniform import Shape, Yardstick

ROOT = Path(__file__).resolve().parents[1]
RULES = Rules.load("taiwan-110")
FRAMES = ("schools", "subjects", "vacancies", "teachers")
GENERATED = {"kind": "generated", "teachers": 120, "levels": ["elementary"]}
MEASURES = ["moves", "choices", "county_net", "regret"]


def case(name: str, **entries: Any) -> dict[str, Any]:
    return {"name": name, "rules": "taiwan-110", **entries}


def scenario(folder: Path = ROOT, **entries: Any) -> Scenario:
    table = {
        "name": "small",
        "replications": 3,
        "seed": 5,
        "measures": MEASURES,
        "population": GENERATED,
        "case": [
            case("official"),
            case("half", seats=0.5),
            case("trading", mechanism="top_trading_cycles"),
        ],
        **entries,
    }
    return Scenario.from_toml(toml_text(table), folder)


def same_round(a: Round, b: Round) -> bool:
    return all(
        getattr(a, name).schema == getattr(b, name).schema
        and getattr(a, name).equals(getattr(b, name))
        for name in FRAMES
    )


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round of 300 with two levels, and teachers who hold a seat and stay."""
    folder = tmp_path_factory.mktemp("given") / "round"
    levels = ("elementary", "kindergarten")
    round_ = Country.of(levels, seed=1).round_of(300, Draws(1))
    stays = pl.int_range(pl.len()) % 10 == 0
    lists = ("counties", "points", "choices")
    teachers = round_.teachers.with_columns(
        pl.when(~stays).then(name).otherwise(pl.col(name).list.head(0)).alias(name)
        for name in lists
    )
    replace(round_, teachers=teachers).write(folder)
    return folder


class TestGenerated:
    @pytest.mark.parametrize(
        ("levels", "teachers"), [(None, 150), (["kindergarten"], 10)]
    )
    def test_a_round_in_memory_is_the_one_that_would_be_read(
        self, tmp_path: Path, levels: list[str] | None, teachers: int
    ) -> None:
        generate(tmp_path / "round", teachers, seed=3, levels=levels)
        country = Country.of(levels, seed=3)
        read = Round.read(tmp_path / "round")
        assert same_round(country.round_of(teachers, Draws(3)), read)
        other = country.round_of(teachers, Draws(4))
        other.write(tmp_path / "other")
        assert same_round(other, Round.read(tmp_path / "other"))
        assert other.schools.equals(read.schools)
        assert not other.teachers.equals(read.teachers)

    def test_home_points_are_the_points_without_a_reason(self) -> None:
        teachers = Country.of(["elementary"], 1).round_of(500, Draws(1)).teachers
        reasons = set((teachers["points"].explode() - spread(teachers)).to_list())
        assert reasons == {0, 300, 500, 800, 1000, 1200}


def spread(teachers: pl.DataFrame) -> pl.Series:
    """Return the home points of the teacher for each entry of `points`."""
    return teachers.select("home_points", "points").explode("points")["home_points"]


class TestUniform:
    @pytest.mark.parametrize(("teachers", "seed"), [(900, 1), (1500, 0)])
    def test_it_is_the_market_that_the_engine_is_timed_on(
        self, teachers: int, seed: int
    ) -> None:
        round_ = Yardstick.of(Shape(teachers), uniform.COMMON).round_of(seed)
        found, timed = (
            encode(round_, RULES).market,
            markets.exchange_market(teachers, seed),
        )
        assert all(map(np.array_equal, found.graph, timed.graph))
        assert all(map(np.array_equal, found[1:], timed[1:]))

    def test_it_is_a_lawful_round(self, tmp_path: Path) -> None:
        round_ = Yardstick.of(Shape(50, 3, 5, 2), uniform.DISTINCT).round_of(9)
        round_.write(tmp_path / "round")
        read = Round.read(tmp_path / "round", RULES.limits)
        assert same_round(round_, read)
        assert read.teachers["choices"].list.len().to_list() == [3] * 50

    def test_distinct_scores_differ_by_county(self) -> None:
        teachers = Yardstick.of(Shape(40, 3), uniform.DISTINCT).round_of(2).teachers
        points = teachers["points"].explode().to_list()
        points += teachers["home_points"].to_list()
        assert sorted(points) == list(range(1, 121))
        teachers = Yardstick.of(Shape(40, 3), uniform.COMMON).round_of(2).teachers
        points = teachers["home_points"].to_list()
        assert sorted(points) == list(range(1, 41))
        assert teachers["points"].to_list() == [[p, p] for p in points]


class TestResampled:
    def drawn(self, folder: Path, *resample: str, seed: int = 1) -> tuple[Round, Round]:
        round_ = Round.read(folder)
        return round_, Resampled.of(round_, resample).round_of(Draws(seed))

    def test_nothing(self, given: Path) -> None:
        assert same_round(*self.drawn(given))

    def test_wishes_are_those_of_somebody_alike(self, given: Path) -> None:
        before, after = self.drawn(given, "wishes")
        lists = ("counties", "points", "choices", "home_points")
        rest = [name for name in before.teachers.columns if name not in lists]
        assert after.teachers.select(rest).equals(before.teachers.select(rest))
        assert not after.teachers.equals(before.teachers)
        offered: dict[Any, list[Any]] = {}
        for row in rows_with_home(before):
            offered.setdefault(alike(row), []).append([row[name] for name in lists])
        n_other = 0
        for old, new in zip(rows_with_home(before), rows_with_home(after), strict=True):
            if not old["choices"]:
                assert new == old
                continue
            possible = [
                [c, p, [s for s in choices if s != new["school"]], h]
                for c, p, choices, h in offered[alike(new)]
                if choices
            ]
            assert [new[name] for name in lists] in possible
            n_other += new["choices"] != old["choices"]
        assert n_other > 100

    def test_the_own_school_is_struck_off(self) -> None:
        """Where the home county is wished, those alike may list one's own school."""
        round_ = Round.read(ROOT / "fixtures" / "rounds" / "county-internal")
        no_group = pl.col("groups").list.head(0)
        round_ = replace(round_, teachers=round_.teachers.with_columns(no_group))
        source = Resampled.of(round_, ["wishes"])
        rows = [
            row
            for seed in range(30)
            for row in source.round_of(Draws(seed)).teachers.iter_rows(named=True)
        ]
        assert not any(row["school"] in row["choices"] for row in rows)
        lists = {(row["school"], *row["choices"]) for row in rows}
        # T4 of school C lists A, T1 of school A lists C and B
        assert lists == {("A",), ("A", "B"), ("A", "C", "B"), ("C", "A"), ("C", "B")}

    def test_points_are_shuffled(self, given: Path) -> None:
        before, after = self.drawn(given, "points")
        lists = ("points", "home_points")
        assert after.teachers.drop(lists).equals(before.teachers.drop(lists))
        assert not after.teachers.equals(before.teachers)

        def dealt(round_: Round) -> Counter[Any]:
            return Counter(
                (row["level"], len(row["counties"]), *row["points"], row["home_points"])
                for row in rows_with_home(round_)
            )

        assert dealt(after) == dealt(before)

    def test_vacancies_keep_their_number_by_level_and_county(self, given: Path) -> None:
        before, after = self.drawn(given, "vacancies")
        keys = ["school", "subject"]
        assert after.vacancies.select(keys).equals(before.vacancies.select(keys))
        assert not after.vacancies.equals(before.vacancies)

        def totals(round_: Round) -> pl.DataFrame:
            areas = round_.vacancies.join(round_.schools, on="school")
            return areas.group_by("level", "county").agg(pl.col("seats").sum())

        by = ["level", "county"]
        assert totals(after).sort(by).equals(totals(before).sort(by))

    def test_seats_are_drawn_by_the_seats_of_today(self, given: Path) -> None:
        round_ = Round.read(given)
        seats = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("seats")
        round_ = replace(round_, vacancies=round_.vacancies.with_columns(seats))
        source = Resampled.of(round_, ["vacancies"])
        drawn = [source.round_of(Draws(k)).vacancies["seats"].sum() for k in range(5)]
        assert drawn == [round_.vacancies["seats"].sum()] * 5
        mean = sum(
            source.round_of(Draws(k)).vacancies["seats"].to_numpy() for k in range(400)
        )
        expected = round_.vacancies["seats"].to_numpy() * 400
        assert (abs(mean - expected) < 6 * np.sqrt(expected)).all()

    def test_the_order_of_the_rows_does_not_matter(self, given: Path) -> None:
        round_ = Round.read(given)
        turned = replace(round_, teachers=round_.teachers.reverse())
        resample = ("wishes", "points", "vacancies")
        one, other = (
            Resampled.of(r, resample).round_of(Draws(3)) for r in (round_, turned)
        )
        assert other.teachers.reverse().equals(one.teachers)
        assert other.vacancies.equals(one.vacancies)

    def test_it_stays_lawful(self, given: Path, tmp_path: Path) -> None:
        _, after = self.drawn(given, "wishes", "points", "vacancies", seed=8)
        after.write(tmp_path / "round")
        assert same_round(Round.read(tmp_path / "round", RULES.limits), after)

    def test_a_round_without_home_points_or_vacancies(self) -> None:
        folder = ROOT / "fixtures" / "rounds" / "three-way"
        before, after = self.drawn(folder, "wishes", "points", "vacancies")
        assert after.teachers.schema == before.teachers.schema
        assert after.teachers.height == before.teachers.height


def rows_with_home(round_: Round) -> list[dict[str, Any]]:
    places = round_.schools.select("school", "level", "county")
    frame = round_.teachers.join(places, on="school", maintain_order="left")
    return list(frame.iter_rows(named=True))


def alike(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["level"], row["county"], tuple(sorted(row["groups"]))


@pytest.fixture(scope="module")
def encoded() -> Encoded:
    """A market whose positions have 0, 1, 2 … open seats."""
    round_ = Country.of(["elementary"], 1).round_of(400, Draws(1))
    seats = pl.int_range(pl.len(), dtype=pl.Int64).alias("seats")
    round_ = replace(round_, vacancies=round_.vacancies.with_columns(seats))
    return encode(round_, RULES)


class TestSeats:
    @pytest.mark.parametrize("parts", [0, 1, 2_500, 5_000, 9_999, 10_000, 23_456])
    def test_it_is_the_market_of_a_round_with_those_seats(
        self, encoded: Encoded, parts: int
    ) -> None:
        found = with_seats(encoded, parts, Draws(4))
        anew = encode(found.round_, RULES)
        assert all(map(np.array_equal, found.market.graph, anew.market.graph))
        assert all(map(np.array_equal, found.market[1:], anew.market[1:]))
        seats = encoded.market.seats
        assert (abs(found.market.seats * 10_000 - seats * parts) < 10_000).all()

    def test_more_parts_take_no_seat_away(self, encoded: Encoded) -> None:
        seats = [
            with_seats(encoded, parts, Draws(4)).market.seats
            for parts in range(0, 30_000, 777)
        ]
        assert all((less <= more).all() for less, more in pairwise(seats))

    def test_the_chance_is_the_rest(self, encoded: Encoded) -> None:
        seats = sum(
            with_seats(encoded, 3_000, Draws(k)).market.seats for k in range(400)
        )
        expected = encoded.market.seats * 0.3 * 400
        assert (abs(seats - expected) < 60).all()


class TestReplicate:
    def test_its_rows(self) -> None:
        prepared = prepare(scenario())
        rows = replicate(prepared, 2)
        assert rows.schema == RESULT_SCHEMA
        assert set(rows["scenario"]) == {prepared.scenario.digest[:16]}
        assert set(rows["replication"]) == {2}
        order = rows.select("case", "measure").unique(maintain_order=True).rows()
        cases = ("official", "half", "trading")
        known = [name for name in measures.MEASURES if name in MEASURES]
        assert order == [(name, one) for name in cases for one in known]

    def test_it_is_what_the_commands_would_give(self) -> None:
        """The public way, by whole rounds and outcomes, gives the same figures."""
        prepared = prepare(scenario())
        round_ = prepared.round_of(1)
        seeds = Seeds.of(5, 1)
        found = []
        for one in prepared.scenario.cases:
            parts = round(one.seats * 10_000)
            seats = with_seats(encode(round_, RULES), parts, Draws(seeds.population))
            outcome = solve(
                seats.round_, one.rules, seeds.lottery, mechanism=one.mechanism
            )
            situation = measures.situation_of(seats.round_, outcome)
            names = prepared.scenario.measures
            found += [(one.name, *row) for row in measures.measure(situation, names)]
        rows = replicate(prepared, 1).drop("scenario", "replication")
        assert rows.rows() == found

    @pytest.mark.parametrize("kind", ["generated", "uniform", "round"])
    def test_the_same_in_any_order_and_in_another_process(
        self, kind: str, given: Path
    ) -> None:
        population = {
            "generated": GENERATED,
            "uniform": {"kind": "uniform", "teachers": 450, "wishes": 6},
            "round": {
                "kind": "round",
                "folder": str(given),
                "resample": ["wishes", "points", "vacancies"],
            },
        }[kind]
        prepared = prepare(scenario(population=population))
        forward = [replicate(prepared, k) for k in (0, 1, 2)]
        again = pickle.loads(pickle.dumps(prepared))
        backward = [replicate(again, k) for k in (2, 1, 0)]
        assert all(map(pl.DataFrame.equals, forward, backward[::-1]))
        figures = [rows.drop("replication") for rows in forward]
        assert not figures[0].equals(figures[1])
        assert not figures[1].equals(figures[2])
        if kind != "generated" or os.environ.get("NUMBA_DISABLE_JIT") == "1":
            return
        done = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS],
            input=pickle.dumps(prepared),
            env={**os.environ, "PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1"},
            capture_output=True,
            check=True,
        )
        assert pl.read_ipc(done.stdout).equals(forward[1])

    def test_cases_share_round_and_lottery(self) -> None:
        found = situations(prepare(scenario()), 0)
        official, half, trading = (situation for _, situation in found)
        assert trading.background is official.background
        assert half.encoded.round_.teachers is official.encoded.round_.teachers
        assert half.encoded.market.rank_of is official.encoded.market.rank_of
        assert (half.encoded.market.seats <= official.encoded.market.seats).all()

    def test_each_replication_draws_its_own_lots(self) -> None:
        population = {"kind": "round", "folder": "fixtures/rounds/equal-points"}
        prepared = prepare(scenario(population=population))
        orders = []
        for number in range(12):
            _, situation = next(situations(prepared, number))
            seed = Seeds.of(prepared.scenario.seed, number).lottery
            round_ = prepared.round_of(number)
            orders.append(rows_in_claim_order(situation.encoded))
            assert orders[-1] == rows_in_claim_order(encode(round_, RULES, seed))
        assert len(set(map(tuple, orders))) > 1

    def test_other_priorities_are_other_markets(self) -> None:
        best = replace(RULES, priority="best").to_dict()
        cases = [case("official"), case("best", rules=best)]
        official, other = (
            situation for _, situation in situations(prepare(scenario(case=cases)), 0)
        )
        assert other.encoded.round_.teachers is official.encoded.round_.teachers
        assert other.encoded.market.n_claims < official.encoded.market.n_claims

    def test_one_case_more_changes_no_figure_of_another(self) -> None:
        """Half the seats take nothing from what the others draw."""
        alone = replicate(prepare(scenario(case=[case("official")])), 1)
        together = replicate(prepare(scenario()), 1)
        official = together.filter(pl.col("case") == "official")
        assert official.drop("scenario").equals(alone.drop("scenario"))

    def test_seeds_differ(self) -> None:
        seeds = {seed for k in range(50) for seed in Seeds.of(1, k)}
        assert len(seeds | set(Seeds.of(2, 0))) == 102


def rows_in_claim_order(encoded: Encoded) -> list[int]:
    """Return the row of the holder of each claim, the first to be tried first."""
    market = encoded.market
    rows: list[int] = encoded.row_of[
        market.graph.holder_of[market.claim_order]
    ].tolist()
    return rows


OTHER_PROCESS = """
import pickle, sys
from jiepin.core.simulation.replicate import replicate
rows = replicate(pickle.load(sys.stdin.buffer), 1)
rows.write_ipc(sys.stdout.buffer)
"""


class TestRefusedBeforeAnythingStarts:
    def test_a_round_that_lies_nowhere(self, given: Path) -> None:
        found = scenario(population={"kind": "round", "folder": str(given)})
        moved = Scenario.from_toml(found.to_toml())
        with pytest.raises(errors.BadScenario, match="the folder of the round"):
            prepare(moved)

    def test_a_round_that_has_changed(self, tmp_path: Path) -> None:
        generate(tmp_path / "round", 20)
        found = scenario(tmp_path, population={"kind": "round", "folder": "round"})
        generate(tmp_path / "round", 21)
        with pytest.raises(errors.BadScenario, match="its files as they were"):
            prepare(found)

    def test_a_round_that_is_none(self) -> None:
        folder = "fixtures/bad/unknown-school"
        found = scenario(population={"kind": "round", "folder": folder})
        with pytest.raises(BadRound, match="1 problem in the round"):
            prepare(found)

    def test_wishes_beyond_the_limits(self, given: Path) -> None:
        rules = RULES.to_dict() | {"limits": {"choices": 2}}
        cases = [case("official"), case("short", rules=rules)]
        population = {"kind": "round", "folder": str(given)}
        with pytest.raises(BadRound, match="at most 2"):
            prepare(scenario(population=population, case=cases))

    def test_home_points_that_are_missing(self) -> None:
        population = {"kind": "round", "folder": "fixtures/rounds/mutual"}
        cases = [case("official"), case("block", mechanism="block_exchange")]
        with pytest.raises(errors.NoHomePoints, match="block_exchange"):
            prepare(scenario(population=population, case=cases))

    def test_more_seats_than_can_be_drawn(self, tmp_path: Path) -> None:
        generate(tmp_path / "round", 10)
        round_ = Round.read(tmp_path / "round")
        seats = pl.lit(10_000_001, dtype=pl.Int64).alias("seats")
        many = replace(round_, vacancies=round_.vacancies.with_columns(seats))
        many.write(tmp_path / "round")
        population = {"kind": "round", "folder": "round", "resample": ["vacancies"]}
        with pytest.raises(errors.BadScenario, match="10,000,000 seats"):
            prepare(scenario(tmp_path, population=population))

    @pytest.mark.parametrize(
        "entries",
        [
            {"case": [case("best", mechanism="optimum")]},
            {"measures": list(set(measures.MEASURES) - set(measures.WITHOUT_OPTIMUM))},
        ],
    )
    def test_packages_that_are_missing(
        self, entries: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(errors, "find_spec", lambda _name: None)
        with pytest.raises(errors.NotInstalled, match=r"'ortools'.*jiepin\[optimum\]"):
            prepare(scenario(**entries))
