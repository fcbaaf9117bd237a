"""Do the tables of a round fit together? Typed frames out, every misfit named.

Columnar throughout: a check is an array expression over all rows, and only rows that
fail are looked at one by one, at most a hundred per check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import errors, tables, terms
from jiepin.core.rules import Limits
from jiepin.core.tables import ROW, Table

IndexArray = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

UNKNOWN = -1  # index of a code that its table does not have
_HUNDREDTHS = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
_POINTS = "a number from 0 with at most two decimals, as in 65.25"


@dataclass
class Findings:
    """The problems found so far: the first hundred of each check, and how many in all."""

    problems: list[errors.Problem] = field(default_factory=list)
    n_problems: int = 0

    def add(self, problems: Sequence[errors.Problem]) -> None:
        self.problems += problems
        self.n_problems += len(problems)

    def rows(
        self,
        kind: type[errors.Problem],
        table: Table,
        column: str,
        bad: Mask,
        values: pl.Series,
        expected: str,
    ) -> None:
        """Report the rows where `bad` holds, with the value each has in `values`."""
        self.entries(kind, table, column, np.flatnonzero(bad), bad, values, expected)

    def entries(
        self,
        kind: type[errors.Problem],
        table: Table,
        column: str,
        row_of: npt.NDArray[np.intp],
        bad: Mask,
        values: pl.Series,
        expected: str,
    ) -> None:
        """Report the entries where `bad` holds; `row_of` gives the row of each such one."""
        found = np.flatnonzero(bad)
        self.n_problems += len(found)
        shown = found[: errors.MAX_SHOWN]
        records = table.frame[ROW].gather(row_of[: len(shown)]).to_list()
        texts = values.gather(shown).cast(pl.String).to_list()
        for line, text in zip(
            table.lines(records) if records else [], texts, strict=True
        ):
            self.problems.append(kind(table.file, line, column, text or "", expected))

    def raise_if_any(self) -> None:
        """Raise BadRound with the problems in the order of files and lines."""
        if self.n_problems:
            names = [spec.name for spec in tables.SPECS]
            ordered = sorted(
                self.problems,
                key=lambda problem: (
                    _file_order(problem.file, names),
                    problem.line or 0,
                ),
            )
            raise errors.BadRound(ordered, self.n_problems)


def _file_order(file: str, names: Sequence[str]) -> int:
    stem = file.split(".")[0]
    return names.index(stem) if stem in names else -1


@dataclass(frozen=True)
class Codes:
    """The codes of one table, sorted, as an enumeration: index = place in the order."""

    kind: pl.Enum

    @classmethod
    def of(cls, column: pl.Series) -> Codes:
        return cls(pl.Enum(column.drop_nulls().unique().sort()))

    def __len__(self) -> int:
        return len(self.kind.categories)

    def encode(self, text: pl.Series) -> pl.Series:
        """Return the codes as enumeration values, null where unknown; lists stay lists."""
        kind = pl.List(self.kind) if text.dtype == pl.List else self.kind
        return text.cast(kind, strict=False)


def index_of(codes: pl.Series) -> IndexArray:
    """Return the index of each enumeration value, UNKNOWN where null."""
    index = codes.to_physical().cast(pl.Int32)
    return np.asarray(index.fill_null(UNKNOWN).to_numpy(), dtype=np.int32)


@dataclass(frozen=True)
class Lists:
    """A list column laid flat: the entries of row r are starts[r] up to starts[r + 1]."""

    starts: npt.NDArray[np.int64]
    flat: pl.Series

    @classmethod
    def of(cls, column: pl.Series) -> Lists:
        lengths = column.list.len().fill_null(0).to_numpy()
        starts = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        return cls(starts, column.explode(empty_as_null=False, keep_nulls=False))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.starts)

    def spread(self, per_row: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the value of its row for each entry."""
        return np.repeat(per_row, self.lengths)

    def rows_of(self, bad: Mask) -> npt.NDArray[np.intp]:
        """Return the row of each entry where `bad` holds."""
        return np.searchsorted(self.starts, np.flatnonzero(bad), side="right") - 1

    def entry(self, place: int, missing: int = UNKNOWN) -> IndexArray:
        """Return the index at `place` of each row's list of codes, or `missing`."""
        has = self.lengths > place
        out = np.full(len(has), missing, dtype=np.int32)
        out[has] = index_of(self.flat.gather(self.starts[:-1][has] + place))
        return out


