"""The yardstick market: closed, one subject, so many seats held at every position.

Counties have sizes ∝ 1/rank^0.7. Each applicant wishes different positions inside two
counties other than home (popularity = size × lognormal(0.6)), positions ∝ 1/rank^0.8
inside their county, in Plackett–Luce order. Markets of one shape differ in size alone,
so that figures of different sizes can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import terms
from jiepin.core.round import Round
from jiepin.core.simulation.columns import lists
from jiepin.core.simulation.draws import Int64Array

FEWEST_POSITIONS = 300
COMMON, DISTINCT = "common", "distinct"
SCORES = (COMMON, DISTINCT)

_SUBJECT = "1"
_ROWS = 1 << 16  # applicants whose counties are drawn at a time


class Drawn(NamedTuple):
    """Who sits where and wishes what, by number of the position."""

    home_of: npt.NDArray[np.int32]  # shape (n_applicants,), rising
    first: Int64Array  # county
    second: Int64Array  # another one
    wished: npt.NDArray[np.int32]  # shape (n_applicants, wishes)


@dataclass(frozen=True)
class Shape:
    """The size of a yardstick market.

    >>> Shape(teachers=900).n_positions
    300
    """

    teachers: int
    wishes: int = 12
    counties: int = 22
    seats: int = 3  # held at every position

    @property
    def n_positions(self) -> int:
        return max(FEWEST_POSITIONS, self.teachers // self.seats)

    @cached_property
    def starts(self) -> Int64Array:
        """Return where the positions of each county begin, and where the last end."""
        share = 1 / np.arange(1, self.counties + 1) ** 0.7
        bounds = np.round(np.cumsum(share / share.sum()) * self.n_positions)
        return np.concatenate([[0], bounds.astype(np.int64)])

    @property
    def most_wishes(self) -> int:
        """Return how many positions two counties are sure to have."""
        return int(np.sort(np.diff(self.starts))[:2].sum())

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draw where everybody sits and what they wish."""
        # who sits together stands together: place · positions / applicants
        home_of = np.arange(self.teachers) * self.n_positions // self.teachers
        home_county = np.searchsorted(self.starts, home_of, side="right") - 1
        pull = np.diff(self.starts) * rng.lognormal(0, 0.6, self.counties)
        first, second = _two_counties(rng, home_county, pull)
        wished = _plackett_luce(rng, self.starts, first, second, self.wishes)
        return Drawn(home_of.astype(np.int32), first, second, wished)


