"""Invented teachers: where they are, what they wish, their points. Block by block.

What a teacher is depends on the seed and on the teacher's number alone, so blocks of
any size give the same teachers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from jiepin.core import terms
from jiepin.core.round import decimal_text
from jiepin.core.simulation import places
from jiepin.core.simulation.draws import Draws, Int64Array, Mask, Urns
from jiepin.core.simulation.schools import Schools, Wanted
from jiepin.core.simulation.wishes import NONE, Counties, Subjects, choices

LEVEL_SHARES = {terms.JUNIOR_HIGH: 30, terms.ELEMENTARY: 55, terms.KINDERGARTEN: 15}

_FIRST_DAY = date(2025, 8, 1)  # of the school year of the round
_DAYS_PER_4_YEARS = 1461
_AGE_AT_START = 22  # years at the end of the studies
_LATER_STARTS = 8  # some begin up to so many years later

# Six terms must be served before the first application; most go soon after.
_SERVICE_WEIGHTS = np.array([0, 0, 0, *(40 - year for year in range(3, 33))])

_INDIGENOUS_PERCENT, _INDIGENOUS_PERCENT_AT_HOME = 3, 18
_LANGUAGE_PERCENT, _REMOTE_PERCENT = 5, 4

# Points by item, in hundredths.
_APPRAISAL = np.array([1000, 1000, 1000, 1000, 900, 800, 800, 600])  # 考績
_SERVICE_STEP, _SERVICE_MOST = 100, 2000  # 年資
_AWARD_STEP, _AWARD_STEPS = 25, 32  # 獎懲
_REMOTE_STEP, _REMOTE_MOST = 50, 1000  # 特殊: years at a remote school
_STUDY_STEP, _STUDY_STEPS = 5, 100  # 研習
_REASON = np.array([0, 0, 0, 300, 500, 500, 800, 800, 1000, 1200])  # 原因, per county


@dataclass(frozen=True)
class Population:
    """Everything that teachers are drawn from."""

    draws: Draws
    schools: Schools
    homes: Urns
    wanted: Wanted
    counties: Counties
    subjects: Subjects

    @classmethod
    def of(cls, schools: Schools) -> Population:
        return cls(
            draws=schools.draws,
            schools=schools,
            homes=schools.homes(),
            wanted=Wanted.of(schools),
            counties=Counties.of(schools),
            subjects=Subjects.of(schools),
        )

    def teachers(self, numbers: Int64Array, id_width: int) -> pl.DataFrame:
        """Return the teachers of these numbers (from 1), in the columns of the format.

        Lists are lists of text, and null where nothing is in them.
        """
        level = draw_levels(self.schools, "level", numbers)
        home = self.homes.draw(self.draws, "home", numbers, level)
        years = self._service_years(numbers)
        counties = self.counties.draw(numbers, self.schools.group_of[home])
        groups = self._priority_groups(numbers, home)
        subjects = self.subjects.draw(numbers, level)
        return pl.DataFrame(
            {
                "teacher_id": _ids(numbers, id_width),
                "school": self.schools.frame["school"].gather(home),
                "subject": self.subjects.frame["subject"].gather(subjects[0]),
                "subjects": _lists(self.subjects.frame["subject"], subjects),
                "counties": _lists(places.counties()["county"], counties),
                "points": self._points(numbers, home, years, counties),
                "groups": _names(groups),
                "service_years": years,
                "birth_date": self._birth_dates(numbers, years),
                "choices": self._choices(numbers, level, counties, groups),
            }
        )

    def _service_years(self, numbers: Int64Array) -> Int64Array:
        urns = Urns.rows(_SERVICE_WEIGHTS)
        one = np.zeros_like(numbers)
        return urns.draw(self.draws, "service years", numbers, one)

    def _birth_dates(self, numbers: Int64Array, service_years: Int64Array) -> pl.Series:
        later = self.draws.numbers("later start", numbers, _LATER_STARTS)
        age = service_years + later + _AGE_AT_START
        days = age * _DAYS_PER_4_YEARS // 4
        days += self.draws.numbers("birthday", numbers, _DAYS_PER_4_YEARS // 4)
        first_day = (_FIRST_DAY - date(1970, 1, 1)).days
        return pl.Series((first_day - days).astype(np.int32)).cast(pl.Date)

    def _priority_groups(
        self, numbers: Int64Array, home: Int64Array
    ) -> dict[str, Mask]:
        """Return who is in each priority group."""

        def lot(group: str) -> Int64Array:
            return self.draws.numbers(f"in {group}", numbers, 100)

        at_home = self.schools.tagged("indigenous")[home]
        percent = np.where(at_home, _INDIGENOUS_PERCENT_AT_HOME, _INDIGENOUS_PERCENT)
        return {
            "indigenous": lot("indigenous") < percent,
            "language": lot("language") < _LANGUAGE_PERCENT,
            "remote": lot("remote") < _REMOTE_PERCENT,
        }

    def _points(
        self,
        numbers: Int64Array,
        home: Int64Array,
        service_years: Int64Array,
        counties: Sequence[Int64Array],
    ) -> pl.Series:
        """Return one total per county: the items shared, and the reason for it."""

        def lot(item: str, below: int) -> Int64Array:
            return self.draws.numbers(item, numbers, below)

        away = np.where(self.schools.remoteness[home] > 0, service_years, 0)
        shared = (
            _APPRAISAL[lot("appraisal", len(_APPRAISAL))]
            + np.minimum(service_years * _SERVICE_STEP, _SERVICE_MOST)
            + lot("awards", _AWARD_STEPS) * _AWARD_STEP
            + np.minimum(away * _REMOTE_STEP, _REMOTE_MOST)
            + lot("studies", _STUDY_STEPS) * _STUDY_STEP
        )
        totals = pl.DataFrame(
            {
                side: shared + _REASON[lot(f"reason of {side}", len(_REASON))]
                for side in ("first", "second")
            }
        ).select(decimal_text(pl.all()))
        has_second = pl.Series(counties[1] != NONE)
        second = pl.when(has_second).then("second")
        return totals.select(_without_nulls("first", second)).to_series()

    def _choices(
        self,
        numbers: Int64Array,
        level: Int64Array,
        counties: Sequence[Int64Array],
        groups: Mapping[str, Mask],
    ) -> pl.Series:
        first, second = counties
        wished = [
            self.schools.group(level, county)
            for county in (first, np.where(second == NONE, first, second))
        ]
        teacher, school = choices(self.wanted, numbers, wished, groups["indigenous"])
        lists = pl.DataFrame(
            {"teacher": teacher, "school": self.schools.frame["school"].gather(school)}
        ).group_by("teacher", maintain_order=True)
        return lists.agg("school")["school"]


def draw_levels(schools: Schools, purpose: str, at: Int64Array) -> Int64Array:
    """Return a level for each place, by its place in schools.levels."""
    shares = Urns.rows([LEVEL_SHARES[level] for level in schools.levels])
    return shares.draw(schools.draws, purpose, at, np.zeros_like(at))


def _ids(numbers: Int64Array, width: int) -> pl.Series:
    digits = pl.Series(numbers).cast(pl.String).str.zfill(width)
    return "T" + digits


def _lists(codes: pl.Series, columns: Sequence[Int64Array]) -> pl.Series:
    """Return lists of codes; each array holds the rows of one place in the lists."""
    with_none = codes.extend_constant(None, 1)  # NONE is its last row
    n = len(codes)
    frame = pl.DataFrame(
        {
            str(place): with_none.gather(np.where(rows == NONE, n, rows))
            for place, rows in enumerate(columns)
        }
    )
    return frame.select(_without_nulls(pl.all())).to_series()


def _names(masks: Mapping[str, Mask]) -> pl.Series:
    """Return the lists of the names whose mask holds."""
    frame = pl.DataFrame(dict(masks))
    names = [pl.when(name).then(pl.lit(name)) for name in masks]
    lists = _without_nulls(*names).alias("names")
    filled = pl.when(pl.col("names").list.len() > 0).then("names")
    return frame.select(lists).select(filled).to_series()


def _without_nulls(*columns: str | pl.Expr) -> pl.Expr:
    return pl.concat_list(*columns).list.drop_nulls()
