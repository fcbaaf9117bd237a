"""Replications that cost nothing, or end their worker: what the runner is tested on.

Worker processes import this module, so it imports little.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from jiepin.core import errors
from jiepin.core.simulation.batches import Batch, Job, perform
from jiepin.core.simulation.results import Kept


@dataclass(frozen=True)
class Question:
    """As much of a scenario as the folder of results looks at."""

    replications: int
    digest: str = "d1" * 32

    def to_toml(self) -> str:
        return f"replications = {self.replications}\n"


def rows(number: int) -> pl.DataFrame:
    """Return rows of a replication: a different number of them each time."""
    n = 20 + number % 7
    return pl.DataFrame(
        {
            "scenario": ["d1" * 8] * n,
            "replication": [number] * n,
            "case": ["official"] * n,
            "measure": ["flows"] * n,
            "key": [f"{place}>{number % 5}" for place in range(n)],
            "value": [1 / (number + place + 1) for place in range(n)],
        }
    )


def slow(number: int) -> pl.DataFrame:
    time.sleep(0.05)
    return rows(number)


@dataclass(frozen=True)
class DiesOnce:
    """Kills its worker at one replication, the first time."""

    mark: Path
    at: int

    def __call__(self, number: int) -> pl.DataFrame:
        if number == self.at and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return rows(number)


@dataclass(frozen=True)
class TellsWhenLoaded:
    """Writes down the process each time that it is unpacked."""

    file: Path

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__dict__.update(state)
        with self.file.open("a") as told:
            told.write(f"{os.getpid()}\n")

    def __call__(self, number: int) -> pl.DataFrame:
        return slow(number)


def dies_at_0(number: int) -> pl.DataFrame:
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows(number)


def fails_at_3(number: int) -> pl.DataFrame:
    if number == 3:
        raise ZeroDivisionError("no seats")
    return rows(number)


def lacks_a_package(_number: int) -> pl.DataFrame:
    raise errors.NotInstalled("no package 'ortools'")


def prints_in_one_thread(number: int) -> pl.DataFrame:
    print("a library that talks")
    if pl.thread_pool_size() != 1:
        raise RuntimeError("more threads than one in each process")
    return rows(number)


def whole_table(replications: int, job: Job = rows) -> bytes:
    """Return the bytes of the table of a job, made in this process in one part."""
    with TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        done = perform(job, Batch(0, replications - 1))
        kept.add(*done[:2])
        kept.finish()
        return kept.results.read_bytes()
