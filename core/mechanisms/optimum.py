"""Optimum: not built yet."""

from __future__ import annotations

from jiepin.core.market import Encoded
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.options import Options
from jiepin.core.rules import Rules


def run(encoded: Encoded, rules: Rules, options: Options, threads: int) -> Moves:
    """Clear a market."""
    raise NotImplementedError
