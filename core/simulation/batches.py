"""Replications in batches: what is handed to a worker, and what comes back."""

from __future__ import annotations

import io
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import polars as pl

from jiepin.core.errors import JiepinError

_BATCHES_A_SECOND: Final = 20  # that one process takes in without becoming the brake

Job = Callable[[int], pl.DataFrame]  # from the number of a replication to its rows


class Batch(NamedTuple):
    """Replications first, first + 1, …, last.

    >>> Batch(3, 5).size
    3
    """

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class Done(NamedTuple):
    """A batch that was computed: its rows as a Parquet file."""

    batch: Batch
    content: bytes
    seconds: float


class Failed(NamedTuple):
    """A replication that raised an exception; the number is None before the first.

    `foreseen`: a JiepinError, whose text says all there is to say.
    """

    number: int | None
    text: str
    foreseen: bool
    trace: str


class Lost(NamedTuple):
    """A batch whose worker is gone."""

    batch: Batch
    why: str
    hopeless: bool = False  # it was tried often enough already


Event = Done | Failed | Lost


def perform(job: Job, batch: Batch) -> Done | Failed:
    """Compute the replications of a batch, one after the other."""
    start = time.perf_counter()
    frames = []
    for number in range(batch.first, batch.last + 1):
        try:
            frames.append(job(number))
        except Exception as error:
            return failure(number, error)
    content = io.BytesIO()
    pl.concat(frames).write_parquet(content)
    return Done(batch, content.getvalue(), time.perf_counter() - start)


def failure(number: int | None, error: Exception) -> Failed:
    """Return an exception as words, which every process understands."""
    foreseen = isinstance(error, JiepinError)
    text = str(error) if foreseen else f"{type(error).__name__}: {error}"
    return Failed(number, text, foreseen, "".join(traceback.format_exception(error)))


def gaps(covered: Iterable[Batch], replications: int) -> Iterator[Batch]:
    """Yield what is missing of 0 … replications - 1, in order.

    >>> list(gaps([Batch(5, 6), Batch(0, 2)], 9))
    [Batch(first=3, last=4), Batch(first=7, last=8)]
    """
    start = 0
    for there in sorted(covered):
        if there.first > start:
            yield Batch(start, there.first - 1)
        start = max(start, there.last + 1)
    if start < replications:
        yield Batch(start, replications - 1)


class Queue:
    """What is still to be handed out, cut into batches as it is asked for.

    >>> queue = Queue([Batch(0, 4)])
    >>> queue.take(3), queue.take(3), queue.left
    (Batch(first=0, last=2), Batch(first=3, last=4), 0)
    """

    def __init__(self, missing: Iterable[Batch]) -> None:
        self._waiting = deque(missing)
        self.left = sum(batch.size for batch in self._waiting)

    def take(self, size: int) -> Batch:
        """Return the next batch, of at most so many replications."""
        first, last = self._waiting.popleft()
        batch = Batch(first, min(last, first + size - 1))
        if batch.last < last:
            self._waiting.appendleft(Batch(batch.last + 1, last))
        self.left -= batch.size
        return batch

    def put_back(self, batch: Batch) -> None:
        """Hand out a batch again, one by one: so the one at fault is found."""
        numbers = range(batch.last, batch.first - 1, -1)
        self._waiting.extendleft(Batch(number, number) for number in numbers)
        self.left += batch.size


class Pace:
    """How many replications a batch should hold, learned from those that came back.

    >>> pace = Pace()
    >>> pace.size(left=1000, workers=2)
    1
    >>> pace.learn(Done(Batch(0, 0), b"", seconds=0.125))
    >>> pace.size(left=1000, workers=2), pace.size(left=12, workers=2)
    (8, 3)
    """

    def __init__(self) -> None:
        self._each: float | None = None  # seconds of a replication

    def learn(self, done: Done) -> None:
        self._each = done.seconds / done.batch.size

    def size(self, left: int, workers: int) -> int:
        """Return a size; near the end a smaller one, so that all end together."""
        if self._each is None:
            return 1
        seconds = max(1.0, workers / _BATCHES_A_SECOND)
        wanted = int(seconds / max(self._each, 1e-6))
        fair = -(-left // (2 * max(workers, 1)))
        return max(1, min(wanted, fair))