def hundredths(text: pl.Expr) -> pl.Expr:
    """Turn texts like 65.25 into whole hundredths, null where they are no such number.

    By way of decimals, never of floats.

    >>> texts = pl.DataFrame({"points": ["65.25", "7", "1.234", "-1"]})
    >>> texts.select(hundredths(pl.col("points")))["points"].to_list()
    [6525, 700, None, None]
    """
    number = pl.when(text.str.contains(_HUNDREDTHS)).then(text)
    return number.cast(pl.Decimal(18, 2), strict=False).to_physical().cast(pl.Int64)


def check_schools(table: Table, findings: Findings) -> pl.DataFrame:
    """Check schools.csv; the frame has one row per code, in code order."""
    _check_codes(table, "school", findings)
    _check_levels(table, findings)
    county = table.frame["county"]
    findings.rows(
        errors.EmptyCell,
        table,
        "county",
        county.is_null().to_numpy(),
        county,
        "the code of a county",
    )
    return _one_row_per_code(table, "school").with_columns(
        pl.col("tags").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        pl.col("name", "township").fill_null(""),
    )


def check_subjects(table: Table, findings: Findings) -> pl.DataFrame:
    """Check subjects.csv; the frame has one row per code, in code order."""
    _check_codes(table, "subject", findings)
    _check_levels(table, findings)
    return _one_row_per_code(table, "subject").with_columns(pl.col("name").fill_null(""))


def _check_codes(table: Table, column: str, findings: Findings) -> None:
    codes = table.frame[column]
    empty = codes.is_null().to_numpy()
    findings.rows(errors.EmptyCell, table, column, empty, codes, "a code")
    again = ~codes.is_first_distinct().to_numpy() & ~empty
    findings.rows(errors.CodeUsedTwice, table, column, again, codes, "each code once")


def _check_levels(table: Table, findings: Findings) -> None:
    level = table.frame["level"]
    bad = ~level.is_in(list(terms.LEVELS)).fill_null(False).to_numpy()
    expected = "one of " + ", ".join(terms.LEVELS)
    findings.rows(errors.UnknownLevel, table, "level", bad, level, expected)


def _one_row_per_code(table: Table, column: str) -> pl.DataFrame:
    frame = table.frame.drop(ROW).filter(pl.col(column).is_not_null())
    frame = frame.unique(column, keep="first").sort(column)
    return frame.with_columns(Codes.of(frame[column]).encode(frame[column]))


@dataclass(frozen=True)
class Directory:
    """Schools and subjects as the other tables look them up, by index of the code."""

    schools: Codes
    subjects: Codes
    counties: Codes
    county_of_school: IndexArray
    level_of_school: IndexArray
    level_of_subject: IndexArray

    @classmethod
    def of(cls, schools: pl.DataFrame, subjects: pl.DataFrame) -> Directory:
        counties = Codes.of(schools["county"])
        levels = Codes(pl.Enum(list(terms.LEVELS)))
        return cls(
            schools=Codes.of(schools["school"].cast(pl.String)),
            subjects=Codes.of(subjects["subject"].cast(pl.String)),
            counties=counties,
            county_of_school=_lookup(counties.encode(schools["county"])),
            level_of_school=_lookup(levels.encode(schools["level"])),
            level_of_subject=_lookup(levels.encode(subjects["level"])),
        )


def _lookup(codes: pl.Series) -> IndexArray:
    """Return the indices with one more at the end, so that UNKNOWN finds UNKNOWN."""
    return np.append(index_of(codes), np.int32(UNKNOWN))


def _differ(left: IndexArray, right: IndexArray) -> Mask:
    """Return where two known indices differ; an unknown one is reported elsewhere."""
    return (left != right) & (left != UNKNOWN) & (right != UNKNOWN)


def _fill_codes(
    table: Table, column: str, codes: Codes, of: str, findings: Findings
) -> pl.Series:
    """Encode a column of codes and report the unknown ones."""
    kind = {
        "schools": errors.UnknownSchool,
        "subjects": errors.UnknownSubject,
        "counties": errors.UnknownCounty,
    }[of]
    expected = "a county of the schools" if of == "counties" else f"a code of {of}"
    text = table.frame[column]
    encoded = codes.encode(text)
    if text.dtype == pl.List:
        lists = Lists.of(encoded)
        bad = lists.flat.is_null().to_numpy()
        if bad.any():
            values = Lists.of(text).flat
            rows = lists.rows_of(bad)
            findings.entries(kind, table, column, rows, bad, values, expected)
        return encoded
    bad = encoded.is_null().to_numpy()
    findings.rows(kind, table, column, bad, text, expected)
    return encoded


