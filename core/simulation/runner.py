"""`simulate`: every replication of a scenario, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from jiepin.core.simulation import page, results
from jiepin.core.simulation.batches import Job
from jiepin.core.simulation.cluster import cluster
from jiepin.core.simulation.pool import cores, pool
from jiepin.core.simulation.replicate import prepare, replicate
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.work import Crew, Report, Run


class Interrupted(KeyboardInterrupt):
    """A run was stopped by Ctrl-C or the system: how far it came."""

    def __init__(self, done: int, replications: int) -> None:
        self.done = done
        self.replications = replications
        super().__init__(f"{done} of {replications} replications are done")


def simulate(
    scenario: Scenario,
    folder: str | Path,
    workers: int | None = None,
    scheduler: str | None = None,
    report: Report | None = None,
) -> None:
    """Compute every replication of a scenario; `folder` gets results.parquet.

    workers    processes on this machine; None: one for each core
    scheduler  address of a Dask scheduler, whose workers compute instead
    report     is told how many replications are done

    The bytes of results.parquet depend on the scenario alone, not on who computed it.
    A folder that holds a part of this scenario is gone on with. Raises FolderInTheWay,
    FileInTheWay, BadScheduler, ReplicationFailed, WorkersLost; Interrupted at Ctrl-C.
    """
    folder, replications = Path(folder), scenario.replications
    check(folder, scenario)
    there = results.Kept(folder)
    try:
        with ExitStack() as stack:
            crew: Crew | None = None
            if there.n_missing(replications):
                job = partial(replicate, prepare(scenario))
                crew = stack.enter_context(_crew(job, workers, scheduler))
            kept = stack.enter_context(results.opened(folder, scenario))
            if crew is not None:
                Run(kept, replications, report).work(crew)
            kept.finish()
    except KeyboardInterrupt:
        left = there.n_missing(replications)
        raise Interrupted(replications - left, replications) from None


def check(folder: Path, scenario: Scenario) -> None:
    """Raise FolderInTheWay or FileInTheWay if results or report cannot go there."""
    results.check(folder, scenario)
    page.check(folder)


@contextmanager
def _crew(job: Job, workers: int | None, scheduler: str | None) -> Iterator[Crew]:
    if scheduler is not None:
        with cluster(job, scheduler) as crew:
            yield crew
    else:
        with pool(job, workers or cores()) as local:
            yield local
