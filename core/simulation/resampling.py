"""A round that is there, with its wishes, points or vacancies drawn anew.

What each applicant gets depends on the draws and on who there is, not on the order of
the rows. docs/simulation.md says why it is drawn so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import checks
from jiepin.core.round import Round
from jiepin.core.simulation.columns import lists
from jiepin.core.simulation.draws import Draws, Int64Array, Urns

_WIDEST = 2**32 - 1  # of the numbers that Draws gives


@dataclass(frozen=True)
class Resampled:
    """A round, and what of it each replication draws anew."""

    round_: Round
    resample: tuple[str, ...]
    ids: Int64Array  # row of the teachers -> place in the order of teacher_id
    alike: Int64Array  # row -> number of those of one level, home county and groups
    level_of: Int64Array  # row -> level of the home school
    area_of_seat: Int64Array  # row of the vacancies -> number of a level in a county

    @classmethod
    def of(cls, round_: Round, resample: Sequence[str]) -> Resampled:
        """Number whatever the draws go by; made once for all replications."""
        teachers, schools = round_.teachers, round_.schools
        places = schools.select("school", "level", "county")
        home = teachers.select("school", "groups").join(
            places, on="school", how="left", maintain_order="left"
        )
        home = home.with_columns(pl.col("groups").list.sort().list.join("|"))
        seats = round_.vacancies.select("school").join(
            places, on="school", how="left", maintain_order="left"
        )
        return cls(
            round_=round_,
            resample=tuple(resample),
            ids=teachers["teacher_id"].rank("ordinal").cast(pl.Int64).to_numpy(),
            alike=_numbers(home.select("level", "county", "groups")),
            level_of=_numbers(home.select("level")),
            area_of_seat=_numbers(seats.select("level", "county")),
        )

    def round_of(self, draws: Draws) -> Round:
        """Return the round with everything that is resampled drawn by `draws`."""
        teachers, vacancies = self.round_.teachers, self.round_.vacancies
        if "wishes" in self.resample:
            teachers = self._with_wishes(teachers, draws)
        if "points" in self.resample:
            teachers = self._with_points(teachers, draws)
        if "vacancies" in self.resample:
            vacancies = self._with_seats(vacancies, draws)
        return replace(self.round_, teachers=teachers, vacancies=vacancies)

    def _with_wishes(self, teachers: pl.DataFrame, draws: Draws) -> pl.DataFrame:
        """Give each applicant the list of one drawn among those alike, put back after.

        Counties and points go with the list; the own school is struck off it.
        """
        rows = np.flatnonzero(teachers["choices"].list.len().to_numpy())
        # those alike lie together, in the order of their ids
        order = rows[np.lexsort([self.ids[rows], self.alike[rows]])]
        starts = np.flatnonzero(np.diff(self.alike[order], prepend=-1))
        sizes = np.diff(starts, append=len(order))
        first, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        donor = np.arange(teachers.height)
        lot = draws.numbers("list of another", self.ids[order], size)
        donor[order] = order[first + lot]
        names = [
            name
            for name in ("counties", "points", "home_points")
            if name in teachers.columns
        ]
        return teachers.with_columns(
            *(teachers[name].gather(donor) for name in names),
            _without(teachers["choices"].gather(donor), teachers["school"]).alias(
                "choices"
            ),
        )

    def _with_points(self, teachers: pl.DataFrame, draws: Draws) -> pl.DataFrame:
        """Shuffle the points among those of one level with as many wish counties."""
        n_counties = teachers["counties"].list.len().to_numpy().astype(np.int64)
        lot = draws.numbers("points of another", self.ids, _WIDEST)
        taker = np.lexsort([self.ids, n_counties, self.level_of])
        giver = np.lexsort([self.ids, lot, n_counties, self.level_of])
        donor = np.empty_like(taker)
        donor[taker] = giver
        names = [name for name in ("points", "home_points") if name in teachers.columns]
        return teachers.with_columns(teachers[name].gather(donor) for name in names)

    def _with_seats(self, vacancies: pl.DataFrame, draws: Draws) -> pl.DataFrame:
        """Draw the seats of each level and county anew among those there are."""
        order = np.argsort(self.area_of_seat, kind="stable")
        area, seats = self.area_of_seat[order], vacancies["seats"].to_numpy()[order]
        starts = np.flatnonzero(np.diff(area, prepend=-1))
        stops = np.append(starts[1:], len(area))
        urns = Urns.of(seats, starts, stops)
        urn = np.repeat(np.arange(len(starts)), urns.totals)
        drawn = urns.draw(draws, "position of seat", np.arange(len(urn)), urn)
        anew = np.empty_like(seats)
        anew[order] = np.bincount(drawn, minlength=len(seats))
        return vacancies.with_columns(pl.Series("seats", anew))


def _numbers(frame: pl.DataFrame) -> Int64Array:
    """Number the rows of a frame in their order, equal ones alike."""
    numbers = frame.select(pl.struct(pl.all().cast(pl.String)).rank("dense"))
    return numbers.to_series().cast(pl.Int64).to_numpy()


def _without(choices: pl.Series, school: pl.Series) -> pl.Series:
    """Return the lists of choices without the school of the row."""
    flat = checks.Lists.of(choices)
    own: npt.NDArray[np.bool_] = checks.index_of(flat.flat) == flat.spread(
        checks.index_of(school)
    )
    row = np.repeat(np.arange(len(choices)), flat.lengths)
    n_left = np.bincount(row[~own], minlength=len(choices))
    return lists(flat.flat.filter(pl.Series(~own)), n_left)