@dataclass(frozen=True)
class Yardstick:
    """The tables that the yardstick rounds of one shape share.

    >>> yardstick = Yardstick.of(Shape(teachers=30, wishes=2), COMMON)
    >>> yardstick.round_of(seed=1).teachers["choices"].list.len().to_list() == [2] * 30
    True
    """

    shape: Shape
    scores: str
    schools: pl.DataFrame  # one for each position
    subjects: pl.DataFrame
    counties: pl.Series

    @classmethod
    def of(cls, shape: Shape, scores: str) -> Yardstick:
        codes, counties = _codes(shape.n_positions), _codes(shape.counties)
        county_of = np.repeat(np.arange(shape.counties), np.diff(shape.starts))
        schools = pl.DataFrame(
            {
                "school": codes,
                "name": codes.cast(pl.String),
                "county": counties.gather(county_of).cast(pl.String),
            }
        )
        level = pl.lit(terms.ELEMENTARY).alias("level")
        no_tags = pl.lit([], dtype=pl.List(pl.String)).alias("tags")
        subjects = pl.DataFrame(
            {"subject": [_SUBJECT], "name": [_SUBJECT]},
            schema_overrides={"subject": pl.Enum([_SUBJECT])},
        )
        return cls(
            shape,
            scores,
            schools.with_columns(pl.lit("").alias("township"), level, no_tags),
            subjects.with_columns(level),
            counties,
        )

    def round_of(self, seed: int) -> Round:
        """Return the round of a seed, a whole number from 0."""
        rng = np.random.Generator(np.random.PCG64(seed))
        return Round(
            schools=self.schools,
            subjects=self.subjects,
            vacancies=pl.DataFrame(
                schema={
                    "school": self.schools.schema["school"],
                    "subject": self.subjects.schema["subject"],
                    "seats": pl.Int64,
                }
            ),
            teachers=self._teachers(self.shape.draw(rng), rng),
        )

    def _teachers(self, drawn: Drawn, rng: np.random.Generator) -> pl.DataFrame:
        n = self.shape.teachers
        two, many = np.full(n, 2), np.full(n, self.shape.wishes)
        counties = np.stack([drawn.first, drawn.second], axis=1).ravel()
        points = self._points(rng)
        subject = self.subjects["subject"].gather(np.zeros(n, dtype=np.int64))
        codes = self.schools["school"]
        return pl.DataFrame(
            {
                "teacher_id": "T" + _codes(n).cast(pl.String),
                "school": codes.gather(drawn.home_of),
                "subject": subject,
                "service_years": pl.repeat(None, n, dtype=pl.Int64, eager=True),
                "birth_date": pl.repeat(None, n, dtype=pl.Date, eager=True),
                "subjects": lists(subject, np.ones(n, dtype=np.int64)),
                "counties": lists(self.counties.gather(counties), two),
                "points": lists(pl.Series(points[:, :2].ravel()), two),
                "groups": pl.repeat([], n, dtype=pl.List(pl.String), eager=True),
                "choices": lists(codes.gather(drawn.wished.ravel()), many),
                "home_points": points[:, 2],
            }
        )

    def _points(self, rng: np.random.Generator) -> Int64Array:
        """Return hundredths, all different: first county, second county, home."""
        n = self.shape.teachers
        if self.scores == DISTINCT:
            return 1 + rng.permutation(3 * n).reshape(n, 3)
        points = n - rank_in(rng.permutation(n))
        return np.repeat(points[:, None], 3, axis=1)


def rank_in(order: Int64Array) -> Int64Array:
    """Return the place of each number in an order of all of them."""
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _codes(n: int) -> pl.Series:
    """Return 1 to n as codes of one width, in an enumeration of their own."""
    numbers = pl.Series(np.arange(1, n + 1)).cast(pl.String)
    codes = numbers.str.zfill(len(str(n)))
    return codes.cast(pl.Enum(codes))


def _two_counties(
    rng: np.random.Generator, home: Int64Array, pull: npt.NDArray[np.float64]
) -> tuple[Int64Array, Int64Array]:
    """Draw two different counties other than home, by their pull (Gumbel's way)."""
    first = np.empty(len(home), dtype=np.int64)
    second = np.empty(len(home), dtype=np.int64)
    for low in range(0, len(home), _ROWS):
        some = slice(low, low + _ROWS)
        keys = np.log(pull) + rng.gumbel(size=(len(home[some]), len(pull)))
        keys[np.arange(len(keys)), home[some]] = -np.inf
        best = np.argsort(-keys, axis=1)
        first[some], second[some] = best[:, 0], best[:, 1]
    return first, second


def _plackett_luce(
    rng: np.random.Generator,
    starts: Int64Array,
    first: Int64Array,
    second: Int64Array,
    n_wishes: int,
) -> npt.NDArray[np.int32]:
    """Draw different positions of two counties, one by one, by popularity."""
    sizes = np.diff(starts)
    weight = np.concatenate([1 / np.arange(1, size + 1) ** 0.8 for size in sizes])
    total = np.concatenate([[0.0], np.cumsum(weight)])
    mass = total[starts[1:]] - total[starts[:-1]]
    wished = np.full((len(first), n_wishes), terms.NOBODY, dtype=np.int32)
    for place in range(n_wishes):
        open_rows = np.arange(len(first))
        while len(open_rows):
            a, b = first[open_rows], second[open_rows]
            draw = rng.random(len(open_rows)) * (mass[a] + mass[b])
            county = np.where(draw < mass[a], a, b)
            draw = (
                np.where(draw < mass[a], draw, draw - mass[a]) + total[starts[county]]
            )
            found = np.searchsorted(total, draw, side="right") - 1
            found = np.clip(found, starts[county], starts[county + 1] - 1)
            again = (wished[open_rows] == found[:, None]).any(axis=1)
            wished[open_rows[~again], place] = found[~again]
            open_rows = open_rows[again]
    return wished
