"""Do the tables of a round fit together? Typed frames out, every misfit named.

Columnar throughout: a check is an array expression over all rows, and only what fails
is looked at one by one, at most a hundred per check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import errors, tables, terms
from jiepin.core.rules import Limits
from jiepin.core.tables import ROW, Table
from jiepin.core.workers import Workers

IndexArray = npt.NDArray[np.int32]
RowArray = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

UNKNOWN = -1  # index of a code that its table does not have
BLOCK = 1 << 12  # rows checked together
_HUNDREDTHS = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
_DATE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_CODE_LISTS = ("subjects", "counties", "choices")
_POINTS = "a number from 0 with at most two decimals, as in 65.25"


class _Finding(NamedTuple):
    """One problem before the line of its row is looked up."""

    table: Table
    kind: type[errors.Problem]
    row: int
    column: str
    value: str
    expected: str


@dataclass
class Findings:
    """The problems found so far: the first of each check, and how many in all."""

    problems: list[errors.Problem] = field(default_factory=list)
    n_problems: int = 0
    _found: list[_Finding] = field(default_factory=list)

    def add(self, problems: Sequence[errors.Problem]) -> None:
        self.problems += problems
        self.n_problems += len(problems)

    def rows(
        self,
        kind: type[errors.Problem],
        table: Table,
        column: str,
        bad: Mask,
        expected: str,
        values: pl.Series | None = None,
    ) -> None:
        """Report the rows where `bad` holds, with their cells or their `values`."""
        rows = np.flatnonzero(bad)
        if len(rows):
            shown = rows[: errors.MAX_SHOWN].tolist()
            cells = table.cells(column, shown) if values is None else values[shown]
            self.entries(kind, table, column, rows, cells, expected)

    def entries(
        self,
        kind: type[errors.Problem],
        table: Table,
        column: str,
        rows: RowArray,
        values: pl.Series,
        expected: str,
    ) -> None:
        """Report one problem for each of `rows`, ascending, with those of `values`."""
        self.n_problems += len(rows)
        shown = rows[: errors.MAX_SHOWN].tolist()
        texts = values.head(len(shown)).cast(pl.String).fill_null("")
        self._found += [
            _Finding(table, kind, row, column, text, expected)
            for row, text in zip(shown, texts, strict=True)
        ]

    def raise_if_any(self) -> None:
        """Raise BadRound with the problems in the order of files and lines."""
        if not self.n_problems:
            return
        problems = self.problems + [
            problem for spec in tables.SPECS for problem in self._located(spec.name)
        ]
        problems.sort(key=lambda problem: (_file_order(problem), problem.line or 0))
        raise errors.BadRound(problems, self.n_problems)

    def _located(self, name: str) -> Iterator[errors.Problem]:
        """Yield the first problems of the rows of one table, with their lines."""
        found = [finding for finding in self._found if finding.table.path.stem == name]
        found = sorted(found, key=lambda finding: finding.row)[: errors.MAX_SHOWN]
        if not found:
            return
        table = found[0].table
        records = table.frame[ROW].gather([finding.row for finding in found])
        lines = table.lines(records.to_list())
        for finding, line in zip(found, lines, strict=True):
            yield finding.kind(
                table.file, line, finding.column, finding.value, finding.expected
            )


def _file_order(problem: errors.Problem) -> int:
    names = [spec.name for spec in tables.SPECS]
    stem = problem.file.split(".")[0]
    return names.index(stem) if stem in names else -1


@dataclass(frozen=True)
class Codes:
    """The codes of one table, sorted, as an enumeration: index = place in the order."""

    kind: pl.Enum

    @classmethod
    def of(cls, column: pl.Series) -> Codes:
        return cls(pl.Enum(column.drop_nulls().unique().sort()))

    def encode(self, text: pl.Series) -> pl.Series:
        """Return the codes as enumeration values, null where unknown."""
        return text.cast(self.kind, strict=False)


def index_of(codes: pl.Series) -> IndexArray:
    """Return the index of each enumeration value, UNKNOWN where null."""
    physical = codes.to_physical()
    if physical.null_count():
        physical = physical.cast(pl.Int32).fill_null(UNKNOWN)
    return physical.to_numpy().astype(np.int32)


@dataclass(frozen=True)
class Lists:
    """A list column laid flat: the entries of row r are starts[r] to starts[r + 1]."""

    starts: npt.NDArray[np.int64]
    flat: pl.Series

    @classmethod
    def of(cls, column: pl.Series) -> Lists:
        lengths = column.list.len().fill_null(0).to_numpy()
        starts = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        return cls(starts, column.explode(empty_as_null=False, keep_nulls=False))

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.starts)

    @property
    def n_codes(self) -> int:
        """How many codes the entries may be, the unknown one counted."""
        kind = self.flat.dtype
        assert isinstance(kind, pl.Enum)  # only codes are asked
        return len(kind.categories) + 1

    @cached_property
    def codes(self) -> npt.NDArray[np.integer]:
        """The index of each entry, in its smallest type; the last one where unknown."""
        codes = self.flat.to_physical()
        if codes.null_count():
            codes = codes.cast(pl.UInt32).fill_null(self.n_codes - 1)
        return codes.to_numpy()

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield rows and their entries, few enough for the processor's cache."""
        for first in range(0, len(self.starts) - 1, BLOCK):
            last = min(first + BLOCK, len(self.starts) - 1)
            entries = slice(int(self.starts[first]), int(self.starts[last]))
            yield slice(first, last), entries

    @property
    def places(self) -> range:
        """The places in a list, from the first to the last of the longest."""
        return range(int(self.lengths.max(initial=0)))

    def spread(self, per_row: IndexArray) -> IndexArray:
        """Return the value of its row for each entry."""
        return np.repeat(per_row, self.lengths)

    def rows_of(self, entries: npt.NDArray[np.integer]) -> RowArray:
        """Return the row of each of some entries."""
        return np.searchsorted(self.starts, entries, side="right") - 1

    def entry(self, place: int, missing: int = UNKNOWN) -> IndexArray:
        """Return the index at `place` of each row's list of codes, or `missing`."""
        has = self.lengths > place
        out = np.full(len(has), missing, dtype=np.int32)
        out[has] = index_of(self.flat.gather(self.starts[:-1][has] + place))
        return out

    def rows_with_repeats(self) -> RowArray:
        """Return the rows that list a code twice."""
        n_codes = self.n_codes
        kind = np.min_scalar_type(BLOCK * n_codes)
        found = [np.empty(0, dtype=np.intp)]
        for rows, entries in self.blocks():
            lengths = self.lengths[rows]
            # a number for row and code: sorted, what is there twice lies together
            keys = np.repeat(np.arange(len(lengths), dtype=kind) * n_codes, lengths)
            keys += self.codes[entries]
            keys.sort()
            repeats = keys[1:][keys[1:] == keys[:-1]] // n_codes
            found.append(rows.start + np.unique(repeats).astype(np.intp))
        return np.concatenate(found)


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
    no_county = table.frame["county"].is_null().to_numpy()
    expected = "the code of a county"
    findings.rows(errors.EmptyCell, table, "county", no_county, expected)
    tags = table.frame.select(table.entries("tags").fill_null([]))["tags"]
    return _one_row_per_code(table.frame.with_columns(tags), "school").with_columns(
        pl.col("name", "township").fill_null("")
    )


