"""How a folder of CSV or Parquet files becomes frames of text, each row with its line.

Codes and numbers are still text here, lists are text or lists of text; what they mean
and whether they fit together is the question of `checks`.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from jiepin.core import errors, terms
from jiepin.core.folders import BROKEN, check_readable

TEXTS = pl.List(pl.String)
_EXPECTED = "a folder with schools.csv, subjects.csv and teachers.csv"
ROW = "row"  # 0-based number of the record in its file, as read


@dataclass(frozen=True, slots=True)
class TableSpec:
    """The columns of one table of a round."""

    name: str
    columns: tuple[str, ...]  # required, one value each
    lists: tuple[str, ...] = ()  # required, several values each
    optional: tuple[str, ...] = ()
    may_be_missing: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        return self.columns + self.lists

    @property
    def known(self) -> tuple[str, ...]:
        return self.required + self.optional


SCHOOLS = TableSpec(
    "schools",
    ("school", "name", "county", "township", "level"),
    ("tags",),
    ("short_name", "address", "notice"),
)
SUBJECTS = TableSpec("subjects", ("subject", "name", "level"))
VACANCIES = TableSpec("vacancies", ("school", "subject", "seats"), may_be_missing=True)
TEACHERS = TableSpec(
    "teachers",
    ("teacher_id", "school", "subject", "service_years", "birth_date"),
    ("subjects", "counties", "points", "groups", "choices"),
    ("home_points",),
)
SPECS = (SCHOOLS, SUBJECTS, VACANCIES, TEACHERS)
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Table:
    """One file as read: a frame of text and lists of text, and the row numbers."""

    path: Path
    frame: pl.DataFrame

    @property
    def file(self) -> str:
        return self.path.name

    def entries(self, column: str) -> pl.Expr:
        """Return a list column as lists of text, whichever way the file holds it."""
        if self.frame.schema[column] == pl.String:
            return pl.col(column).str.split(terms.LIST_SEPARATOR)
        return pl.col(column)

    def cells(self, column: str, rows: list[int]) -> pl.Series:
        """Return the texts of some cells as a CSV file would hold them."""
        cells = self.frame[column].gather(rows)
        if cells.dtype == TEXTS:
            return cells.list.join(terms.LIST_SEPARATOR, ignore_nulls=True)
        return cells

    def lines(self, records: list[int]) -> list[int]:
        """Return where records stand: lines of a CSV file, rows of any other table.

        Looked up only when something is wrong: it reads the file once more.
        """
        if self.path.suffix != ".csv":
            return [record + 1 for record in records]
        header = 1
        return (
            _records(self.path)["line"]
            .gather([record + header for record in records])
            .to_list()
        )


@dataclass
class Folder:
    """The tables of a round folder as far as they can be read, and what is wrong."""

    tables: dict[str, Table] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256
    problems: list[errors.Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # "file: column, column"


def read_folder(path: Path) -> Folder:
    """Read every table of a round folder; nothing is raised, problems are collected."""
    folder = Folder()
    try:
        there = any(path.iterdir())
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        kind = errors.MissingFolder if missing else errors.UnreadableFile
        what = None if missing else error.strerror
        folder.problems.append(kind(str(path), None, None, what, _EXPECTED))
        return folder
    if not there:
        folder.problems.append(
            errors.EmptyFolder(str(path), None, None, None, _EXPECTED)
        )
        return folder
    with ThreadPoolExecutor(max_workers=1) as pool:
        digests: dict[str, Future[str]] = {}
        for spec in SPECS:
            for file in _find(path, spec, folder):
                digests[file.name] = pool.submit(_sha256, file)
                _read(file, spec, folder)
        folder.digests = {name: digest.result() for name, digest in digests.items()}
    return folder


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _find(path: Path, spec: TableSpec, folder: Folder) -> list[Path]:
    """Return the file of a table in a list; empty when there is none to read."""
    found = [path / (spec.name + suffix) for suffix in SUFFIXES]
    found = [file for file in found if os.path.exists(file)]  # raises nothing
    if len(found) > 1:
        both = " and ".join(file.name for file in found)
        folder.problems.append(
            errors.AmbiguousFile(both, None, None, None, "one of the two files")
        )
        return []
    if not found and not spec.may_be_missing:
        folder.problems.append(
            errors.MissingFile(
                f"{spec.name}.csv", None, None, None, f"it or {spec.name}.parquet"
            )
        )
    return [file for file in found if _can_be_opened(file, folder)]


def _can_be_opened(file: Path, folder: Folder) -> bool:
    try:
        check_readable(file)
    except OSError as error:
        folder.problems.append(
            errors.UnreadableFile(
                file.name, None, None, error.strerror, "a file that may be read"
            )
        )
        return False
    return True


class _Refused(Exception):
    """A file that gives no table; its problems say why."""

    def __init__(self, problems: Sequence[errors.Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def _read(file: Path, spec: TableSpec, folder: Folder) -> None:
    """Read one file into the folder, or note there why it cannot be read."""
    read = _read_parquet if file.suffix == ".parquet" else _read_csv
    try:
        folder.tables[spec.name] = Table(file, read(file, spec, folder))
    except _Refused as refused:
        folder.problems += refused.problems


def _columns(
    file: Path, header: Sequence[str], spec: TableSpec, folder: Folder
) -> list[str]:
    """Return the columns to read, and note those that are unknown."""
    problems: list[errors.Problem] = [
        errors.MissingColumn(
            file.name, None, column, None, "a header with " + ", ".join(spec.required)
        )
        for column in spec.required
        if column not in header
    ]
    problems += [
        errors.RepeatedColumn(file.name, None, column, None, "each column once")
        for column in spec.known
        if header.count(column) > 1
    ]
    ignored = [column for column in header if column not in spec.known]
    if ignored:
        named = ", ".join(column or "''" for column in ignored)
        folder.ignored.append(f"{file.name}: {errors.shown(named)}")
    if problems:
        raise _Refused(problems)
    return [column for column in spec.known if column in header]


def _broken(
    file: Path, line: int | None, column: str | None, what: object, expected: str
) -> _Refused:
    problem = errors.BrokenTable(file.name, line, column, str(what), expected)
    return _Refused([problem])


def _read_csv(file: Path, spec: TableSpec, folder: Folder) -> pl.DataFrame:
    header = _header(file)
    columns = _columns(file, header, spec, folder)
    try:
        # every column: where some are left out, Polars lets rows be too long
        frame = pl.read_csv(file, infer_schema=False, null_values=[""], glob=False)
        if _may_have_short_rows(file, frame):
            _check_shape(file, len(header))
        frame = frame.select(columns).with_row_index(ROW)
    except BROKEN as error:
        _check_utf8(file)
        _check_shape(file, len(header))
        what = str(error).splitlines()[0]
        raise _broken(file, None, None, what, "comma-separated values") from None
    return _without_blank_lines(frame, spec)


def _may_have_short_rows(file: Path, frame: pl.DataFrame) -> bool:
    """Tell whether the file has fewer commas than whole rows need.

    Polars fills up rows that are too short, and refuses those that are too long.
    """
    if not frame.to_series(-1).null_count():
        return False
    inside = frame.select(pl.all().str.count_matches(",", literal=True).sum())
    n_needed: int = (frame.width - 1) * (frame.height + 1) + sum(inside.row(0))
    with file.open("rb") as content:
        parts = iter(lambda: content.read(1 << 20), b"")
        return sum(part.count(b",") for part in parts) != n_needed


def _header(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text), [])
    except UnicodeDecodeError:
        _check_utf8(file)
        raise
    except csv.Error as error:
        raise _broken(file, 1, None, error, "a header") from None
    if not header:
        raise _broken(file, 1, None, "nothing", "a header")
    return header


def _check_utf8(file: Path) -> None:
    """Refuse a file with bytes that are not UTF-8, naming the first line with such."""
    with file.open("rb") as content:
        for line, raw in enumerate(content, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                bad = raw[error.start : error.end].hex(" ")
                problem = errors.BrokenUtf8(
                    file.name, line, None, bad, "text saved as UTF-8"
                )
                raise _Refused([problem]) from None


def _records(file: Path) -> pl.DataFrame:
    """Return the records of a CSV file, the header first: line it begins on, and text.

    A line ends a record when the quotes up to there come in pairs.
    """
    text = file.read_bytes().decode("utf-8-sig")
    lines = pl.DataFrame({"text": text.split("\n")})
    quotes = pl.col("text").str.count_matches('"', literal=True)
    ended = quotes.cum_sum() % 2 == 0
    return (
        lines.with_row_index("line", offset=1)
        .with_columns(record=ended.shift(1, fill_value=False).cum_sum())
        .group_by("record", maintain_order=True)
        .agg(pl.col("line").first(), pl.col("text").str.join("\n"))
    )


def _check_shape(file: Path, n_columns: int) -> None:
    """Refuse a CSV file with rows longer or shorter than its header, or stray quotes.

    After a stray quote nothing can be told for sure, so it is reported alone.
    """
    # each quoted part becomes one quote, which may touch only commas and quotes
    outside = pl.col("text").str.strip_chars_end("\r").str.replace_all('"[^"]*"', '"')
    n_quotes = pl.col("text").str.count_matches('"', literal=True)
    records = _records(file).select(
        "line",
        stray=outside.str.contains(r'[^,"]"|"[^,"]|\r') | (n_quotes % 2 == 1),
        n_cells=outside.str.count_matches(",", literal=True) + 1,
        blank=outside == "",
    )
    stray = records.filter("stray")
    if stray.height:
        line = stray["line"][0]
        what = "a stray quote or line break"
        raise _broken(file, line, None, what, "quotes around whole cells, in pairs")
    ragged = records.filter(~pl.col("blank") & (pl.col("n_cells") != n_columns))
    if ragged.height:
        raise _Refused(
            [
                errors.BrokenTable(
                    file.name,
                    line,
                    None,
                    f"{n_cells} cells",
                    f"{n_columns}, as many as the header has",
                )
                for line, n_cells in ragged.select("line", "n_cells").iter_rows()
            ]
        )


def _without_blank_lines(frame: pl.DataFrame, spec: TableSpec) -> pl.DataFrame:
    if not frame[spec.columns[0]].null_count():
        return frame
    return frame.filter(~pl.all_horizontal(pl.exclude(ROW).is_null()))


def _read_parquet(file: Path, spec: TableSpec, folder: Folder) -> pl.DataFrame:
    try:
        scan = pl.scan_parquet(file, glob=False, hive_partitioning=False)
        kinds = scan.collect_schema()
        columns = _columns(file, list(kinds), spec, folder)
        frame = scan.select(columns).collect()
    except BROKEN as error:
        what = type(error).__name__
        raise _broken(file, None, None, what, "a whole Parquet file") from None
    for column in columns:
        try:
            text = frame.select(_as_text(pl.col(column), kinds[column])).to_series()
        except pl.exceptions.PolarsError:
            text = frame[column]
        may_be_list = column in spec.lists
        if text.dtype != pl.String and not (may_be_list and text.dtype == TEXTS):
            expected = "lists of text" if may_be_list else "text or numbers"
            raise _broken(file, None, column, kinds[column], expected)
        frame = frame.with_columns(text)
    return frame.with_row_index(ROW)


def _as_text(values: pl.Expr, kind: pl.DataType | DataTypeClass) -> pl.Expr:
    """Turn values into texts, null where empty; lists of values into lists of texts."""
    if isinstance(kind, pl.Array):
        return _as_text(values.arr.to_list(), pl.List(kind.inner))
    if isinstance(kind, pl.List):
        if kind.inner == pl.String:
            return values
        return values.list.eval(_as_text(pl.element(), kind.inner))
    if isinstance(kind, pl.Datetime):
        values = values.dt.date()
    text = values.cast(pl.String)
    if isinstance(kind, pl.Decimal) and kind.scale:
        text = text.str.strip_chars_end("0").str.strip_chars_end(".")
    return pl.when(text.str.len_bytes() > 0).then(text)
