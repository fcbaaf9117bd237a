"""Random whole numbers that any machine draws alike.

A number depends on the seed, on what it is drawn for and on the place it is drawn at,
never on what was drawn before: blocks of any size, in any order, give the same numbers.
No float takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators: SplitMix64
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_HALF = np.uint64(32)

_TABLE_UP_TO = 1 << 20  # weight up to which items are looked up, not searched for


@dataclass(frozen=True, slots=True)
class Draws:
    """The random numbers of one seed.

    >>> dice = Draws(7).numbers("dice", np.arange(9), 6)
    >>> later = Draws(7).numbers("dice", np.arange(4, 9), 6)
    >>> dice[4:].tolist() == later.tolist()
    True
    """

    seed: int

    def numbers(self, purpose: str, at: Int64Array, below: npt.ArrayLike) -> Int64Array:
        """Return for each place in `at` a number from 0 up to, not with, `below`.

        `below` is one limit for all or one for each place, from 1 to 2**32 - 1.
        """
        mixed = at.astype(np.uint64)
        mixed *= _STEP
        mixed += self._key(purpose)
        for shift, factor in ((30, _FIRST), (27, _SECOND)):
            mixed ^= mixed >> np.uint64(shift)
            mixed *= factor
        mixed ^= mixed >> np.uint64(31)
        mixed >>= _HALF
        mixed *= np.asarray(below, dtype=np.uint64)
        mixed >>= _HALF
        return mixed.astype(np.int64)

    def _key(self, purpose: str) -> np.uint64:
        digest = blake2b(f"{self.seed}:{purpose}".encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "big"))


@dataclass(frozen=True, slots=True)
class Urns:
    """Weighted items in a row, and urns, each holding a run of them.

    `ends[i]` is the weight of all items before item i, shape (n_items + 1,); urn u
    holds the items from starts[u] up to, not with, stops[u]. An item of weight 0 is
    never drawn. The weights in an urn add up to less than 2**32. `item_at` holds the
    item of each unit of weight, and nothing where there are too many of them.

    >>> urns = Urns.rows(np.array([[1, 0, 3], [0, 2, 0]]))
    >>> urns.totals.tolist()
    [4, 2]
    >>> urns.draw(Draws(0), "example", np.arange(5), [0, 0, 0, 1, 1]).tolist()
    [0, 2, 0, 4, 4]
    """

    ends: Int64Array
    starts: Int64Array
    stops: Int64Array
    item_at: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls, weights: npt.ArrayLike, starts: npt.ArrayLike, stops: npt.ArrayLike
    ) -> Urns:
        """Return urns that hold runs of the items with these weights."""
        flat = np.asarray(weights, dtype=np.int64)
        ends = np.zeros(len(flat) + 1, dtype=np.int64)
        np.cumsum(flat, out=ends[1:])
        items = np.arange(len(flat) if ends[-1] <= _TABLE_UP_TO else 0, dtype=np.int32)
        return cls(
            ends,
            np.asarray(starts, dtype=np.int64),
            np.asarray(stops, dtype=np.int64),
            np.repeat(items, flat[: len(items)]),
        )

    @classmethod
    def rows(cls, weights: npt.ArrayLike) -> Urns:
        """Return one urn per row of a matrix; item i of urn u is u * n_columns + i."""
        matrix = np.atleast_2d(np.asarray(weights, dtype=np.int64))
        n_urns, n_items = matrix.shape
        starts = np.arange(n_urns) * n_items
        return cls.of(matrix.ravel(), starts, starts + n_items)

    @property
    def totals(self) -> Int64Array:
        """Return the weight in each urn; from an urn of 0 nothing can be drawn."""
        return self.ends[self.stops] - self.ends[self.starts]

    def draw(
        self, draws: Draws, purpose: str, at: Int64Array, urns: npt.ArrayLike
    ) -> Int64Array:
        """Return for each place in `at` the item drawn from its urn, put back after."""
        urn = np.asarray(urns, dtype=np.int64)
        number = draws.numbers(purpose, at, self.totals[urn])
        number += self.ends[self.starts[urn]]
        if len(self.item_at):
            return self.item_at[number].astype(np.int64)
        return np.searchsorted(self.ends, number, side="right") - 1
