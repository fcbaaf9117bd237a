"""Can the frames of a round be computed with? Asked before a round is encoded.

`Round.read` has looked at much more: whether the wishes make sense. A `Round` may also
be built by hand, and a code of another table, a missing value or a number too large
would make kernels read and write where they must not. Array expressions over whole
columns, and nothing row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import checks
from jiepin.core.errors import BadArray
from jiepin.core.round import Round

MOST = 2**53  # of seats and years
MOST_POINTS = 2**62  # they are compared; whoever sums them looks again
MOST_PLACES = 2**28  # schools × subjects; there is a table of them all
MOST_ENTRIES = 2**31 - 1  # rows, and entries of one list column: indices are int32
_TEXTS = pl.List(pl.String)
Kinds = Mapping[str, Any]


def check_round(round_: Round) -> None:
    """Raise BadArray unless the frames have the types, codes and numbers they need.

    >>> from dataclasses import replace
    >>> from jiepin.core import Round
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> check_round(round_)
    >>> seats = round_.vacancies.clear().with_columns(pl.col("seats").cast(pl.Int32))
    >>> check_round(replace(round_, vacancies=seats))
    Traceback (most recent call last):
    jiepin.core.errors.BadArray: 資料陣列不合規定，沒有開始計算。
        vacancies["seats"]: Int32; expected Int64
    """
    schools, subjects = round_.schools, round_.subjects
    school = _own_codes("schools", schools, "school")
    subject = _own_codes("subjects", subjects, "subject")
    check_count("schools × subjects", schools.height * subjects.height, MOST_PLACES)
    _kinds("schools", schools, {"county": pl.String, "tags": _TEXTS})
    _whole("schools", schools, ("county", "tags"))
    seats = {"school": school, "subject": subject, "seats": pl.Int64}
    _kinds("vacancies", round_.vacancies, seats)
    _whole("vacancies", round_.vacancies, tuple(seats))
    _numbers('vacancies["seats"]', round_.vacancies["seats"], MOST)
    _check_teachers(round_.teachers, school, subject)


def check_counties(teachers: pl.DataFrame, counties: checks.Codes) -> None:
    """Raise BadArray unless the wish counties are told by these codes."""
    _kinds("teachers", teachers, {"counties": pl.List(counties.kind)})


def _check_teachers(teachers: pl.DataFrame, school: pl.Enum, subject: pl.Enum) -> None:
    lists = {
        "subjects": pl.List(subject),
        "counties": pl.List,
        "points": pl.List(pl.Int64),
        "choices": pl.List(school),
    }
    single = {"teacher_id": pl.String, "school": school, "subject": subject}
    may_be_null = {"service_years": pl.Int64, "birth_date": pl.Date}
    if "home_points" in teachers.columns:
        may_be_null["home_points"] = pl.Int64
    name = "teachers"
    check_count(name, teachers.height, MOST_ENTRIES)
    _kinds(name, teachers, {**single, **lists, **may_be_null, "groups": _TEXTS})
    _whole(name, teachers, (*single, *lists, "groups"))
    for column, kind in may_be_null.items():
        if kind == pl.Int64:
            most = MOST_POINTS if column == "home_points" else MOST
            _numbers(f'{name}["{column}"]', teachers[column], most)
    lengths = {
        column: _lengths(f'{name}["{column}"]', teachers[column]) for column in lists
    }
    uneven = np.flatnonzero(lengths["points"] != lengths["counties"])
    if len(uneven):
        row = int(uneven[0])
        expected = f"{lengths['counties'][row]}, as many as counties"
        raise BadArray('teachers["points"]', row, lengths["points"][row], expected)


def _own_codes(table: str, frame: pl.DataFrame, column: str) -> pl.Enum:
    """Return the codes of a table, which must stand in their order, each once."""
    name = f'{table}["{column}"]'
    if column not in frame.columns or not isinstance(frame[column].dtype, pl.Enum):
        raise BadArray(name, None, frame.schema.get(column), "an Enum of its own codes")
    codes, kind = frame[column], cast("pl.Enum", frame[column].dtype)
    own = checks.index_of(codes)
    if len(own) != len(kind.categories):
        expected = f"{len(kind.categories)}, one for each code of its Enum"
        raise BadArray(name, None, f"{len(own)} rows", expected)
    wrong = np.flatnonzero(own != np.arange(len(own)))
    if len(wrong):
        row = int(wrong[0])
        raise BadArray(name, row, codes[row], repr(kind.categories[row]))
    return kind


def _kinds(table: str, frame: pl.DataFrame, kinds: Kinds) -> None:
    schema = frame.schema
    for column, kind in kinds.items():
        found = schema.get(column, "no such column")
        if found != kind:
            raise BadArray(f'{table}["{column}"]', None, found, str(kind))


def _whole(table: str, frame: pl.DataFrame, columns: tuple[str, ...]) -> None:
    for column in columns:
        if frame[column].null_count():
            row = int(frame[column].is_null().arg_max() or 0)
            raise BadArray(f'{table}["{column}"]', row, None, "a value in every row")


def _lengths(name: str, column: pl.Series) -> npt.NDArray[np.int64]:
    """Return the lengths of lists, of which none may hold nothing at a place.

    Nor may there be more entries than int32 counts, or numbers too large.
    """
    entries = checks.Lists.of(column)
    check_count(f"entries of {name}", len(entries.flat), MOST_ENTRIES)
    if entries.flat.null_count():
        entry = int(entries.flat.is_null().arg_max() or 0)
        row = int(entries.rows_of(np.array([entry]))[0])
        raise BadArray(name, row, column[row].to_list(), "a value at every place")
    if entries.flat.dtype == pl.Int64:
        bad = _first_bad(entries.flat, MOST_POINTS)
        if bad is not None:
            row = int(entries.rows_of(np.array([bad]))[0])
            raise BadArray(name, row, entries.flat[bad], f"0 to {MOST_POINTS:,}")
    return entries.lengths


def _numbers(name: str, numbers: pl.Series, most: int) -> None:
    bad = _first_bad(numbers, most)
    if bad is not None:
        raise BadArray(name, bad, numbers[bad], f"0 to {most:,}")


def _first_bad(numbers: pl.Series, most: int) -> int | None:
    low, high = numbers.min(), numbers.max()
    if low is None or (low >= 0 and high <= most):  # type: ignore[operator]
        return None
    return ((numbers < 0) | (numbers > most)).arg_max()


def check_count(name: str, found: int, most: int) -> None:
    """Raise BadArray when there is more of something than can be counted with."""
    if found > most:
        raise BadArray(name, None, f"{found:,}", f"at most {most:,}")
