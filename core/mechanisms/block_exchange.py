"""Block exchange (Combe, Tercieux and Terrier, 2022), one seat at a time.

Somebody points to a seat when he would rather be there and outranks its holder there.
A circle of such wishes is traded, until none is left; then nobody is below home, no
seat has passed to somebody who ranks lower there, and no trade among the seats held
could go on in this way. Which circle is traded is open in the paper. Here it is one of
the applicant who ranks first overall among those on any circle; of his circles one of
the shortest; of these the first, each in turn preferring the earlier wish, and of the
seats of a position the one whose holder ranks lowest there.

With one common score, equal at home and abroad, nobody can ever move.
"""

from __future__ import annotations

from jiepin.core.market import Encoded
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.seat_trading import lists_of, run_exchanges

NAME = "block_exchange"


def run(encoded: Encoded) -> Moves:
    """Clear a market; `seat_trading` says which exchanges are listed.

    Raises NoHomePoints when an applicant who wishes has no `home_points`.
    """
    return run_exchanges(encoded, lists_of(encoded, NAME))