def check_vacancies(
    table: Table, directory: Directory, findings: Findings
) -> pl.DataFrame:
    """Check vacancies.csv; rows of the same position are added up, in code order."""
    school = _fill_codes(table, "school", directory.schools, "schools", findings)
    subject = _fill_codes(table, "subject", directory.subjects, "subjects", findings)
    levels = (
        directory.level_of_school[index_of(school)],
        directory.level_of_subject[index_of(subject)],
    )
    findings.rows(
        errors.LevelMismatch,
        table,
        "subject",
        _differ(*levels),
        table.frame["subject"],
        "a subject of the school's level",
    )
    text = table.frame["seats"]
    whole = pl.col("seats").str.contains("^[0-9]{1,9}$")
    seats = pl.when(whole).then("seats").cast(pl.Int64)
    frame = pl.DataFrame([school, subject, text]).with_columns(seats)
    bad = frame["seats"].is_null().to_numpy()
    expected = "a whole number from 0"
    findings.rows(errors.BadSeats, table, "seats", bad, text, expected)
    return add_up(frame)


def add_up(vacancies: pl.DataFrame) -> pl.DataFrame:
    """Return one row per position with all its seats, sorted by school and subject."""
    keys = ["school", "subject"]
    return vacancies.group_by(keys).agg(pl.col("seats").sum()).sort(keys)


def no_vacancies(directory: Directory) -> pl.DataFrame:
    """Return the table of vacancies of a round that has none."""
    return pl.DataFrame(
        schema={
            "school": directory.schools.kind,
            "subject": directory.subjects.kind,
            "seats": pl.Int64,
        }
    )


def check_teachers(
    table: Table, directory: Directory, limits: Limits | None, findings: Findings
) -> pl.DataFrame:
    """Check teachers.csv; the frame keeps the order of the file."""
    _check_codes(table, "teacher_id", findings)
    frame = table.frame
    codes = {
        "school": (directory.schools, "schools"),
        "subject": (directory.subjects, "subjects"),
        "subjects": (directory.subjects, "subjects"),
        "counties": (directory.counties, "counties"),
        "choices": (directory.schools, "schools"),
    }
    typed = frame.drop(ROW).with_columns(
        _fill_codes(table, column, kind, of, findings).alias(column)
        for column, (kind, of) in codes.items()
    )
    typed = _check_points(table, typed, findings)
    typed = _check_tie_keys(table, typed, findings)
    _check_subjects_of_teachers(table, typed, directory, findings)
    _check_choices(table, typed, directory, findings)
    for column in ("subjects", "counties", "choices"):
        _check_listed_twice(table, typed[column], findings)
    if limits is not None:
        check_limits(table, typed, directory, limits, findings)
    empty = [
        pl.col(column).fill_null(pl.lit([], dtype=typed.schema[column]))
        for column in tables.TEACHERS.lists
    ]
    return typed.with_columns(empty)


