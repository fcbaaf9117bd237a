"""The yardstick: exchanges of 2 to 5 on large markets, as ratios in one run.

    .venv/bin/python bench/targets.py [ROW …]

U is the best of seven single-threaded `np.take(table, wishes)`, wishes being the int32
positions of all wishes of the market in wish order and table one int32 per position.
Each row is measured in a process of its own, warmed, one thread and two by turns, best
of so many runs; the lines written are JSON.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import machine
import markets
import numpy as np
import others

from jiepin.core import Round, Rules
from jiepin.core.market import Encoded, Market, encode
from jiepin.core.mechanisms import staged
from jiepin.core.warm_up import warm_up

THREADS = 2


class Row(NamedTuple):
    """A market to be measured."""

    n_parts: int
    n_applicants: int  # of each part
    times: int
    threads: tuple[int, ...] = (1, THREADS)


ROWS = {
    "E(4,000)": Row(1, 4_000, 50),
    "E(10,000)": Row(1, 10_000, 20),
    "E(30,000)": Row(1, 30_000, 10),
    "E(100,000)": Row(1, 100_000, 7),
    "E(300,000)": Row(1, 300_000, 3),
    "E(1,000,000)": Row(1, 1_000_000, 3),
    "20 × E(50,000)": Row(20, 50_000, 3),
    "real shape, 5,000": Row(0, 5_000, 30),
    "E(10,000,000)": Row(1, 10_000_000, 1, (THREADS,)),
}
SLOW = ("E(10,000,000)",)  # only when asked for


def unit(market: Market) -> float:
    """Return U of a market, in seconds."""
    wishes = markets.wishes_in_order(market)
    table = np.arange(market.n_positions, dtype=np.int32)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        np.take(table, wishes)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(encoded: Encoded, rules: Rules, row: Row) -> dict[str, Any]:
    """Return seconds by threads, U, memory above the input, and what was found."""
    result: dict[str, Any] = {"unit": unit(encoded.market), "seconds": {}, "peak": {}}
    answers = set()
    for _ in range(row.times):
        for threads in row.threads:
            before = machine.reset_peak()
            stages: dict[str, float] = {}
            start = time.perf_counter()
            moves = staged.run(encoded, rules, threads, timer(stages))
            seconds = time.perf_counter() - start
            ends = [*list(stages.values())[1:], start + seconds]
            answers.add(hashlib.sha256(moves.members.tobytes()).hexdigest()[:16])
            result["peak"].setdefault(threads, machine.peak() - before)
            if seconds < result["seconds"].get(threads, float("inf")):
                result["seconds"][threads] = seconds
                result.setdefault("stages", {})[threads] = {
                    name: end - begin
                    for (name, begin), end in zip(stages.items(), ends, strict=True)
                }
    if len(answers) != 1:
        raise RuntimeError(f"answers differ: {answers}")
    sizes = np.diff(moves.starts)
    result["answer"] = answers.pop()
    result["exchanges"] = np.bincount(sizes, minlength=6)[2:6].tolist()
    result["applicants"] = encoded.market.n_applicants
    result["wishes"] = len(encoded.market.graph.wish_position)
    return result


def timer(stages: dict[str, float]) -> staged.Report:
    """Note when each stage is first heard of."""
    return lambda name, _done, _all: (
        stages.setdefault(name, time.perf_counter()) and None
    )


def prepared(row: Row) -> tuple[Encoded, Rules]:
    """Return the market of a row and the rules for it."""
    if row.n_parts:
        market = markets.union_of_markets(row.n_parts, row.n_applicants)
        return markets.encoded(market), others.EXCHANGES
    with tempfile.TemporaryDirectory(prefix="jiepin-bench-") as scratch:
        jiepin = Path(sys.executable).with_name("jiepin")
        folder = Path(scratch) / "round"
        words = ("generate", folder, "--teachers", row.n_applicants)
        subprocess.run([jiepin, *map(str, words)], check=True, capture_output=True)
        rules = Rules.load("taiwan-110")
        return encode(Round.read(folder, rules.limits), rules), rules


def main() -> None:
    if sys.argv[1:2] == ["--here"]:
        row = ROWS[sys.argv[2]]
        warm_up(1)
        warm_up(THREADS)
        warm = markets.encoded(markets.union_of_markets(2, 40_000))
        for threads in row.threads:
            staged.run(warm, others.EXCHANGES, threads)
        encoded, rules = prepared(row)
        drawing = machine.peak()
        figures = measure(encoded, rules, row)
        figures["process_peak"] = max(drawing, machine.peak())
        print(json.dumps(figures))
        return
    for name in sys.argv[1:] or [name for name in ROWS if name not in SLOW]:
        print(json.dumps({"name": name, **measured(name)}), flush=True)


def measured(name: str) -> dict[str, Any]:
    """Return the figures of one row, from a process of its own."""
    command = [sys.executable, __file__, "--here", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    main()
