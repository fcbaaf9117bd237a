"""Plans that move many, by simulated annealing: good ones, without a proof."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import packing as kernel
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.mechanisms.packing_pool import Plan, Pool

N_PHASES = 100
COLD = 0.13  # heat in the end
STAY = 0.1  # doing nothing, against a move that changes nothing
UNIT = 1 << 20  # the odds of a move that changes nothing
MOST_ODDS = 1 << 40
SEED = 88172645463325252
OWED = 3  # what moving somebody who must move counts


class Search(NamedTuple):
    """How a search goes."""

    hot: float  # to begin with; moves that lose one have the odds e^(-1 / heat)
    work: int  # about how often something is weighed whether to be made
    enough: int  # so many moves are enough


def improved(pool: Pool, start: Plan, search: Search) -> Plan:
    """Return a plan that moves as many as `start` or more."""
    rows, seat_at = _rows(pool)
    if len(rows.value) == 0:
        return start
    board = _board(pool, rows, seat_at, start)
    enough = search.enough + (OWED - 1) * _n_owed(pool)
    _cool(rows, board, search._replace(enough=enough))
    return _plan(pool, board, seat_at)


def _n_owed(pool: Pool) -> int:
    return int(pool.must_move.sum())


def _cool(rows: kernel.Rows, board: kernel.Plan, search: Search) -> None:
    """Search while it grows colder, until work is done or the value is enough."""
    state = np.array([SEED], dtype=np.uint64)
    sums = np.zeros(int(np.diff(rows.start).max()), dtype=np.int64)
    for phase in range(N_PHASES):
        if board.tally[kernel.SAVED] >= search.enough:
            break
        heat = search.hot * (COLD / search.hot) ** (phase / (N_PHASES - 1))
        dice = kernel.Dice(state, _odds(heat), round(STAY * UNIT), sums)
        kernel.anneal(rows, board, dice, search.work // N_PHASES)


def _odds(heat: float) -> npt.NDArray[np.int64]:
    """Return the odds of a move by its gain, as whole numbers."""
    gains = range(-kernel.LOSS, kernel.LOSS)
    powers = [min(gain / heat, math.log(MOST_ODDS / UNIT)) for gain in gains]
    return np.array([round(UNIT * math.exp(power)) for power in powers], np.int64)


# ---- From a pool to rows and back


def _rows(pool: Pool) -> tuple[kernel.Rows, npt.NDArray[np.int64]]:
    """Return the rows of a pool, and the first node of the seats of each position.

    A position with a seat for everybody who may take one needs no nodes.
    """
    n = len(pool.must_move)
    askers = np.bincount(pool.taken, minlength=len(pool.seats))
    n_seats = np.where(pool.seats < askers, pool.seats, 0)
    seat_at = n + np.concatenate([[0], np.cumsum(n_seats)]).astype(np.int64)
    copies = np.maximum(n_seats, 1)[pool.taken]
    counts = np.bincount(pool.takers, weights=copies, minlength=n).astype(np.int64)
    kernel.count_rows(pool.cycles, counts)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    nobody = int(seat_at[-1])
    mates = np.full((start[-1], max(1, pool.max_size - 1)), nobody, dtype=np.int32)
    cursor = start[:-1].copy()
    kernel.fill_rows(pool.cycles, cursor, mates)
    _fill_takes(pool, copies, seat_at, cursor, mates)
    weight = np.zeros(nobody + 1, dtype=np.int32)
    weight[:n] = np.where(pool.must_move == 1, OWED, 1)
    own = np.repeat(weight[:n], counts)
    value = (own + weight[mates].sum(axis=1)).astype(np.int32)
    return kernel.Rows(start, mates, value, weight), seat_at


def _fill_takes(
    pool: Pool,
    copies: npt.NDArray[np.int64],
    seat_at: npt.NDArray[np.int64],
    cursor: npt.NDArray[np.int64],
    mates: IndexArray,
) -> None:
    """Write the rows of moves to open seats after those of exchanges."""
    order = np.argsort(pool.takers, kind="stable")
    taker = np.repeat(pool.takers[order], copies[order])
    first = np.concatenate([[0], np.cumsum(copies[order])])
    which = np.arange(len(taker)) - np.repeat(first[:-1], copies[order])
    before = np.searchsorted(taker, taker)
    row = cursor[taker] + np.arange(len(taker)) - before
    position = np.repeat(pool.taken[order], copies[order])
    contested = seat_at[position + 1] > seat_at[position]
    mates[row[contested], 0] = (seat_at[position] + which)[contested]


def _board(
    pool: Pool, rows: kernel.Rows, seat_at: npt.NDArray[np.int64], start: Plan
) -> kernel.Plan:
    """Set up a plan for a search."""
    n, nodes = len(pool.must_move), np.arange(len(rows.weight), dtype=np.int32)
    others = np.full((len(nodes), rows.mates.shape[1]), nodes[-1], dtype=np.int32)
    board = kernel.Plan(
        lead=nodes.copy(),
        worth=np.zeros_like(nodes),
        others=others,
        left=np.zeros(n, dtype=np.int32),
        place=np.zeros(n, dtype=np.int32),
        tally=np.zeros(4, dtype=np.int64),
        best_lead=np.full_like(nodes, terms.NOBODY),
        best_others=others.copy(),
    )
    has = np.diff(rows.start) > 0
    has[start.cycles[start.cycles >= 0]] = True  # though what they make has no row
    has[start.takers] = True
    having = np.flatnonzero(has).astype(np.int32)
    board.left[: len(having)] = having
    board.place[having] = np.arange(len(having))
    board.tally[kernel.N_LEFT] = len(having)
    board.tally[kernel.N_OWED] = _n_owed(pool)
    leads = _enter(start, seat_at, board.others)
    for lead in leads:
        kernel.settle(rows, board, lead)
    kernel.save(board)
    return board


def _enter(
    start: Plan, seat_at: npt.NDArray[np.int64], others: IndexArray
) -> list[int]:
    """Write what a plan makes into the table of mates; return the applicants first."""
    nobody = len(others) - 1
    mates = start.cycles[:, 1:]
    others[start.cycles[:, 0], : mates.shape[1]] = np.where(mates < 0, nobody, mates)
    order = np.argsort(start.taken, kind="stable")
    taken = start.taken[order]
    seat = seat_at[taken] + np.arange(len(taken)) - np.searchsorted(taken, taken)
    contested = seat_at[taken + 1] > seat_at[taken]
    others[start.takers[order], 0] = np.where(contested, seat, nobody)
    return [*start.cycles[:, 0].tolist(), *start.takers.tolist()]


def _plan(pool: Pool, board: kernel.Plan, seat_at: npt.NDArray[np.int64]) -> Plan:
    """Return the best plan of a search."""
    n, nobody = len(pool.must_move), len(board.best_lead) - 1
    leads = np.flatnonzero(board.best_lead[:n] == np.arange(n)).astype(np.int32)
    mates = board.best_others[leads]
    alone = (mates[:, 0] >= n) | (mates[:, 0] == nobody)
    takers, seat = leads[alone], mates[alone, 0]
    taken = np.searchsorted(seat_at, seat, side="right").astype(np.int32) - 1
    free = seat == nobody
    taken[free] = _uncontested(pool, seat_at, takers[free])
    cycles = np.full((int((~alone).sum()), pool.max_size), terms.NOBODY, np.int32)
    cycles[:, 0] = leads[~alone]
    width = pool.max_size - 1
    others = mates[~alone, :width]
    cycles[:, 1:] = np.where(others == nobody, terms.NOBODY, others)
    return Plan(cycles, takers, taken)


def _uncontested(
    pool: Pool, seat_at: npt.NDArray[np.int64], takers: IndexArray
) -> IndexArray:
    """Return the first position of each that has a seat for everybody who asks."""
    plenty = np.flatnonzero(np.diff(seat_at)[pool.taken] == 0)
    asking = pool.takers[plenty]
    order = np.argsort(asking, kind="stable")
    first = order[np.searchsorted(asking[order], takers)]
    return pool.taken[plenty[first]]