def _check_points(table: Table, typed: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    typed = typed.with_columns(
        pl.col("points").list.eval(hundredths(pl.element())),
        (
            hundredths(pl.col("home_points"))
            if "home_points" in typed.columns
            else pl.lit(None, dtype=pl.Int64)
        ).alias("home_points"),
    )
    points = Lists.of(typed["points"])
    bad = points.flat.is_null().to_numpy()
    if bad.any():
        texts = Lists.of(table.frame["points"]).flat
        rows = points.rows_of(bad)
        findings.entries(errors.BadPoints, table, "points", rows, bad, texts, _POINTS)
    n_counties = typed["counties"].list.len().fill_null(0).to_numpy()
    findings.rows(
        errors.PointsCount,
        table,
        "points",
        points.lengths != n_counties,
        table.frame["points"].list.join(terms.LIST_SEPARATOR),
        "as many points as counties",
    )
    if "home_points" in table.frame.columns:
        _check_number(table, typed, "home_points", errors.BadPoints, _POINTS, findings)
    return typed


def _check_number(
    table: Table,
    typed: pl.DataFrame,
    column: str,
    kind: type[errors.Problem],
    expected: str,
    findings: Findings,
) -> None:
    """Report the cells that hold a text but gave no value; empty ones are allowed."""
    text = table.frame[column]
    bad = (typed[column].is_null() & text.is_not_null()).to_numpy()
    findings.rows(kind, table, column, bad, text, expected)


def _check_tie_keys(
    table: Table, typed: pl.DataFrame, findings: Findings
) -> pl.DataFrame:
    date = pl.col("birth_date")
    iso = pl.when(date.str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")).then(date)
    typed = typed.with_columns(
        hundredths(pl.col("service_years")).alias("service_years"),
        iso.str.to_date("%Y-%m-%d", strict=False).alias("birth_date"),
    )
    _check_number(
        table,
        typed,
        "service_years",
        errors.BadServiceYears,
        "years from 0 with at most two decimals, or nothing",
        findings,
    )
    _check_number(
        table,
        typed,
        "birth_date",
        errors.BadBirthDate,
        "a date like 1985-09-28, or nothing",
        findings,
    )
    return typed


def _check_subjects_of_teachers(
    table: Table, typed: pl.DataFrame, directory: Directory, findings: Findings
) -> None:
    level = directory.level_of_school[index_of(typed["school"])]
    home_subject = index_of(typed["subject"])
    findings.rows(
        errors.LevelMismatch,
        table,
        "subject",
        _differ(level, directory.level_of_subject[home_subject]),
        table.frame["subject"],
        "a subject of the school's level",
    )
    subjects = Lists.of(typed["subjects"])
    first = subjects.entry(0)
    wrong = (subjects.lengths == 0) | _differ(first, home_subject)
    findings.rows(
        errors.FirstSubjectNotHome,
        table,
        "subjects",
        wrong,
        table.frame["subjects"].list.join(terms.LIST_SEPARATOR),
        "the subject of the column subject first",
    )
    listed = directory.level_of_subject[index_of(subjects.flat)]
    bad = _differ(listed, subjects.spread(level).astype(np.int32))
    findings.entries(
        errors.LevelMismatch,
        table,
        "subjects",
        subjects.rows_of(bad),
        bad,
        subjects.flat,
        "a subject of the school's level",
    )


def _check_choices(
    table: Table, typed: pl.DataFrame, directory: Directory, findings: Findings
) -> None:
    choices = Lists.of(typed["choices"])
    choice = index_of(choices.flat)
    home = index_of(typed["school"])
    known = choice != UNKNOWN

    def report(kind: type[errors.Problem], bad: Mask, expected: str) -> None:
        rows = choices.rows_of(bad)
        findings.entries(kind, table, "choices", rows, bad, choices.flat, expected)

    at_home = known & (choice == choices.spread(home))
    report(errors.HomeSchoolListed, at_home, "schools other than that of today")
    level = choices.spread(directory.level_of_school[home]).astype(np.int32)
    off_level = _differ(directory.level_of_school[choice], level)
    report(errors.LevelMismatch, off_level, "schools of the level of today's school")
    wished = _in_wish_counties(choices, directory.county_of_school[choice], typed)
    outside = known & ~at_home & ~wished
    report(errors.ChoiceOutsideCounties, outside, "schools of the wish counties")


def _in_wish_counties(
    choices: Lists, county: IndexArray, typed: pl.DataFrame
) -> Mask:
    counties = Lists.of(typed["counties"])
    wished = np.zeros(len(county), dtype=np.bool_)
    most = int(counties.lengths.max(initial=0))
    for place in range(most):  # columns of wish counties, 甲 乙 …
        wished |= choices.spread(counties.entry(place)) == county
    return wished & (county != UNKNOWN)


def _check_listed_twice(table: Table, lists: pl.Series, findings: Findings) -> None:
    column = lists.name
    bad = (lists.list.n_unique() != lists.list.len()).fill_null(False).to_numpy()
    # unknown entries are all null and reported on their own
    suspects = lists.filter(bad).list.drop_nulls()
    bad[bad] = (suspects.list.n_unique() != suspects.list.len()).to_numpy()
    if bad.any():
        repeated = pl.element().filter(pl.element().is_duplicated()).first()
        values = pl.DataFrame({column: lists}).select(
            pl.col(column).list.eval(repeated).list.first().cast(pl.String)
        )
        findings.rows(
            errors.ListedTwice, table, column, bad, values[column], "each entry once"
        )


def check_limits(
    table: Table,
    typed: pl.DataFrame,
    directory: Directory,
    limits: Limits,
    findings: Findings,
) -> None:
    """Report the teachers who wish more than the rule set allows."""
    for column, most, kind in (
        ("counties", limits.counties, errors.TooManyCounties),
        ("subjects", limits.subjects, errors.TooManySubjects),
        ("choices", limits.choices, errors.TooManyChoices),
    ):
        n_listed = typed[column].list.len().fill_null(0)
        bad = ((n_listed > most) & (most > 0)).to_numpy()
        findings.rows(kind, table, column, bad, n_listed, f"at most {most}")
    if not limits.home_county:
        counties = Lists.of(typed["counties"])
        home = directory.county_of_school[index_of(typed["school"])]
        wished = index_of(counties.flat)
        bad = (wished == counties.spread(home)) & (wished != UNKNOWN)
        rows = counties.rows_of(bad)
        findings.entries(
            errors.HomeCountyWished,
            table,
            "counties",
            rows,
            bad,
            counties.flat,
            "counties other than the home county",
        )
