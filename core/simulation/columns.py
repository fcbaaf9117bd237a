"""Columns of codes and of lists, made from arrays as a Round holds them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import checks


def coded(rows: pl.Series, codes: pl.Series | None = None) -> pl.Series:
    """Return `rows` as values of an enumeration of all `codes`; null where unknown.

    >>> coded(pl.Series(["b", "a", "d"]), pl.Series(["a", "b", "c"])).to_list()
    ['b', 'a', None]
    """
    return checks.Codes.of(rows if codes is None else codes).encode(rows)


def lists(flat: pl.Series, lengths: npt.NDArray[np.integer]) -> pl.Series:
    """Return lists of these lengths, one after the other out of `flat`.

    >>> lists(pl.Series([7, 8, 9]), np.array([2, 0, 1])).to_list()
    [[7, 8], [], [9]]
    """
    filled = np.flatnonzero(lengths)
    row = pl.Series(np.repeat(np.arange(len(filled)), lengths[filled])).set_sorted()
    frame = pl.DataFrame({"row": row, "flat": flat})
    parts = frame.group_by("row", maintain_order=True).agg("flat")["flat"]
    if len(filled) == len(lengths):
        return parts
    place = np.full(len(lengths), len(filled))
    place[filled] = np.arange(len(filled))
    nothing = pl.Series([[]], dtype=parts.dtype)
    return parts.append(nothing).gather(place)
