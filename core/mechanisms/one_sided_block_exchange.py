"""One-sided block exchange (Combe, Tercieux and Terrier, 2022), one seat at a time.

As block exchange, but a seat may also go to somebody whom its holder outranks, if he
outranks everybody else who envies that position without outranking that holder. So who
moves is better off and nobody new has reason to complain, though a position may end
with somebody who ranks lower there than before. Which circle is traded is decided as in
block exchange, anew after every trade.
"""

from __future__ import annotations

from jiepin.core.market import Encoded
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.seat_trading import lists_of, run_exchanges

NAME = "one_sided_block_exchange"


def run(encoded: Encoded) -> Moves:
    """Clear a market; `seat_trading` says which exchanges are listed.

    Raises NoHomePoints when an applicant who wishes has no `home_points`.
    """
    return run_exchanges(encoded, lists_of(encoded, NAME, one_sided=True))
