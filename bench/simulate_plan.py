"""A cluster on paper: how long a simulation takes on so many workers.

    python bench/simulate_plan.py --seconds 70 --memory 30 --replications 10000

The queue, the pace and the batches given ahead are those of the runner; workers are a
heap of finishing times; the client takes in one batch after the other, each at a cost
measured with bench/simulate_scale.py --rows. Replications differ by a tenth in length.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass, field

import numpy as np

from jiepin.core.simulation.batches import Batch, Done, Pace, Queue

WORKERS = (8, 64, 256, 1024)
AHEAD = 2  # batches given to each worker: as in core/simulation/cluster.py
INTAKE = 0.010  # seconds of the client for a batch: to take it in and give the next
JOB = 9.4  # MB sent to each worker once: the schools of the country
ROWS = 0.008  # MB that come back from a replication of three cases, as Parquet


@dataclass
class Plan:
    """A run that is played through, event by event."""

    replications: int
    seconds: float  # of a replication
    workers: int
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    batches: int = 0
    now: float = 0.0

    def play(self) -> float:
        """Return the seconds until the last batch is in."""
        queue, pace = Queue([Batch(0, self.replications - 1)]), Pace()
        free_at = [0.0] * self.workers  # when each worker has done what it holds
        heapq.heapify(free_at)
        running: list[tuple[float, Batch, float]] = []
        while queue.left or running:
            while queue.left and len(running) < AHEAD * self.workers:
                batch = queue.take(pace.size(queue.left, self.workers))
                took = self._length(batch)
                end = max(heapq.heappop(free_at), self.now) + took
                heapq.heappush(free_at, end)
                heapq.heappush(running, (end, batch, took))
            end, batch, took = heapq.heappop(running)
            self.now = max(self.now, end) + INTAKE
            self.batches += 1
            pace.learn(Done(batch, b"", took))
        return self.now

    def _length(self, batch: Batch) -> float:
        mean = self.seconds * batch.size
        spread = 0.1 * self.seconds * batch.size**0.5
        return max(0.1 * mean, float(self.rng.normal(mean, spread)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, required=True, help="of a replication")
    parser.add_argument("--memory", type=float, required=True, help="GiB of a worker")
    parser.add_argument("--replications", type=int, default=10_000)
    asked = parser.parse_args()
    print("| workers | hours | busy | batches | memory GiB | sent GB | received GB |")
    print("|---|---|---|---|---|---|---|")
    for workers in WORKERS:
        plan = Plan(asked.replications, asked.seconds, workers)
        took = plan.play()
        busy = asked.replications * asked.seconds / workers / took
        print(
            f"| {workers:,} | {took / 3600:,.2f} | {busy:.0%} | {plan.batches:,} "
            f"| {workers * asked.memory:,.0f} | {workers * JOB / 1000:,.1f} "
            f"| {asked.replications * ROWS / 1000:,.2f} |"
        )


if __name__ == "__main__":
    main()
