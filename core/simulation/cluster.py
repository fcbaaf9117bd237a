"""Workers on other machines: a Dask cluster, known by its scheduler's address."""

from __future__ import annotations

import pickle
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeAlias

from jiepin.core import errors
from jiepin.core.simulation.batches import (
    Batch,
    Done,
    Event,
    Failed,
    Job,
    Lost,
    failure,
    perform,
)

Connection: TypeAlias = Any  # a Client of Dask, whose classes carry no types
Future: TypeAlias = Any

# a figure may depend on their versions: the same here and on every worker
DECIDING: Final = ("jiepin", "numpy", "polars", "numba", "ortools", "highspy")

# what of this package decides figures, beside its version: checkouts may differ
SOURCES: Final = ("*.py", "*.toml", "*.csv")

_ADDRESS = re.compile(r"((tcp|tls|ucx|wss?)://)?[^\s/]+:\d+")
_ANSWER_SECONDS: Final = 10.0  # within which a scheduler has to answer
_WORKER_SECONDS: Final = 60.0  # within which some worker has to be there
_LOOK_SECONDS: Final = 2.0  # between two counts of the workers
# what Dask raises while the connection is broken, or for what was lost with a worker
_CUT_OFF: Final = (OSError, RuntimeError, CancelledError)
_AHEAD: Final = 2  # batches given for each thread: one at work, one waiting


@contextmanager
def cluster(job: Job, address: str) -> Iterator[Cluster]:
    """Give the workers of the scheduler at an address, such as tcp://10.0.0.5:8786.

    Raises BadScheduler when it does not answer, has no workers, or workers of other
    versions; NotInstalled without Dask.
    """
    client = _connected(address)
    try:
        _wait_for_workers(client, address)
        _check_versions(client)
        crew = Cluster(client, address, pickle.dumps(job))
        try:
            yield crew
        finally:
            crew.close()
    finally:
        client.close(timeout=2)


class Cluster:
    """The workers of a scheduler: the job is sent to each once, then batches."""

    def __init__(self, client: Connection, address: str, job: bytes) -> None:
        self._client = client
        self._address = address
        self._content = job
        self._digest = sha256(job).hexdigest()
        self._events: queue.SimpleQueue[Future | Lost] = queue.SimpleQueue()
        self._given: dict[Future, Batch] = {}
        self._job = self._send_job()
        self._looked_at = self._seen_at = time.monotonic()
        self.workers: int = sum(client.nthreads().values())

    @property
    def free(self) -> int:
        """How many batches may be given now: few, so that the scheduler stays small."""
        if self._client.status != "running":
            return 0
        return max(0, _AHEAD * self.workers - len(self._given))

    def give(self, batch: Batch) -> None:
        try:
            if self._job.status != "finished":  # all workers that held it are gone
                self._job = self._send_job()
            future = self._client.submit(
                do_batch, self._job, self._digest, *batch, _versions(), pure=False
            )
        except _CUT_OFF:
            self._events.put(Lost(batch, "could not be reached"))
            return
        self._given[future] = batch
        future.add_done_callback(self._events.put)

    def wait(self, seconds: float) -> Event | None:
        """Return what happens next; None when nothing did for so many seconds."""
        self._look()
        try:
            news = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        return news if isinstance(news, Lost) else self._event(news)

    def close(self) -> None:
        """Take back what is not computed yet, and have the workers forget the job."""
        if self._client.status == "running":
            with suppress(*_CUT_OFF):
                self._client.cancel([*self._given, self._job])
                self._client.run(_forget)

    def _send_job(self) -> Future:
        return self._client.scatter(self._content, broadcast=True, hash=False)

    def _event(self, future: Future) -> Event | None:
        from distributed import KilledWorker

        if future.status == "pending":  # computed by a worker that died with it
            future.add_done_callback(self._events.put)
            return None
        batch = self._given.pop(future)
        try:
            error = future.exception(timeout=_ANSWER_SECONDS)
            if error is None:
                result: Done | Failed = future.result(timeout=_ANSWER_SECONDS)
                return result
        except _CUT_OFF:
            return Lost(batch, "was lost with what it had computed")
        if isinstance(error, KilledWorker):
            return Lost(batch, "was killed each time", hopeless=batch.size == 1)
        return failure(batch.first, error)

    def _look(self) -> None:
        """Now and then see whether the scheduler is there, and count the workers."""
        now = time.monotonic()
        if now < self._looked_at + _LOOK_SECONDS:
            return
        self._looked_at = now
        if self._client.status == "closed":
            raise errors.BadScheduler(
                f"the scheduler {self._address} is gone; the replications done so far "
                "are kept"
            )
        with suppress(*_CUT_OFF):
            self.workers = sum(self._client.nthreads().values())
        if self.workers:
            self._seen_at = now
        elif now > self._seen_at + _WORKER_SECONDS:
            raise _no_worker(self._address)


