"""The command: exit codes, what is printed where, whole folders or none."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from jiepin.core import Outcome, Round, cli
from jiepin.core.simulation.population import generate

ROOT = Path(__file__).resolve().parents[1]
MUTUAL = ROOT / "fixtures" / "rounds" / "mutual"
TABLES = ("assignments.csv", "exchanges.csv")
COUNTIES = list(enumerate(["[01]新北市", "[07]彰化縣", "臺中市", "[13]屏東縣"]))


def jiepin(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user would."""
    command = Path(sys.executable).with_name("jiepin")
    return subprocess.run(
        [command, *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[int, str, str]:
    """Run the command in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["jiepin", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    code = caught.value.code
    assert isinstance(code, int)
    return code, out, err


@pytest.fixture(scope="module")
def national(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated round of 800 teachers."""
    folder = tmp_path_factory.mktemp("national") / "round"
    generate(folder, teachers=800, seed=7)
    return folder


def test_progress_as_lines_for_a_program(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--progress", "lines", "-q")
    solved = run(
        monkeypatch, capsys, "solve", MUTUAL, "--out", tmp_path / "out", *words
    )
    assert solved[:2] == (0, "")
    assert "progress 1 1 one-way" in solved[2].splitlines()
    verified = run(monkeypatch, capsys, "verify", MUTUAL, tmp_path / "out", *words)
    assert verified[0] == 0
    lines = verified[2].splitlines()
    assert lines
    assert all(line.startswith("progress ") for line in lines)


def test_the_installed_command(tmp_path: Path) -> None:
    done = jiepin("solve", MUTUAL, "--out", tmp_path / "result")
    assert done.returncode == 0, done.stderr
    assert "互調 mutual" in done.stdout
    assert sorted(os.listdir(tmp_path / "result")) == [*TABLES, "summary.json"]
    assert Outcome.read(tmp_path / "result").moves.height == 2


def test_quiet_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("solve", MUTUAL, "--out", tmp_path / "result", "-q")
    run(monkeypatch, capsys, *words)
    assert run(monkeypatch, capsys, *words) == (0, "", "")


def test_without_out_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, "solve", MUTUAL)
    assert code == 0
    assert "nothing was written" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "Usage"),
        (("nonsense",), "nonsense"),
        (("solve",), "ROUND"),
        (("solve", "nowhere"), "nowhere"),
        (("solve", MUTUAL, "--rules", "nowhere.toml"), "nowhere.toml"),
        (("solve", MUTUAL, "--seed", "x"), "--seed"),
        (("solve", MUTUAL, "--threads", "0"), "--threads"),
        (("solve", MUTUAL, "--rules", MUTUAL / "schools.csv"), "schools.csv"),
        (("verify", MUTUAL, "nowhere"), "nowhere"),
        (("explain", MUTUAL, "nowhere", "T1"), "nowhere"),
        (("generate", "new", "--teachers", "3"), "10"),
        (("generate", "new", "newer", "--teachers", "10"), "newer"),
        (("generate", "new", "--teachers", "10", "--levels", "x"), "x"),
        (("generate", "new", "--teachers", "10", "--schools", "nofile"), "nofile"),
    ],
)
def test_wrong_input_exits_2_and_writes_nothing(
    words: tuple[object, ...],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ("--out", "result") if words[:1] == ("solve",) else ()
    code, printed, err = run(monkeypatch, capsys, *words, *out)
    assert code == 2
    assert printed == ""
    assert text in err
    assert not list(tmp_path.iterdir())


def test_a_bad_round_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MUTUAL, tmp_path / "round")
    teachers = tmp_path / "round" / "teachers.csv"
    text = teachers.read_text("utf-8")
    teachers.write_text(text.replace("80.5", "80.555"), "utf-8")
    words = ("solve", tmp_path / "round", "--out", tmp_path / "result")
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 2
    for part in ("teachers.csv", "line 2", "points", "80.555"):
        assert part in err
    assert not (tmp_path / "result").exists()


def test_unknown_columns_give_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MUTUAL, tmp_path / "round")
    subjects = tmp_path / "round" / "subjects.csv"
    frame = pl.read_csv(subjects, infer_schema=False)
    frame.with_columns(color=pl.lit("red")).write_csv(subjects)
    code, _, err = run(monkeypatch, capsys, "solve", tmp_path / "round", "-q")
    assert code == 0
    assert err.count("color") == 1


def test_a_folder_of_something_else_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    code, _, err = run(monkeypatch, capsys, "solve", MUTUAL, "--out", tmp_path)
    assert code == 2
    assert "thesis.txt" in err
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_an_unforeseen_error_exits_3_without_the_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("T1 secret")

    monkeypatch.setattr(cli, "solve", break_down)
    code, _, err = run(monkeypatch, capsys, "solve", MUTUAL)
    assert code == 3
    assert "ZeroDivisionError" in err
    assert "secret" not in err
    monkeypatch.setenv(cli.DEBUG, "1")
    assert "secret" in run(monkeypatch, capsys, "solve", MUTUAL)[2]


