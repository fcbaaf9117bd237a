"""Bad input to the engine: some of each kind here, long runs in bench/fuzz.py.

What a long run has found stands below as a test of its own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core_surfaces import SURFACES, command

from jiepin.core import BadRound, Outcome, Round, Rules, solve
from jiepin.core.errors import BadResult, BadRules, BadScenario, UnreadableFile
from jiepin.core.simulation.scenario import Scenario

ROOT = Path(__file__).resolve().parents[1]
MUTUAL = ROOT / "fixtures" / "rounds" / "mutual"
PROGRAM = Path(sys.executable).with_name("jiepin")
INPUTS = 60  # of each kind
TOO_LONG = "a" * 300  # for the name of a file
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.mark.parametrize("surface", SURFACES)
def test_bad_input_is_refused_or_made_use_of(surface: str, scratch: Path) -> None:
    came = Counter(SURFACES[surface](random.Random(n), scratch) for n in range(INPUTS))
    assert came.total() == INPUTS
    assert len(came) > 1, "all the same: such inputs try nothing"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    solve(Round.read(MUTUAL), Rules.load("taiwan-110")).write(folder)
    return folder


# ---- What was found


@needs_pipes
@pytest.mark.parametrize("name", ["schools.csv", "vacancies.csv", "teachers.parquet"])
def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "round"
    Round.read(MUTUAL).write(folder)
    for suffix in (".csv", ".parquet"):
        (folder / name).with_suffix(suffix).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(BadRound, match="not a regular file") as caught:
        Round.read(folder)
    assert [type(problem) for problem in caught.value.problems] == [UnreadableFile]
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(BadRound, match="not a regular file"):
        Round.read(folder)


@needs_pipes
@pytest.mark.parametrize("name", ["assignments.csv", "exchanges.csv", "summary.json"])
def test_nor_in_a_result(result: Path, name: str) -> None:
    (result / name).unlink()
    os.mkfifo(result / name)
    with pytest.raises(BadResult, match="not a regular file"):
        Outcome.read(result)


DEEP = "x = " + "[" * 100_000


def test_what_is_nested_too_deep(tmp_path: Path, result: Path) -> None:
    with pytest.raises(BadRules, match="recursion"):
        Rules.from_toml(DEEP)
    with pytest.raises(BadScenario, match="recursion"):
        Scenario.from_toml(DEEP)
    (result / "summary.json").write_text("[" * 100_000)
    with pytest.raises(BadResult, match="not JSON"):
        Outcome.read(result)
    (tmp_path / "scenario.toml").write_text(DEEP)
    assert command("simulate", tmp_path / "scenario.toml", "--out", tmp_path)[0] == 2


def test_a_number_of_more_digits_than_are_read() -> None:
    with pytest.raises(BadRules, match="4300 digits"):
        Rules.from_toml("x = " + "9" * 5_000)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("seed", value) for value in (float("inf"), 1.5, "7", True, [7], None)),
        *(("peak_memory", value) for value in (float("nan"), "", {})),
        *(("inputs", value) for value in ([["a", "b"]], {"a": 1}, {"a": None}, "ab")),
        *(("seconds", value) for value in ({"read": "x"}, {"read": [1]}, [], 1.0)),
        *(("bound", value) for value in (float("inf"), "3", 2.0, True)),
        ("options", {"max_size": 3.0}),
        ("options", {"max_size": 3, "effort": 10**6}),
        ("version", "\ud800"),  # half of a character
    ],
)
def test_entries_of_a_summary_of_the_wrong_kind(
    result: Path, key: str, value: object
) -> None:
    file = result / "summary.json"
    summary = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**summary, key: value}), "utf-8")
    with pytest.raises(BadResult):
        Outcome.read(result)
    assert command("compare", result, result)[0] == 2


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_a_row_of_nobody(result: Path) -> None:
    edit(result / "assignments.csv", "T2,", ",")
    with pytest.raises(BadResult, match="column teacher_id: 1 cells are empty"):
        Outcome.read(result)


def test_a_table_over_which_polars_panics(result: Path) -> None:
    file = result / "assignments.csv"
    file.write_text(file.read_text("utf-8").rstrip("\n") + '"', "utf-8")
    with pytest.raises(BadResult, match="expected the columns teacher_id"):
        Outcome.read(result)


def test_a_move_without_its_choice_has_no_figures(result: Path, tmp_path: Path) -> None:
    edit(result / "assignments.csv", ",1\n", ",\n")
    words = ("report", MUTUAL, result, "--out", tmp_path / "report.html")
    code, told = command(*words)
    assert code == 2
    assert "column choice: 1 cells of moves are empty" in told
    assert not (tmp_path / "report.html").exists()
    assert command("verify", MUTUAL, result)[0] == 1


def test_paths_that_no_file_can_have() -> None:
    with pytest.raises(BadRules, match="null"):
        Rules.load("a\0b")
    scenario = ROOT / "fixtures" / "scenarios" / "half-seats.toml"
    table = scenario.read_text("utf-8")
    for rules in ("a\\u0000b", TOO_LONG):
        bad = table.replace('rules = "taiwan-110"', f'rules = "{rules}"', 1)
        assert bad != table
        with pytest.raises(BadScenario):
            Scenario.from_toml(bad)


def test_a_terminal_is_not_made_to_obey() -> None:
    scenario = ROOT / "fixtures" / "scenarios" / "half-seats.toml"
    bad = scenario.read_text("utf-8").replace("taiwan-110", "\\u001b[2J", 1)
    with pytest.raises(BadScenario) as caught:
        Scenario.from_toml(bad)
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[2J" in str(caught.value)


def test_what_is_wrong_is_not_repeated_at_length(tmp_path: Path) -> None:
    folder = tmp_path / "round"
    Round.read(MUTUAL).write(folder)
    edit(folder / "teachers.csv", "T1", "T1" + "\x1b[2J" + "x" * 100_000)
    edit(folder / "teachers.csv", ",g,", ",\x1b[2J" + "y" * 100_000 + ",")
    with pytest.raises(BadRound) as caught:
        Round.read(folder)
    assert len(str(caught.value)) < 5_000
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[2Jyyy" in str(caught.value)


# ---- The command


def jiepin(
    *words: object, stdout: Any = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [PROGRAM, *map(str, words)],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    """A link that leads back to itself."""
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path / "loop"


BAD_WORDS: list[Callable[[Path, Path], tuple[object, ...]]] = [
    lambda _result, loop: ("solve", loop),
    lambda _result, loop: ("solve", MUTUAL, "--out", loop),
    lambda _result, loop: ("solve", MUTUAL, "--rules", loop),
    lambda result, loop: ("report", MUTUAL, result, "--out", loop),
    lambda result, loop: ("compare", result, result, "--out", loop / "x.csv"),
    lambda _result, loop: ("verify", MUTUAL, loop),
    lambda _result, loop: ("simulate", loop, "--out", loop),
    lambda _result, loop: ("generate", loop, "--teachers", 10),
    lambda _result, _loop: ("solve", TOO_LONG),
    lambda _result, _loop: ("solve", MUTUAL, "--out", TOO_LONG),
    lambda _result, _loop: ("solve", MUTUAL, "--rules", TOO_LONG),
    lambda result, _loop: ("report", MUTUAL, result, "--out", TOO_LONG),
    lambda result, _loop: ("explain", TOO_LONG, result, "T1"),
    lambda _result, _loop: ("verify", MUTUAL, TOO_LONG),
    lambda _result, _loop: ("solve", MUTUAL, "--out", "/dev/null/x"),
    lambda _result, _loop: ("solve", MUTUAL, "--out", "/proc/x"),
    lambda result, _loop: ("report", MUTUAL, result, "--out", "/proc/x"),
    lambda _result, _loop: ("solve", MUTUAL, "--out", MUTUAL),
    lambda _result, _loop: ("solve", MUTUAL, "--seed", "9" * 5_000),
    lambda _result, _loop: ("solve", MUTUAL, "--seed", "1.5"),
    lambda _result, _loop: ("solve", MUTUAL, "--threads", 10**30),
    lambda _result, _loop: ("solve", MUTUAL, "--threads", -1),
    lambda _result, _loop: ("solve", MUTUAL, "--mechanism", "x"),
    lambda _result, _loop: (*OPTIMUM, "--max-size", 10**30),
    lambda _result, _loop: (*OPTIMUM, "--max-size", 3, "--effort", 10**30),
    lambda _result, _loop: ("generate", "x", "--teachers", 10**30),
    lambda _result, _loop: ("frobnicate",),
    lambda _result, _loop: ("solve", "--", "--rules"),
]
OPTIMUM = ("solve", MUTUAL, "--mechanism", "optimum")


@pytest.mark.parametrize("words", BAD_WORDS)
def test_bad_words_are_refused_and_nothing_is_written(
    words: Callable[[Path, Path], tuple[object, ...]],
    result: Path,
    loop: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(result.parent)
    before = sorted(result.parent.rglob("*"))
    code, told = command(*words(result, loop))
    assert code == 2, told
    assert told
    assert sorted(result.parent.rglob("*")) == before


def test_a_verdict_that_nobody_could_read_is_none(result: Path) -> None:
    """1 would say that the result is unlawful, 0 that somebody was told it is not."""
    reading, writing = os.pipe()
    os.close(reading)
    done = jiepin("verify", MUTUAL, result, stdout=writing)
    os.close(writing)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_the_output(result: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = jiepin("verify", MUTUAL, result, stdout=full)
    assert done.returncode == 3
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_locale_without_chinese(result: Path) -> None:
    solved = jiepin("solve", MUTUAL, PYTHONIOENCODING="ascii")
    assert solved.returncode == 0, solved.stderr
    assert b"\\u4e92\\u8abf mutual" in solved.stdout  # 互調
    words = ("explain", MUTUAL, result, "T1")
    explained = jiepin(*words, PYTHONIOENCODING="latin-1")
    assert explained.returncode == 0, explained.stderr
    assert b"\\u6559\\u5e2b T1" in explained.stdout  # 教師


def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "round"
    process = subprocess.Popen(
        [PROGRAM, "generate", folder, "--teachers", "3000000", "-q"],
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in told
    assert list(tmp_path.iterdir()) == []
