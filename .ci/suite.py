"""Run the whole test suite: with the JIT, without it, and with bounds checks.

Two lanes run side by side: the reader and the site, which wait for browsers and
daemons, and the core, which computes. The run without the JIT measures coverage, since
only there kernels are counted. Each way of compiling has a cache of its own: Numba's
cache does not tell them apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
COVERED = [sys.executable, "-m", "coverage"]
# what has no kernels is run once
CORE_ALONE = ["--ignore=tests/reader", "--ignore=tests/web"]
SMOKE = (
    "import sys; from jiepin.core.warm_up import warm_up; sys.exit(warm_up({n}) {op} 0)"
)
running: list[subprocess.Popen[str]] = []


class Failed(Exception):
    """A part ended with another exit code than 0."""


def run(title: str, command: list[str], **environment: str) -> None:
    """Run one part and pass on what it says, line by line, for two speak at once."""
    print(f"== {title}", flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running.append(process)
    assert process.stdout is not None  # it is a pipe
    for line in process.stdout:
        print(f"{title}: {line}", end="", flush=True)
    code = process.wait()
    running.remove(process)
    print(f"== {title}: {time.monotonic() - start:.0f} s, exit {code}", flush=True)
    if code:
        raise Failed(title)


def reader_and_site() -> None:
    run("the card reader", [*PYTEST, "tests/reader"])
    run("the site", [*PYTEST, "tests/web"])


def core() -> None:
    with tempfile.TemporaryDirectory(prefix="jiepin-test-") as scratch:
        cache = str(Path(scratch) / "jit")
        checked = str(Path(scratch) / "bounds")
        smoke = [sys.executable, "-c"]
        # the second process must load every kernel that the first has compiled
        run(
            "first start compiles",
            [*smoke, SMOKE.format(n=2, op="==")],
            NUMBA_CACHE_DIR=cache,
        )
        run(
            "second start loads from the cache",
            [*smoke, SMOKE.format(n=2, op="!=")],
            NUMBA_CACHE_DIR=cache,
        )
        run(
            "kernels with bounds checks",
            [
                *(*PYTEST, "tests/test_kernels.py", "tests/test_rounds.py"),
                "tests/test_bad_arrays.py",
            ],
            NUMBA_CACHE_DIR=checked,
            NUMBA_BOUNDSCHECK="1",
        )
        run("the core with the JIT", [*PYTEST, *CORE_ALONE], NUMBA_CACHE_DIR=cache)
        run(
            "the core without the JIT, for coverage",
            [*COVERED, "run", "-m", *PYTEST[2:], *CORE_ALONE],
            NUMBA_DISABLE_JIT="1",
        )
        run("coverage of the core", [*COVERED, "report"])


def main() -> None:
    lanes: tuple[Callable[[], None], ...] = (reader_and_site, core)
    with ThreadPoolExecutor(len(lanes)) as pool:
        done, _ = wait([pool.submit(lane) for lane in lanes], None, FIRST_EXCEPTION)
        failed = [lane.exception() for lane in done if lane.exception()]
        if failed:
            # what else runs is not worth waiting for
            for process in list(running):
                process.terminate()
    if failed:
        sys.exit(f"== failed: {failed[0]}")


if __name__ == "__main__":
    main()
