"""Runs of a simulation on this machine: the same bytes however they were made."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import polars as pl
import psutil
import pytest
from invented_jobs import (
    DiesOnce,
    Question,
    fails_at_3,
    lacks_a_package,
    prints_in_one_thread,
    rows,
    whole_table,
)

from jiepin.core import cli, errors
from jiepin.core.simulation import results, runner
from jiepin.core.simulation.batches import Batch, Event, Job, Lost, perform
from jiepin.core.simulation.pool import pool
from jiepin.core.simulation.replicate import Prepared, prepare, replicate
from jiepin.core.simulation.results import Kept, opened
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.work import Crew, Run

TESTS = Path(__file__).resolve().parent
SMALL = """
name = "small"
replications = 60
seed = 7
measures = ["moves"]
population = {kind = "uniform", teachers = 40, counties = 3, wishes = 4}
[[case]]
name = "today"
rules = "taiwan-110"
[[case]]
name = "half"
rules = "taiwan-110"
seats = 0.5
"""


@pytest.fixture(autouse=True)
def jobs_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the workers import the jobs that the tests give them."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


class AtOnce:
    """A crew of one who computes what it is given when it is asked what came of it."""

    def __init__(self, job: Job, deadly: int | None = None, lives: int = 0) -> None:
        self.workers = 1
        self.given: list[Batch] = []
        self._job = job
        self._deadly = deadly  # a replication that this worker does not survive
        self._lives = lives  # how often not

    @property
    def free(self) -> int:
        return 1 - len(self.given)

    def give(self, batch: Batch) -> None:
        self.given.append(batch)

    def wait(self, _seconds: float) -> Event | None:
        batch = self.given.pop()
        if self._deadly in range(batch.first, batch.last + 1) and self._lives:
            self._lives -= 1
            return Lost(batch, "was killed")
        return perform(self._job, batch)


def run(folder: Path, replications: int, crew: Crew) -> bytes:
    """Run to the end; return the bytes of the table."""
    with opened(folder, Question(replications)) as kept:
        Run(kept, replications).work(crew)
        kept.finish()
    return kept.results.read_bytes()


def run_in_processes(job: Job, folder: Path, replications: int, workers: int) -> bytes:
    with pool(job, workers) as crew:
        return run(folder, replications, crew)


def keep(kept: Kept, first: int, last: int) -> None:
    done = perform(rows, Batch(first, last))
    kept.add(*done[:2])


def cut(folder: Path, replications: int, size: Callable[[int], int]) -> Kept:
    """Keep replications in parts, each of the size for where it begins."""
    with opened(folder, Question(replications)) as kept:
        first = 0
        while first < replications:
            last = min(first + size(first), replications) - 1
            keep(kept, first, last)
            first = last + 1
    return kept


def test_the_table_is_the_rows_in_order(tmp_path: Path) -> None:
    run(tmp_path / "out", 40, AtOnce(rows))
    expected = pl.concat([rows(number) for number in range(40)])
    assert pl.read_parquet(tmp_path / "out" / "results.parquet").equals(expected)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["results.parquet", "scenario.toml"]


def test_any_number_of_workers_and_any_parts_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "ROW_GROUP", 100)  # several groups
    whole = whole_table(60)
    for name, size in {"single": lambda _: 1, "uneven": lambda n: 1 + n % 7}.items():
        kept = cut(tmp_path / name, 60, size)
        kept.finish()
        assert kept.results.read_bytes() == whole, name
    assert run(tmp_path / "one", 60, AtOnce(rows)) == whole
    job = prints_in_one_thread
    assert run_in_processes(job, tmp_path / "two", 60, workers=2) == whole


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with opened(tmp_path / "out", Question(30)) as kept:
        keep(kept, 4, 9)
        keep(kept, 20, 20)
    assert kept.missing(30) == [Batch(0, 3), Batch(10, 19), Batch(21, 29)]
    told: list[int] = []
    with opened(tmp_path / "out", Question(30)) as kept:
        Run(kept, 30, lambda done, _: told.append(done)).work(AtOnce(rows))
        kept.finish()
    assert kept.results.read_bytes() == whole_table(30)
    assert (told[0], told[-1]) == (7, 30)


def test_a_finished_run_takes_more_replications(tmp_path: Path) -> None:
    run(tmp_path / "out", 10, AtOnce(rows))
    assert run(tmp_path / "out", 25, AtOnce(rows)) == whole_table(25)


def test_half_written_parts_count_for_nothing(tmp_path: Path) -> None:
    kept = cut(tmp_path / "out", 6, lambda _: 2)
    parts = tmp_path / "out" / "parts"
    (parts / "part-000000000-000000001.parquet.fresh").write_bytes(b"PAR1")
    broken = parts / "part-000000002-000000003.parquet"
    for content in (b"", b"PAR1", broken.read_bytes()[:-5], bytes(500)):
        broken.write_bytes(content)
        assert kept.missing(6) == [Batch(2, 3)]
    keep(kept, 2, 3)
    kept.finish()
    assert not parts.exists()
    assert kept.missing(6) == []
    assert pl.read_parquet(kept.results).equals(pl.concat(map(rows, range(6))))
    kept.results.write_bytes(kept.results.read_bytes()[:-5])
    assert kept.missing(6) == [Batch(0, 5)]


def test_a_crash_between_table_and_parts_repeats_nothing(tmp_path: Path) -> None:
    kept = cut(tmp_path / "out", 6, lambda _: 2)
    kept.finish()
    whole = kept.results.read_bytes()
    keep(kept, 2, 3)  # as if it had not been removed yet
    assert kept.missing(6) == []
    kept.finish()
    assert kept.results.read_bytes() == whole
    assert not (tmp_path / "out" / "parts").exists()


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.FolderInTheWay, match="is a file"):
        results.check(tmp_path / "file", Question(5))
    with pytest.raises(errors.FolderInTheWay, match="holds something else"):
        results.check(tmp_path, Question(5))
    cut(tmp_path / "out", 5, lambda _: 5)
    results.check(tmp_path / "out", Question(5))
    with pytest.raises(
        errors.FolderInTheWay, match=r"another scenario or version: .* d1d1.* d2d2"
    ):
        results.check(tmp_path / "out", Question(5, digest="d2" * 32))
    with pytest.raises(errors.FolderInTheWay, match="is for 5 replications"):
        results.check(tmp_path / "out", Question(4))
    text = (tmp_path / "out" / "scenario.toml").read_text()
    older = text.replace(" 0.", " 0.0.", 1)
    (tmp_path / "out" / "scenario.toml").write_text(older)
    with pytest.raises(errors.FolderInTheWay, match="another scenario or version"):
        results.check(tmp_path / "out", Question(5))
    (tmp_path / "out" / "scenario.toml").write_text('name = "mine"\n')
    with pytest.raises(errors.FolderInTheWay, match="holds something else"):
        results.check(tmp_path / "out", Question(5))


def test_one_run_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    another = pytest.raises(errors.FolderInTheWay, match="another run")
    with opened(tmp_path / "out", Question(5)), another:
        run(tmp_path / "out", 5, AtOnce(rows))
    run(tmp_path / "out", 5, AtOnce(rows))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.CannotWrite, match="file/out: Not a directory"):
        run(tmp_path / "file" / "out", 5, AtOnce(rows))


# three times beside others, then once alone: it may have been another's fault
@pytest.mark.parametrize("lives", [2, 3])
def test_what_a_dead_worker_had_is_given_again(tmp_path: Path, lives: int) -> None:
    crew = AtOnce(rows, deadly=11, lives=lives)
    assert run(tmp_path / "out", 30, crew) == whole_table(30)


def test_a_replication_that_ends_every_worker_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.WorkersLost, match="replication 11: the worker was"):
        run(tmp_path / "out", 30, AtOnce(rows, deadly=11, lives=4))
    assert Batch(11, 11) in Kept(tmp_path / "out").missing(12)


def pool_workers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "pool_worker" in " ".join(child.cmdline())]


def test_a_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    job = DiesOnce(tmp_path / "mark", at=11)
    with pool(job, workers=2) as crew:
        assert run(tmp_path / "out", 30, crew) == whole_table(30)
        assert len(pool_workers()) == 2
    assert job.mark.exists()
    assert pool_workers() == []


def test_an_exception_is_told_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(errors.ReplicationFailed, match="no seats") as caught:
        run_in_processes(fails_at_3, tmp_path / "out", 8, workers=1)
    assert (caught.value.number, caught.value.foreseen) == (3, False)
    assert "invented_jobs.py" in caught.value.trace
    with pytest.raises(errors.ReplicationFailed, match="no package") as foreseen:
        run(tmp_path / "other", 8, AtOnce(lacks_a_package))
    assert foreseen.value.foreseen


def test_a_job_the_workers_do_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    with pytest.raises(errors.ReplicationFailed, match="before the first") as caught:
        run_in_processes(rows, tmp_path / "out", 5, workers=1)
    assert caught.value.number is None


def test_workers_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "polars.py").write_text("raise SystemExit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(errors.WorkersLost, match="exit code 7 at its start"):
        run_in_processes(rows, tmp_path / "out", 5, workers=1)


def jiepin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[int, str]:
    """Run the command in this process: exit code and standard error."""
    monkeypatch.setattr(sys, "argv", ["jiepin", "simulate", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code, capsys.readouterr().err


def stop(file: Path, folder: Path, number: signal.Signals) -> tuple[int, str]:
    """Start the command, send a signal once it has got on; return how it ended."""
    command = Path(sys.executable).with_name("jiepin")
    words = ("simulate", file, "--out", folder, "--workers", "2", "--progress", "lines")
    process = subprocess.Popen([command, *words], stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        begun = process.stderr.readline()
        assert process.stderr.readline() > begun
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        process.send_signal(number)
        told = process.stderr.read()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    return process.returncode, told


def test_stopped_killed_and_gone_on_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, folder = tmp_path / "small.toml", tmp_path / "out"
    file.write_text(SMALL)
    code, told = stop(file, folder, signal.SIGINT)
    assert (code, "以同一指令接續" in told) == (130, True), told
    assert stop(file, folder, signal.SIGKILL)[0] == -signal.SIGKILL
    assert 0 < Kept(folder).n_missing(60) < 59

    monkeypatch.setitem(sys.modules, "altair", None)
    words = ("--workers", 1, "--progress", "lines")
    code, told = jiepin(monkeypatch, capsys, file, "--out", folder, *words)
    assert code == 0, told
    before, *progress = told.split("progress ")
    assert ("jiepin[simulate]" in before, "不會有報告" in before) == (True, True)
    assert progress[-1].startswith("60 60 simulate")
    scenario = Scenario.load(file)
    job = partial(replicate, prepare(scenario))
    assert (folder / "results.parquet").read_bytes() == whole_table(60, job)
    assert Scenario.load(folder / "scenario.toml") == scenario


def test_the_command_refuses_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    both = ("--workers", 2, "--scheduler", "tcp://127.0.0.1:9")
    code, told = jiepin(monkeypatch, capsys, file, "--out", tmp_path / "out", *both)
    assert (code, "exclude each other" in told) == (2, True)
    code, told = jiepin(monkeypatch, capsys, file, "--out", tmp_path)
    assert (code, "holds something else" in told) == (2, True)
    assert [item.name for item in tmp_path.iterdir()] == ["small.toml"]
    begun = tmp_path / "begun"
    with opened(begun, Scenario.load(file)):
        (begun / "report.html").write_text("mine")
    code, told = jiepin(monkeypatch, capsys, file, "--out", begun)
    assert (code, "report.html" in told) == (2, True)
    names = sorted(item.name for item in begun.iterdir())
    assert names == ["report.html", "scenario.toml"]


def test_how_a_failure_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    words = (file, "--out", tmp_path / "out", "--workers", 1)
    monkeypatch.setattr(runner, "pool", lambda job, _: nullcontext(AtOnce(job)))
    monkeypatch.setattr(runner, "replicate", lambda _, number: fails_at_3(number))
    code, told = jiepin(monkeypatch, capsys, *words)
    assert (code, "replication 3: ZeroDivisionError: no seats" in told) == (3, True)
    monkeypatch.setenv(cli.DEBUG, "1")
    assert "in fails_at_3" in jiepin(monkeypatch, capsys, *words)[1]
    monkeypatch.setattr(runner, "replicate", lambda _, number: lacks_a_package(number))
    code, told = jiepin(monkeypatch, capsys, *words)
    assert (code, "no package 'ortools'" in told) == (2, True)


def test_the_system_ends_a_run_as_ctrl_c_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)

    def ended_at_2(_prepared: Prepared, number: int) -> pl.DataFrame:
        if number == 2:
            signal.raise_signal(signal.SIGTERM)
        return rows(number)

    monkeypatch.setattr(runner, "pool", lambda job, _: nullcontext(AtOnce(job)))
    monkeypatch.setattr(runner, "replicate", ended_at_2)
    before = signal.getsignal(signal.SIGTERM)
    code, told = jiepin(monkeypatch, capsys, file, "--out", tmp_path / "out")
    assert code == 130
    assert "完成 1 / 60 次" in told
    assert "1 of 60 replications are done; the same command goes on" in told
    assert signal.getsignal(signal.SIGTERM) == before
