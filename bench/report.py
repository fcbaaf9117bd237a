"""Measure everything and write bench/README.md, with its plots.

    .venv/bin/python bench/report.py                  all parts (about 45 minutes)
    .venv/bin/python bench/report.py --only peers     one part again, the others kept
    .venv/bin/python bench/report.py --quick          small sizes, to the screen alone

What was measured is kept in bench/results, one file a part.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import machine
import plots
import tables

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PYTHON = sys.executable
PARTS: dict[str, list[str]] = {
    "targets": ["targets.py"],
    "largest": ["targets.py", "E(10,000,000)"],
    "counts": ["counts.py"],
    "reading": ["reading.py"],
    "phases": ["phases.py"],
    "cases": [],
    "peers": ["peers.py"],
}
QUICK: dict[str, list[str]] = {
    "targets": ["targets.py", "E(4,000)", "E(100,000)", "real shape, 5,000"],
    "counts": ["counts.py", "100000"],
    "reading": ["reading.py", "100000"],
    "phases": ["phases.py", "5000"],
    "cases": ["-k", "1000-1 or 1000] or 10000-1 or 10000]"],
    "peers": ["peers.py", "--limit", "1", "--most", "200"],
}


def measured(part: str, words: Sequence[str]) -> dict[str, Any]:
    """Run a part and return its rows, with where and with what they were measured."""
    print(
        f"== {part}: {' '.join(words) or 'bench_core.py'}", file=sys.stderr, flush=True
    )
    rows = cases(words) if part == "cases" else lines([PYTHON, *script(words)])
    return {
        "machine": machine.machine(),
        "versions": machine.versions(
            machine.PACKAGES + (machine.PEERS if part == "peers" else ())
        ),
        "rows": rows,
    }


def script(words: Sequence[str]) -> list[str]:
    return [str(HERE / words[0]), *words[1:]]


def lines(command: Sequence[str]) -> list[Any]:
    """Run a command that writes JSON lines, and return what they say."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines()]


def cases(words: Iterable[str]) -> list[dict[str, Any]]:
    """Run the cases of pytest-benchmark and return what matters of each."""
    with tempfile.TemporaryDirectory(prefix="jiepin-bench-") as scratch:
        file = Path(scratch) / "cases.json"
        command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        options = [f"--benchmark-json={file}", "--benchmark-max-time=0.5"]
        target = str(HERE / "bench_core.py")
        subprocess.run(
            [*command, target, *options, *words], check=True, stdout=sys.stderr
        )
        found = json.loads(file.read_text("utf-8"))["benchmarks"]
    return [
        {
            "group": case["group"],
            "case": case["param"],
            "min": case["stats"]["min"],
            "median": case["stats"]["median"],
            "rounds": case["stats"]["rounds"],
        }
        for case in found
    ]


def kept() -> dict[str, dict[str, Any]]:
    """Return what has been measured so far, by part."""
    return {
        part: json.loads((RESULTS / f"{part}.json").read_text("utf-8"))
        for part in PARTS
        if (RESULTS / f"{part}.json").exists()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure and write bench/README.md")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone")
    parser.add_argument("--quick", action="store_true", help="small, write no file")
    parser.add_argument("--write", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if arguments.quick:
        parts = {name: measured(name, words) for name, words in QUICK.items()}
        print(tables.page(parts, with_plots=False))
        return
    RESULTS.mkdir(exist_ok=True)
    for name in () if arguments.write else arguments.only or PARTS:
        text = json.dumps(measured(name, PARTS[name]), ensure_ascii=False, indent=1)
        (RESULTS / f"{name}.json").write_text(text + "\n", "utf-8")
    parts = kept()
    plots.draw(parts, HERE / "plots")
    (HERE / "README.md").write_text(tables.page(parts, with_plots=True), "utf-8")


if __name__ == "__main__":
    main()
