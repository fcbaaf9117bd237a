"""Result folders: out and back, what the summary tells, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from jiepin.core import Outcome, Rules, errors
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, EXCHANGE_SCHEMA

RULES = Rules.load("county-internal")
OUTCOME = Outcome(
    rules=RULES,
    seed=7,
    assignments=pl.DataFrame(
        [
            ("007", "remote", None, "001", "01", 1),
            ('甲,"乙"\n丙', "mutual", 1, "002", "01", 12),
            ("T3", None, None, "003", "02", None),
            ("T4", "mutual", 1, "004", "01", 1),
        ],
        schema=dict(ASSIGNMENT_SCHEMA),
        orient="row",
    ),
    exchanges=pl.DataFrame(
        [(1, "mutual", 2, ["T4", '甲,"乙"\n丙'])],
        schema=dict(EXCHANGE_SCHEMA),
        orient="row",
    ),
    digests={"schools.csv": "ab" * 32, "teachers.parquet": "cd" * 32},
    seconds={"read": 0.25, "encode": 0.5, "solve": 1.75},
    peak_memory=1 << 30,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    OUTCOME.write(tmp_path / "[result]")
    return tmp_path / "[result]"


def test_what_was_moved() -> None:
    assert OUTCOME.moves["teacher_id"].to_list() == ["007", '甲,"乙"\n丙', "T4"]
    assert OUTCOME.moved_per_stage() == {
        "remote": 1,
        "one-way": 0,
        "mutual": 2,
        "three-way": 0,
    }
    assert list(OUTCOME.moved_per_choice().items()) == [(1, 2), (12, 1)]


def test_out_and_back(folder: Path) -> None:
    again = Outcome.read(folder)
    assert_frame_equal(again.assignments, OUTCOME.assignments)
    assert_frame_equal(again.exchanges, OUTCOME.exchanges)
    assert again.rules == OUTCOME.rules
    assert again.seed == OUTCOME.seed
    assert again.digests == OUTCOME.digests
    assert again.version == OUTCOME.version == version("jiepin")
    assert again.peak_memory == OUTCOME.peak_memory
    seconds = dict(again.seconds)
    assert seconds.pop("write") > 0
    assert seconds == OUTCOME.seconds


def test_what_the_files_hold(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == [
        "assignments.csv",
        "exchanges.csv",
        "summary.json",
    ]
    lines = (folder / "assignments.csv").read_text("utf-8").splitlines()
    assert lines[0] == "teacher_id,stage,exchange,school,subject,choice"
    assert lines[1] == "007,remote,,001,01,1"
    assert lines[4] == "T3,,,003,02,"
    text = (folder / "exchanges.csv").read_text("utf-8")
    assert text.startswith("exchange,stage,size,teachers\n1,mutual,2,")


def test_the_summary(folder: Path) -> None:
    text = (folder / "summary.json").read_text("utf-8")
    summary = json.loads(text)
    assert Rules.from_dict(summary["rules"]) == RULES
    assert summary["seed"] == 7
    assert summary["version"] == version("jiepin")
    assert summary["inputs"] == OUTCOME.digests
    assert (summary["teachers"], summary["moved"]) == (4, 3)
    assert summary["moved_per_stage"] == OUTCOME.moved_per_stage()
    assert summary["moved_per_choice"] == {"1": 2, "12": 1}
    assert list(summary["seconds"]) == ["read", "encode", "solve", "write"]
    assert summary["peak_memory"] == 1 << 30


def test_a_round_in_which_nobody_moved(tmp_path: Path) -> None:
    nobody = OUTCOME.assignments.clear()
    outcome = Outcome(RULES, 0, nobody, OUTCOME.exchanges.clear())
    outcome.write(tmp_path / "result")
    again = Outcome.read(tmp_path / "result")
    assert_frame_equal(again.assignments, nobody)
    assert_frame_equal(again.exchanges, outcome.exchanges)
    assert again.moved_per_choice() == {}


def test_a_result_is_replaced_and_nothing_else(folder: Path) -> None:
    OUTCOME.write(folder)
    (folder / "minutes.odt").write_text("signed")
    with pytest.raises(errors.FolderInTheWay, match=r"minutes\.odt"):
        OUTCOME.write(folder)
    assert (folder / "minutes.odt").read_text() == "signed"


def refusal(folder: Path) -> str:
    with pytest.raises(errors.BadResult) as caught:
        Outcome.read(folder)
    chinese, english = str(caught.value).split("\n    ", 1)
    assert chinese == "結果資料夾無法讀取。"
    return english


@pytest.mark.parametrize("name", ["assignments.csv", "exchanges.csv", "summary.json"])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    text = refusal(folder)
    assert text.startswith(f"{folder / name}: No such file or directory")
    assert "; expected " in text


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert "summary.json: No such file" in refusal(tmp_path / "none")


@pytest.mark.parametrize("name", ["assignments.csv", "exchanges.csv"])
def test_tables_that_are_none(folder: Path, name: str) -> None:
    file = folder / name
    good = file.read_text("utf-8")
    columns = good.splitlines()[0].replace(",", ", ")
    for text in ("", good.replace("stage", "phase"), good + "1,2,3,4,5,6,7,8\n"):
        file.write_text(text, "utf-8")
        told = refusal(folder)
        assert told.startswith(f"{file}: ")
        assert told.endswith(f"; expected the columns {columns}")
    file.write_bytes(good.encode() + b"\xff\xff,\n")
    assert refusal(folder).startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("name", "old", "new", "bad"),
    [
        ("assignments.csv", ",01,1\n", ",01,first\n", "first"),
        ("assignments.csv", ",mutual,1,", ",mutual,one,", "one"),
        ("exchanges.csv", "1,mutual,2,", "1,mutual,two,", "two"),
        ("exchanges.csv", "1,mutual,2,", "1.5,mutual,2,", "1.5"),
    ],
)
def test_text_where_a_number_belongs(
    folder: Path, name: str, old: str, new: str, bad: str
) -> None:
    file = folder / name
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    told = refusal(folder)
    assert told.startswith(f"{file}: could not parse `{bad}`")


@pytest.mark.parametrize("text", ["", "{", "rules = 1", "[1]", "\udcff"])
def test_a_summary_that_is_no_summary(folder: Path, text: str) -> None:
    file = folder / "summary.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    told = refusal(folder)
    assert told.startswith(f"{file}: ")
    assert "JSON" in told


def drop(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda summary: summary.pop(key)


def put(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda summary: summary.update({key: value})


KEYS = ["rules", "seed", "inputs", "version", "seconds", "peak_memory"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        *((drop(key), key) for key in KEYS),
        (put("seed", "seven"), "seven"),
        (put("seed", None), "NoneType"),
        (put("inputs", 3), "int"),
        (put("seconds", ["read"]), "summary of a run"),
        (put("rules", []), "rules []; expected a table"),
        (put("rules", {"name": "x"}), "at least one [[stage]]"),
    ],
)
def test_entries_missing_or_of_the_wrong_kind(
    folder: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    file = folder / "summary.json"
    summary = json.loads(file.read_text("utf-8"))
    change(summary)
    file.write_text(json.dumps(summary), "utf-8")
    text = refusal(folder)
    assert "summary.json: " in text
    assert told in text
