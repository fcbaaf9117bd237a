"""What a mechanism decided, as arrays, and the tables of a result made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import terms
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.market import Encoded
from jiepin.core.outcome import ASSIGNMENT_SCHEMA


@dataclass(frozen=True)
class Moves:
    """Who moved, by which wish, in which stage and exchange; in the order of making.

    moved_by[i] is the wish applicant i moved by, or NOBODY; stage_of[i] the number of
    its stage, or NOBODY; exchanges are laid flat in members (wishes, initiator first),
    exchange e being members[starts[e]:starts[e + 1]] and made in exchange_stage[e].
    bound: nobody could move more than so many; None where nothing is proved.
    """

    moved_by: IndexArray
    stage_of: IndexArray
    members: IndexArray
    starts: npt.NDArray[np.int64]
    exchange_stage: IndexArray
    bound: int | None = None

    @classmethod
    def in_one_stage(
        cls,
        moved_by: IndexArray,
        members: IndexArray,
        starts: npt.NDArray[np.int64],
        bound: int | None = None,
    ) -> Moves:
        """Return the moves of a mechanism that has no stages, which count as one."""
        moved = moved_by != terms.NOBODY
        return cls(
            moved_by=moved_by,
            stage_of=np.where(moved, 0, terms.NOBODY).astype(np.int32),
            members=members,
            starts=starts,
            exchange_stage=np.zeros(len(starts) - 1, dtype=np.int32),
            bound=bound,
        )


def circles_by_rank(
    members: IndexArray, starts: npt.NDArray[np.integer], rank: IndexArray
) -> tuple[IndexArray, npt.NDArray[np.int64]]:
    """Return circles, laid flat as in Moves, by the rank of the first member of each.

    >>> members, starts = np.array([4, 2, 0, 1, 3]), np.array([0, 2, 5])
    >>> members, starts = circles_by_rank(members, starts, np.arange(5))
    >>> members.tolist(), starts.tolist()
    ([0, 1, 3, 4, 2], [0, 3, 5])
    """
    order = np.argsort(rank[members[starts[:-1]]], kind="stable")
    sizes = np.diff(starts)[order]
    new_starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    shift = np.repeat(starts[:-1][order] - new_starts[:-1], sizes)
    return members[shift + np.arange(len(shift))], new_starts


def assignments_of(
    encoded: Encoded, names: Sequence[str], moves: Moves
) -> pl.DataFrame:
    """Return where everybody is afterwards, one row per applicant, by teacher_id.

    `names` are those of the stages that `moves` numbers.
    """
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
            "stage": _stage_names(names, moves.stage_of[by_id]),
            "exchange": _blank_zero(number[by_id]),
            "school": round_.schools["school"].gather(encoded.school_of[place[by_id]]),
            "subject": round_.subjects["subject"].gather(
                encoded.subject_of[place[by_id]]
            ),
            "choice": _blank_zero(choice[by_id]),
        },
        schema_overrides=ASSIGNMENT_SCHEMA,
    )


def exchanges_of(encoded: Encoded, names: Sequence[str], moves: Moves) -> pl.DataFrame:
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
            _stage_names(names, moves.exchange_stage).alias("stage"),
            pl.col("teachers").list.len().cast(pl.Int64).alias("size"),
            "teachers",
        )
    )


def _stage_names(names: Sequence[str], stages: IndexArray) -> pl.Series:
    number = pl.Series(stages).cast(pl.Int64)
    return pl.Series(names, dtype=pl.String).gather(
        number.set(number == terms.NOBODY, None)
    )


def _blank_zero(numbers: npt.NDArray[np.int64]) -> pl.Series:
    column = pl.Series(numbers)
    return column.set(column == 0, None)
