"""Teacher-optimal block exchange (Combe, Tercieux and Terrier, 2022), seat by seat.

Top trading cycles on shortened lists: of the seats of a position that he wishes,
somebody keeps those whose holder he outranks there, the one whose holder ranks lowest
first, and his own seat comes last. It is one of the possible results of block exchange,
and no false list helps anybody. With several seats per position the paper defines a
class of mechanisms; this one is the member that tries the seats in that order.

With one common score, equal at home and abroad, nobody can ever move.
"""

from __future__ import annotations

import numpy as np

from jiepin.core.kernels import blocking
from jiepin.core.market import Encoded
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.seat_trading import lists_of, moves_of, state_of

NAME = "teacher_optimal_block_exchange"


def run(encoded: Encoded) -> Moves:
    """Clear a market; `seat_trading` says which exchanges are listed.

    Raises NoHomePoints when an applicant who wishes has no `home_points`.
    """
    lists = lists_of(encoded, NAME)
    state = state_of(encoded, lists)
    n = encoded.market.n_applicants
    blocking.trade_on_shortened_lists(
        lists,
        state,
        wanted=lists.list_start[:-1].copy(),
        next_seat=lists.seat_start[:-1].copy(),
        place=np.full(n, blocking.NONE, dtype=np.int32),
        path=np.empty(n, dtype=np.int32),
    )
    return moves_of(encoded.market, lists, state)
