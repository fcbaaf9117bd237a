"""How a folder of CSV or Parquet files becomes frames of text, each row with its line.

Codes and numbers are still text here, lists are lists of text; what they mean and
whether they fit together is the question of `checks`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from jiepin.core import errors, terms

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


SCHOOLS = TableSpec(
    "schools",
    ("school", "name", "county", "township", "level"),
    ("tags",),
    ("short_name", "address", "notice"),
)
SUBJECTS = TableSpec("subjects", ("subject", "name", "level"))
VACANCIES = TableSpec(
    "vacancies", ("school", "subject", "seats"), may_be_missing=True
)
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
    """One file as read: text columns, list columns, and the row numbers."""

    path: Path
    frame: pl.DataFrame

    @property
    def file(self) -> str:
        return self.path.name

    def lines(self, rows: Sequence[int]) -> list[int]:
        """Return where records stand: lines of a CSV file, rows of a Parquet file.

        Looked up only when something is wrong, since quoted line breaks make it slow.
        """
        if self.path.suffix == ".parquet":
            return [row + 1 for row in rows]
        wanted = set(rows)
        with self.path.open(encoding="utf-8-sig", newline="") as text:
            starts = {
                row: line
                for row, (line, _) in enumerate(_records(text), start=-1)
                if row in wanted
            }
        return [starts[row] for row in rows]


def _records(text: io.TextIOBase) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a CSV file with the line each begins on, header first."""
    reader = csv.reader(text)
    start = 1
    for record in reader:
        yield start, record
        start = reader.line_num + 1


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
    if not path.is_dir():
        problem = errors.MissingFolder(
            str(path), None, None, None, "a folder with schools.csv, teachers.csv …"
        )
        folder.problems.append(problem)
        return folder
    if not any(path.iterdir()):
        problem = errors.EmptyFolder(
            str(path), None, None, None, "schools.csv, subjects.csv and teachers.csv"
        )
        folder.problems.append(problem)
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
    found = [file for file in found if file.exists()]
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
        file.open("rb").close()
    except OSError as error:
        folder.problems.append(
            errors.UnreadableFile(
                file.name, None, None, error.strerror, "a file that may be read"
            )
        )
        return False
    return True


def _read(file: Path, spec: TableSpec, folder: Folder) -> None:
    reader = _read_parquet if file.suffix == ".parquet" else _read_csv
    frame = reader(file, spec, folder)
    if frame is not None:
        folder.tables[spec.name] = Table(file, frame)


def _wanted(
    file: Path, header: Sequence[str], spec: TableSpec, folder: Folder
) -> list[str] | None:
    """Return the columns to read, or None after saying what the header lacks."""
    known = spec.required + spec.optional
    problems: list[errors.Problem] = [
        errors.MissingColumn(
            file.name, None, column, None, "a header with " + ", ".join(spec.required)
        )
        for column in spec.required
        if column not in header
    ]
    problems += [
        errors.RepeatedColumn(file.name, None, column, None, "each column once")
        for column in known
        if header.count(column) > 1
    ]
    folder.problems += problems
    ignored = [column for column in header if column not in known]
    if ignored:
        folder.ignored.append(f"{file.name}: {', '.join(ignored)}")
    return None if problems else [column for column in known if column in header]


def _read_csv(file: Path, spec: TableSpec, folder: Folder) -> pl.DataFrame | None:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            header = next(_records(text), (1, []))[1]
    except UnicodeDecodeError:
        folder.problems.append(_broken_utf8(file))
        return None
    except csv.Error as error:
        folder.problems.append(_broken_table(file, 1, error))
        return None
    columns = _wanted(file, header, spec, folder)
    if columns is None:
        return None
    try:
        frame = pl.read_csv(
            file, columns=columns, infer_schema=False, null_values=[""]
        )
    except pl.exceptions.PolarsError as error:
        folder.problems.append(_diagnose_csv(file, error))
        return None
    frame = _without_blank_lines(frame.with_row_index(ROW), spec)
    return frame.with_columns(
        pl.col(column).str.split(terms.LIST_SEPARATOR) for column in spec.lists
    )


def _without_blank_lines(frame: pl.DataFrame, spec: TableSpec) -> pl.DataFrame:
    if not frame.get_column(spec.columns[0]).null_count():
        return frame
    return frame.filter(~pl.all_horizontal(pl.exclude(ROW).is_null()))


def _broken_utf8(file: Path) -> errors.Problem:
    line = 1
    with file.open("rb") as content:
        for line, raw in enumerate(content, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                bad = raw[error.start : error.end].hex(" ")
                return errors.BrokenUtf8(
                    file.name, line, None, bad, "text saved as UTF-8"
                )
    return errors.BrokenUtf8(file.name, line, None, None, "text saved as UTF-8")


def _broken_table(file: Path, line: int | None, what: object) -> errors.Problem:
    return errors.BrokenTable(
        file.name, line, None, str(what), "a table as the format page describes it"
    )


def _diagnose_csv(file: Path, error: Exception) -> errors.Problem:
    """Find the line that the fast reader gave up on."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            records = _records(text)
            width = len(next(records)[1])
            for line, record in records:
                if len(record) > width:
                    what = f"{len(record)} cells under a header of {width}"
                    return _broken_table(file, line, what)
    except UnicodeDecodeError:
        return _broken_utf8(file)
    except csv.Error as reason:
        return _broken_table(file, None, reason)
    return _broken_table(file, None, str(error).splitlines()[0])


def _read_parquet(file: Path, spec: TableSpec, folder: Folder) -> pl.DataFrame | None:
    try:
        header = list(pl.read_parquet_schema(file))
        columns = _wanted(file, header, spec, folder)
        if columns is None:
            return None
        frame = pl.read_parquet(file, columns=columns)
        return frame.with_row_index(ROW).with_columns(
            [_as_text(frame, column) for column in columns if column not in spec.lists]
            + [_as_texts(frame, column) for column in spec.lists]
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        what = type(error).__name__
        folder.problems.append(_broken_table(file, None, what))
        return None


def _as_text(frame: pl.DataFrame, column: str) -> pl.Expr:
    text = pl.col(column).cast(pl.String)
    return pl.when(text.str.len_bytes() > 0).then(text).alias(column)


def _as_texts(frame: pl.DataFrame, column: str) -> pl.Expr:
    kind = frame.schema[column]
    if isinstance(kind, pl.List):
        return pl.col(column).cast(pl.List(pl.String))
    if kind == pl.Null:
        return pl.lit(None, dtype=pl.List(pl.String)).alias(column)
    text = pl.col(column).cast(pl.String)
    return (
        pl.when(text.str.len_bytes() > 0)
        .then(text.str.split(terms.LIST_SEPARATOR))
        .alias(column)
    )
