"""The loop of a run: batches go out to a crew, rows come back into the folder."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Final, Protocol

from jiepin.core import errors
from jiepin.core.simulation.batches import Batch, Done, Event, Failed, Lost, Pace, Queue
from jiepin.core.simulation.results import Kept

Report = Callable[[int, int], None]  # replications done, and in all

_TRIES: Final = 3  # how often a batch is given beside others
_PATIENCE: Final = 0.5  # seconds between two looks at how many workers there are


class Crew(Protocol):
    """Workers, wherever they are, who take batches and tell what became of them."""

    @property
    def workers(self) -> int: ...
    @property
    def free(self) -> int: ...
    def give(self, batch: Batch) -> None: ...
    def wait(self, seconds: float) -> Event | None: ...


class Run:
    """What is left of a run, and how to get it done by a crew."""

    def __init__(
        self, kept: Kept, replications: int, report: Report | None = None
    ) -> None:
        self._replications = replications
        self._queue = Queue(kept.missing(replications))
        self._done = replications - self._queue.left
        self._kept = kept
        self._report = report
        self._tries: Counter[int] = Counter()  # by replication, of workers that died
        self._given = 0  # batches that are with the crew
        # a batch may be blamed for what another did on the same worker: who was lost
        # too often is tried once more, with nothing beside it
        self._suspects: deque[int] = deque()
        self._alone: int | None = None

    def work(self, crew: Crew) -> None:
        """Give batches to the crew until every replication is kept."""
        pace = Pace()
        self._tell()
        while self._queue.left or self._given or self._suspects:
            self._hand_out(crew, pace)
            event = crew.wait(_PATIENCE)
            if isinstance(event, Done):
                pace.learn(event)
            if event is not None:
                self._take(event)

    def _hand_out(self, crew: Crew, pace: Pace) -> None:
        """Give the crew what it has room for; while there are suspects, one of them."""
        if self._suspects and not self._given and crew.free:
            self._alone = self._suspects.popleft()
            self._give(crew, Batch(self._alone, self._alone))
        while not self._suspects and self._alone is None:
            if not (self._queue.left and crew.free):
                return
            size = pace.size(self._queue.left, crew.workers)
            self._give(crew, self._queue.take(size))

    def _give(self, crew: Crew, batch: Batch) -> None:
        crew.give(batch)
        self._given += 1

    def _take(self, event: Event) -> None:
        if isinstance(event, Failed):
            raise errors.ReplicationFailed(*event)
        self._given -= 1
        if isinstance(event, Lost):
            self._try_again(event)
            return
        self._alone = None
        self._kept.add(event.batch, event.content)
        self._done += event.batch.size
        self._tell()

    def _try_again(self, lost: Lost) -> None:
        """Put a lost batch back; stop when nothing else can have killed its worker."""
        first, last = lost.batch
        if self._alone is not None:
            raise errors.WorkersLost(
                f"replication {first}: the worker {lost.why}; the replications done so "
                "far are kept"
            )
        self._tries.update(range(first, last + 1))
        if lost.hopeless or self._tries[first] >= _TRIES:
            self._suspects.extend(range(first, last + 1))
        else:
            self._queue.put_back(lost.batch)

    def _tell(self) -> None:
        if self._report is not None:
            self._report(self._done, self._replications)
