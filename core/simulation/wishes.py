"""Which counties, subjects and schools an invented teacher wishes for.

Many want to go home, to the large cities and their neighbours; some go the other way,
so that exchanges are possible. The weights are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import errors
from jiepin.core.kernels import drawing
from jiepin.core.simulation import places
from jiepin.core.simulation.draws import Draws, Int64Array, Mask, Urns
from jiepin.core.simulation.schools import Schools, Wanted

NONE = -1  # no second county, no further subject

_SMALL_COUNTY = 10  # added to the number of schools: small counties are wished too
_SAME_REGION = 6  # the second county mostly lies near the first
_ONE_COUNTY_PERCENT = 12

_SAME_FAMILY = 12  # a further subject is mostly akin to the first
_N_SUBJECTS = (1,) * 83 + (2,) * 13 + (3,) * 4

# How many schools are put down: so many teachers in a hundred, from, up to. Schools put
# down again are dropped, so the longest lists come out shorter.
_LENGTHS = np.array(
    [
        (9, 1, 3),
        (17, 4, 8),
        (27, 9, 17),
        (21, 18, 32),
        (13, 33, 60),
        (8, 61, 120),
        (5, 121, 250),
    ]
)
_MOST = 256  # places for drawing per teacher, more than any list has

# The die cast for each school: two times in three from the first county, else from the
# second; half the time from one township of it (rows 0 and 2 of _urns), else all of it.
_FACES = np.array([0, 0, 1, 1, 2, 3])


@dataclass(frozen=True)
class Counties:
    """Urns of wish counties, by level, home county and, for the second, the first."""

    first: Urns
    second: Urns

    @classmethod
    def of(cls, schools: Schools) -> Counties:
        """Weigh the counties by their schools; raise BadDirectory if one is alone."""
        table = places.counties()
        n = table.height
        n_schools = np.bincount(schools.group_of, minlength=schools.n_groups)
        size = np.where(n_schools > 0, n_schools + _SMALL_COUNTY, 0).reshape(-1, n)
        weight = (size * table["attraction"].to_numpy())[:, None, :]
        weight = np.where(np.eye(n, dtype=np.bool_), 0, weight)  # never the home county
        region = table["region"].to_numpy()
        near = np.where(region[:, None] == region, _SAME_REGION, 1)
        second = weight[:, :, None, :] * np.where(np.eye(n, dtype=np.bool_), 0, near)
        _refuse_one_county(schools, n_schools.reshape(-1, n))
        return cls(Urns.rows(weight.reshape(-1, n)), Urns.rows(second.reshape(-1, n)))

    def draw(
        self, draws: Draws, at: Int64Array, group: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """Return the first and the second wish county of teachers of these groups."""
        n = places.counties().height
        first = self.first.draw(draws, "first county", at, group) % n
        urn = group * n + first
        second = np.full_like(first, NONE)
        two = draws.numbers("one county", at, 100) >= _ONE_COUNTY_PERCENT
        two &= self.second.totals[urn] > 0
        second[two] = self.second.draw(draws, "second county", at[two], urn[two]) % n
        return first, second


def _refuse_one_county(schools: Schools, n_schools: npt.NDArray[np.intp]) -> None:
    n_counties = np.count_nonzero(n_schools, axis=1)
    for level, n in zip(schools.levels, n_counties, strict=True):
        if n < 2:
            raise errors.BadDirectory(
                f"the schools of level {level} lie in {n} county, so that nobody could "
                "wish for another; expected directories of at least two counties"
            )


@dataclass(frozen=True)
class Subjects:
    """Urns of subjects: by level, by the first subject, by the first two."""

    frame: pl.DataFrame
    first: Urns
    second: Urns
    third: Urns

    @classmethod
    def of(cls, schools: Schools) -> Subjects:
        table = places.subjects()
        frame = table.filter(pl.col("level").is_in(list(schools.levels)))
        level, family = frame["level"].to_numpy(), frame["family"].to_numpy()
        share = frame["share"].to_numpy()
        n = frame.height
        of_level = np.array(schools.levels)[:, None] == level
        akin = np.where(family[:, None] == family, _SAME_FAMILY, 1)
        other = (level[:, None] == level) & ~np.eye(n, dtype=np.bool_)
        second = np.where(other, akin * share, 0)
        third = np.where(other[None, :, :], second[:, None, :], 0)
        return cls(
            frame.select("subject", "name", "level"),
            Urns.rows(np.where(of_level, share, 0)),
            Urns.rows(second),
            Urns.rows(third.reshape(-1, n)),
        )

    def draw_first(
        self, draws: Draws, purpose: str, at: Int64Array, level: Int64Array
    ) -> Int64Array:
        """Return a subject of each level, by row of `frame`."""
        return self.first.draw(draws, purpose, at, level) % self.frame.height

    def draw(self, draws: Draws, at: Int64Array, level: Int64Array) -> list[Int64Array]:
        """Return first, second and third subjects, NONE where there is none."""
        n = self.frame.height
        lot = draws.numbers("subjects", at, len(_N_SUBJECTS))
        n_subjects = np.array(_N_SUBJECTS)[lot]
        first = self.draw_first(draws, "subject", at, level)
        second, third = np.full_like(first, NONE), np.full_like(first, NONE)
        more = n_subjects > 1
        drawn = self.second.draw(draws, "second subject", at[more], first[more])
        second[more] = drawn % n
        more = n_subjects > 2
        pair = first[more] * n + second[more]
        third[more] = self.third.draw(draws, "third subject", at[more], pair) % n
        return [first, second, third]


def choices(
    draws: Draws,
    wanted: Wanted,
    at: Int64Array,
    groups: list[Int64Array],
    indigenous: Mask,
) -> tuple[Int64Array, Int64Array]:
    """Return whose each choice is, and the school, in the order of the lists.

    at are the teachers' numbers, groups those of the schools of their level in the
    first and in the second wish county. Those where `indigenous` holds put down
    indigenous schools above all. The first array holds places in `at`, rising.
    """
    teacher, place = _blank_lists(draws, at)
    draw_at = at[teacher] * _MOST + place
    urns = _urns(draws, wanted, at, groups, indigenous)
    face = draws.numbers("choice from", draw_at, len(_FACES))
    urn = urns[_FACES[face], teacher]
    school = wanted.draw(draws, "choice", draw_at, urn)
    last_owner = np.full(len(wanted.schools), NONE, dtype=np.int64)
    fresh = np.empty(len(school), dtype=np.uint8)
    drawing.mark_fresh(teacher, school, last_owner, fresh)
    fresh = fresh.view(np.bool_)
    return teacher[fresh], school[fresh]


def _blank_lists(draws: Draws, at: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return teacher and place of every line to be filled in."""
    percent, low, high = _LENGTHS.T
    band = np.repeat(np.arange(len(_LENGTHS)), percent)
    band = band[draws.numbers("length band", at, 100)]
    lengths = low[band] + draws.numbers("length", at, (high - low + 1)[band])
    ends = np.cumsum(lengths)
    teacher = np.repeat(np.arange(len(at)), lengths)
    return teacher, np.arange(len(teacher)) - (ends - lengths)[teacher]


def _urns(
    draws: Draws,
    wanted: Wanted,
    at: Int64Array,
    groups: list[Int64Array],
    indigenous: Mask,
) -> Int64Array:
    """Return the four urns each teacher draws schools from, shape (4, n_teachers)."""
    rows = []
    for group, purpose in zip(groups, ("first town", "second town"), strict=True):
        home_town = wanted.draw(draws, purpose, at, group)
        around = np.where(indigenous, wanted.indigenous(group), group)
        rows += [wanted.near(home_town), around]
    return np.stack(rows)