def do_batch(
    job: bytes, digest: str, first: int, last: int, expected: Mapping[str, str]
) -> Done | Failed:
    """Compute a batch, on a worker; the job is unpacked once in each process."""
    if _versions() != expected:  # a worker that came after the others
        error = errors.BadScheduler(f"a worker has other versions: {_versions()}")
        return failure(first, error)
    try:
        unpacked = _unpacked(job, digest)
    except Exception as error:
        return failure(None, error)
    return perform(unpacked, Batch(first, last))


_jobs: dict[str, Job] = {}
_jobs_lock = threading.Lock()


def _unpacked(job: bytes, digest: str) -> Job:
    with _jobs_lock:
        if digest not in _jobs:
            _jobs.clear()
            _jobs[digest] = pickle.loads(job)
        return _jobs[digest]


def _forget() -> None:
    with _jobs_lock:
        _jobs.clear()


def _connected(address: str) -> Connection:
    try:
        from distributed import Client
    except ImportError as error:
        raise errors.NotInstalled.of(error, "simulate") from None
    if not _ADDRESS.fullmatch(address):
        raise _no_answer(address, "this is no address")
    connect: Any = Client
    try:
        return connect(address, timeout=_ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise _no_answer(address, str(error).splitlines()[0]) from None


def _no_answer(address: str, reason: str) -> errors.BadScheduler:
    return errors.BadScheduler(
        f"no answer from {address!r}: {reason}; expected the address that `dask "
        "scheduler` prints, such as tcp://10.0.0.5:8786"
    )


def _wait_for_workers(client: Connection, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except TimeoutError:
        raise _no_worker(address) from None


def _no_worker(address: str) -> errors.BadScheduler:
    return errors.BadScheduler(
        f"the scheduler {address} has had no worker for {_WORKER_SECONDS:.0f} s; start "
        f"some: dask worker {address} --nthreads 1"
    )


def _check_versions(client: Connection) -> None:
    """Raise BadScheduler for a worker whose packages are others than ours."""
    for package in DECIDING:
        here = _versions()[package]
        found: dict[str, Any] = client.run(version, package, on_error="return")
        for worker, there in sorted(found.items()):
            told = there if isinstance(there, str) else ""
            if told != here:
                raise errors.BadScheduler(
                    f"worker {worker} has {package} {told or 'not installed'}, this "
                    f"program has {here or 'none'}; the figures might differ: install "
                    "the same versions on every machine"
                )
    sources: dict[str, Any] = client.run(source_digest, on_error="return")
    for worker, there in sorted(sources.items()):
        if there != source_digest():
            raise errors.BadScheduler(
                f"worker {worker} has other source files of jiepin {version('jiepin')} "
                "than this program; the figures might differ: install the same "
                "revision on every machine"
            )


@cache
def source_digest() -> str:
    """Return the SHA-256 over the files of this package that decide figures."""
    root = Path(errors.__file__).parent
    files = {file for pattern in SOURCES for file in root.rglob(pattern)}
    whole = sha256()
    for name in sorted(file.relative_to(root).as_posix() for file in files):
        content = (root / name).read_bytes()
        whole.update(f"{name} {len(content)}\n".encode() + content)
    return whole.hexdigest()


@cache
def _versions() -> dict[str, str]:
    """Return the version of each deciding package in this process, or ""."""
    found = {"source files": source_digest()}
    for package in DECIDING:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
