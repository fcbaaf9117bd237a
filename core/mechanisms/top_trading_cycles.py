"""Top trading cycles with existing tenants (Abdulkadiroğlu and Sönmez, 1999).

Everybody points to the best position of the own list that can still be had, home last;
a position points to its best-ranked holder who is left, and one with an open seat to
the best-ranked applicant left. Who is on a cycle takes what he points to. A trade that
ends at an open seat opens the seat of the one whom that pointed to.

Nobody ends below home, no applicant gains by a false list, and no other assignment is
better for one and worse for none. A school that is swap-only has no open seats, and
none falls free there: an open seat never points to one who sits there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import trading
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms.moves import Moves

NAME = "top_trading_cycles"


def run(encoded: Encoded) -> Moves:
    """Clear a market; who points to whom follows the overall rank of `overall_order`.

    Trades that needed no open seat are the exchanges, in the order made.
    """
    market = encoded.market
    lists = _lists(encoded)
    state = _state(encoded, lists)
    n = market.n_applicants
    traded = trading.Traded(
        moved_by=np.full(n, terms.NOBODY, dtype=np.int32),
        members=np.empty(n, dtype=np.int32),
        trade_start=np.zeros(n + 1, dtype=np.int32),
        closed=np.zeros(n, dtype=np.uint8),
        n_trades=np.zeros(1, dtype=np.int32),
    )
    trading.trade_all(lists, state, traded)
    return _moves(traded)


def overall_order(market: Market) -> IndexArray:
    """Return the applicants by overall rank, those without a wish last.

    The rank of an applicant is that of his first claim: highest points over his wishes
    for positions that somebody holds or that have seats, then tie.
    """
    best = np.full(market.n_applicants, market.n_claims, dtype=np.int64)
    np.minimum.at(best, market.graph.holder_of, market.rank_of)
    return np.argsort(best, kind="stable").astype(np.int32)


def _lists(encoded: Encoded) -> trading.Lists:
    market = encoded.market
    order = overall_order(market)
    holder_start = np.empty(market.n_positions + 1, dtype=np.int32)
    at = np.empty(market.n_applicants, dtype=np.int32)
    group(market.home_of[order], holder_start, at)
    return trading.Lists(
        list_start=market.list_start,
        list_wish=market.list_wish,
        wish_position=market.graph.wish_position,
        home_of=market.home_of,
        order=order,
        holder_start=holder_start,
        holders=order[at],
        stays_full=encoded.swap_only,
    )


def _state(encoded: Encoded, lists: trading.Lists) -> trading.State:
    n, n_positions = encoded.market.n_applicants, encoded.market.n_positions
    seats: npt.NDArray[np.int64] = np.where(
        encoded.swap_only == 1, 0, encoded.market.seats
    )
    return trading.State(
        seats=seats,
        n_left=np.diff(lists.holder_start),
        done=np.zeros(n, dtype=np.uint8),
        next_wish=np.zeros(n, dtype=np.int32),
        next_holder=np.zeros(n_positions, dtype=np.int32),
        place=np.full(n, terms.NOBODY, dtype=np.int32),
        path=np.empty(n, dtype=np.int32),
        next_in_order=np.zeros(2, dtype=np.int32),
    )


def _moves(traded: trading.Traded) -> Moves:
    count = int(traded.n_trades[0])
    starts = traded.trade_start[: count + 1].astype(np.int64)
    sizes = np.diff(starts)
    closed = traded.closed[:count] == 1
    members = traded.members[: starts[-1]][np.repeat(closed, sizes)]
    starts = np.concatenate([[0], np.cumsum(sizes[closed])]).astype(np.int64)
    return Moves.in_one_stage(traded.moved_by, members, starts)
