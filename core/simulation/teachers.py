"""Invented teachers: where they are, what they wish, their points. Block by block.

What a teacher is depends on the seed and on the teacher's number alone, so blocks of
any size give the same teachers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from jiepin.core import terms
from jiepin.core.simulation import places
from jiepin.core.simulation.columns import coded, lists
from jiepin.core.simulation.draws import Draws, Int64Array, Mask, Urns
from jiepin.core.simulation.schools import Schools, Wanted
from jiepin.core.simulation.wishes import NONE, Counties, Subjects, choices

LEVEL_SHARES = {terms.JUNIOR_HIGH: 30, terms.ELEMENTARY: 55, terms.KINDERGARTEN: 15}

_FIRST_DAY = date(2025, 8, 1)  # of the school year of the round
_DAYS_PER_4_YEARS = 1461
_AGE_AT_START = 22  # years at the end of the studies
_LATER_STARTS = 8  # some begin up to so many years later

# Six terms must be served before the first application; most go soon after.
_SERVICE = Urns.rows([0, 0, 0, *(40 - year for year in range(3, 33))])

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
    """Everything that teachers are drawn from; `draws` decides which ones."""

    draws: Draws
    schools: Schools
    levels: Urns
    homes: Urns
    offering: Urns
    wanted: Wanted
    counties: Counties
    subjects: Subjects
    school_codes: pl.Series  # of the rows of schools.frame, as a Round holds them
    subject_codes: pl.Series  # of the rows of subjects.frame
    county_codes: pl.Series  # of the rows of places.counties()

    @classmethod
    def of(cls, schools: Schools) -> Population:
        subjects = Subjects.of(schools)
        return cls(
            draws=schools.draws,
            schools=schools,
            levels=Urns.rows([LEVEL_SHARES[level] for level in schools.levels]),
            homes=schools.homes(),
            offering=schools.offering(),
            wanted=Wanted.of(schools),
            counties=Counties.of(schools),
            subjects=subjects,
            school_codes=coded(schools.frame["school"]),
            subject_codes=coded(subjects.frame["subject"]),
            county_codes=coded(places.counties()["county"], schools.frame["county"]),
        )

    def draw_levels(self, purpose: str, at: Int64Array) -> Int64Array:
        """Return a level for each place, by its place in schools.levels."""
        return self.levels.draw(self.draws, purpose, at, np.zeros_like(at))

    def teachers(self, numbers: Int64Array, id_width: int) -> pl.DataFrame:
        """Return the teachers of these numbers (from 1), as a Round holds them."""
        level = self.draw_levels("level", numbers)
        home = self.homes.draw(self.draws, "home", numbers, level)
        years = self._service_years(numbers)
        group = self.schools.group_of[home]
        counties = self.counties.draw(self.draws, numbers, group)
        groups = self._priority_groups(numbers, home)
        subjects = self.subjects.draw(self.draws, numbers, level)
        points = self._points(numbers, home, years)
        return pl.DataFrame(
            {
                "teacher_id": _ids(numbers, id_width),
                "school": self.school_codes.gather(home),
                "subject": self.subject_codes.gather(subjects[0]),
                "service_years": years * terms.POINTS_PER_POINT,
                "birth_date": self._birth_dates(numbers, years),
                "subjects": _coded_lists(self.subject_codes, subjects),
                "counties": _coded_lists(self.county_codes, counties),
                "points": _points_lists(points, counties),
                "groups": _names(groups),
                "choices": self._choices(
                    numbers, level, counties, groups["indigenous"]
                ),
                "home_points": points.shared,
            }
        )

    def _service_years(self, numbers: Int64Array) -> Int64Array:
        one = np.zeros_like(numbers)
        return _SERVICE.draw(self.draws, "service years", numbers, one)

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

        at_home = self.schools.indigenous[home]
        percent = np.where(at_home, _INDIGENOUS_PERCENT_AT_HOME, _INDIGENOUS_PERCENT)
        return {
            "indigenous": lot("indigenous") < percent,
            "language": lot("language") < _LANGUAGE_PERCENT,
            "remote": lot("remote") < _REMOTE_PERCENT,
        }

    def _points(
        self, numbers: Int64Array, home: Int64Array, service_years: Int64Array
    ) -> _Points:
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
        first, second = (
            shared + _REASON[lot(f"reason of {side}", len(_REASON))]
            for side in ("first", "second")
        )
        return _Points(shared, first, second)

    def _choices(
        self,
        numbers: Int64Array,
        level: Int64Array,
        counties: Sequence[Int64Array],
        indigenous: Mask,
    ) -> pl.Series:
        first, second = counties
        wished = [
            self.schools.group(level, county)
            for county in (first, np.where(second == NONE, first, second))
        ]
        teacher, school = choices(self.draws, self.wanted, numbers, wished, indigenous)
        lengths = np.bincount(teacher, minlength=len(numbers))
        return lists(self.school_codes.gather(school), lengths)


class _Points(NamedTuple):
    """Points in hundredths: the items shared, and with the reason of each county."""

    shared: Int64Array
    first: Int64Array
    second: Int64Array


def _ids(numbers: Int64Array, width: int) -> pl.Series:
    digits = pl.Series(numbers).cast(pl.String).str.zfill(width)
    return "T" + digits


def _coded_lists(codes: pl.Series, columns: Sequence[Int64Array]) -> pl.Series:
    """Return lists of codes; each array holds the rows of one place in the lists."""
    rows = np.stack(columns, axis=1)
    there = rows != NONE
    return lists(codes.gather(rows[there]), there.sum(axis=1))


def _points_lists(points: _Points, counties: Sequence[Int64Array]) -> pl.Series:
    """Return the points for each wish county there is."""
    there = np.stack(counties, axis=1) != NONE
    totals = np.stack((points.first, points.second), axis=1)
    return lists(pl.Series(totals[there]), there.sum(axis=1))


def _names(masks: Mapping[str, Mask]) -> pl.Series:
    """Return the lists of the names whose mask holds."""
    there = np.stack(tuple(masks.values()), axis=1)
    powers = 1 << np.arange(len(masks))
    lists_of = [
        [name for name, power in zip(masks, powers, strict=True) if number & power]
        for number in range(1 << len(masks))
    ]
    return pl.Series(lists_of, dtype=pl.List(pl.String)).gather(there @ powers)
