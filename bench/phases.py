"""Seconds per phase and peak memory of `jiepin solve` on generated rounds.

    .venv/bin/python bench/phases.py [TEACHERS …]

Each round is generated and solved by the command itself, in processes of their own; the
figures are those of summary.json, `command` is the wall time of the whole command. The
lines written are JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (5_000, 100_000, 1_000_000)
THREADS = 2
PHASES = ("read", "encode", "solve", "write")
JIEPIN = Path(sys.executable).with_name("jiepin")


def command(*words: object) -> float:
    """Run the command and return its wall time in seconds."""
    start = time.perf_counter()
    subprocess.run([JIEPIN, *map(str, words)], check=True)
    return time.perf_counter() - start


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or SIZES
    with tempfile.TemporaryDirectory(prefix="jiepin-bench-") as scratch:
        smallest, out = Path(scratch) / "smallest", Path(scratch) / "result"
        command("generate", smallest, "--teachers", 10)
        command("solve", smallest, "--threads", THREADS, "-q")  # compiles
        for n_teachers in sizes:
            folder = Path(scratch) / f"{n_teachers}"
            command("generate", folder, "--teachers", n_teachers)
            for threads in (1, THREADS):
                solve = ("solve", folder, "--out", out, "--threads", threads, "-q")
                wall = command(*solve)
                summary = json.loads((out / "summary.json").read_text("utf-8"))
                row = {
                    "teachers": n_teachers,
                    "threads": threads,
                    **{phase: summary["seconds"][phase] for phase in PHASES},
                    "command": wall,
                    "peak": summary["peak_memory"],
                    "moved": summary["moved"],
                }
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
