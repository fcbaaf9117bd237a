"""What a plan with a size limit may be made of: exchanges, and moves to open seats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import short_cycles
from jiepin.core.kernels.compiling import FlagArray, IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms.keeping import Demands
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.top_trading_cycles import overall_order
from jiepin.core.rules import Rules

MOST_LISTED = 1_000_000  # exchanges; beyond that not all of the larger ones are listed
THINNER = 0.9  # so much of the wishes is kept each time they still make too many


@dataclass(frozen=True)
class Plan:
    """Who exchanges with whom, and who takes an open seat."""

    cycles: IndexArray  # shape (n_exchanges, max_size): applicants, NOBODY at the end
    takers: IndexArray  # who moves one-way
    taken: IndexArray  # the position where each of them goes

    @property
    def moved(self) -> int:
        """Return how many move."""
        return int((self.cycles >= 0).sum()) + len(self.takers)


@dataclass(frozen=True)
class Pool:
    """All that may be made, each applicant being part of one thing at most.

    Every exchange of at most `listed_to` people is there, of larger ones only some.
    Who must move may not stay.
    """

    max_size: int
    cycles: IndexArray  # shape (n_exchanges, max_size): applicants, NOBODY at the end
    takers: IndexArray  # pairs, in wish order: who may go one-way
    taken: IndexArray  # … to which position
    seats: npt.NDArray[np.int64]  # shape (n_positions,): open seats
    must_move: FlagArray  # shape (n_applicants,)
    listed_to: int

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The number of members of each exchange."""
        sizes: npt.NDArray[np.int64] = (self.cycles >= 0).sum(axis=1)
        return sizes

    @property
    def complete(self) -> bool:
        """Tell whether every exchange is listed."""
        return self.listed_to == self.max_size

    @property
    def n_columns(self) -> int:
        """Return how many things may be made."""
        return len(self.cycles) + len(self.takers)

    def fully_listed(self) -> Pool:
        """Return the part of a pool with the sizes of which nothing is missing."""
        return self.only(
            self.sizes <= self.listed_to, np.ones(len(self.takers), dtype=bool)
        )

    def only(self, cycles: npt.NDArray[np.bool_], takes: npt.NDArray[np.bool_]) -> Pool:
        """Return the part of a pool where these are true."""
        return replace(
            self,
            cycles=self.cycles[cycles],
            takers=self.takers[takes],
            taken=self.taken[takes],
        )


def pool_of(encoded: Encoded, rules: Rules, demands: Demands, max_size: int) -> Pool:
    """List what may be made of a market.

    One-way moves are those that a one-way stage of the rules admits.
    """
    market = encoded.market
    owner = market.graph.holder_of[market.graph.wish_claim]
    usable = demands.allowed == 1
    granted = usable & _admitted(encoded, rules, owner)
    one_way = market.list_wish[granted[market.list_wish]]
    held = np.bincount(market.home_of, minlength=market.n_positions)
    usable &= held[market.graph.wish_position] > 0
    cycles, listed_to = _exchanges(
        _web(market, owner, np.flatnonzero(usable)), max_size
    )
    return Pool(
        max_size=max_size,
        cycles=cycles,
        takers=owner[one_way],
        taken=market.graph.wish_position[one_way],
        seats=market.seats,
        must_move=demands.must_move,
        listed_to=listed_to,
    )


def _admitted(
    encoded: Encoded, rules: Rules, owner: IndexArray
) -> npt.NDArray[np.bool_]:
    """Tell of each wish whether a one-way stage may grant it."""
    target = encoded.market.graph.wish_position
    admitted = np.zeros(len(target), dtype=bool)
    for stage in rules.stages:
        if stage.kind != terms.ONE_WAY:
            continue
        granted = (encoded.swap_only[target] == 0) & (encoded.market.seats[target] > 0)
        granted &= encoded.swap_only[encoded.market.home_of[owner]] == 0
        if stage.applicants is not None:
            granted &= encoded.in_group(stage.applicants)[owner] == 1
        if stage.schools is not None:
            granted &= encoded.at_schools_tagged(stage.schools)[target] == 1
        admitted |= granted
    return admitted


def _web(
    market: Market, owner: IndexArray, wishes: npt.NDArray[np.intp]
) -> short_cycles.Web:
    """Return who may go where by these wishes."""
    by_owner = wishes[np.argsort(owner[wishes], kind="stable")]
    target = market.graph.wish_position[by_owner].astype(np.int32)
    n_wishes = np.bincount(owner[by_owner], minlength=market.n_applicants)
    starts = np.empty(market.n_positions + 1, dtype=np.int32)
    at = np.empty(len(target), dtype=np.int32)
    group(target, starts, at)
    holder_start = np.searchsorted(
        market.home_of, np.arange(market.n_positions + 1)
    ).astype(np.int32)
    return short_cycles.Web(
        holder_start=holder_start,
        wish_start=np.concatenate([[0], np.cumsum(n_wishes)]).astype(np.int64),
        target=target,
        into=starts.astype(np.int64),
        source=market.home_of[owner[by_owner]][at].astype(np.int32),
    )