def check_subjects(table: Table, findings: Findings) -> pl.DataFrame:
    """Check subjects.csv; the frame has one row per code, in code order."""
    _check_codes(table, "subject", findings)
    _check_levels(table, findings)
    return _one_row_per_code(table.frame, "subject").with_columns(
        pl.col("name").fill_null("")
    )


def _check_codes(table: Table, column: str, findings: Findings) -> None:
    codes = table.frame[column]
    # as many different hashes as rows: no code is there twice, and this is quick
    if not codes.null_count() and codes.hash().n_unique() == len(codes):
        return
    empty = codes.is_null().to_numpy()
    findings.rows(errors.EmptyCell, table, column, empty, "a code")
    again = ~codes.is_first_distinct().to_numpy() & ~empty
    findings.rows(errors.CodeUsedTwice, table, column, again, "each code once")


def _check_levels(table: Table, findings: Findings) -> None:
    bad = ~table.frame["level"].is_in(list(terms.LEVELS)).fill_null(False).to_numpy()
    expected = "one of " + ", ".join(terms.LEVELS)
    findings.rows(errors.UnknownLevel, table, "level", bad, expected)


def _one_row_per_code(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    frame = frame.drop(ROW).filter(pl.col(column).is_not_null())
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
    known = (left != UNKNOWN) & (right != UNKNOWN)
    return np.asarray((left != right) & known, dtype=np.bool_)


class _CodeTable(NamedTuple):
    """Where the codes of a column must be found, and what it is called if not."""

    codes: Codes
    unknown: type[errors.Problem]
    expected: str


def _code_tables(directory: Directory) -> dict[str, _CodeTable]:
    school = _CodeTable(directory.schools, errors.UnknownSchool, "a code of schools")
    subject = _CodeTable(
        directory.subjects, errors.UnknownSubject, "a code of subjects"
    )
    county = _CodeTable(
        directory.counties, errors.UnknownCounty, "a county of the schools"
    )
    return {
        "school": school,
        "choices": school,
        "subject": subject,
        "subjects": subject,
        "counties": county,
    }


def _encoded(table: Table, column: str, codes: _CodeTable) -> pl.Expr:
    """Return a column as enumeration values, null where unknown; lists stay lists."""
    if column in tables.TEACHERS.lists:
        return table.entries(column).cast(pl.List(codes.codes.kind), strict=False)
    return pl.col(column).cast(codes.codes.kind, strict=False)


def _check_known(
    table: Table, encoded: pl.Series, codes: _CodeTable, findings: Findings
) -> None:
    """Report the codes that became null because their table does not have them."""
    bad = encoded.is_null().to_numpy()
    findings.rows(codes.unknown, table, encoded.name, bad, codes.expected)


def check_vacancies(
    table: Table, directory: Directory, findings: Findings
) -> pl.DataFrame:
    """Check vacancies.csv; rows of the same position are added up, in code order."""
    code_tables = _code_tables(directory)
    whole = pl.col("seats").str.contains("^[0-9]{1,9}$")
    frame = table.frame.select(
        *(_encoded(table, name, code_tables[name]) for name in ("school", "subject")),
        pl.when(whole).then("seats").cast(pl.Int64).alias("seats"),
    )
    for column in ("school", "subject"):
        _check_known(table, frame[column], code_tables[column], findings)
    off_level = _differ(
        directory.level_of_school[index_of(frame["school"])],
        directory.level_of_subject[index_of(frame["subject"])],
    )
    expected = "a subject of the school's level"
    findings.rows(errors.LevelMismatch, table, "subject", off_level, expected)
    bad = frame["seats"].is_null().to_numpy()
    findings.rows(errors.BadSeats, table, "seats", bad, "a whole number from 0")
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
    code_tables = _code_tables(directory)
    typed = table.frame.select(_typed_columns(table, code_tables))
    teachers = _Teachers(table, typed, directory, findings)
    teachers.look_ahead()
    _check_codes(table, "teacher_id", findings)
    for column, codes in code_tables.items():
        if column in teachers.lists:
            teachers.check_entries(codes.unknown, column, codes.expected)
        else:
            _check_known(table, typed[column], codes, findings)
    teachers.check_numbers()
    teachers.check_subjects()
    teachers.check_choices()
    for column in _CODE_LISTS:
        teachers.check_listed_twice(column)
    if limits is not None:
        teachers.check_limits(limits)
    return typed.with_columns(pl.col(*tables.TEACHERS.lists).fill_null([]))


def hold_to_limits(
    schools: pl.DataFrame,
    subjects: pl.DataFrame,
    teachers: pl.DataFrame,
    limits: Limits,
) -> None:
    """Raise BadRound when teachers of a round wish more than a rule set allows.

    For rounds read without limits; places are then rows of the frame.
    """
    table = Table(Path("teachers"), teachers.with_row_index(ROW))
    directory = Directory.of(schools, subjects)
    findings = Findings()
    _Teachers(table, teachers, directory, findings).check_limits(limits)
    findings.raise_if_any()


def _typed_columns(table: Table, code_tables: dict[str, _CodeTable]) -> list[pl.Expr]:
    """Return every column of the teachers with the type of its meaning.

    One list of expressions, so that Polars works on several at a time.
    """
    date = pl.col("birth_date")
    day = date.str.to_date("%Y-%m-%d", strict=False)
    typed = {
        column: _encoded(table, column, codes) for column, codes in code_tables.items()
    }
    typed["points"] = table.entries("points").list.eval(hundredths(pl.element()))
    typed["groups"] = table.entries("groups")
    typed["service_years"] = hundredths(pl.col("service_years"))
    typed["birth_date"] = pl.when(date.str.contains(_DATE)).then(day)
    typed["home_points"] = (
        hundredths(pl.col("home_points"))
        if "home_points" in table.frame.columns
        else pl.lit(None, dtype=pl.Int64)
    )
    order = tables.TEACHERS.known
    return [typed.get(name, pl.col(name)).alias(name) for name in order]


@dataclass(frozen=True)
class _Teachers:
    """The teachers as read and with their types, and the checks of their rows."""

    table: Table
    typed: pl.DataFrame
    directory: Directory
    findings: Findings

    def look_ahead(self) -> None:
        """Do what takes longest, two things at a time: NumPy works without the lock."""
        _ = self.lists  # both need them: not to be made twice
        with Workers(2) as workers:
            workers.share(lambda name: getattr(self, name), ("suspects", "repeats"))

    @cached_property
    def home(self) -> IndexArray:
        return index_of(self.typed["school"])

    @cached_property
    def lists(self) -> dict[str, Lists]:
        columns = ("subjects", "counties", "points", "choices")
        return {column: Lists.of(self.typed[column]) for column in columns}

    def report(
        self,
        kind: type[errors.Problem],
        column: str,
        entries: npt.NDArray[np.integer],
        expected: str,
    ) -> None:
        """Report some entries of a list column."""
        lists = self.lists[column]
        rows, values = lists.rows_of(entries), lists.flat.gather(entries)
        self.findings.entries(kind, self.table, column, rows, values, expected)

    def check_entries(
        self, kind: type[errors.Problem], column: str, expected: str
    ) -> None:
        """Report the entries that became null because they mean nothing."""
        lists = self.lists[column]
        if not lists.flat.null_count():
            return
        bad = np.flatnonzero(lists.flat.is_null().to_numpy())
        read = self.table.frame.select(self.table.entries(column)).to_series()
        values = Lists.of(read).flat.gather(bad[: errors.MAX_SHOWN])
        rows = lists.rows_of(bad)
        self.findings.entries(kind, self.table, column, rows, values, expected)

    def check_numbers(self) -> None:
        self.check_entries(errors.BadPoints, "points", _POINTS)
        uneven = self.lists["points"].lengths != self.lists["counties"].lengths
        expected = "as many points as counties"
        self.findings.rows(errors.PointsCount, self.table, "points", uneven, expected)
        years = "years from 0 with at most two decimals, or nothing"
        date = "a date like 1985-09-28, or nothing"
        for column, kind, expected in (
            ("service_years", errors.BadServiceYears, years),
            ("birth_date", errors.BadBirthDate, date),
            ("home_points", errors.BadPoints, _POINTS),
        ):
            if column in self.table.frame.columns:
                filled = self.table.frame[column].is_not_null()
                bad = (self.typed[column].is_null() & filled).to_numpy()
                self.findings.rows(kind, self.table, column, bad, expected)

    def check_subjects(self) -> None:
        level_of_subject = self.directory.level_of_subject
        level = self.directory.level_of_school[self.home]
        own = index_of(self.typed["subject"])
        bad = _differ(level, level_of_subject[own])
        expected = "a subject of the school's level"
        self.findings.rows(errors.LevelMismatch, self.table, "subject", bad, expected)
        subjects = self.lists["subjects"]
        listed = index_of(subjects.flat)
        off_level = _differ(level_of_subject[listed], subjects.spread(level))
        off_level &= listed != subjects.spread(own)  # that one is named once, above
        entries = np.flatnonzero(off_level)
        self.report(errors.LevelMismatch, "subjects", entries, expected)
        bad = (subjects.lengths == 0) | _differ(subjects.entry(0), own)
        expected = "the subject of the column subject first"
        kind = errors.FirstSubjectNotHome
        self.findings.rows(kind, self.table, "subjects", bad, expected)

    def check_choices(self) -> None:
        """Report the schools listed that may not be, each for one reason."""
        suspects = self.suspects
        if not len(suspects):
            return
        choices = self.lists["choices"]
        rows = choices.rows_of(suspects)
        choice = index_of(choices.flat.gather(suspects))
        home = self.home[rows]
        at_home = (choice == home) & (home != UNKNOWN)
        level = self.directory.level_of_school
        off_level = _differ(level[choice], level[home]) & ~at_home
        outside = self.outside_counties(rows, choice) & ~at_home & ~off_level
        for kind, bad, expected in (
            (errors.HomeSchoolListed, at_home, "schools other than that of today"),
            (errors.LevelMismatch, off_level, "schools of the level of today's school"),
            (errors.ChoiceOutsideCounties, outside, "schools of the wish counties"),
        ):
            self.report(kind, "choices", suspects[bad], expected)

    @cached_property
    def suspects(self) -> RowArray:
        """The entries of choices that are not at once seen to be as they should.

        Level and county of a school make one number, its kind; a choice is good when
        its kind is one of those wished and it is not the home school.
        """
        directory, home = self.directory, self.home
        choices, counties = self.lists["choices"], self.lists["counties"]
        kind = directory.level_of_school * counties.n_codes + directory.county_of_school
        level = directory.level_of_school[home] * counties.n_codes
        wished = [level + counties.entry(place) for place in counties.places]
        suspects = [np.empty(0, dtype=np.intp)]
        for rows, entries in choices.blocks():
            lengths = choices.lengths[rows]
            choice = choices.codes[entries]
            kinds = kind[choice]
            good = np.zeros(len(kinds), dtype=np.bool_)
            for of_place in wished:
                good |= kinds == np.repeat(of_place[rows], lengths)
            good &= choice != np.repeat(home[rows], lengths)
            suspects.append(entries.start + np.flatnonzero(~good))
        return np.concatenate(suspects)

    def outside_counties(self, rows: RowArray, choice: IndexArray) -> Mask:
        """Return which schools are surely in none of the counties wished."""
        county = self.directory.county_of_school[choice]
        cells = self.typed["counties"].gather(rows)
        wished = Lists.of(cells)
        unsure = cells.list.len() != cells.list.drop_nulls().list.len()
        inside: Mask = (county == UNKNOWN) | unsure.fill_null(False).to_numpy()
        for place in wished.places:
            inside |= wished.entry(place) == county
        return ~inside

    @cached_property
    def repeats(self) -> dict[str, RowArray]:
        """The rows of each list column that name something twice."""
        return {
            column: self.lists[column].rows_with_repeats() for column in _CODE_LISTS
        }

    def check_listed_twice(self, column: str) -> None:
        rows = self.repeats[column]
        if not len(rows):
            return
        # unknown entries are all null, and reported on their own
        known = pl.DataFrame(self.typed[column].gather(rows).list.drop_nulls())
        repeated = pl.element().filter(pl.element().is_duplicated()).first()
        values = known.select(pl.all().list.eval(repeated).list.first()).to_series()
        bad = values.is_not_null()
        rows, values = rows[bad.to_numpy()], values.filter(bad)
        kind, expected = errors.ListedTwice, "each entry once"
        self.findings.entries(kind, self.table, column, rows, values, expected)

    def check_limits(self, limits: Limits) -> None:
        for column, most, kind in (
            ("counties", limits.counties, errors.TooManyCounties),
            ("subjects", limits.subjects, errors.TooManySubjects),
            ("choices", limits.choices, errors.TooManyChoices),
        ):
            lengths = self.lists[column].lengths
            bad = (lengths > most) & (most > 0)
            expected, values = f"at most {most}", pl.Series(lengths)
            self.findings.rows(kind, self.table, column, bad, expected, values)
        if not limits.home_county:
            counties = self.lists["counties"]
            home = counties.spread(self.directory.county_of_school[self.home])
            bad = (index_of(counties.flat) == home) & (home != UNKNOWN)
            expected = "counties other than the home county"
            entries = np.flatnonzero(bad)
            self.report(errors.HomeCountyWished, "counties", entries, expected)
