"""The rules of the year: one-way stages and exchanges, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import exchange, one_way
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms.exchange_stage import ExchangeStage, bounds_of
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.rules import Rules, Stage
from jiepin.core.workers import Workers

Report = Callable[[str, int, int], None]  # stage name, claims done, claims in all


def run(
    encoded: Encoded, rules: Rules, threads: int = 1, report: Report | None = None
) -> Moves:
    """Clear a market by rules.

    The answer does not depend on threads. Sizes of exchanges that ran before make the
    search of later ones shorter: with none of 2 … k - 1 left, it never goes wrong.
    """
    with Workers(threads) as workers:
        return _run(_State(encoded, workers, report or _silent), rules)


def _run(state: _State, rules: Rules) -> Moves:
    sizes_run = {1}
    for number, stage in enumerate(rules.stages):
        if stage.kind == terms.ONE_WAY:
            state.run_one_way(stage)
        else:
            gapless = sizes_run.issuperset(range(1, stage.size))
            state.run_exchanges(stage, gapless)
            sizes_run.add(stage.size)
        state.close_stage(number, stage)
    return state.moves()


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


@dataclass
class _State:
    """What has happened so far; the market itself is never written."""

    encoded: Encoded
    workers: Workers
    report: Report
    seats: npt.NDArray[np.int64] = field(init=False)
    stage_of: IndexArray = field(init=False)
    made: exchange.Made = field(init=False)
    sizes: list[IndexArray] = field(default_factory=list)
    exchange_stages: list[IndexArray] = field(default_factory=list)
    n_exchanged: int = 0  # members of exchanges of the stages that are closed

    def __post_init__(self) -> None:
        market = self.market
        self.seats = market.seats.copy()
        self.stage_of = np.full(market.n_applicants, terms.NOBODY, dtype=np.int32)
        self.made = exchange.Made(
            moved_by=np.full(market.n_applicants, terms.NOBODY, dtype=np.int32),
            members=np.empty(market.n_applicants, dtype=np.int32),
            n_members=np.zeros(1, dtype=np.int32),
        )

    @cached_property
    def links(self) -> exchange.Links:
        return exchange.links_for(self.market.graph, self.workers.n)

    @cached_property
    def bounds(self) -> IndexArray:
        return bounds_of(self.market)

    @cached_property
    def wishers(self) -> tuple[IndexArray, IndexArray]:
        """Starts and wishes: those for p are wishes[starts[p]:starts[p + 1]]."""
        position = self.market.graph.wish_position
        starts = np.empty(self.market.n_positions + 1, dtype=np.int32)
        wishes = np.empty_like(position)
        group(position, starts, wishes)
        return starts, wishes

    @property
    def market(self) -> Market:
        return self.encoded.market

    def close_stage(self, number: int, stage: Stage) -> None:
        """Note the stage of all who moved since the last one was closed."""
        moved = self.made.moved_by != terms.NOBODY
        self.stage_of[moved & (self.stage_of == terms.NOBODY)] = number
        if stage.kind == terms.EXCHANGE:
            n_members = int(self.made.n_members[0])
            n_made = (n_members - self.n_exchanged) // stage.size
            self.n_exchanged = n_members
            self.sizes.append(np.full(n_made, stage.size, dtype=np.int32))
            self.exchange_stages.append(np.full(n_made, number, dtype=np.int32))

    def moves(self) -> Moves:
        """Return what has been decided."""
        sizes = np.concatenate([np.empty(0, dtype=np.int32), *self.sizes])
        stages = np.concatenate([np.empty(0, dtype=np.int32), *self.exchange_stages])
        return Moves(
            moved_by=self.made.moved_by,
            stage_of=self.stage_of,
            members=self.made.members[: self.n_exchanged],
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            exchange_stage=stages.astype(np.int32),
        )

    def run_one_way(self, stage: Stage) -> None:
        """Fill open seats; with reopen, again and again until nobody moves."""
        self.report(stage.name, 0, 1)
        encoded, home_of = self.encoded, self.market.home_of
        offered = encoded.swap_only == 0
        applies = offered[home_of] & (self.made.moved_by == terms.NOBODY)
        if stage.applicants is not None:
            applies &= encoded.in_group(stage.applicants) == 1
        if stage.schools is not None:
            offered &= encoded.at_schools_tagged(stage.schools) == 1
        proposers = np.flatnonzero(applies).astype(np.int32)
        while len(proposers):
            movers = self.one_pass(proposers, offered)
            if not stage.reopen:
                break
            np.add.at(self.seats, home_of[movers], 1)
            applies[movers] = False
            reopened = np.unique(home_of[movers])
            candidates = self.wishers_of(reopened[offered[reopened]])
            proposers = candidates[applies[candidates]]
        self.report(stage.name, 1, 1)

    def wishers_of(self, positions: IndexArray) -> IndexArray:
        """Return who wishes one of the positions.

        After a pass an open seat is one that nobody left wants, so only those who wish
        a seat that has just been left can move in the next pass.
        """
        graph, (starts, wishes) = self.market.graph, self.wishers
        parts = [wishes[starts[p] : starts[p + 1]] for p in positions]
        found = np.concatenate([np.empty(0, dtype=np.int32), *parts])
        return np.unique(graph.holder_of[graph.wish_claim[found]])

    def one_pass(
        self, proposers: IndexArray, offered: npt.NDArray[np.bool_]
    ) -> IndexArray:
        """Run deferred acceptance once, move those kept, and return them."""
        market, graph = self.market, self.market.graph
        n_wishers = np.bincount(graph.wish_position, minlength=market.n_positions)
        room = np.where(offered, np.minimum(self.seats, n_wishers), 0)
        seat_start = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        kept = np.full(int(seat_start[-1]), terms.NOBODY, dtype=np.int32)
        n_kept = np.zeros(market.n_positions, dtype=np.int32)
        one_way.propose(
            proposers,
            market.list_start,
            market.list_wish,
            graph.wish_position,
            graph.wish_claim,
            market.rank_of,
            graph.holder_of,
            seat_start,
            np.zeros(market.n_applicants, dtype=np.int32),
            kept,
            n_kept,
        )
        self.seats -= n_kept
        wishes = kept[kept != terms.NOBODY]
        movers: IndexArray = graph.holder_of[graph.wish_claim[wishes]]
        self.made.moved_by[movers] = wishes
        return movers

    def run_exchanges(self, stage: Stage, gapless: bool) -> None:
        """Try every claim of those not yet moved once, in claim order."""
        exchanges = ExchangeStage(
            self.market,
            stage.size,
            gapless,
            self.made,
            self.links,
            self.workers,
            self.bounds,
            partial(self.report, stage.name),
        )
        exchanges.run()
