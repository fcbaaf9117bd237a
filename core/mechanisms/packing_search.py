"""Better plans by linear programs: fix what they are sure of, and solve what is left.

A dive solves the program of all that may still be made, makes what has the largest
shares in its solution, and goes on with those who are left, until an exact search can
finish.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.mechanisms import packing_bound
from jiepin.core.mechanisms.packing_pool import Plan, Pool

Flags = npt.NDArray[np.bool_]

USED = 9.0  # the score of an exchange that the last program made use of
EXACT = 300  # so few things that may be made are left to the exact search
N_NODES = 300  # of it
# Share of those left who are fixed at once, by how many things may be made: with many
# there are other ways to mend what was fixed too early.
HASTE = ((6_000, 0.015), (50_000, 0.05), (1 << 62, 0.3))
GAINED = 1.002  # nothing is fixed while new exchanges improve the program so much


def dived(pool: Pool) -> Plan:
    """Return a plan that moves many; whoever must move may be left out."""
    pool = replace(pool, must_move=np.zeros_like(pool.must_move))
    left, made = pool, nothing(pool)
    luck = np.random.Generator(np.random.PCG64(0))
    score = luck.random(len(pool.cycles))
    reached = 0.0
    while left.n_columns > EXACT:
        chosen = packing_bound.highest(left, score) | (score > USED - 1)
        part = left.only(chosen, np.ones(len(left.takers), dtype=bool))
        share, prices = packing_bound.shares(part, luck.random(part.n_columns))
        score = _score(left, prices, luck)
        score[chosen] = np.where(share[: len(part.cycles)] > 1e-3, USED, score[chosen])
        value = made.moved + float(share @ np.append(part.sizes, part.takers >= 0))
        if value > reached * GAINED:
            reached = value
            continue
        sure = _surest(part, share, left.n_columns)
        if sure.moved == 0:
            break
        made = joined(made, sure)
        keep, left = left, without(left, sure)
        score = score[_remaining(keep, sure)]
    rest, _ = packing_bound.exact(left, nothing(pool), len(pool.must_move), N_NODES)
    return joined(made, rest)


def _score(
    pool: Pool, prices: packing_bound.Prices, luck: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Tell how much each exchange could help the linear program, roughly."""
    owed = packing_bound.owed(pool, prices) / packing_bound.UNIT
    return owed + 0.3 * luck.random(len(owed))


def _surest(pool: Pool, share: npt.NDArray[np.float64], n_columns: int) -> Plan:
    """Make what has the largest shares, of a part of those who are left."""
    n = len(pool.cycles)
    free = np.ones(len(pool.must_move), dtype=bool)
    seats = pool.seats.copy()
    haste = next(haste for most, haste in HASTE if n_columns <= most)
    enough = max(4, int(haste * np.unique(pool.cycles[pool.cycles >= 0]).size))
    used = np.zeros(pool.n_columns, dtype=bool)
    n_moved = 0
    for column in np.argsort(-np.round(share, 6), kind="stable").tolist():
        if share[column] < 0.999 and n_moved >= enough:
            break
        if share[column] < 0.01:
            break
        people = _members(pool, column)
        if not free[people].all():
            continue
        if column >= n:
            position = pool.taken[column - n]
            if seats[position] == 0:
                continue
            seats[position] -= 1
        free[people] = False
        used[column] = True
        n_moved += len(people)
    return packing_bound.plan_with(pool, used)


def _members(pool: Pool, column: int) -> IndexArray:
    n = len(pool.cycles)
    row = pool.cycles[column] if column < n else pool.takers[[column - n]]
    members: IndexArray = row[row >= 0]
    return members


# ---- Parts of plans


def nothing(pool: Pool) -> Plan:
    """Return the plan in which nobody moves."""
    none = np.empty(0, dtype=np.int32)
    return Plan(np.empty((0, pool.max_size), dtype=np.int32), none, none)


def joined(one: Plan, other: Plan) -> Plan:
    """Return what two plans make together."""
    return Plan(
        np.concatenate([one.cycles, other.cycles]),
        np.concatenate([one.takers, other.takers]),
        np.concatenate([one.taken, other.taken]),
    )


def without(pool: Pool, plan: Plan) -> Pool:
    """Return what may still be made beside a plan."""
    free = ~_movers(pool, plan)
    seats = pool.seats - np.bincount(plan.taken, minlength=len(pool.seats))
    rest = replace(
        pool, seats=seats, must_move=(pool.must_move * free).astype(np.uint8)
    )
    takes = free[pool.takers] & np.greater(seats[pool.taken], 0)
    return rest.only(_remaining(pool, plan), takes)


def _remaining(pool: Pool, plan: Plan) -> Flags:
    """Tell which exchanges are without a member of a plan."""
    free = np.append(~_movers(pool, plan), True)  # for NOBODY, the last one
    return np.asarray(free[pool.cycles].all(axis=1))


def _movers(pool: Pool, plan: Plan) -> Flags:
    """Tell who moves."""
    moves = np.zeros(len(pool.must_move), dtype=bool)
    moves[plan.cycles[plan.cycles >= 0]] = True
    moves[plan.takers] = True
    return moves


def all_who_must(pool: Pool, plan: Plan) -> bool:
    """Tell whether everybody moves who must."""
    return bool(_movers(pool, plan)[pool.must_move == 1].all())