def _exchanges(web: short_cycles.Web, max_size: int) -> tuple[IndexArray, int]:
    """List the exchanges, and tell up to which size these are all.

    Where they are too many, all of the smaller sizes are listed, and of the others
    those that a random part of the wishes makes.
    """
    found = _listed(web, max_size, max_size)
    if found is not None:
        return found, max_size
    most, found = max_size - 1, _listed(web, max_size - 1, max_size)
    while found is None:
        most -= 1
        found = _listed(web, most, max_size)
    luck = np.random.Generator(np.random.PCG64(0)).random(len(web.target))
    part, more = 1.0, None
    while more is None:
        part *= THINNER
        more = _listed(_thinned(web, luck < part), max_size, max_size)
    larger = more[(more >= 0).sum(axis=1) > most]
    return np.concatenate([found, larger]), most


def _thinned(web: short_cycles.Web, kept: npt.NDArray[np.bool_]) -> short_cycles.Web:
    """Return a web with some of the wishes; the way back stays as it is."""
    before = np.concatenate([[0], np.cumsum(kept)])
    return web._replace(
        wish_start=before[web.wish_start].astype(np.int64), target=web.target[kept]
    )


def _listed(web: short_cycles.Web, most: int, width: int) -> IndexArray | None:
    """List the exchanges of 2 to `most` people, or return None if they are too many."""
    if most < 2:
        return np.empty((0, width), dtype=np.int32)
    desk = short_cycles.desk_for(len(web.holder_start) - 1, most)
    members = np.empty((0, most), dtype=np.int32)
    n = short_cycles.list_all(web, desk, most, MOST_LISTED, members)
    if n > MOST_LISTED:
        return None
    members = np.empty((n, most), dtype=np.int32)
    short_cycles.list_all(web, desk, most, MOST_LISTED, members)
    full = np.full((n, width), terms.NOBODY, dtype=np.int32)
    full[:, :most] = members
    return full


# ---- Plans and moves


def plan_of(market: Market, moves: Moves, max_size: int) -> Plan:
    """Return moves of exchanges of at most max_size, and one-way ones, as a plan."""
    owner = market.graph.holder_of[market.graph.wish_claim]
    sizes = np.diff(moves.starts)
    cycles = np.full((len(sizes), max_size), terms.NOBODY, dtype=np.int32)
    row = np.repeat(np.arange(len(sizes)), sizes)
    column = np.arange(len(row)) - np.repeat(moves.starts[:-1], sizes)
    cycles[row, column] = owner[moves.members]
    alone = moves.moved_by != terms.NOBODY
    alone[owner[moves.members]] = False
    takers = np.flatnonzero(alone).astype(np.int32)
    taken = market.graph.wish_position[moves.moved_by[takers]]
    return Plan(cycles, takers, taken)


def moves_of(market: Market, plan: Plan, bound: int) -> Moves:
    """Return a plan as moves: exchanges by their best-ranked member, who is first."""
    rank = np.empty(market.n_applicants, dtype=np.int64)
    rank[overall_order(market)] = np.arange(market.n_applicants)
    sizes = (plan.cycles >= 0).sum(axis=1)
    ranks = np.where(plan.cycles >= 0, rank[plan.cycles], market.n_applicants)
    first = ranks.argmin(axis=1)
    order = np.argsort(ranks.min(axis=1, initial=market.n_applicants), kind="stable")
    sizes, starts = sizes[order], np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(sizes, out=starts[1:])
    row = np.repeat(order, sizes)
    step = np.arange(len(row)) - np.repeat(starts[:-1], sizes)
    size = np.repeat(sizes, sizes)
    members = plan.cycles[row, (first[row] + step) % size]
    after = plan.cycles[row, (first[row] + step + 1) % size]
    used = _wishes_for(market, members, market.home_of[after])
    moved_by = np.full(market.n_applicants, terms.NOBODY, dtype=np.int32)
    moved_by[members] = used
    moved_by[plan.takers] = _wishes_for(market, plan.takers, plan.taken)
    return Moves.in_one_stage(moved_by, used, starts, bound)


def _wishes_for(
    market: Market, applicants: IndexArray, positions: IndexArray
) -> IndexArray:
    """Return the wish of each applicant for a position."""
    owner = market.graph.holder_of[market.graph.wish_claim].astype(np.int64)
    known = owner * market.n_positions + market.graph.wish_position
    asked = applicants.astype(np.int64) * market.n_positions + positions
    order = np.argsort(known)
    return order[np.searchsorted(known[order], asked)].astype(np.int32)
