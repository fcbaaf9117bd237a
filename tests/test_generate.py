"""Invented rounds are lawful, of realistic shape, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest

from jiepin.core import Round, Rules, errors, solve, terms
from jiepin.core.simulation import places, population
from jiepin.core.simulation.draws import Draws, Urns
from jiepin.core.simulation.population import generate

RULES = Rules.load("taiwan-110")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
ALL_LEVELS = list(terms.LEVELS)


def generated(folder: Path, teachers: int, **options: Any) -> Round:
    generate(folder, teachers, **options)
    return Round.read(folder, RULES.limits)


@cache
def national() -> Round:
    """Return one round of 5,000, made once for the tests of its shape."""
    with TemporaryDirectory() as folder:
        return generated(Path(folder), 5000)


def digests(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in sorted(folder.iterdir())
    }


@pytest.mark.parametrize(
    ("teachers", "seed", "levels"),
    [
        (10, 0, None),
        (11, -5, ["kindergarten"]),
        (300, 2**70, ["elementary", "junior-high"]),
        (2000, 1, ["elementary"]),
        (2000, 2, None),
    ],
)
def test_lawful(
    tmp_path: Path, teachers: int, seed: int, levels: list[str] | None
) -> None:
    round_ = generated(tmp_path / "round", teachers, seed=seed, levels=levels)
    assert round_.teachers.height == teachers
    assert set(round_.schools["level"]) == set(levels or ALL_LEVELS)
    assert set(round_.subjects["level"]) == set(levels or ALL_LEVELS)
    ids = round_.teachers["teacher_id"]
    assert ids.to_list() == [f"T{n:07d}" for n in range(1, teachers + 1)]


def test_schools_and_subjects() -> None:
    schools = national().schools
    assert dict(schools.group_by("level").len().iter_rows()) == {
        "junior-high": 730,
        "elementary": 2575,
        "kindergarten": 2453,
    }
    assert set(schools["county"]) == set(places.counties()["county"])
    assert schools["county"].n_unique() == 22
    per_level = national().subjects.group_by("level").len()
    assert dict(per_level.iter_rows())["elementary"] == 18
    names = schools.select("county", "level", "name")
    assert names.is_unique().all()


def test_table_of_places() -> None:
    townships = places.townships()
    assert townships.height == 368
    assert townships["indigenous"].sum() == 55
    assert townships.select("county", "township").is_unique().all()
    codes = {"新北市": "01", "雲林縣": "09", "屏東縣": "13", "臺東縣": "14"}
    assert places.county_codes().items() >= codes.items()


def test_tags() -> None:
    tags = national().schools["tags"].explode().drop_nulls()
    counts = dict(tags.value_counts().iter_rows())
    assert set(counts) == set(terms.TAGS)
    for rare in ("correctional", terms.SWAP_ONLY):
        assert 1 <= counts[rare] <= 60


def test_lists_have_a_long_tail() -> None:
    lengths = national().teachers["choices"].list.len()
    assert lengths.min() == 1
    assert 10 <= np.median(lengths.to_numpy()) <= 15
    assert (lengths > 100).sum() > 0
    assert (lengths > 50).mean() < 0.1  # type: ignore[operator]


def test_popular_schools_are_wanted_by_many() -> None:
    choices = national().teachers["choices"].explode()
    wanted = choices.value_counts(sort=True)["count"].to_numpy()
    assert wanted[: len(wanted) // 10].sum() > 0.4 * wanted.sum()
    assert len(wanted) > 4000


def test_wish_counties_and_points() -> None:
    teachers = national().teachers
    two = teachers.filter(pl.col("counties").list.len() == 2)
    assert 0.8 < two.height / teachers.height < 0.95
    totals = two.select(
        first=pl.col("points").list.get(0), second=pl.col("points").list.get(1)
    )
    assert totals.filter(pl.col("first") != pl.col("second")).height > two.height / 2
    assert teachers["points"].list.n_unique().max() == 2
    points = teachers["points"].explode()
    assert (points % 100 != 0).sum() > 0
    assert (points % 10 != 0).sum() > 0


def test_every_county_is_left_and_wished_for() -> None:
    teachers, counties = national().teachers, places.counties()["county"]
    county_of = national().schools.select("school", "county")
    assert set(teachers.join(county_of, on="school")["county"]) == set(counties)
    assert set(teachers["counties"].explode()) == set(counties)


def test_subjects_groups_service_and_birth() -> None:
    teachers = national().teachers
    n_subjects = teachers["subjects"].list.len().value_counts()
    counts = dict(n_subjects.iter_rows())
    assert set(counts) == {1, 2, 3}
    assert counts[1] > counts[2] > counts[3]
    groups = set(teachers["groups"].explode().drop_nulls())
    assert groups == {"indigenous", "language", "remote"}
    age = 2025 - teachers["birth_date"].dt.year() - teachers["service_years"] // 100
    assert age.min() >= 22  # type: ignore[operator]
    assert age.max() <= 32  # type: ignore[operator]
    assert teachers["service_years"].min() == 300


def test_few_vacancies() -> None:
    vacancies = national().vacancies.join(national().schools, on="school")
    assert vacancies["seats"].sum() == 200
    offering = vacancies.group_by("level").agg(pl.col("county").n_unique())
    assert (offering["county"] < 22).all()


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="too slow without the JIT"
)
def test_exchanges_of_every_size_occur() -> None:
    outcome = solve(national(), RULES)
    assert set(outcome.exchanges["size"]) == {2, 3, 4, 5}
    assert all(outcome.moved_per_stage().values())
    assert 0.1 < outcome.moves.height / national().teachers.height < 0.4


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    generate(tmp_path / "a", 50, seed=3)
    generate(tmp_path / "b", 50, seed=3, block=7)
    generate(tmp_path / "c", 50, seed=4)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    other = digests(tmp_path / "c")
    assert digests(tmp_path / "a")["teachers.csv"] != other["teachers.csv"]


def test_the_bytes_of_every_machine(tmp_path: Path) -> None:
    """These digests change only when the shape of the population is changed."""
    generate(tmp_path / "round", 200, seed=114)
    assert digests(tmp_path / "round") == {
        "schools.csv": "76612a1359fecd69",
        "subjects.csv": "d1be88fe8e47fd52",
        "teachers.csv": "94771cf3e23ace58",
        "vacancies.csv": "bf7ae76e514d363a",
    }


def test_hash_seed_and_threads_do_not_matter(tmp_path: Path) -> None:
    code = (
        "import sys; from jiepin.core.simulation.population import generate; "
        "generate(sys.argv[1], 400, seed=1, csv_up_to=100, block=int(sys.argv[2]))"
    )
    for name, block, threads in (("a", "400", "1"), ("b", "90", "3")):
        variables = {"PYTHONHASHSEED": block, "POLARS_MAX_THREADS": threads}
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / name, block],
            env={**os.environ, **variables},
            check=True,
        )
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_parquet_holds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population, "ROW_GROUP", 100)
    as_csv = generated(tmp_path / "csv", 500)
    as_parquet = generated(tmp_path / "parquet", 500, csv_up_to=499, block=33)
    assert sorted(file.name for file in (tmp_path / "parquet").iterdir()) == [
        "schools.csv",
        "subjects.csv",
        "teachers.parquet",
        "vacancies.csv",
    ]
    assert as_parquet.teachers.equals(as_csv.teachers)
    again = generated(tmp_path / "again", 500, csv_up_to=499, block=500)
    assert digests(tmp_path / "again") == digests(tmp_path / "parquet")
    assert again.teachers.equals(as_csv.teachers)


def test_teachers_do_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    few = generated(tmp_path / "few", 20).teachers
    many = generated(tmp_path / "many", 40).teachers
    assert many.head(20).equals(few)


def test_a_written_round_is_replaced_and_a_stranger_is_not(tmp_path: Path) -> None:
    generate(tmp_path / "round", 20)
    generate(tmp_path / "round", 10, csv_up_to=5)
    assert (tmp_path / "round" / "teachers.parquet").exists()
    assert not (tmp_path / "round" / "teachers.csv").exists()
    (tmp_path / "round" / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(errors.FolderInTheWay, match=r"notes\.txt"):
        generate(tmp_path / "round", 10)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    generate(tmp_path / "round", 25, report=lambda *pair: told.append(pair), block=10)
    assert told == [(0, 25), (10, 25), (20, 25), (25, 25)]


@pytest.mark.parametrize("teachers", [9, 0, -1, 10_000_001, True, 10.5])
def test_bad_number_of_teachers(tmp_path: Path, teachers: int) -> None:
    with pytest.raises(errors.BadArgument, match=f"teachers {teachers!r}; expected"):
        generate(tmp_path / "round", teachers)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        (["elementary", "high"], "unknown level 'high'; expected some of junior-high"),
        ([], "no level chosen"),
    ],
)
def test_bad_levels(tmp_path: Path, levels: list[str], text: str) -> None:
    with pytest.raises(errors.BadArgument, match=text):
        generate(tmp_path / "round", 10, levels=levels)


def directory(file: Path, counties: dict[str, str]) -> Path:
    """Write a directory of elementary schools, ten for each county by its code."""
    rows = ["代碼,學校名稱,公/私立,縣市名稱"]
    rows += [
        f"{code}46{number:02d},晴空{number}國小,公立,{county}"
        for code, county in counties.items()
        for number in range(10)
    ]
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return file


def test_schools_of_a_directory(tmp_path: Path) -> None:
    file = directory(tmp_path / "list.csv", {"01": "新北市", "13": "屏東縣"})
    round_ = generated(tmp_path / "round", 60, schools=[file])
    assert round_.schools["school"].to_list()[::10] == ["014600", "134600"]
    assert set(round_.schools["level"]) == {"elementary"}
    # with two counties there is only one to wish for
    assert set(round_.teachers["counties"].list.len()) == {1}


def test_directories_must_have_the_level(tmp_path: Path) -> None:
    file = directory(tmp_path / "list.csv", {"01": "新北市", "13": "屏東縣"})
    with pytest.raises(errors.BadDirectory, match="no school of level junior-high"):
        generate(tmp_path / "round", 10, levels=["junior-high"], schools=[file])


def test_directories_must_have_two_counties(tmp_path: Path) -> None:
    file = directory(tmp_path / "list.csv", {"01": "新北市"})
    with pytest.raises(errors.BadDirectory, match="elementary lie in 1 county"):
        generate(tmp_path / "round", 10, schools=[file])
    assert not (tmp_path / "round").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the Ministry's files are not here")
def test_schools_of_the_ministry(tmp_path: Path) -> None:
    files = [SHARED / "moe_elementary_114.csv", SHARED / "moe_kindergarten_113.csv"]
    round_ = generated(tmp_path / "round", 1000, schools=files)
    assert round_.schools.height == 2575 + 2453
    assert round_.schools["county"].n_unique() == 22
    assert set(round_.subjects["level"]) == {"elementary", "kindergarten"}


def test_draws_are_even() -> None:
    numbers = Draws(5).numbers("dice", np.arange(60_000), 6)
    counts = np.bincount(numbers)
    assert len(counts) == 6
    assert abs(counts - 10_000).max() < 500


def test_draws_differ_by_seed_and_purpose() -> None:
    at = np.arange(100)
    rows = {
        Draws(seed).numbers(purpose, at, 2**31).tobytes()
        for seed in (0, 1)
        for purpose in ("home", "level")
    }
    assert len(rows) == 4


def test_urns_follow_their_weights() -> None:
    urns = Urns.of([1, 0, 3, 4], starts=[0, 2], stops=[3, 4])
    at = np.arange(40_000)
    first = np.bincount(urns.draw(Draws(1), "a", at, np.zeros_like(at)), minlength=4)
    second = np.bincount(urns.draw(Draws(1), "b", at, np.ones_like(at)), minlength=4)
    assert first[[1, 3]].tolist() == [0, 0]
    assert abs(first[2] - 30_000) < 500
    assert second[[0, 1]].tolist() == [0, 0]
    assert abs(second[3] - 40_000 * 4 // 7) < 500
