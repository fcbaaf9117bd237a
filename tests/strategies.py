"""Rounds and rule sets drawn by Hypothesis: small, valid, and full of coincidences.

A `Draft` is a round as plain data, which reads well when an example fails; `round_of`
makes the frames of it that `Round.read` would give. What is drawn are small numbers;
they are then made to fit the round and the limits, so that nothing is thrown away and
every example shrinks.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st

from jiepin.core import Limits, Round, Rules, Stage, terms

Place = tuple[str, str]  # codes of school and subject

# lengths and scripts differ, so that only the order of code points sorts them right:
# "～" (U+FF5E) comes before "𠮷" (U+20BB7), but not in UTF-16
COUNTIES = ("10", "2", "臺", "é", "～", "𠮷")
SCHOOLS = ("20", "3", "B", "a", "Ω", "乙", "～", "甲1", "𠮷", "193501")
SUBJECTS = {
    terms.ELEMENTARY: ("普", "Eng", "𠮷"),
    terms.KINDERGARTEN: ("幼", "K", "～"),
}
SUBJECT_LISTS = ((0,), (0, 1), (1, 0), (1,), (2, 0), (0, 2, 1), (1, 2), (2, 1, 0))
TAGS = ("remote", "indigenous", terms.SWAP_ONLY, "山")
# Hypothesis likes the ends of a list, so what is rare stands there
TAG_LISTS = ((), TAGS[:1], (), TAGS[:2], TAGS[1:2], (), TAGS[2:], TAGS[2:0:-1])
GROUPS = ("remote", "indigenous", "language", "自願")
GROUP_LISTS = ((), GROUPS[:1], GROUPS[1:2], GROUPS[1::-1], GROUPS[2:])
GROUP_FILTERS = (*[None] * 9, *GROUPS[:2], "none")
TAG_FILTERS = (*[None] * 9, *TAGS[:3], "none")
ID_STARTS = ("", "A", "A1", "～", "𠮷", "0A～")
ID_ENDS = "0BaZz9é王林～𠮷陳ñΩ甲乙丙丁戊己庚辛壬癸子丑寅卯"  # one per teacher
POINTS = (5000, 6525, 6526, 0, 10000)
HOME_POINTS = (0, 6525, 5000, 6526, 0, 10000)
YEARS = (None, 0, 100, 1050)
BIRTHDAYS = (None, datetime.date(1979, 12, 31), datetime.date(1980, 1, 1))
SEATS = (1, 2, 0, 3, 50)
SIZES = (2, 3, 4, 5, 2, 3, 4, 5, 6, 7, 8, 9, 10)


@dataclass(frozen=True)
class School:
    """A row of schools.csv without the names."""

    code: str
    county: str
    level: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """A row of teachers.csv; points and years in hundredths."""

    teacher_id: str
    school: str
    subjects: tuple[str, ...]  # the first is held
    points: tuple[tuple[str, int], ...] = ()  # county and points, 甲 first
    choices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    service_years: int | None = None
    birth_date: datetime.date | None = None
    home_points: int | None = None


@dataclass(frozen=True)
class Draft:
    """A round as plain data."""

    schools: tuple[School, ...]
    subjects: tuple[tuple[str, str], ...]  # code and level
    seats: tuple[tuple[Place, int], ...]  # open seats
    teachers: tuple[Teacher, ...]


@dataclass(frozen=True)
class Case:
    """All that decides a result."""

    draft: Draft
    rules: Rules
    seed: int = 0

    @property
    def round_(self) -> Round:
        return round_of(self.draft)


def round_of(draft: Draft) -> Round:
    """Return the frames of a draft; the teachers stay in its order."""
    school = pl.Enum(sorted(school.code for school in draft.schools))
    subject = pl.Enum(sorted(code for code, _ in draft.subjects))
    county = pl.Enum(sorted({school.county for school in draft.schools}))
    return Round(
        schools=_schools(draft, school),
        subjects=_frame(
            {"subject": subject, "name": pl.String, "level": pl.String},
            [(code, "", level) for code, level in sorted(draft.subjects)],
        ),
        vacancies=_frame(
            {"school": school, "subject": subject, "seats": pl.Int64},
            [(*place, seats) for place, seats in sorted(draft.seats)],
        ),
        teachers=_teachers(draft, school, subject, county),
    )


def _frame(schema: Mapping[str, Any], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def _schools(draft: Draft, school: pl.Enum) -> pl.DataFrame:
    texts = dict.fromkeys(("name", "county", "township", "level"), pl.String)
    rows = [
        (row.code, "", row.county, "", row.level, list(row.tags))
        for row in sorted(draft.schools, key=lambda row: row.code)
    ]
    return _frame({"school": school, **texts, "tags": pl.List(pl.String)}, rows)


def _teachers(
    draft: Draft, school: pl.Enum, subject: pl.Enum, county: pl.Enum
) -> pl.DataFrame:
    schema = {
        "teacher_id": pl.String,
        "school": school,
        "subject": subject,
        "service_years": pl.Int64,
        "birth_date": pl.Date,
        "subjects": pl.List(subject),
        "counties": pl.List(county),
        "points": pl.List(pl.Int64),
        "groups": pl.List(pl.String),
        "choices": pl.List(school),
        "home_points": pl.Int64,
    }
    return _frame(schema, [_teacher_row(teacher) for teacher in draft.teachers])


def _teacher_row(teacher: Teacher) -> tuple[object, ...]:
    return (
        teacher.teacher_id,
        teacher.school,
        teacher.subjects[0],
        teacher.service_years,
        teacher.birth_date,
        list(teacher.subjects),
        [county for county, _ in teacher.points],
        [points for _, points in teacher.points],
        list(teacher.groups),
        list(teacher.choices),
        teacher.home_points,
    )


# ---- Rule sets


def exchange_stage(size: int) -> Stage:
    return Stage("互調", terms.EXCHANGE, size)


EXCHANGE_STAGES = st.sampled_from(SIZES).map(exchange_stage)
ONE_WAY_STAGES = st.builds(
    Stage,
    name=st.just("單調"),
    kind=st.just(terms.ONE_WAY),
    applicants=st.sampled_from(GROUP_FILTERS),
    schools=st.sampled_from(TAG_FILTERS),
    reopen=st.booleans(),
)
ANY_STAGES = st.lists(
    st.one_of(ONE_WAY_STAGES, EXCHANGE_STAGES), min_size=1, max_size=6
)
GAPLESS_STAGES = st.tuples(
    st.lists(ONE_WAY_STAGES, max_size=1), st.integers(2, 5), st.booleans()
).map(
    lambda drawn: [
        *drawn[0],
        *map(exchange_stage, range(2, drawn[1] + 1)),
        *(drawn[0] if drawn[2] else ()),
    ]
)
GAPPED_STAGES = st.lists(
    st.sampled_from((4, 5, 3, 6, 7)).map(exchange_stage), min_size=1, max_size=3
)
LIMITS = st.builds(
    Limits,
    counties=st.sampled_from((0, 0, 0, 2, 1)),
    subjects=st.sampled_from((0, 0, 0, 3, 1)),
    choices=st.sampled_from((0, 0, 0, 0, 2)),
    home_county=st.sampled_from((True, True, False)),
)


def _numbered(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    return tuple(
        replace(stage, name=f"{stage.name}{number}")
        for number, stage in enumerate(stages, start=1)
    )


def rule_sets(
    stages: st.SearchStrategy[list[Stage]] = ANY_STAGES
    | GAPLESS_STAGES
    | GAPPED_STAGES,
) -> st.SearchStrategy[Rules]:
    """Draw rule sets: any stages, or exchanges alone without or with gaps."""
    keys = st.sampled_from(tuple(terms.TIE_KEYS))
    return st.builds(
        Rules,
        name=st.just("drawn"),
        stages=stages.map(_numbered),
        priority=st.sampled_from((terms.PER_COUNTY, terms.BEST)),
        tie_break=st.lists(keys, unique=True).map(tuple),
        limits=LIMITS,
    )


# ---- Rounds


class SchoolDraw(NamedTuple):
    """What is drawn for a school; numbers count modulo what there is."""

    county: int
    level: int
    tags: tuple[str, ...]


class TeacherDraw(NamedTuple):
    """What is drawn for a teacher; numbers count modulo what there is."""

    id_start: str
    home: int
    subjects: tuple[int, ...]
    choices: list[int]
    points: tuple[int, int]  # in the first county and every second, in the others
    extra_county: int | None  # wished, perhaps without a school there
    groups: tuple[str, ...]
    service_years: int | None
    birth_date: datetime.date | None
    home_points: int


class RoundDraw(NamedTuple):
    """What is drawn for a round."""

    teachers: list[TeacherDraw]
    schools: list[SchoolDraw]
    seats: list[tuple[int, int, int]]
    n_counties: int
    n_levels: int
    n_subjects: int
    n_choices: int


def lists(
    entries: st.SearchStrategy[Any], leasts: Iterable[int], most: int
) -> st.SearchStrategy[list[Any]]:
    """Draw lists, long ones more often than Hypothesis alone would."""
    return st.one_of([st.lists(entries, min_size=n, max_size=most) for n in leasts])


A_SCHOOL = st.integers(0, len(SCHOOLS) - 1)
A_COUNTY = st.integers(0, len(COUNTIES) - 1)
SCHOOL_DRAWS = st.builds(
    SchoolDraw,
    county=A_COUNTY,
    level=st.integers(0, 1),
    tags=st.sampled_from(TAG_LISTS),
)
TEACHER_DRAWS = st.builds(
    TeacherDraw,
    id_start=st.sampled_from(ID_STARTS),
    home=A_SCHOOL,
    subjects=st.sampled_from(SUBJECT_LISTS),
    choices=lists(A_SCHOOL, (0, 3, 5, 5), most=8),
    points=st.tuples(st.sampled_from(POINTS), st.sampled_from(POINTS)),
    extra_county=st.sampled_from((None, None, *range(len(COUNTIES)))),
    groups=st.sampled_from(GROUP_LISTS),
    service_years=st.sampled_from(YEARS),
    birth_date=st.sampled_from(BIRTHDAYS),
    home_points=st.sampled_from(HOME_POINTS),
)
ROUND_DRAWS = st.builds(
    RoundDraw,
    teachers=lists(TEACHER_DRAWS, (0, 8, 14, 20, 20), most=len(ID_ENDS)),
    schools=lists(SCHOOL_DRAWS, (2, 5, 8), most=len(SCHOOLS)),
    seats=lists(
        st.tuples(A_SCHOOL, st.integers(0, 2), st.sampled_from(SEATS)), (0, 2, 4), 10
    ),
    n_counties=st.integers(2, len(COUNTIES)),
    n_levels=st.sampled_from((1, 1, 2)),
    n_subjects=st.sampled_from((1, 2, 1, 3)),
    n_choices=st.sampled_from((4, 1, 2, 3, 8)),
)


RULE_SETS = rule_sets()


def cases(rules: st.SearchStrategy[Rules] = RULE_SETS) -> st.SearchStrategy[Case]:
    """Draw a rule set, a round that keeps to its limits, and a seed of the lottery."""
    return st.builds(
        lambda drawn, rules, seed: Case(draft_of(drawn, rules.limits), rules, seed),
        ROUND_DRAWS,
        rules,
        st.one_of(st.integers(0, 3), st.integers(-1, 1 << 70)),
    )


def cases_and_second_drafts() -> st.SearchStrategy[tuple[Case, Draft]]:
    """Draw a case and another round that keeps to the limits of the same rules."""
    return st.builds(
        lambda case, drawn: (case, draft_of(drawn, case.rules.limits)),
        cases(),
        ROUND_DRAWS,
    )


def draft_of(drawn: RoundDraw, limits: Limits) -> Draft:
    """Return a round of the numbers drawn, with nothing that the limits forbid."""
    levels = tuple(SUBJECTS)[: drawn.n_levels]
    subjects = {level: SUBJECTS[level][: drawn.n_subjects] for level in levels}
    schools = tuple(
        School(
            SCHOOLS[number],
            # the first two are in different counties
            COUNTIES[(school.county if number > 1 else number) % drawn.n_counties],
            levels[school.level % drawn.n_levels],
            school.tags,
        )
        for number, school in enumerate(drawn.schools)
    )
    return Draft(
        schools=schools,
        subjects=tuple((code, level) for level in levels for code in subjects[level]),
        seats=_open_seats(drawn, schools, subjects),
        teachers=tuple(
            _teacher(teacher, ID_ENDS[number], schools, subjects, drawn, limits)
            for number, teacher in enumerate(drawn.teachers)
        ),
    )


def _open_seats(
    drawn: RoundDraw,
    schools: Sequence[School],
    subjects: Mapping[str, Sequence[str]],
) -> tuple[tuple[Place, int], ...]:
    seats = {}
    for number, subject, count in drawn.seats:
        school = schools[number % len(schools)]
        there = subjects[school.level]
        seats[school.code, there[subject % len(there)]] = count
    return tuple(seats.items())


def _teacher(
    drawn: TeacherDraw,
    id_end: str,
    schools: Sequence[School],
    subjects: Mapping[str, Sequence[str]],
    of_round: RoundDraw,
    limits: Limits,
) -> Teacher:
    home = schools[drawn.home % len(schools)]
    there = subjects[home.level]
    applied = _different(there[number % len(there)] for number in drawn.subjects)
    named = _different(schools[number % len(schools)] for number in drawn.choices)
    listed = [school for school in named if _may_list(school, home, limits)]
    counties = _wish_counties(drawn, listed, home, schools, limits)
    choices = [school.code for school in listed if school.county in counties]
    n_choices = min(of_round.n_choices, limits.choices or of_round.n_choices)
    return Teacher(
        teacher_id=drawn.id_start + id_end,
        school=home.code,
        subjects=tuple(applied[: limits.subjects or None]),
        points=tuple(zip(counties, cycle(drawn.points), strict=False)),
        choices=tuple(choices[:n_choices]),
        groups=drawn.groups,
        service_years=drawn.service_years,
        birth_date=drawn.birth_date,
        home_points=drawn.home_points if choices else None,
    )


def _may_list(school: School, home: School, limits: Limits) -> bool:
    abroad = limits.home_county or school.county != home.county
    return abroad and school.level == home.level and school.code != home.code


def _wish_counties(
    drawn: TeacherDraw,
    listed: Iterable[School],
    home: School,
    schools: Sequence[School],
    limits: Limits,
) -> list[str]:
    counties = [school.county for school in listed]
    if drawn.extra_county is not None:
        extra = schools[drawn.extra_county % len(schools)].county
        if limits.home_county or extra != home.county:
            counties.append(extra)
    return _different(counties)[: limits.counties or None]


def _different(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
