"""What the block exchanges share: who holds which seat at what rank, and the moves.

They trade the seats that are held and no others: an open seat is never taken. Two
applicants are compared at a position by the points each has there, then by tie-break;
one who is at home has there the `home_points` of the table, under either priority.

Overall rank decides who begins. An applicant may trade more than once before all is
over, so the exchanges listed are not the trades: the assignment at the end is divided
into circles of different home positions. A circle begins with the best-ranked mover
left and goes on from where one goes with the best-ranked mover left who sits there; it
is cut off where it closes. Circles are listed by their best-ranked member.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import blocking
from jiepin.core.kernels.blocking import NONE
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms.moves import Moves, circles_by_rank
from jiepin.core.mechanisms.top_trading_cycles import overall_order


def lists_of(
    encoded: Encoded, mechanism: str, one_sided: bool = False
) -> blocking.Lists:
    """Return the lists of a market and the ranks in them.

    Raises NoHomePoints, naming the mechanism, when an applicant who wishes has none.
    """
    encoded.check_home_points(mechanism)
    market = encoded.market
    claim_rank, _ = encoded.ranks_with_home
    n = np.arange(market.n_applicants, dtype=np.int32)
    wishes = market.list_wish
    return blocking.Lists(
        list_start=market.list_start,
        position=market.graph.wish_position[wishes],
        rank=claim_rank[market.graph.wish_claim[wishes]],
        owner=np.repeat(n, np.diff(market.list_start)),
        home_of=market.home_of,
        seat_start=_starts(market.home_of, market.n_positions),
        order=overall_order(market),
        one_sided=int(one_sided),
    )


def state_of(encoded: Encoded, lists: blocking.Lists) -> blocking.State:
    """Return the state in which everybody is at home."""
    n = len(lists.home_of)
    _, home_rank = encoded.ranks_with_home
    held = np.lexsort((-home_rank, lists.home_of)).astype(np.int32)
    seat_of = np.empty(n, dtype=np.int32)
    seat_of[held] = np.arange(n, dtype=np.int32)
    first, after, before = _rows(lists)
    return blocking.State(
        held=held,
        held_rank=home_rank[held],
        seat_of=seat_of,
        at=lists.list_start[1:].copy(),
        first=first,
        after=after,
        before=before,
        alive=np.ones(n, dtype=np.uint8),
        part=np.zeros(n, dtype=np.int32),
        by_part=np.arange(n, dtype=np.int32),
    )


def _rows(lists: blocking.Lists) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Return for each position the first who wishes it, and for each the neighbours."""
    by_row = np.lexsort((lists.rank, lists.position)).astype(np.int32)
    position = lists.position[by_row]
    starts = np.ones(len(by_row), dtype=np.bool_)
    starts[1:] = position[1:] != position[:-1]
    first = np.full(len(lists.seat_start) - 1, NONE, dtype=np.int32)
    first[position[starts]] = by_row[starts]
    before = np.empty_like(by_row)
    before[by_row] = np.where(starts, NONE, np.roll(by_row, 1))
    after = np.empty_like(by_row)
    after[by_row] = np.where(np.roll(starts, -1), NONE, np.roll(by_row, -1))
    return first, after, before


def _starts(home_of: IndexArray, n_positions: int) -> IndexArray:
    counts = np.bincount(home_of, minlength=n_positions)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def run_exchanges(encoded: Encoded, lists: blocking.Lists) -> Moves:
    """Trade circles of envy until there is none, the best-ranked initiator first."""
    n, n_positions = encoded.market.n_applicants, encoded.market.n_positions
    state = state_of(encoded, lists)
    blocking.exchange_all(lists, state, _scratch(n, n_positions), _labels(n))
    return moves_of(encoded.market, lists, state)


def _scratch(n: int, n_positions: int) -> blocking.Scratch:
    def empty() -> IndexArray:
        return np.empty(n, dtype=np.int32)

    def full(size: int, value: int) -> IndexArray:
        return np.full(size, value, dtype=np.int32)

    return blocking.Scratch(
        from_start=full(n, NONE),
        to_start=full(n, NONE),
        parent=empty(),
        by_wish=empty(),
        ahead=empty(),
        behind=empty(),
        next_seat=full(n_positions, blocking.UNSET),
        next_wish=full(n_positions, blocking.UNSET),
        path=empty(),
        wish=empty(),
        seat=empty(),
        was_at=empty(),
        searched=empty(),
        ends=full(4, 0),
        work=full(1, 0),
    )


def _labels(n: int) -> blocking.Labels:
    low, numbered, stack, calls = np.empty((4, 2 * n), dtype=np.int32)
    return blocking.Labels(
        bounds=np.zeros(2, dtype=np.int32),
        number=np.full(2 * n, NONE, dtype=np.int32),
        low=low,
        step=np.zeros(2 * n, dtype=np.int32),
        numbered=numbered,
        stack=stack,
        calls=calls,
        roots=np.empty(n, dtype=np.int32),
        stacked=np.zeros(2 * n, dtype=np.uint8),
    )


def moves_of(market: Market, lists: blocking.Lists, state: blocking.State) -> Moves:
    """Return who moved by which wish, and as exchanges the circles of the result."""
    n = market.n_applicants
    moved = state.at < lists.list_start[1:]
    moved_by = np.full(n, terms.NOBODY, dtype=np.int32)
    moved_by[moved] = market.list_wish[state.at[moved]]
    place = market.home_of.copy()
    place[moved] = lists.position[state.at[moved]]
    members, starts = _circles(market, lists.order, moved, place)
    return Moves.in_one_stage(moved_by, moved_by[members], starts)


def _circles(
    market: Market, order: IndexArray, moved: npt.NDArray[np.bool_], place: IndexArray
) -> tuple[IndexArray, npt.NDArray[np.int64]]:
    """Return the circles of the movers, laid flat, by overall rank of the first."""
    n, n_positions = market.n_applicants, market.n_positions
    rank = np.empty(n, dtype=np.int32)
    rank[order] = np.arange(n, dtype=np.int32)
    movers = order[moved[order]]
    mover_start = np.empty(n_positions + 1, dtype=np.int32)
    by_home = np.empty_like(movers)
    group(market.home_of[movers], mover_start, by_home)
    members = np.empty(len(movers), dtype=np.int32)
    starts = np.zeros(len(movers) + 1, dtype=np.int32)
    n_circles = blocking.exchanges_of(
        movers,
        rank,
        market.home_of,
        place,
        mover_start,
        movers[by_home],
        np.zeros(n_positions, dtype=np.int32),
        np.full(n_positions, NONE, dtype=np.int32),
        np.empty(len(movers), dtype=np.int32),
        members,
        starts,
    )
    return circles_by_rank(members, starts[: n_circles + 1], rank)
