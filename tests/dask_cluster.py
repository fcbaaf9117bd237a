"""A Dask scheduler and its workers on this machine, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

TESTS = Path(__file__).resolve().parent
# a batch is given up when two workers died of it: enough for a test
SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
}


WORKER_SETTINGS = {  # as docs/cluster.md has them
    "POLARS_MAX_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
}


class LocalCluster:
    """A scheduler; workers come with `worker` and go with `kill`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(port)
        )

    def worker(self, first_on_path: str = "") -> subprocess.Popen[bytes]:
        """Start a worker of one thread, which nobody starts again when it dies."""
        words = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        words += ("--local-directory", str(self.folder / f"{len(self.processes)}"))
        path = os.pathsep.join(filter(None, (first_on_path, str(TESTS))))
        settings = {**WORKER_SETTINGS, "PYTHONPATH": path}
        process = self._start("worker", self.address, *words, **settings)
        self.workers.append(process)
        return process

    def have(self, n: int) -> None:
        """Start what is missing of so many workers, and wait for them all."""
        alive = sum(worker.poll() is None for worker in self.workers)
        for _ in range(n - alive):
            self.worker()
        with Client(self.address, set_as_default=False) as client:
            while len(client.nthreads()) != max(alive, n):
                time.sleep(0.05)

    def _start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        name = f"{words[0]}-{len(self.processes)}"
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words, "--no-dashboard"],
                env={**os.environ, **SETTINGS, **environment},
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process


@contextmanager
def local_cluster(folder: Path) -> Iterator[LocalCluster]:
    """Give a cluster; all its processes have ended afterwards."""
    cluster = LocalCluster(folder)
    try:
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
        for process in cluster.processes:
            process.wait()
