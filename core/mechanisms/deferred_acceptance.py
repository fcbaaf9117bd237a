"""Deferred acceptance that protects who holds a seat (Guillen and Kesten; Pereyra).

At each position those who hold a seat there come first, then all others by points
there and tie-break; applicants propose. Nobody ends below home, no applicant gains by a
false list, and who envies somebody is outranked by everybody there or met holders.

Seats are passed on, not exchanged: nobody moves into or out of a school that takes part
in exchanges alone, or a seat might fall free there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jiepin.core import terms
from jiepin.core.kernels import one_way
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms.moves import Moves

NAME = "deferred_acceptance"


def run(encoded: Encoded) -> Moves:
    """Clear a market. There are no exchanges in the result: seats are passed on."""
    market, graph = encoded.market, encoded.market.graph
    n = market.n_applicants
    own = _with_home(market)
    held = np.bincount(market.home_of, minlength=market.n_positions)
    n_wishers = np.bincount(graph.wish_position, minlength=market.n_positions)
    room = np.where(
        encoded.swap_only == 1, 0, held + np.minimum(market.seats, n_wishers)
    )
    seat_start = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
    kept = np.full(int(seat_start[-1]), terms.NOBODY, dtype=np.int32)
    one_way.propose(
        np.flatnonzero(encoded.swap_only[market.home_of] == 0).astype(np.int32),
        own.list_start,
        own.list_wish,
        own.wish_position,
        own.wish_claim,
        own.rank_of,
        own.holder_of,
        seat_start,
        np.zeros(n, dtype=np.int32),
        kept,
        np.zeros(market.n_positions, dtype=np.int32),
    )
    return _moves(market, kept[kept != terms.NOBODY])


class _Lists(NamedTuple):
    """The lists with home at the end of each, wished by a claim that comes first."""

    list_start: IndexArray
    list_wish: IndexArray
    wish_position: IndexArray
    wish_claim: IndexArray
    rank_of: IndexArray
    holder_of: IndexArray


def _with_home(market: Market) -> _Lists:
    """Append to each list a wish for home; these are numbered after all others."""
    graph, n = market.graph, market.n_applicants
    everyone = np.arange(n, dtype=np.int32)
    n_wishes = len(graph.wish_position)
    list_start = (market.list_start + np.arange(n + 1)).astype(np.int32)
    list_wish = np.empty(n_wishes + n, dtype=np.int32)
    last = list_start[1:] - 1
    others = np.ones(n_wishes + n, dtype=np.bool_)
    others[last] = False
    list_wish[last] = n_wishes + everyone
    list_wish[others] = market.list_wish
    return _Lists(
        list_start=list_start,
        list_wish=list_wish,
        wish_position=np.concatenate([graph.wish_position, market.home_of]),
        wish_claim=np.concatenate([graph.wish_claim, market.n_claims + everyone]),
        rank_of=np.concatenate([market.rank_of, everyone - n]),
        holder_of=np.concatenate([graph.holder_of, everyone]),
    )


def _moves(market: Market, kept: IndexArray) -> Moves:
    wishes = kept[kept < len(market.graph.wish_position)]
    moved_by = np.full(market.n_applicants, terms.NOBODY, dtype=np.int32)
    moved_by[market.graph.holder_of[market.graph.wish_claim[wishes]]] = wishes
    no_exchange = np.empty(0, dtype=np.int32)
    return Moves.in_one_stage(moved_by, no_exchange, np.zeros(1, dtype=np.int64))
