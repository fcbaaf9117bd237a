"""The schools of an invented round: big or small, near or far, wanted or not.

The weights are whole numbers of ours, chosen so that rounds look like those of Taiwan:
many teachers hold a first post in the north or far out, and a few schools of the large
places are wanted by most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from jiepin.core import terms
from jiepin.core.simulation import places
from jiepin.core.simulation.draws import Draws, Int64Array, Mask, Urns

_MARKS = ("remote", "special-remote", "extreme-remote")  # remoteness 1, 2, 3
_SIZES = (12, 14, 17, 20, 25, 30, 40, 55, 80, 120)  # full-time teachers of a school
_REMOTE_SIZE = 12

_CHARMS = np.array([1, 1, 2, 2, 3, 4, 5, 7, 10, 16])  # drawn for each school
_CHARM_OF_REMOTENESS = np.array([6, 3, 2, 1])
_SIZE_PER_CHARM = 25  # with so many teachers more a school is wanted once more

_CLOSED_ONE_IN = 3  # counties that open no seat at a level
_CORRECTIONAL_ONE_IN = 400
_SWAP_ONLY_ONE_IN = 200


@dataclass(frozen=True)
class Schools:
    """The schools of the chosen levels, sorted by level, county, township and code.

    frame has the columns of places.DIRECTORY_SCHEMA; level_of and county_of give, by
    school, the place of its level in `levels` and the row of its county in
    places.counties().
    """

    draws: Draws
    levels: tuple[str, ...]
    frame: pl.DataFrame
    level_of: Int64Array
    county_of: Int64Array

    @classmethod
    def of(
        cls, directory: pl.DataFrame, levels: Sequence[str], draws: Draws
    ) -> Schools:
        """Take the schools of these levels and mark a few of them by lot."""
        kind = pl.Enum(levels)
        frame = directory.filter(pl.col("level").is_in(list(levels)))
        frame = frame.sort(pl.col("level").cast(kind), "county", "township", "school")
        counties = pl.Enum(places.counties()["county"])
        return cls(
            draws=draws,
            levels=tuple(levels),
            frame=_with_rare_tags(frame, draws),
            level_of=_whole(frame["level"].cast(kind).to_physical()),
            county_of=_whole(frame["county"].cast(counties).to_physical()),
        )

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def group_of(self) -> Int64Array:
        """Return the group of each school: those of one level in one county."""
        return self.group(self.level_of, self.county_of)

    def group(self, level: Int64Array, county: Int64Array) -> Int64Array:
        """Return the number of the group of a level and a county."""
        return level * places.counties().height + county

    @property
    def n_groups(self) -> int:
        return len(self.levels) * places.counties().height

    @cached_property
    def township_of(self) -> Int64Array:
        """Return the township of each school, numbered within group after group."""
        place = pl.struct("level", "county", "township")
        return _whole(self.frame.select(place.rle_id()).to_series())

    @cached_property
    def remoteness(self) -> Int64Array:
        """Return 0 for schools near by up to 3 for those extremely remote."""
        marks = [
            pl.col("tags").list.contains(mark).cast(pl.Int64) * place
            for place, mark in enumerate(_MARKS, start=1)
        ]
        return _whole(self.frame.select(pl.max_horizontal(marks)).to_series())

    @cached_property
    def indigenous(self) -> Mask:
        """Return which schools are indigenous ones."""
        return self.tagged("indigenous")

    def tagged(self, tag: str) -> Mask:
        """Return which schools have the tag."""
        return self.frame["tags"].list.contains(tag).to_numpy()

    @cached_property
    def sizes(self) -> Int64Array:
        """Return the full-time teachers of each school, drawn where not known."""
        drawn = np.array(_SIZES)[self._lot("size", len(_SIZES))]
        drawn[self.remoteness > 0] = _REMOTE_SIZE
        known = self.frame["teachers"]
        sizes: Int64Array = np.maximum(_whole(known.fill_null(pl.Series(drawn))), 1)
        return sizes

    def homes(self) -> Urns:
        """Return an urn per level with the schools that teachers want to leave."""
        leaving = _whole(places.counties()["leaving"])[self.county_of]
        return self._per_level(self.sizes * leaving * (1 + self.remoteness))

    def offering(self) -> Urns:
        """Return an urn per level with the schools that open seats; it may be empty."""
        closed = self.draws.numbers("closed", self.group_of, _CLOSED_ONE_IN) == 0
        closed |= self.tagged(terms.SWAP_ONLY)
        return self._per_level(np.where(closed, 0, self.sizes * (1 + self.remoteness)))

    def _per_level(self, weights: Int64Array) -> Urns:
        starts, stops = _runs(self.level_of, len(self.levels))
        return Urns.of(weights, starts, stops)

    def _lot(self, purpose: str, below: int) -> Int64Array:
        return self.draws.numbers(purpose, np.arange(len(self)), below)

    def charms(self) -> Int64Array:
        """Return how much each school is wanted within its county."""
        charms: Int64Array = _CHARMS[self._lot("charm", len(_CHARMS))]
        charms *= _CHARM_OF_REMOTENESS[self.remoteness]
        charms *= 1 + self.sizes // _SIZE_PER_CHARM
        return charms


@dataclass(frozen=True)
class Wanted:
    """Urns of schools, by how much they are wanted.

    The first urns are those of the groups, each with the schools of one level in one
    county; further ones hold the indigenous schools of a group, or those of a township.
    """

    schools: Schools
    urns: Urns

    @classmethod
    def of(cls, schools: Schools) -> Wanted:
        charms = schools.charms()
        indigenous = np.where(schools.indigenous, charms, 0)
        n_townships = int(schools.township_of[-1]) + 1
        in_group = np.array(_runs(schools.group_of, schools.n_groups))
        in_township = np.array(_runs(schools.township_of, n_townships))
        # the schools stand in the row once more for the indigenous ones alone
        runs = [in_group, in_group + len(schools), in_township]
        starts, stops = np.concatenate(runs, axis=1)
        return cls(schools, Urns.of(np.append(charms, indigenous), starts, stops))

    def indigenous(self, group: Int64Array) -> Int64Array:
        """Return the urns with the indigenous schools of groups, else all of them."""
        urn = group + self.schools.n_groups
        return np.where(self.urns.totals[urn] > 0, urn, group)

    def near(self, school: Int64Array) -> Int64Array:
        """Return the urns with the schools of the same township."""
        return self.schools.township_of[school] + 2 * self.schools.n_groups

    def draw(
        self, draws: Draws, purpose: str, at: Int64Array, urn: Int64Array
    ) -> Int64Array:
        """Return a school from each urn."""
        item = self.urns.draw(draws, purpose, at, urn)
        return item % len(self.schools)


def _with_rare_tags(frame: pl.DataFrame, draws: Draws) -> pl.DataFrame:
    """Mark a few schools as correctional or as taking part in exchanges alone."""
    at = np.arange(frame.height)
    correctional = draws.numbers("correctional", at, _CORRECTIONAL_ONE_IN) == 0
    correctional &= (frame["level"] != terms.KINDERGARTEN).to_numpy()
    swap_only = draws.numbers("swap-only", at, _SWAP_ONLY_ONE_IN) == 0
    rare = [
        pl.when(pl.Series(has)).then(pl.lit(tag))
        for tag, has in (("correctional", correctional), (terms.SWAP_ONLY, swap_only))
    ]
    more = pl.concat_list(rare).list.drop_nulls()
    return frame.with_columns(pl.col("tags").list.concat(more))


def _whole(series: pl.Series) -> Int64Array:
    return series.cast(pl.Int64).to_numpy()


def _runs(sorted_keys: Int64Array, n_keys: int) -> tuple[Int64Array, Int64Array]:
    """Return where the run of each key starts and stops in a sorted array."""
    keys = np.arange(n_keys)
    starts = np.searchsorted(sorted_keys, keys, side="left")
    return starts, np.searchsorted(sorted_keys, keys, side="right")
