"""Who exchanges with whom, where only the wish of each mover is decided."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import decomposing
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Market
from jiepin.core.mechanisms.moves import Moves, circles_by_rank
from jiepin.core.mechanisms.top_trading_cycles import overall_order


def moves_of(market: Market, moved_by: IndexArray, bound: int) -> Moves:
    """Pair those who leave a position with those who come to it.

    Circles, short ones first, are the exchanges; what is left are chains that end at
    open seats. Exchanges come in the order of their best-ranked member.
    """
    order = overall_order(market)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order), dtype=np.int32)
    members, starts = circles_by_rank(*_circles(market, moved_by, rank), rank)
    return Moves.in_one_stage(moved_by, moved_by[members], starts, bound)


def _circles(
    market: Market, moved_by: IndexArray, rank: IndexArray
) -> tuple[IndexArray, npt.NDArray[np.int64]]:
    """Return the members of each circle, the best-ranked first, and where it begins."""
    movers = np.flatnonzero(moved_by != terms.NOBODY).astype(np.int32)
    n_positions, n = market.n_positions, len(movers)
    leaves = market.home_of[movers]
    start = np.empty(n_positions + 1, dtype=np.int32)
    slots = np.empty(n, dtype=np.int32)
    group(leaves, start, slots)
    leaver = movers[slots]
    goes_to = market.graph.wish_position[moved_by[leaver]].astype(np.int32)
    surplus = np.diff(start) - np.bincount(goes_to, minlength=n_positions)
    found = decomposing.Circles(
        members=np.empty(n, dtype=np.int32),
        starts=np.zeros(n + 1, dtype=np.int64),
        n_found=np.zeros(1, dtype=np.int64),
    )
    decomposing.decompose(
        decomposing.Leaving(start, start[1:].copy(), leaver, goes_to, rank),
        surplus.astype(np.int32),
        decomposing.scratch_for(n_positions),
        found,
    )
    n_found = int(found.n_found[0])
    return found.members[: found.starts[n_found]], found.starts[: n_found + 1]
