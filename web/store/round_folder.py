"""The round as a folder that the engine reads: what of the database leaves the house.

Teachers go by their number alone. Birthdays only break ties, so their order goes out
and not the days: the earliest becomes 1900-01-01, the next the day after, and so on.
The same database gives the same bytes.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiosqlite

from jiepin.web.store import schools
from jiepin.web.store.schools import SEPARATOR, RoundSettings, School
from jiepin.web.vault import Vault

RULES = "rules.toml"
_FIRST_DAY = date(1900, 1, 1)
_SCHOOLS = ("school", "name", "short_name", "county", "township", "level", "tags")
_SUBJECTS = ("subject", "name", "level")
_VACANCIES = ("school", "subject", "seats")
_TEACHERS = (
    "teacher_id",
    "school",
    "subject",
    "subjects",
    "counties",
    "points",
    "groups",
    "service_years",
    "birth_date",
    "choices",
)

Row = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A round as it is drawn from the database: its tables, and who is behind them.

    `applications` by teacher number, in the order of teachers.csv.
    """

    tables: Mapping[str, bytes]
    applications: Mapping[str, str]
    schools: int
    seats: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the database holds of a round."""

    applicants: Sequence[aiosqlite.Row]
    wishes: Iterable[aiosqlite.Row]
    points: Iterable[aiosqlite.Row]
    subjects: Sequence[Row]
    homes: Mapping[str, School]
    offered: Mapping[str, School]
    vacancies: Sequence[tuple[str, str, int]]


async def draw(
    db: aiosqlite.Connection, vault: Vault, settings: RoundSettings
) -> Drawn:
    """Draw the round of a year: its approved applications, open schools and seats."""
    applicants = await _applicants(db, settings)
    rows = _Rows(
        applicants,
        # joined there: tens of thousands of rows would hold up the pages
        await db.execute_fetchall(
            """select application, group_concat(school, '|') from
            (select application, school from wish where application in
                (select id from application where year = :year)
                order by application, place)
            group by application""",
            {"year": settings.year},
        ),
        await db.execute_fetchall(
            "select application, item, value from points where application in "
            "(select id from application where year = :year)",
            {"year": settings.year},
        ),
        await _subjects(db, settings),
        await schools.by_codes(db, [row["school"] for row in applicants]),
        await _offered(db, settings),
        await schools.vacancies(db),
    )
    # thousands of sealed birthdays: pages must be answered meanwhile
    return await asyncio.to_thread(_drawn, rows, vault)


def _drawn(rows: _Rows, vault: Vault) -> Drawn:
    offered = rows.offered
    listed = {**rows.homes, **offered}
    seats = [
        (school, subject, n)
        for school, subject, n in sorted(rows.vacancies)
        if school in offered and n > 0
    ]
    tables = {
        "schools.csv": table(
            _SCHOOLS, (_school(listed[code]) for code in sorted(listed))
        ),
        "subjects.csv": table(_SUBJECTS, rows.subjects),
        "vacancies.csv": table(_VACANCIES, seats),
        "teachers.csv": table(_TEACHERS, _teachers(rows, vault)),
    }
    applications = {row["number"]: row["id"] for row in rows.applicants}
    seats_in_all = sum(n for _school, _subject, n in seats)
    return Drawn(tables, applications, len(listed), seats_in_all)


async def _applicants(
    db: aiosqlite.Connection, settings: RoundSettings
) -> list[aiosqlite.Row]:
    rows = await db.execute_fetchall(
        """select application.*, account.birth_date
        from application join account on account.id = application.account
        where application.year = :year and state = 'approved'
        and application.level in (select value from json_each(:levels))
        order by number""",
        {"year": settings.year, "levels": json.dumps(settings.levels)},
    )
    return list(rows)


async def _offered(
    db: aiosqlite.Connection, settings: RoundSettings
) -> dict[str, School]:
    """Return the schools that may be wished: open, in counties that take part."""
    pools = [
        await schools.pool(db, county, level)
        for county in await schools.taking_part(db, settings.year)
        for level in settings.levels
    ]
    return {school.code: school for pool in pools for school in pool}


def _school(school: School) -> Row:
    return (
        school.code,
        school.name,
        school.short_name,
        school.county,
        school.township,
        school.level,
        SEPARATOR.join(school.tags),
    )


async def _subjects(db: aiosqlite.Connection, settings: RoundSettings) -> list[Row]:
    return [
        (subject.code, subject.name, level)
        for level in sorted(settings.levels)
        for subject in (await schools.subjects(db, level)).values()
    ]


def _teachers(rows: _Rows, vault: Vault) -> Iterator[Row]:
    wishes = {
        application: joined.split(SEPARATOR) for application, joined in rows.wishes
    }
    points: dict[str, dict[str, int]] = defaultdict(dict)
    for application, item, value in rows.points:
        points[application][item] = value
    counties = {school.county for school in rows.offered.values()}
    days = stand_ins(
        vault.open(row["birth_date"], "account.birth_date", row["account"])
        for row in rows.applicants
    )
    for row, day in zip(rows.applicants, days, strict=True):
        wanted = _wanted(row, counties)
        own = points[row["id"]]
        yield (
            row["number"],
            row["school"],
            row["subject1"],
            SEPARATOR.join(_subjects_of(row)),
            SEPARATOR.join(county for county, _reason in wanted),
            SEPARATOR.join(decimal(total(own, reason)) for _county, reason in wanted),
            "indigenous" if row["indigenous"] else "",
            row["service_years"],
            day.isoformat(),
            SEPARATOR.join(
                code for code in wishes.get(row["id"], ()) if code in rows.offered
            ),
        )


def _wanted(
    row: Mapping[str, Any] | aiosqlite.Row, counties: set[str]
) -> list[tuple[str, str]]:
    """Return the wish counties that offer schools, each with its item of points."""
    both = ((row["county1"], "reason1"), (row["county2"], "reason2"))
    return [(county, reason) for county, reason in both if county in counties]


def _subjects_of(row: aiosqlite.Row) -> list[str]:
    return [row[name] for name in ("subject1", "subject2", "subject3") if row[name]]


def total(points: Mapping[str, int], reason: str) -> int:
    """Return the points for one county: what is shared, and the reason for it.

    >>> total({"appraisal": 1000, "reason1": 50, "reason2": 70}, "reason2")
    1070
    """
    shared = (n for item, n in points.items() if not item.startswith("reason"))
    return sum(shared) + points.get(reason, 0)


def decimal(hundredths: int) -> str:
    """Write points as the tables do.

    >>> decimal(6505)
    '65.05'
    """
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def stand_ins(birthdays: Iterable[str]) -> list[date]:
    """Return a day for each birthday that keeps the order and tells nothing else.

    >>> [str(day) for day in stand_ins(["1985-03-09", "1990-11-23", "1985-03-09"])]
    ['1900-01-01', '1900-01-02', '1900-01-01']
    """
    days = list(birthdays)
    rank = {day: n for n, day in enumerate(sorted(set(days)))}
    return [_FIRST_DAY + timedelta(days=rank[day]) for day in days]


def table(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Return a table as the engine reads it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder whole or not at all, on disk when this returns, to read only.

    What lies there under the same name is of a save that never came to its end.
    """
    missing = [one for one in folder.parents if not one.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder.with_name(f".{folder.name}-new")
    for old in (fresh, folder):
        shutil.rmtree(old, ignore_errors=True)
    try:
        fresh.mkdir()
        for name, content in files.items():
            _write_file(fresh / name, content)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)  # it takes room, of which is none
        raise
    for one in (folder, folder.parent, *(made.parent for made in missing)):
        settle(one)


def _write_file(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o444)
    settle(file)


def write_beside(file: Path, text: str) -> None:
    """Write one file beside a folder, whole or not at all, on disk at the return."""
    fresh = file.with_name(f".{file.name}-new")
    try:
        fresh.write_text(text, "utf-8")
        settle(fresh)
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    settle(file.parent)


def settle(path: Path) -> None:
    """Return once a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def zipped(folder: Path) -> bytes:
    """Return a folder as a zip file, the same bytes whenever it is made."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder.parent).as_posix()
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, file.read_bytes())
    return content.getvalue()
