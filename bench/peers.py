"""The engine next to everything else that looks for exchanges.

    .venv/bin/python bench/peers.py [--limit SECONDS] [--most N] [--peer NAME …]

Each peer takes markets E(N) of growing size, each in a process of its own, until one
takes longer than the limit or more than 16 GiB; the engine solves the same market in
the same process, on one thread. The lines written are JSON; others.py tells what each
computes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import markets
import others

from jiepin.core.warm_up import warm_up

SIZES = (
    50, 100, 200, 500, 1_000, 2_000, 4_000, 10_000, 20_000, 50_000, 100_000, 1_000_000,
)  # fmt: skip
LIMIT = 120
MEMORY = 16 << 30  # bytes that a peer may use


def allowance(n_applicants: int) -> float:
    """Return the seconds for imports and for drawing a market, about the double."""
    return 10 + n_applicants / 10_000


def in_turn(name: str, n_applicants: int) -> dict[str, Any]:
    """Return the seconds of a peer and of the engine on one market, and the answer."""
    people = others.People(markets.exchange_market(n_applicants))
    peer = others.PEERS[name]
    warm_up()
    others.engine(people)
    peer.run(others.People(markets.exchange_market(12)))  # imports
    if name != "jiepin":
        _ = people.home, people.order, people.wants, people.wished_from
    start = time.perf_counter()
    answer = peer.run(people)
    seconds = time.perf_counter() - start
    engine = []
    for _ in range(3):
        start = time.perf_counter()
        exchanges = others.engine(people)
        engine.append(time.perf_counter() - start)
    if isinstance(answer, list):
        if answer != exchanges:
            raise RuntimeError(f"{name} and the engine differ on E({n_applicants})")
        answer = len(answer)
    return {
        "peer": name,
        "computes": peer.computes,
        "n": n_applicants,
        "seconds": seconds,
        "engine": statistics.median(engine),
        "answer": answer,
        "exchanges": len(exchanges),
    }


def ladder(name: str, limit: float, most: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of a peer on larger and larger markets."""
    for n_applicants in SIZES:
        if n_applicants > most:
            return
        command = [sys.executable, __file__, "--here", name, str(n_applicants)]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # solvers start processes of their own
        ) as process:
            try:
                out, err = process.communicate(timeout=limit + allowance(n_applicants))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return
        if process.returncode:
            error = err.decode().strip().splitlines()[-1:]
            print(f"{name}, E({n_applicants}): {error}", file=sys.stderr, flush=True)
            return
        row = json.loads(out.splitlines()[-1])
        if row["seconds"] > limit:
            return
        yield row


def main() -> None:
    if sys.argv[1:2] == ["--here"]:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        print(json.dumps(in_turn(sys.argv[2], int(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a market")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="applicants")
    parser.add_argument("--peer", nargs="+", choices=others.PEERS, help="these alone")
    arguments = parser.parse_args()
    for name in arguments.peer or others.PEERS:
        for row in ladder(name, arguments.limit, arguments.most):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
