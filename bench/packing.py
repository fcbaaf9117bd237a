"""How near to its optimum a market with exchanges of at most K people comes.

    .venv/bin/python bench/packing.py [ROW …]

A row is a market and a size, such as "E(4,000) 3" or "round 5". Each is measured in a
process of its own, warmed, with two threads; the lines written are JSON: who moved by
the rules and by the plan found, what was proved, the gap, seconds on the wall and of
the processor.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time

import machine
import markets

from jiepin.core import Round, Rules, Stage, solve, terms
from jiepin.core.market import Encoded, encode
from jiepin.core.mechanisms import circulation, exchange_packing, staged
from jiepin.core.mechanisms.keeping import no_demands
from jiepin.core.options import Options

THREADS = 2
ROWS = (
    *(f"E({n:,}) {size}" for n in (2_000, 4_000) for size in (2, 3, 4, 5)),
    *(f"round {size}" for size in (2, 3, 4, 5, 6, 8)),
)


def main(rows: list[str]) -> None:
    """Measure rows, each in a process of its own."""
    print(json.dumps({"machine": machine.machine()}), flush=True)
    for row in rows or ROWS:
        subprocess.run([sys.executable, __file__, "--one", row], check=True)


def one(row: str) -> None:
    """Measure one row and write its line."""
    market, size = row.rsplit(" ", 1)
    encoded, rules = _market(market, int(size))
    _warm(int(size))
    wall, cpu = time.perf_counter(), time.process_time()
    bound = circulation.most_moves(encoded, no_demands(encoded.market))
    options = Options(max_size=int(size))
    moves = exchange_packing.pack(encoded, rules, options, THREADS, bound)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    moved = int((moves.moved_by != terms.NOBODY).sum())
    ruled = staged.run(encoded, exchange_packing.within(rules, int(size)), THREADS)
    assert moves.bound is not None
    line = {
        "row": row,
        "applicants": encoded.market.n_applicants,
        "by the rules": int((ruled.moved_by != terms.NOBODY).sum()),
        "moved": moved,
        "bound": moves.bound,
        "unlimited": bound,
        "gap": round((moves.bound - moved) / moves.bound, 5),
        "seconds": round(wall, 1),
        "processor seconds": round(cpu, 1),
        "digest": hashlib.sha256(moves.moved_by.tobytes()).hexdigest()[:12],
    }
    print(json.dumps(line), flush=True)


def _market(name: str, size: int) -> tuple[Encoded, Rules]:
    if name == "round":
        rules = Rules.load("taiwan-110")
        with tempfile.TemporaryDirectory() as folder:
            command = ["generate", folder + "/round", "--teachers", "5000"]
            _jiepin(*command, "--seed", "114", "--quiet")
            return encode(Round.read(folder + "/round"), rules), rules
    n_applicants = int(name[2:-1].replace(",", ""))
    encoded = markets.encoded(markets.exchange_market(n_applicants))
    stages = [Stage(f"{k} people", terms.EXCHANGE, k) for k in range(2, size + 1)]
    return encoded, Rules("sizes", tuple(stages))


def _jiepin(*arguments: str) -> None:
    code = "from jiepin.core.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def _warm(size: int) -> None:
    """Compile what is needed, on a small market."""
    encoded, rules = _market("E(300)", size)
    work, small = exchange_packing.WORK, exchange_packing.SMALL
    exchange_packing.WORK, exchange_packing.SMALL = 10_000, 10
    exchange_packing.pack(encoded, rules, Options(max_size=size), THREADS, 300)
    exchange_packing.WORK, exchange_packing.SMALL = work, small
    solve(Round.read("fixtures/rounds/mutual"), Rules.load("taiwan-110"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
    else:
        main(sys.argv[1:])
