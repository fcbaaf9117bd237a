"""What an optimum may use: every wish, or what is no worse than what the rules do."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jiepin.core import terms
from jiepin.core.kernels.compiling import FlagArray
from jiepin.core.market import Market
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.rules import Rules


class Demands(NamedTuple):
    """What every plan has to keep to."""

    allowed: FlagArray  # shape (n_wishes,): 1 where a wish may be used
    must_move: FlagArray  # shape (n_applicants,): 1 for those who may not stay


def no_demands(market: Market) -> Demands:
    """Let everybody use every wish, or stay."""
    return Demands(
        allowed=np.ones(len(market.graph.wish_position), dtype=np.uint8),
        must_move=np.zeros(market.n_applicants, dtype=np.uint8),
    )


def demands_of(market: Market, moves: Moves) -> Demands:
    """Let whoever moves in `moves` move by that wish or an earlier one of the list."""
    place = np.empty(len(market.list_wish), dtype=np.int64)
    place[market.list_wish] = np.arange(len(place))
    moved = moves.moved_by != terms.NOBODY
    last = market.list_start[1:].astype(np.int64) - 1
    last[moved] = place[moves.moved_by[moved]]
    owner = market.graph.holder_of[market.graph.wish_claim]
    return Demands(
        allowed=(place <= last[owner]).astype(np.uint8),
        must_move=moved.astype(np.uint8),
    )


def within(rules: Rules, max_size: int) -> Rules:
    """Return the rules without the stages whose exchanges are larger; 0: with all."""
    stages = tuple(
        stage for stage in rules.stages if stage.size <= (max_size or stage.size)
    )
    return replace(rules, stages=stages)
