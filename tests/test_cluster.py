"""Runs of a simulation on a Dask cluster of real processes, which are killed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import TESTS, WORKER_SETTINGS, LocalCluster, local_cluster
from invented_jobs import (
    Question,
    TellsWhenLoaded,
    dies_at_0,
    fails_at_3,
    prints_in_one_thread,
    slow,
    whole_table,
)

from jiepin.core import errors
from jiepin.core.simulation import cluster as clusters
from jiepin.core.simulation.batches import Job
from jiepin.core.simulation.cluster import cluster
from jiepin.core.simulation.results import Kept, opened
from jiepin.core.simulation.work import Report, Run


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A scheduler; each test says how many workers it needs."""
    with local_cluster(tmp_path_factory.mktemp("dask")) as found:
        yield found


def run(
    job: Job,
    folder: Path,
    replications: int,
    address: str,
    report: Report | None = None,
) -> bytes:
    """Run a job to its end; return the bytes of its table."""
    with cluster(job, address) as crew, opened(folder, Question(replications)) as kept:
        Run(kept, replications, report).work(crew)
        kept.finish()
    return kept.results.read_bytes()


def test_the_same_bytes_when_a_worker_is_killed_in_the_middle(
    dask: LocalCluster, tmp_path: Path
) -> None:
    dask.have(2)
    victim = dask.workers[0]

    def kill_at_5(done: int, _of: int) -> None:
        if done > 5 and victim.poll() is None:
            victim.kill()
            victim.wait()
            dask.worker()

    done = run(slow, tmp_path / "out", 30, dask.address, kill_at_5)
    assert victim.returncode == -9
    assert done == whole_table(30)


def test_the_job_is_sent_once_to_each_worker(
    dask: LocalCluster, tmp_path: Path
) -> None:
    dask.have(2)
    job = TellsWhenLoaded(tmp_path / "loaded")
    done = run(job, tmp_path / "out", 40, dask.address)
    assert done == whole_table(40)
    loaded = (tmp_path / "loaded").read_text().split()
    assert len(loaded) == len(set(loaded)) <= 2


def test_an_exception_is_told_with_its_number(
    dask: LocalCluster, tmp_path: Path
) -> None:
    dask.have(2)
    with pytest.raises(errors.ReplicationFailed, match=r"3: .*no seats") as caught:
        run(fails_at_3, tmp_path / "out", 8, dask.address)
    assert caught.value.number == 3


def test_workers_of_another_version_are_refused_before_anything_starts(
    dask: LocalCluster, tmp_path: Path
) -> None:
    stranger = tmp_path / "jiepin-9.9.dist-info"
    stranger.mkdir()
    (stranger / "METADATA").write_text("Name: jiepin\nVersion: 9.9\n")
    dask.have(2)
    worker = dask.worker(str(tmp_path))
    dask.have(3)
    with pytest.raises(errors.BadScheduler, match=r"has jiepin 9\.9, this program has"):
        run(slow, tmp_path / "out", 8, dask.address)
    assert not (tmp_path / "out").exists()
    worker.kill()
    worker.wait()


def test_workers_of_another_checkout_are_refused_too(
    dask: LocalCluster, tmp_path: Path
) -> None:
    copy = tmp_path / "jiepin" / "core"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(errors.__file__).parent, copy, ignore=leave)
    with (copy / "market.py").open("a") as changed:
        changed.write("# as in a later revision\n")
    dask.have(2)
    worker = dask.worker(str(tmp_path))
    dask.have(3)
    with pytest.raises(errors.BadScheduler, match=r"has other source files of jiepin"):
        run(slow, tmp_path / "out", 8, dask.address)
    assert not (tmp_path / "out").exists()
    worker.kill()
    worker.wait()


def test_workers_as_the_documents_start_them_use_one_thread(
    dask: LocalCluster, tmp_path: Path
) -> None:
    words = (TESTS.parent / "docs" / "cluster.md").read_text("utf-8")
    settings = " ".join(f"{key}={value}" for key, value in WORKER_SETTINGS.items())
    assert f"\nexport {settings}\ndask worker " in words
    dask.have(2)
    done = run(prints_in_one_thread, tmp_path / "out", 4, dask.address)
    assert done == whole_table(4)


def test_a_replication_that_kills_its_worker_is_named(
    dask: LocalCluster, tmp_path: Path
) -> None:
    dask.have(6)  # two die of it each time, and Dask may blame a neighbour at first
    with pytest.raises(errors.WorkersLost, match="replication 0: the worker was"):
        run(dies_at_0, tmp_path / "out", 8, dask.address)
    assert Kept(tmp_path / "out").missing(8)[0].first == 0


def test_what_was_done_stays_when_the_scheduler_dies(
    dask: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask.have(1)
    monkeypatch.setattr(clusters, "_ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(clusters, "_LOOK_SECONDS", 0.1)

    def kill_at_10(done: int, _of: int) -> None:
        if done > 10:
            dask.scheduler.kill()

    with pytest.raises(errors.BadScheduler, match=r"the scheduler .* is gone"):
        run(slow, tmp_path / "out", 2000, dask.address, kill_at_10)
    assert Kept(tmp_path / "out").n_missing(2000) < 1990


def test_a_scheduler_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "_ANSWER_SECONDS", 0.3)
    with pytest.raises(errors.BadScheduler, match=r"no answer from .*connect to"):
        run(slow, tmp_path / "out", 8, "tcp://127.0.0.1:9")
    for address in ("127.0.0.1", "nonsense://127.0.0.1:9", "tcp://", ""):
        with pytest.raises(errors.BadScheduler, match="this is no address"):
            run(slow, tmp_path / "out", 8, address)
    assert os.listdir(tmp_path) == []


def test_without_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(errors.NotInstalled, match=r"jiepin\[simulate\]"):
        run(slow, tmp_path / "out", 8, "tcp://127.0.0.1:9")
