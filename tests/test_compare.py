"""Two results side by side: every kind of difference, the command, its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_rounds import ONE_WAY, REOPEN, rules_of

from jiepin.core import Change, Outcome, Rules, cli, compare, printing
from jiepin.core.comparison import result_text
from jiepin.core.options import Options
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, EXCHANGE_SCHEMA

Row = tuple[str, str | None, int | None, str, str, int | None]
STAYS, MOVES = (None, None, "A", "g", None), ("mutual", 1, "B", "g", 2)


def outcome(*rows: Row, rules: Rules | None = None, **changes: Any) -> Outcome:
    return replace(
        Outcome(
            rules=rules or rules_of(ONE_WAY),
            seed=0,
            assignments=pl.DataFrame(
                rows, schema=dict(ASSIGNMENT_SCHEMA), orient="row"
            ),
            exchanges=pl.DataFrame(schema=dict(EXCHANGE_SCHEMA)),
            digests={"teachers.csv": "ab" * 32},
            version="1",
        ),
        **changes,
    )


A = outcome(
    ("same-1", *STAYS),
    ("same-2", *MOVES),
    ("same-3", *MOVES),
    ("t-home", *STAYS),
    ("t-lost", *MOVES),
    ("t-place", *MOVES),
    ("t-subject", *MOVES),
    ("t-way", *MOVES),
    ("u-gone", *STAYS),
    ("won", *STAYS),
)
B = outcome(
    ("a-new", *MOVES),
    ("same-1", *STAYS),
    ("same-2", *MOVES),
    ("same-3", "mutual", 7, "B", "g", 2),  # another number of the exchange
    ("t-home", None, None, "C", "g", None),
    ("t-lost", *STAYS),
    ("t-place", "mutual", 1, "C", "g", 2),
    ("t-subject", "mutual", 1, "B", "m", 2),
    ("t-way", "one-way", None, "B", "g", 2),
    ("won", *MOVES),
)


def test_every_kind_of_change() -> None:
    comparison = compare(A, B)
    found = dict(comparison.people.select("teacher_id", "change").iter_rows())
    assert list(found) == sorted(found)
    assert {name: Change(change) for name, change in found.items()} == {
        "a-new": Change.MISSING_A,
        "same-1": Change.SAME,
        "same-2": Change.SAME,
        "same-3": Change.SAME,
        "t-home": Change.OTHER_HOME,
        "t-lost": Change.ONLY_A,
        "t-place": Change.OTHER_PLACE,
        "t-subject": Change.OTHER_PLACE,
        "t-way": Change.OTHER_WAY,
        "u-gone": Change.MISSING_B,
        "won": Change.ONLY_B,
    }
    assert list(comparison.counts) == list(Change)
    assert list(comparison.counts.values()) == [3, 1, 1, 2, 1, 1, 1, 1]
    assert comparison.differences.height == 8
    assert not comparison.equal


def test_another_choice_is_another_way() -> None:
    one = outcome(("T1", "one-way", None, "B", "g", 2))
    other = outcome(("T1", "one-way", None, "B", "g", 1))
    assert compare(one, other).counts[Change.OTHER_WAY] == 1


def test_a_result_and_itself() -> None:
    comparison = compare(A, A)
    assert comparison.equal
    assert comparison.settings == ()
    assert comparison.counts[Change.SAME] == 10
    assert comparison.text("zh") == "結果相同：10 人"
    assert comparison.text("en") == "the same in both: 10"


def test_nobody_at_all() -> None:
    assert compare(outcome(), outcome()).equal
    assert compare(outcome(), A).counts[Change.MISSING_A] == 10


def test_the_way_back_is_the_mirror_image() -> None:
    there, back = compare(A, B).counts, compare(B, A).counts
    mirror = {
        Change.ONLY_A: Change.ONLY_B,
        Change.ONLY_B: Change.ONLY_A,
        Change.MISSING_A: Change.MISSING_B,
        Change.MISSING_B: Change.MISSING_A,
    }
    assert {mirror.get(change, change): n for change, n in there.items()} == back


def test_what_else_differs() -> None:
    other = outcome(
        rules=replace(rules_of(REOPEN, ONE_WAY), priority="best"),
        seed=3,
        version="2",
        digests={"teachers.csv": "cd" * 32, "vacancies.csv": "ef" * 32},
    )
    comparison = compare(outcome(), other)
    assert comparison.equal
    lines = comparison.text("en").splitlines()
    assert lines[0] == 'rules, priority: "per-county" → "best"'
    assert lines[1].startswith('rules, stage 1: {"name": "one-way"')
    assert '"reopen": true' in lines[1].split(" → ")[1]
    assert lines[2].startswith("rules, stage 2: — → {")
    assert lines[3:] == [
        "seed: 0 → 3",
        "version: 1 → 2",
        "input file teachers.csv: abababababab → cdcdcdcdcdcd",
        "input file vacancies.csv: — → efefefefefef",
        "the same in both: 0",
    ]
    assert "抽籤種子：0 → 3" in comparison.text("zh")


def test_two_mechanisms() -> None:
    moved = ("T1", "mutual", 1, "B", "g", 2), ("T2", "mutual", 1, "A", "g", 1)
    best = replace(
        outcome(
            ("T1", "optimum", 1, "B", "g", 2), ("T2", "optimum", None, "A", "g", 3)
        ),
        mechanism="optimum",
        options=Options(max_size=4),
    )
    comparison = compare(outcome(*moved), best)
    assert comparison.people["change"].to_list() == ["same", "other-way"]
    lines = comparison.text("en").splitlines()
    assert lines[0] == "mechanism: staged → optimum"
    assert "options, max_size: — → 4" in lines
    assert "機制：staged → optimum" in comparison.text("zh")
    other = replace(best, options=Options(max_size=5))
    assert compare(best, other).text("zh").splitlines() == [
        "選項 max_size：4 → 5",
        "結果相同：2 人",
    ]


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("t-way", "互調 B g 第 2 志願", "mutual B g choice 2"),
        ("won", "未達成 A g", "not moved A g"),
        ("a-new", "—", "—"),
    ],
)
def test_a_result_in_words(name: str, zh: str, en: str) -> None:
    row = row_of(name)
    assert result_text(row, "a", "zh") == zh
    assert result_text(row, "a", "en") == en


def row_of(name: str) -> Mapping[str, Any]:
    people = compare(A, B).people
    return people.row(by_predicate=pl.col("teacher_id") == name, named=True)


# ---- The command


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name, result in (("a", A), ("b", B)):
        result.write(tmp_path / name)
    return tmp_path / "a", tmp_path / "b"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[object, str, str]:
    monkeypatch.setattr(sys, "argv", ["jiepin", "compare", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code, *capsys.readouterr()


def test_the_command(
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    code, out, err = run(monkeypatch, capsys, *folders)
    assert (code, err) == (1, "")
    assert "只在 A 達成：1 人" in out
    assert "互調 B g 第 2 志願" in out
    code, out, _ = run(monkeypatch, capsys, *folders, "--lang", "en")
    assert "moved only in A: 1" in out
    assert "t-lost" in out
    assert "same-1" not in out
    a, _ = folders
    assert run(monkeypatch, capsys, a, a) == (0, "結果相同：10 人\n", "")


def test_more_than_a_screen_holds(
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(printing, "MOST_SHOWN", 3)
    _, out, _ = run(monkeypatch, capsys, *folders, "--lang", "en")
    assert "and 5 more; --out FILE.csv lists all" in out
    assert "t-lost" in out
    assert "won" not in out


def test_all_who_differ_as_a_table(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "new" / "differences.csv"
    words = (*folders, "-q", "--out", file)
    for _ in range(2):  # what is there already is of the same kind
        assert run(monkeypatch, capsys, *words) == (1, "", "")
    table = pl.read_csv(file, infer_schema=False)
    assert table["teacher_id"].to_list() == [
        *("a-new", "t-home", "t-lost", "t-place", "t-subject", "t-way", "u-gone"),
        "won",
    ]
    assert table.row(0) == (
        *("a-new", "missing-a", None, None, None, None),
        *("mutual", "B", "g", "2"),
    )
    assert [path.name for path in file.parent.iterdir()] == ["differences.csv"]


@pytest.mark.parametrize("there", ["thesis", ""])
def test_another_file_is_never_replaced(
    folders: tuple[Path, Path],
    there: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "thesis.csv"
    file.write_text(there, "utf-8")
    code, out, err = run(monkeypatch, capsys, *folders, "--out", file)
    assert (code, out) == (2, "")
    assert "thesis.csv is something else" in err
    assert file.read_text("utf-8") == there
    code, _, err = run(monkeypatch, capsys, *folders, "--out", tmp_path / "a")
    assert code == 2
    assert (tmp_path / "a" / "summary.json").exists()


def test_wrong_input(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a, _ = folders
    out = tmp_path / "out.csv"
    code, printed, err = run(monkeypatch, capsys, a, tmp_path / "none", "--out", out)
    assert (code, printed) == (2, "")
    assert "none/summary.json" in err
    assert not out.exists()
    assert run(monkeypatch, capsys, a)[0] == 2
