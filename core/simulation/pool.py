"""Workers on this machine: processes of one thread each, which may die."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import IO, Final, Literal, cast

from jiepin.core import errors
from jiepin.core.simulation.batches import Batch, Event, Job, Lost

_THREADS: Final = ("MKL", "NUMBA", "OMP", "OPENBLAS")
_KEPT_BYTES: Final = str(32 << 20)
# One thread each. And memory that is freed is kept, for every replication asks for the
# same again: taking pages back and forth cost a tenth of the time, and more under Dask,
# which lowers the first of the two limits.
SETTINGS: Final = {f"{name}_NUM_THREADS": "1" for name in _THREADS} | {
    "POLARS_MAX_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES,
    "MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES,
}

# without -P a module of the current folder could take the place of one of ours
_COMMAND = (sys.executable, "-P", "-m", "jiepin.core.simulation.pool_worker")
_News = Event | Literal["ready", "ended"]

_STARTS = 3  # times in a row that a worker may end before it has begun


def cores() -> int:
    """Return how many cores this process may use.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def pool(job: Job, workers: int) -> Iterator[Pool]:
    """Give a pool of so many processes that do a job; they end with the body."""
    crew = Pool(pickle.dumps(job), workers)
    try:
        yield crew
    finally:
        crew.close()


class Pool:
    """Processes that take batches. One that dies is replaced, and its batch told."""

    def __init__(self, job: bytes, workers: int) -> None:
        self.workers = workers
        self._job = job
        self._events: queue.SimpleQueue[tuple[_Worker, _News]]
        self._events = queue.SimpleQueue()
        self._idle: list[_Worker] = []
        self._deaths = 0  # of workers that had not begun
        self._crew = {self._start() for _ in range(workers)}

    @property
    def free(self) -> int:
        """How many batches may be given now."""
        return len(self._idle)

    def give(self, batch: Batch) -> None:
        self._idle.pop().give(batch)

    def wait(self, seconds: float) -> Event | None:
        """Return what happens next; None when a worker got ready, or nothing did."""
        try:
            worker, news = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        if news == "ended":
            return self._replace(worker)
        worker.batch = None
        self._deaths = 0
        self._idle.append(worker)
        return None if news == "ready" else news

    def close(self) -> None:
        """End every worker now; none has anything to save."""
        for worker in self._crew:
            worker.end()

    def _start(self) -> _Worker:
        return _Worker(self._job, self._events)

    def _replace(self, worker: _Worker) -> Lost | None:
        """Start another worker in the place of one that is gone."""
        self._crew.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        why = _ending(worker.end())
        if not worker.ready:
            self._deaths += 1
            if self._deaths >= _STARTS:
                raise errors.WorkersLost(f"a worker process {why} at its start")
        self._crew.add(self._start())
        return None if worker.batch is None else Lost(worker.batch, why)


class _Worker:
    """One process, and a thread that listens to it."""

    def __init__(
        self, job: bytes, events: queue.SimpleQueue[tuple[_Worker, _News]]
    ) -> None:
        self.batch: Batch | None = None
        self.ready = False
        self._events = events
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **SETTINGS},
            start_new_session=True,  # Ctrl-C is for us alone: we end the workers
        )
        self._listener = Thread(target=self._listen, args=(job,), daemon=True)
        self._listener.start()

    def give(self, batch: Batch) -> None:
        self.batch = batch
        with suppress(OSError):  # it is gone; the listener tells
            pickle.dump(batch, self._tasks)
            self._tasks.flush()

    def end(self) -> int:
        """Kill the process if it is alive; return its exit code."""
        self._process.kill()
        code = self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was still to be sent has no reader
                cast("IO[bytes]", pipe).close()
        return code

    @property
    def _tasks(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdin)

    def _listen(self, job: bytes) -> None:
        """Send the job, then pass on what comes back until the process ends."""
        try:
            pickle.dump(job, self._tasks)
            self._tasks.flush()
            while True:
                news: _News = pickle.load(cast("IO[bytes]", self._process.stdout))
                self.ready = True
                self._events.put((self, news))
        except (OSError, EOFError, pickle.UnpicklingError):
            self._events.put((self, "ended"))


def _ending(code: int) -> str:
    """Say how a process ended.

    >>> _ending(-9)
    'was killed (SIGKILL; often the memory was short: take fewer workers)'
    >>> _ending(3)
    'ended with exit code 3'
    """
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = "; often the memory was short: take fewer workers"
    return f"was killed ({name}{hint if name == 'SIGKILL' else ''})"
