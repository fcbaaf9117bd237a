"""Do the arrays of a market fit together? Asked once, before any kernel runs on it.

Kernels do not look where they read and write: an index that does not exist, lists that
begin before they end, or an array of another type is refused here. Minima, maxima and
differences of whole arrays, a few milliseconds for a million applicants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from jiepin.core.errors import BadArray
from jiepin.core.frames import MOST
from jiepin.core.market import Market
from jiepin.core.terms import NOBODY

Array = npt.NDArray[Any]


def check_market(market: Market) -> None:
    """Raise BadArray unless every index of a market exists and the lists are whole.

    >>> from jiepin.core import Round, Rules
    >>> from jiepin.core.market import encode
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> market = encode(round_, Rules.load("taiwan-110")).market
    >>> check_market(market)
    >>> check_market(market._replace(home_of=market.home_of + np.int32(1)))
    Traceback (most recent call last):
    jiepin.core.errors.BadArray: 資料陣列不合規定，沒有開始計算。
        home_of[1]: 2; expected 0 to 1
    """
    graph = market.graph
    sizes = {
        "positions": len(_plain("claim_start", graph.claim_start, np.int32)) - 1,
        "applicants": len(_plain("home_of", market.home_of, np.int32)),
        "claims": len(_plain("holder_of", graph.holder_of, np.int32)),
        "wishes": len(_plain("wish_position", graph.wish_position, np.int32)),
    }
    _indices("home_of", market.home_of, sizes["applicants"], sizes["positions"])
    _indices("holder_of", graph.holder_of, sizes["claims"], sizes["applicants"])
    _indices("wish_position", graph.wish_position, sizes["wishes"], sizes["positions"])
    _indices("home_of_claim", graph.home_of_claim, sizes["claims"], sizes["positions"])
    _starts("claim_start", graph.claim_start, sizes["positions"], sizes["claims"])
    _starts("wish_start", graph.wish_start, sizes["claims"], sizes["wishes"])
    _starts("list_start", market.list_start, sizes["applicants"], sizes["wishes"])
    _indices("list_wish", market.list_wish, sizes["wishes"], sizes["wishes"])
    _indices("claim_order", market.claim_order, sizes["claims"], sizes["claims"])
    _indices("rank_of", market.rank_of, sizes["claims"], sizes["claims"])
    _check_seats(market.seats, sizes["positions"])
    _check_choices(market.wish_choice, sizes["wishes"])
    _check_owners(market)


def check_moves(
    market: Market, moved_by: Array, stage_of: Array, n_stages: int, sizes: Array
) -> None:
    """Raise BadArray unless these moves, as in a Situation, are moves of the market."""
    applicants = market.n_applicants
    for name, array, n in (
        ("moved_by", moved_by, len(market.list_wish)),
        ("stage_of", stage_of, n_stages),
    ):
        _length(name, _plain(name, array, np.int32), applicants)
        _between(name, array, NOBODY, n - 1)
    movers = np.flatnonzero(moved_by != NOBODY)
    graph = market.graph
    owners = graph.holder_of[graph.wish_claim[moved_by[movers]]]
    _same("holder of moved_by", owners, movers)
    _same("stage_of, who moved", stage_of != NOBODY, moved_by != NOBODY)
    _between("sizes", sizes, 1, max(1, applicants))


def _check_seats(seats: Array, n_positions: int) -> None:
    _length("seats", _plain("seats", seats, np.int64), n_positions)
    _between("seats", seats, 0, MOST)


def _check_choices(wish_choice: Array, n_wishes: int) -> None:
    _length("wish_choice", _plain("wish_choice", wish_choice, np.int32), n_wishes)
    _between("wish_choice", wish_choice, 1, np.iinfo(np.int32).max)


def _check_owners(market: Market) -> None:
    """Hold against each other what is said twice: whose claim, which rank."""
    graph = market.graph
    claims = np.arange(len(graph.holder_of), dtype=np.int32)
    positions = np.arange(market.n_positions, dtype=np.int32)
    _same("home_of_claim", graph.home_of_claim, market.home_of[graph.holder_of])
    at = np.repeat(positions, np.diff(graph.claim_start))
    _same("home_of_claim", graph.home_of_claim, at)
    _same("rank_of[claim_order]", market.rank_of[market.claim_order], claims)
    # claims number their wishes in order: where the number rises, the next one begins
    _length(
        "wish_claim",
        _plain("wish_claim", graph.wish_claim, np.int32),
        len(graph.wish_position),
    )
    _same("wish_claim", graph.wish_claim, np.repeat(claims, np.diff(graph.wish_start)))


def _plain(name: str, array: Any, kind: type[np.integer[Any]]) -> Array:
    """Refuse what kernels do not take: other types, byte orders, shapes and strides."""
    expected = f"a contiguous array of {kind.__name__}, one dimension"
    if not isinstance(array, np.ndarray):
        raise BadArray(name, None, type(array).__name__, expected)
    if array.dtype != np.dtype(kind) or array.ndim != 1:
        found = f"{array.dtype.newbyteorder('=').name}, shape {array.shape}"
        order = "" if array.dtype.isnative else " with its bytes in another order"
        raise BadArray(name, None, found + order, expected)
    if not array.flags.c_contiguous:
        raise BadArray(name, None, f"strides {array.strides}", expected)
    return array


def _length(name: str, array: Array, expected: int) -> None:
    if len(array) != expected:
        raise BadArray(name, None, f"{len(array):,} entries", f"{expected:,}")


def _between(name: str, array: Array, low: int, high: int) -> None:
    if not len(array) or (array.min() >= low and array.max() <= high):
        return
    index = int(np.argmax((array < low) | (array > high)))
    raise BadArray(name, index, int(array[index]), f"{low:,} to {high:,}")


def _indices(name: str, array: Array, length: int, n: int) -> None:
    _length(name, _plain(name, array, np.int32), length)
    _between(name, array, 0, n - 1)


def _starts(name: str, starts: Array, n_lists: int, n_entries: int) -> None:
    """Refuse lists that do not begin at 0, go back, or end before the last entry."""
    _length(name, _plain(name, starts, np.int32), n_lists + 1)
    for index, expected in ((0, 0), (-1, n_entries)):
        if starts[index] != expected:
            raise BadArray(name, index, int(starts[index]), f"{expected:,}")
    back = np.flatnonzero(starts[1:] < starts[:-1])
    if len(back):
        index = int(back[0]) + 1
        raise BadArray(
            name, index, int(starts[index]), f"{starts[index - 1]:,} or more"
        )


def _same(name: str, found: Array, expected: Array) -> None:
    if np.array_equal(found, expected):
        return
    index = int(np.argmax(found != expected))
    raise BadArray(name, index, int(found[index]), f"{expected[index]:,}")
