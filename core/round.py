"""`Round`: one year's schools, vacancies and teachers, read and checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from jiepin.core import checks, errors, tables, terms
from jiepin.core.folders import written_whole
from jiepin.core.rules import Limits

FILES = tuple(spec.name + suffix for spec in tables.SPECS for suffix in tables.SUFFIXES)


@dataclass(frozen=True)
class Round:
    """The frames of one round, checked; nothing in the core changes them.

    schools    school (enum, sorted), name, county, township, level, tags (list);
               short_name, address, notice where the file has them
    subjects   subject (enum, sorted), name, level
    vacancies  school, subject (enums), seats (Int64): one row per position, sorted
    teachers   teacher_id, school, subject, subjects (list), counties (list),
               points (list of Int64 hundredths, one per county), groups (list),
               service_years (Int64 hundredths or null), birth_date (or null),
               home_points (Int64 hundredths or null), choices (list); in file order
    digests    SHA-256 of each file read, by file name
    limits     those the wishes are known to keep, if any

    >>> from jiepin.core import Round
    >>> Round.read("fixtures/rounds/mutual").teachers["teacher_id"].to_list()
    ['T1', 'T2', 'T3']
    """

    schools: pl.DataFrame
    subjects: pl.DataFrame
    vacancies: pl.DataFrame
    teachers: pl.DataFrame
    digests: dict[str, str] = field(default_factory=dict)
    limits: Limits | None = None

    @classmethod
    def read(cls, folder: str | Path, limits: Limits | None = None) -> Round:
        """Read and check a round folder; CSV and Parquet may be mixed.

        With `limits` (of a rule set) the wishes are held against them as well. Raises
        BadRound with every problem of the folder; warns once of columns it ignores.
        """
        read = tables.read_folder(Path(folder))
        if read.ignored:
            text = f"unknown columns ignored: {'; '.join(read.ignored)}"
            warnings.warn(text, errors.UnknownColumnsWarning, stacklevel=2)
        findings = checks.Findings()
        findings.add(read.problems)
        round_ = _checked(read, limits, findings)
        findings.raise_if_any()
        assert round_ is not None  # only problems leave it out
        return round_

    def write(self, folder: str | Path, suffix: str = ".csv") -> None:
        """Write the round as a folder of CSV or Parquet files, whole or not at all.

        Raises FolderInTheWay when the folder holds anything but a round.
        """
        frames = {
            "schools": self.schools,
            "subjects": self.subjects,
            "vacancies": self.vacancies,
            "teachers": self.teachers,
        }
        with written_whole(Path(folder), replaceable=FILES) as target:
            for name, frame in frames.items():
                write_table(frame, target / (name + suffix))


def _checked(
    read: tables.Folder, limits: Limits | None, findings: checks.Findings
) -> Round | None:
    """Check what could be read; without schools or subjects little can be said."""
    found = read.tables
    frames: dict[str, pl.DataFrame] = {}
    if "schools" in found:
        frames["schools"] = checks.check_schools(found["schools"], findings)
    if "subjects" in found:
        frames["subjects"] = checks.check_subjects(found["subjects"], findings)
    if len(frames) < 2:
        return None
    directory = checks.Directory.of(frames["schools"], frames["subjects"])
    frames["vacancies"] = (
        checks.check_vacancies(found["vacancies"], directory, findings)
        if "vacancies" in found
        else checks.no_vacancies(directory)
    )
    if "teachers" not in found:
        return None
    frames["teachers"] = checks.check_teachers(
        found["teachers"], directory, limits, findings
    )
    return Round(**frames, digests=read.digests, limits=limits)


def write_table(frame: pl.DataFrame, file: Path) -> None:
    """Write one table of a round; points and years go out as decimals."""
    decimals = [
        column for column in ("service_years", "home_points") if column in frame.columns
    ]
    frame = frame.with_columns(decimal_text(pl.col(column)) for column in decimals)
    if "points" in frame.columns:
        frame = frame.with_columns(
            pl.col("points").list.eval(decimal_text(pl.element()))
        )
    frame = frame.with_columns(
        pl.col(column).cast(pl.List(pl.String) if kind == pl.List else pl.String)
        for column, kind in frame.schema.items()
        if kind == pl.List or kind == pl.Enum
    )
    if file.suffix == ".parquet":
        frame.write_parquet(file)
        return
    frame.with_columns(
        pl.col(column).list.join(terms.LIST_SEPARATOR)
        for column, kind in frame.schema.items()
        if kind == pl.List
    ).write_csv(file)


def decimal_text(hundredths: pl.Expr) -> pl.Expr:
    """Turn whole hundredths into texts with two decimals.

    >>> frame = pl.DataFrame({"points": [6525, 700]})
    >>> frame.select(decimal_text(pl.col("points")))["points"].to_list()
    ['65.25', '7.00']
    """
    whole = (hundredths // terms.POINTS_PER_POINT).cast(pl.String)
    part = (hundredths % terms.POINTS_PER_POINT).cast(pl.String).str.zfill(2)
    return whole + "." + part
