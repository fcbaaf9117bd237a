"""The rules of the year: one-way stages and exchanges, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import terms
from jiepin.core.kernels import exchange, one_way
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Encoded, Market, encode
from jiepin.core.mechanisms.exchange_stage import ExchangeStage, bounds_of
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, Outcome
from jiepin.core.round import Round
from jiepin.core.rules import Rules, Stage
from jiepin.core.workers import Workers

Report = Callable[[str, int, int], None]  # stage name, claims done, claims in all


def solve(
    round_: Round,
    rules: Rules,
    seed: int = 0,
    threads: int = 1,
    report: Report | None = None,
) -> Outcome:
    """Clear a round by rules; seed is that of the lottery.

    The same round, rules and seed give the same outcome, whatever the threads and the
    order of rows. `report` is called now and then with stage, claims done and in all.
    Raises BadRound when a teacher wishes more than the limits of the rules allow.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> outcome.exchanges["teachers"].to_list()
    [['T1', 'T3']]
    """
    start = time.perf_counter()
    with Workers(threads) as workers:
        encoded = encode(round_, rules, seed, workers)
    encoded_at = time.perf_counter()
    moves = run(encoded, rules, threads, report)
    solved_at = time.perf_counter()
    return Outcome(
        rules=rules,
        seed=seed,
        assignments=_assignments(encoded, rules, moves),
        exchanges=_exchanges(encoded, rules, moves),
        digests=round_.digests,
        seconds={"encode": encoded_at - start, "solve": solved_at - encoded_at},
    )


@dataclass(frozen=True)
class Moves:
    """Who moved, by which wish, in which stage and exchange; in the order of making.

    moved_by[i] is the wish applicant i moved by, or NOBODY; stage_of[i] the number of
    its stage, or NOBODY; exchanges are laid flat in members (wishes, initiator first),
    exchange e being members[starts[e]:starts[e + 1]] and made in exchange_stage[e].
    """

    moved_by: IndexArray
    stage_of: IndexArray
    members: IndexArray
    starts: npt.NDArray[np.int64]
    exchange_stage: IndexArray


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


def _assignments(encoded: Encoded, rules: Rules, moves: Moves) -> pl.DataFrame:
    """Return where everybody is afterwards, one row per applicant, by teacher_id."""
    market, graph = encoded.market, encoded.market.graph
    moved = moves.moved_by != terms.NOBODY
    place = market.home_of.copy()
    place[moved] = graph.wish_position[moves.moved_by[moved]]
    choice = np.zeros(len(place), dtype=np.int64)
    choice[moved] = market.wish_choice[moves.moved_by[moved]]
    number = np.zeros(len(place), dtype=np.int64)
    number[graph.holder_of[graph.wish_claim[moves.members]]] = 1 + np.repeat(
        np.arange(len(moves.exchange_stage)), np.diff(moves.starts)
    )
    by_id, round_ = encoded.by_id, encoded.round_
    return pl.DataFrame(
        {
            "teacher_id": round_.teachers["teacher_id"].gather(encoded.row_of[by_id]),
            "stage": _stage_names(rules, moves.stage_of[by_id]),
            "exchange": _blank_zero(number[by_id]),
            "school": round_.schools["school"].gather(encoded.school_of[place[by_id]]),
            "subject": round_.subjects["subject"].gather(
                encoded.subject_of[place[by_id]]
            ),
            "choice": _blank_zero(choice[by_id]),
        },
        schema_overrides=ASSIGNMENT_SCHEMA,
    )


def _exchanges(encoded: Encoded, rules: Rules, moves: Moves) -> pl.DataFrame:
    """Return the exchanges in the order made, initiator first."""
    n_made = len(moves.exchange_stage)
    graph = encoded.market.graph
    applicants = graph.holder_of[graph.wish_claim[moves.members]]
    ids = encoded.round_.teachers["teacher_id"]
    members = pl.DataFrame(
        {
            "exchange": np.repeat(np.arange(n_made), np.diff(moves.starts)) + 1,
            "teachers": ids.gather(encoded.row_of[applicants]),
        }
    )
    return (
        members.group_by("exchange", maintain_order=True)
        .agg("teachers")
        .select(
            pl.col("exchange").cast(pl.Int64),
            _stage_names(rules, moves.exchange_stage).alias("stage"),
            pl.col("teachers").list.len().cast(pl.Int64).alias("size"),
            "teachers",
        )
    )


def _stage_names(rules: Rules, stages: IndexArray) -> pl.Series:
    names = pl.Series([stage.name for stage in rules.stages], dtype=pl.String)
    number = pl.Series(stages).cast(pl.Int64)
    return names.gather(number.set(number == terms.NOBODY, None))


def _blank_zero(numbers: npt.NDArray[np.int64]) -> pl.Series:
    column = pl.Series(numbers)
    return column.set(column == 0, None)


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