def test_an_interrupted_run_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "solve", interrupt)
    words = ("solve", MUTUAL, "--out", tmp_path / "result")
    assert run(monkeypatch, capsys, *words)[0] == 130
    assert not list(tmp_path.iterdir())


def test_first_use_is_announced_once(tmp_path: Path) -> None:
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        cache["NUMBA_DISABLE_JIT"] = "0"
    first = jiepin("solve", MUTUAL, "-q", **cache)
    second = jiepin("solve", MUTUAL, "-q", **cache)
    assert "First use: the engine was compiled in" in first.stderr
    assert second.stderr == ""


def test_same_bytes_for_any_threads_hash_seed_and_row_order(
    national: Path, tmp_path: Path
) -> None:
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    for file in national.iterdir():
        header, *rows = file.read_text("utf-8").splitlines(keepends=True)
        random.Random(1).shuffle(rows)
        (shuffled / file.name).write_text(header + "".join(rows), "utf-8")
    results = []
    for folder, threads, hash_seed in (
        (national, 1, "0"),
        (national, 3, "1"),
        (shuffled, 2, "2"),
    ):
        out = tmp_path / f"out{len(results)}"
        words = ("solve", folder, "--out", out, "--threads", threads, "-q")
        done = jiepin(*words, PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        results.append([(out / name).read_bytes() for name in TABLES])
    assert results[0] == results[1] == results[2]
    assert len(results[0][1].splitlines()) > 10


def test_verify_passes_then_names_a_violation(
    national: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "result"
    assert run(monkeypatch, capsys, "solve", national, "--out", out, "-q")[0] == 0
    code, printed, _ = run(monkeypatch, capsys, "verify", national, out)
    assert code == 0, printed
    table = out / TABLES[0]
    lines = table.read_text("utf-8").splitlines(keepends=True)
    table.write_text("".join(lines[:-1]), "utf-8")
    code, printed, _ = run(monkeypatch, capsys, "verify", national, out)
    assert code == 1
    assert lines[-1].split(",")[0] in printed


def test_explain_in_both_languages(
    national: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "result"
    run(monkeypatch, capsys, "solve", national, "--out", out, "-q")
    outcome = Outcome.read(out)
    stayed = outcome.assignments.filter(pl.col("stage").is_null())["teacher_id"][0]
    code, chinese, _ = run(monkeypatch, capsys, "explain", national, out, stayed)
    assert code == 0
    assert "志願" in chinese
    words = ("explain", national, out, stayed, "--lang", "en")
    code, english, _ = run(monkeypatch, capsys, *words)
    assert code == 0
    assert "Choice 1" in english
    code, _, err = run(monkeypatch, capsys, "explain", national, out, "nobody")
    assert code == 2
    assert "nobody" in err


def test_generate_on_several_school_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for name, kind in (("e", "國小"), ("k", "國小附設幼兒園")):
        rows = [f"{n:02d}{name}60{n},市立第{n}{kind},公立,{c}" for n, c in COUNTIES]
        file = tmp_path / f"{name}.csv"
        header = "代碼,學校名稱,公/私立,縣市名稱"
        file.write_text("\ufeff" + "\n".join([header, *rows]) + "\n", "utf-8")
        files.append(file)
    words = ("generate", tmp_path / "round", "--teachers", 20, "--schools", *files)
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 0, err
    round_ = Round.read(tmp_path / "round")
    assert set(round_.schools["level"]) == {"elementary", "kindergarten"}


def test_generate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("generate", tmp_path / "round", "--teachers", 50, "--levels", "elementary")
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 0, err
    round_ = Round.read(tmp_path / "round")
    assert round_.teachers.height == 50
    assert set(round_.schools["level"]) == {"elementary"}


def test_a_stage_for_a_group_nobody_is_in_is_told(
    tmp_path: Path,
    national: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'name = "slip"\n'
        '[[stage]]\nname = "原民調"\nkind = "one-way"\napplicants = "indigenos"\n'
        '[[stage]]\nname = "偏遠調"\nkind = "one-way"\nschools = "far"\n'
        '[[stage]]\nname = "單調"\nkind = "one-way"\napplicants = "indigenous"\n',
        "utf-8",
    )
    code, _, err = run(monkeypatch, capsys, "solve", national, "--rules", rules)
    assert code == 0
    assert "階段「原民調」的 applicants = 'indigenos'：這次作業沒有這個群組" in err
    assert "stage '原民調', applicants = 'indigenos': nobody moves in it" in err
    assert "the round has no such group; it has: indigenous" in err
    assert "schools = 'far'" in err
    assert "「單調」" not in err
