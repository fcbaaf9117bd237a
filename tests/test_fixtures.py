"""Every refusal has a small file that shows it; every round has its result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from _pytest.mark.structures import ParameterSet

from jiepin.core import (
    BadRound,
    BadRules,
    Limits,
    Problem,
    Round,
    Rules,
    errors,
    tables,
)

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
LIMITS = Limits(counties=2, subjects=2, choices=3)
MADE_BY_TEST = {"missing-folder", "empty-folder"}  # git keeps no empty folder
FOLDER = "."  # in expected.csv: the folder itself


def leaves(kind: type[errors.Refusal]) -> Iterator[type[errors.Refusal]]:
    """Yield the classes below `kind` that have none below themselves."""
    for below in kind.__subclasses__():
        if below.__subclasses__():
            yield from leaves(below)
        elif below.__module__ == errors.__name__:
            yield below


def expected(folder: str) -> list[ParameterSet]:
    """Return the rows of a table of expectations, each named by its first cell."""
    table = pl.read_csv(FIXTURES / folder / "expected.csv", infer_schema=False)
    rows = table.fill_null("").iter_rows(named=True)
    return [pytest.param(row, id=next(iter(row.values()))) for row in rows]


def classes(folder: str) -> list[str]:
    table = pl.read_csv(FIXTURES / folder / "expected.csv", infer_schema=False)
    return table["class"].to_list()


def names(folder: str) -> set[str]:
    found = {path.name for path in (FIXTURES / folder).iterdir()}
    return {name.removesuffix(".toml") for name in found - {"expected.csv"}}


def bad_folder(name: str, tmp_path: Path) -> Path:
    if name not in MADE_BY_TEST:
        return FIXTURES / "bad" / name
    if name == "empty-folder":
        (tmp_path / name).mkdir()
    return tmp_path / name


@pytest.mark.parametrize("row", expected("bad"))
def test_bad_round(row: dict[str, str], tmp_path: Path) -> None:
    folder = bad_folder(row["folder"], tmp_path)
    with pytest.raises(BadRound) as caught:
        Round.read(folder, LIMITS)
    (problem,) = caught.value.problems
    assert caught.value.n_problems == 1
    assert type(problem).__name__ == row["class"]
    assert problem.file == (str(folder) if row["file"] == FOLDER else row["file"])
    assert str(problem.line or "") == row["line"]
    assert (problem.column or "") == row["column"]
    assert (problem.value or "") == row["value"]
    check_text(str(problem), problem)
    assert str(problem) in str(caught.value)


CELLS = [
    row for row in expected("bad") if all(row.values[0][k] for k in ("line", "column"))
]


@pytest.mark.parametrize("row", CELLS)
def test_bad_round_as_parquet(row: dict[str, str], tmp_path: Path) -> None:
    for file in (FIXTURES / "bad" / row["folder"]).iterdir():
        write_parquet(file, tmp_path)
    with pytest.raises(BadRound) as caught:
        Round.read(tmp_path, LIMITS)
    (problem,) = caught.value.problems
    assert type(problem).__name__ == row["class"]
    assert problem.file == row["file"].replace(".csv", ".parquet")
    assert problem.line == int(row["line"]) - 1  # no header
    assert (problem.column, problem.value) == (row["column"], row["value"])
    assert f"{problem.file} row {problem.line}, column" in str(problem)


def write_parquet(file: Path, folder: Path) -> None:
    frame = pl.read_csv(file, infer_schema=False)
    lists = [name for spec in tables.SPECS for name in spec.lists]
    frame.with_columns(
        pl.col(name).str.split("|") for name in lists if name in frame.columns
    ).write_parquet(folder / f"{file.stem}.parquet")


def test_every_refusal_says_in_chinese_what_is_wrong() -> None:
    own = [kind.zh for kind in leaves(errors.Refusal)]
    assert len(set(own)) == len(own) > 40
    assert errors.Refusal.zh not in own


def check_text(both: str, problem: Problem) -> None:
    chinese, text = both.split("\n    ", 1)
    assert chinese.startswith(problem.file)
    assert chinese.endswith(f"：{problem.zh}。")
    assert problem.line is None or f" 第 {problem.line} 列" in chinese
    assert problem.column is None or f" {problem.column} 欄" in chinese
    assert problem.value is None or f"「{problem.value}」：" in chinese
    assert text.startswith(problem.file)
    if problem.line is not None:
        assert f" line {problem.line}" in text
    if problem.column is not None:
        assert f", column {problem.column}: " in text
    if problem.value is not None:
        assert f" {problem.value!r};" in text
    assert text.endswith(f"expected {problem.expected}")


def test_every_problem_has_a_bad_round() -> None:
    listed = classes("bad")
    assert sorted(listed) == sorted(kind.__name__ for kind in leaves(Problem))
    folders = {row.id for row in expected("bad")}
    assert folders - MADE_BY_TEST == names("bad")


@pytest.mark.parametrize("name", sorted(names("bad")))
def test_a_bad_round_is_bad_for_one_reason_only(name: str, tmp_path: Path) -> None:
    """The good round beside the bad ones is read without complaint."""
    good = good_round(tmp_path)
    folder = FIXTURES / "bad" / name
    differing = {
        path.name
        for path in (*folder.iterdir(), *good.iterdir())
        if content(folder / path.name) != content(good / path.name)
    }
    assert len(differing) == 1
    assert Round.read(good, LIMITS).teachers.height == 2


def good_round(tmp_path: Path) -> Path:
    """Put the round together of which each bad one has a single file changed."""
    sources = {
        "schools.csv": "bad-points",
        "subjects.csv": "bad-points",
        "vacancies.csv": "bad-points",
        "teachers.csv": "bad-seats",
    }
    for file, source in sources.items():
        (tmp_path / file).write_bytes(content(FIXTURES / "bad" / source / file))
    return tmp_path


def content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@pytest.mark.parametrize("row", expected("bad-rules"))
def test_bad_rules(row: dict[str, str]) -> None:
    file = FIXTURES / "bad-rules" / f"{row['file']}.toml"
    with pytest.raises(BadRules) as caught:
        Rules.load(file)
    problem = caught.value
    assert type(problem).__name__ == row["class"]
    assert problem.source == str(file)
    assert problem.entry == row["entry"]
    assert str(problem.value) == row["value"]
    assert f"{file}: {row['entry']} {problem.value!r}; expected " in str(problem)


def test_every_refusal_of_rules_has_a_bad_file() -> None:
    listed = classes("bad-rules")
    assert sorted(listed) == sorted(kind.__name__ for kind in leaves(BadRules))
    files = {row.id for row in expected("bad-rules")}
    assert files - {"unknown-preset"} == names("bad-rules")


ROUNDS = sorted(path for path in (FIXTURES / "rounds").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", ROUNDS, ids=lambda folder: folder.name)
def test_every_round_has_its_result(folder: Path) -> None:
    """Worked out by hand; that solve gives the same is tested beside the stages."""
    assert (folder / "expected" / "assignments.csv").is_file()
    assert Round.read(folder).teachers.height


def test_there_are_rounds_of_every_kind() -> None:
    assert len(ROUNDS) >= 8
