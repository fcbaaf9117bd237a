"""How a simulation grows with workers, with Dask, and with replications.

    python bench/simulate_scale.py [--teachers 4000] [--replications 200] [--rounds 3]
    python bench/simulate_scale.py --rows

Every run is a process of its own; the first loads the kernels and is not counted.
Without --rows: one worker, two, and two workers of a Dask cluster on this machine, the
bytes compared. With --rows: what the runner itself holds in memory, on replications
that cost nothing but have as many rows as real ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import machine, versions

from jiepin.core.simulation.pool import SETTINGS, pool
from jiepin.core.simulation.replicate import RESULT_SCHEMA
from jiepin.core.simulation.results import opened
from jiepin.core.simulation.runner import simulate
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.work import Run

SCENARIO = """
name = "scale"
replications = {replications}
seed = 1

[population]
kind = "generated"
teachers = {teachers}
levels = ["elementary"]

[[case]]
name = "official"
rules = "taiwan-110"

[[case]]
name = "half"
rules = "taiwan-110"
seats = 0.5

[[case]]
name = "double"
rules = "taiwan-110"
seats = 2.0
"""
ROWS = 2_000  # of a replication of three cases
PACKAGES = ("numpy", "numba", "polars", "distributed")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", type=int, default=4000)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--one", metavar="HOW", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(_one(asked)))
        return
    print(machine(), versions(PACKAGES), sep="\n")
    if asked.rows:
        _print_memory()
    else:
        _print_workers(asked.teachers, asked.replications, asked.rounds)


def _print_workers(teachers: int, replications: int, rounds: int) -> None:
    """Run each way several times, by turns; the shortest run of each counts."""
    ways = ("pool 1", "pool 2", "dask 2")
    _measured("pool 1", teachers, 4)
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            runs[way].append(_measured(way, teachers, replications))
    assert len({run["bytes"] for found in runs.values() for run in found}) == 1
    best = {way: min(runs[way], key=lambda run: run["seconds"]) for way in ways}
    for way, run in best.items():
        print(
            f"{way}: {run['seconds']:.1f} s, processor {run['cpu']:.1f} s, "
            f"main process {run['memory']} MiB, largest worker {run['worker']} MiB"
        )
    one, two, dask = (best[way]["seconds"] for way in ways)
    print(f"two workers against one: {one / two:.2f} times")
    print(f"Dask against processes: {dask / two - 1:+.1%}")


def _print_memory() -> None:
    for replications in (100, 1_000, 10_000):
        run = _measured("rows 2", 0, replications)
        print(
            f"{replications:,} replications: {run['seconds']:.1f} s, main process "
            f"{run['memory']} MiB, table {run['size'] / 2**20:.1f} MiB"
        )


def _measured(how: str, teachers: int, replications: int) -> dict[str, Any]:
    words = ["--one", how, "--teachers", teachers, "--replications", replications]
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _one(asked: argparse.Namespace) -> dict[str, object]:
    """Run once; return seconds, peaks of memory in MiB, size and digest of the table.

    `cpu`: seconds of this process and its workers, from import to end.
    """
    kind, n = asked.one.split()
    text = SCENARIO.format(
        teachers=asked.teachers or 10, replications=asked.replications
    )
    scenario = Scenario.from_toml(text)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        if kind == "rows":
            seconds = _run_rows(scenario, out, int(n))
        elif kind == "dask":
            seconds = _run_dask(scenario, out, int(n))
        else:
            start = time.perf_counter()
            simulate(scenario, out, workers=int(n))
            seconds = time.perf_counter() - start
        content = (out / "results.parquet").read_bytes()
    own = resource.getrusage(resource.RUSAGE_SELF)
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": seconds,
        "cpu": sum(use.ru_utime + use.ru_stime for use in (own, workers)),
        "memory": own.ru_maxrss // 1024,
        "worker": workers.ru_maxrss // 1024,
        "size": len(content),
        "bytes": sha256(content).hexdigest(),
    }


def _run_dask(scenario: Scenario, out: Path, workers: int) -> float:
    """Run on a cluster that is there already, as clusters are."""
    from distributed import LocalCluster

    os.environ.update(SETTINGS)
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None
    ) as found:
        start = time.perf_counter()
        simulate(scenario, out, scheduler=found.scheduler_address)
        return time.perf_counter() - start


def _run_rows(scenario: Scenario, out: Path, workers: int) -> float:
    from simulate_scale import invented_rows  # workers import it by this name

    start = time.perf_counter()
    job = partial(invented_rows, ROWS)
    with pool(job, workers) as crew, opened(out, scenario) as kept:
        Run(kept, scenario.replications).work(crew)
        kept.finish()
    return time.perf_counter() - start


def invented_rows(n: int, number: int) -> pl.DataFrame:
    """Return rows shaped like those of a replication, at no cost."""
    place = range(n)
    return pl.DataFrame(
        {
            "scenario": ["0123456789abcdef"] * n,
            "replication": [number] * n,
            "case": [f"case {row * 3 // n}" for row in place],
            "measure": [f"measure {row % 12}" for row in place],
            "key": [f"{row % 22}>{row % 21}" for row in place],
            "value": np.random.default_rng(number).random(n),
        },
        schema=RESULT_SCHEMA,
    )


if __name__ == "__main__":
    main()
