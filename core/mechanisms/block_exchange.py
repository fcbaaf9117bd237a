"""Block exchange: not built yet."""

from __future__ import annotations

from jiepin.core.market import Encoded
from jiepin.core.mechanisms.moves import Moves

NAME = "block_exchange"


def run(encoded: Encoded) -> Moves:
    """Clear a market."""
    raise NotImplementedError
