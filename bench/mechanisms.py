"""Every mechanism on the same markets: how many move, and how long it takes.

    .venv/bin/python bench/mechanisms.py [--most N] [--only NAME …] [--limit SECONDS]

Markets E(N) of markets.py: twelve wishes in two counties, three seats per position, no
open seat, one score for all. Each mechanism takes larger and larger markets, each in a
process of its own, warm, until one takes longer than the limit. The packages algmatch,
matching and matching-algorithms run deferred acceptance on it, holders first at home.
The lines written are those of a table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import markets
import numpy as np

from jiepin.core import Rules, terms
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms import (
    circulation,
    deferred_acceptance,
    keeping,
    staged,
    top_trading_cycles,
)
from jiepin.core.rules import Stage

SIZES = (500, 2_000, 10_000, 50_000, 200_000, 1_000_000)
LIMIT = 120
Solved = tuple[int, float]  # how many moved, seconds


def exchanges_up_to(size: int) -> Rules:
    """Return rules of exchanges of two, three and so on."""
    stages = [Stage(str(k), terms.EXCHANGE, k) for k in range(2, size + 1)]
    return Rules("exchanges", tuple(stages))


def timed(run: Callable[[Encoded], int], market: Market) -> Solved:
    """Return how many moved, and the seconds of the second run after a small one."""
    run(markets.encoded(markets.exchange_market(300)))
    given = markets.encoded(market)
    _ = given.swap_only
    start = time.process_time()
    moved = run(given)
    return moved, time.process_time() - start


def by_stages(size: int, given: Encoded) -> int:
    return _moved(staged.run(given, exchanges_up_to(size)).moved_by)


def by_deferred_acceptance(given: Encoded) -> int:
    return _moved(deferred_acceptance.run(given).moved_by)


def by_trading(given: Encoded) -> int:
    return _moved(top_trading_cycles.run(given).moved_by)


def best(given: Encoded) -> int:
    demands = keeping.no_demands(given.market)
    return _moved(circulation.run(given, demands, "moves").moved_by)


def most(given: Encoded) -> int:
    return circulation.most_moves(given, keeping.no_demands(given.market))


def by_rank(given: Encoded) -> int:
    demands = keeping.no_demands(given.market)
    return _moved(circulation.run(given, demands, "rank").moved_by)


def _moved(moved_by: np.ndarray) -> int:
    return int((moved_by != terms.NOBODY).sum())


def lists_of(market: Market) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """Return for the packages: positions by person, home last; people by position.

    And how many seats each position has. Both sides list whom they find acceptable.
    """
    n = market.n_applicants
    wished = markets.wishes_in_order(market).reshape(n, markets.N_WISHES)
    home = market.home_of
    lists = np.concatenate([wished, home[:, None]], axis=1).tolist()
    held = np.bincount(home, minlength=market.n_positions)
    order = market.graph.holder_of[market.claim_order].tolist()
    holders: list[list[int]] = [[] for _ in held]
    others: list[list[int]] = [[] for _ in held]
    for person in order:
        holders[home[person]].append(person)
        for position in lists[person][:-1]:
            others[position].append(person)
    first = [a + b for a, b in zip(holders, others, strict=True)]
    return lists, first, held.tolist()


def by_algmatch(market: Market) -> Solved:
    """Run the resident-optimal algorithm of algmatch; reading in is not counted."""
    from algmatch import HospitalResidentsProblem

    lists, first, seats = lists_of(market)
    given = {
        "residents": {i + 1: [p + 1 for p in wished] for i, wished in enumerate(lists)},
        "hospitals": {
            p + 1: {"capacity": seats[p], "preferences": [i + 1 for i in people]}
            for p, people in enumerate(first)
            if people
        },
    }
    problem = HospitalResidentsProblem(dictionary=given, optimised_side="residents")
    start = time.process_time()
    matched = problem.get_stable_matching()
    seconds = time.process_time() - start
    pairs = matched["resident_sided"].items()
    home = market.home_of.tolist()
    return sum(int(h[1:]) - 1 != home[int(r[1:]) - 1] for r, h in pairs), seconds


def by_matching(market: Market) -> Solved:
    """Run the resident-optimal algorithm of matching; reading in is not counted."""
    from matching.games import HospitalResident

    sys.setrecursionlimit(10**7)  # it copies people through each other's lists
    lists, first, seats = lists_of(market)
    given = {p: people for p, people in enumerate(first) if people}
    game = HospitalResident.create_from_dictionaries(
        dict(enumerate(lists)), given, {p: seats[p] for p in given}
    )
    start = time.process_time()
    matched = game.solve(optimal="resident")
    seconds = time.process_time() - start
    home = market.home_of.tolist()
    moved = sum(
        home[resident.name] != hospital.name
        for hospital, residents in matched.items()
        for resident in residents
    )
    return moved, seconds


def by_matching_algorithms(market: Market) -> Solved:
    """Run the student-proposing algorithm of matching-algorithms."""
    import matching_algorithms

    lists, first, seats = lists_of(market)
    schools = {
        p: {"priorities": people, "capacity": seats[p]}
        for p, people in enumerate(first)
    }
    students = dict(enumerate(lists))
    start = time.process_time()
    matched = matching_algorithms.school_choice_da(students, schools)
    seconds = time.process_time() - start
    home = market.home_of.tolist()
    placed = [(i, p) for p, there in matched.items() for i in there]
    return sum(int(p) != home[i] for i, p in placed), seconds


CONTENDERS: dict[str, Callable[[Market], Solved]] = {
    "deferred acceptance": partial(timed, by_deferred_acceptance),
    "staged 2-3": partial(timed, partial(by_stages, 3)),
    "staged 2-5": partial(timed, partial(by_stages, 5)),
    "top trading cycles": partial(timed, by_trading),
    "optimum, by rank": partial(timed, by_rank),
    "optimum": partial(timed, best),
    "optimum, count alone": partial(timed, most),
    "algmatch": by_algmatch,
    "matching": by_matching,
    "matching-algorithms": by_matching_algorithms,
}


def ladder(name: str, limit: float, largest: int) -> None:
    """Print how a contender does on larger and larger markets."""
    for n_applicants in SIZES:
        if n_applicants > largest:
            return
        command = [sys.executable, __file__, "--here", name, str(n_applicants)]
        allowed = limit + 20 + n_applicants / 10_000  # imports, drawing the market
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, timeout=allowed, check=True
            )
        except subprocess.TimeoutExpired:
            print(f"| {name} | {n_applicants:,} | | over {limit:.0f} s |", flush=True)
            return
        moved, seconds = json.loads(done.stdout.splitlines()[-1])
        share = 100 * moved / n_applicants
        print(f"| {name} | {n_applicants:,} | {share:.2f} % | {seconds:.3f} s |")
        sys.stdout.flush()
        if seconds > limit:
            return


def main() -> None:
    if sys.argv[1:2] == ["--here"]:
        market = markets.exchange_market(int(sys.argv[3]))
        print(json.dumps(CONTENDERS[sys.argv[2]](market)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a market")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="applicants")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="these alone")
    arguments = parser.parse_args()
    print("| mechanism | applicants | moved | seconds |\n| --- | --- | --- | --- |")
    for name in arguments.only or CONTENDERS:
        ladder(name, arguments.limit, arguments.most)


if __name__ == "__main__":
    main()
