"""The round's settings, its schools and the lists that step 4 and 5 choose from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.language import mark

LEVEL_NAMES = {
    "junior-high": mark("國中"),
    "elementary": mark("國小"),
    "kindergarten": mark("幼兒園"),
}
LEVELS = tuple(LEVEL_NAMES)
MARKS = {
    "remote": "△",
    "special-remote": "▲",
    "extreme-remote": "◆",
    "correctional": "★",
}
SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """The settings of the year's round; 0 choices mean any number.

    `notices` is the text of step 1, one item a line; empty means the usual text.
    `rules` is a rule set in TOML; empty means the usual preset. `frozen`: since when
    nobody may edit; `purged`: since when personal data is gone.
    """

    year: int
    organiser: str
    notices_version: int
    max_counties: int
    max_subjects: int
    max_choices: int
    schools_revision: int
    notices: str = ""
    notices_en: str = ""
    rules: str = ""
    levels: tuple[str, ...] = LEVELS
    version: int = 1
    frozen: datetime | None = None
    purged: datetime | None = None
    retention_days: int = 365


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when something may be done; at `closes` it is over."""

    opens: datetime
    closes: datetime | None


@dataclass(frozen=True, slots=True)
class County:
    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Subject:
    code: str
    name: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Area:
    """教師證任教地區限制: the certificate counts at schools with one of these tags.

    No tags: it counts everywhere.
    """

    code: str
    name: str
    name_en: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class School:
    """One school of the round; `open` is false once its county has taken it off.

    >>> School("134701", "青山國小", "青山", "13", "三地門鄉", "elementary",
    ...     ("special-remote", "indigenous"), "", "", True).marks
    '▲'
    """

    code: str
    name: str
    short_name: str
    county: str
    township: str
    level: str
    tags: tuple[str, ...]
    address: str
    notice: str
    open: bool
    version: int = 1

    @property
    def marks(self) -> str:
        """The marks behind its name: △ ▲ ◆ for remoteness, ★ for correctional ones."""
        return "".join(mark for tag, mark in MARKS.items() if tag in self.tags)

    @property
    def indigenous(self) -> bool:
        """Whether it is a 原民校."""
        return "indigenous" in self.tags


@dataclass(frozen=True, slots=True)
class Seats:
    """Free seats of a subject at a school: all of them, if told, and those that are
    opened to teachers of other counties."""

    total: int | None
    seats: int


@dataclass(frozen=True, slots=True)
class Record:
    """All that a county looks after about a school.

    A subject that is not in `seats`: nothing has been told of it.
    """

    school: School
    taught: frozenset[str]
    seats: Mapping[str, Seats]

    @property
    def may_offer(self) -> bool:
        """Whether it can have seats for teachers of other counties, one-way."""
        return self.school.open and "swap-only" not in self.school.tags

    @property
    def offered(self) -> frozenset[str]:
        """The subjects with seats for teachers of other counties, one-way."""
        if not self.may_offer:
            return frozenset()
        return frozenset(code for code, seats in self.seats.items() if seats.seats)


def half(total: int) -> int:
    """Return half of the seats, rounded up, as many counties open them to others.

    >>> [half(total) for total in range(5)]
    [0, 1, 1, 2, 2]
    """
    return -(-total // 2)


async def round(db: aiosqlite.Connection) -> RoundSettings | None:
    """Return the settings of the newest round, None before there is one."""
    rows = await db.execute_fetchall("select * from round order by year desc limit 1")
    return next((_round(row) for row in rows), None)


async def round_of(db: aiosqlite.Connection, year: int) -> RoundSettings | None:
    """Return the settings of one year's round."""
    rows = await db.execute_fetchall(
        "select * from round where year = :year", {"year": year}
    )
    return next((_round(row) for row in rows), None)


def _round(row: aiosqlite.Row) -> RoundSettings:
    fields = dict(row)
    moments = {name: maybe_from_ms(fields.pop(name)) for name in ("frozen", "purged")}
    return RoundSettings(**fields | moments | {"levels": _list(fields["levels"])})


async def the_round(db: aiosqlite.Connection) -> RoundSettings:
    """Return the settings of the round for those who can only be here within one."""
    found = await round(db)
    assert found is not None  # an account belongs to a round
    return found


async def save_round(db: aiosqlite.Connection, settings: RoundSettings) -> None:
    """Write the settings of a year's round; what was frozen or purged stays so."""
    await db.execute(
        """insert into round (year, organiser, notices_version, notices, notices_en,
        max_counties, max_subjects, max_choices, schools_revision, rules, levels,
        version, retention_days) values (:year, :organiser, :notices_version, :notices,
        :notices_en, :max_counties, :max_subjects, :max_choices, :schools_revision,
        :rules, :levels, :version, :retention_days)
        on conflict (year) do update set organiser = :organiser,
        notices_version = :notices_version, notices = :notices,
        notices_en = :notices_en, max_counties = :max_counties,
        max_subjects = :max_subjects, max_choices = :max_choices,
        schools_revision = :schools_revision, rules = :rules, levels = :levels,
        version = :version, retention_days = :retention_days""",
        {
            name: getattr(settings, name)
            for name in RoundSettings.__slots__
            if name not in ("frozen", "purged")
        }
        | {"levels": SEPARATOR.join(settings.levels)},
    )


async def window(
    db: aiosqlite.Connection, year: int, level: str, kind: str
) -> Window | None:
    """Return a window of the schedule, None where none is set."""
    rows = await db.execute_fetchall(
        "select opens, closes from window "
        "where year = :year and level = :level and kind = :kind",
        {"year": year, "level": level, "kind": kind},
    )
    for opens, closes in rows:
        start = maybe_from_ms(opens)
        assert start is not None  # the column is never null
        return Window(start, maybe_from_ms(closes))
    return None


async def save_window(
    db: aiosqlite.Connection, year: int, level: str, kind: str, window: Window
) -> None:
    """Write a window of the schedule."""
    closes = None if window.closes is None else to_ms(window.closes)
    await db.execute(
        "insert or replace into window values (:year, :level, :kind, :opens, :closes)",
        {
            "year": year,
            "level": level,
            "kind": kind,
            "opens": to_ms(window.opens),
            "closes": closes,
        },
    )


async def correcting(db: aiosqlite.Connection, county: str) -> datetime | None:
    """Return since when a county may mend its schools after the freeze (§14)."""
    rows = await db.execute_fetchall(
        """select opened from correction where county = :county
        and application is null and closed is null
        and year = (select max(year) from round)""",
        {"county": county},
    )
    return next((from_ms(opened) for (opened,) in rows), None)


async def counties(db: aiosqlite.Connection) -> dict[str, County]:
    """Return all counties by code, in the order of their codes."""
    rows = await db.execute_fetchall("select * from county order by code")
    return {row["code"]: County(**row) for row in rows}


async def taking_part(db: aiosqlite.Connection, year: int) -> dict[str, County]:
    """Return the counties of a year's round by code; none chosen means all."""
    rows = await db.execute_fetchall(
        """select * from county
        where code in (select county from round_county where year = :year)
        or not exists (select 1 from round_county where year = :year) order by code""",
        {"year": year},
    )
    return {row["code"]: County(**row) for row in rows}


async def subjects(db: aiosqlite.Connection, level: str) -> dict[str, Subject]:
    """Return the subjects of a level by code, in the order of the list."""
    rows = await db.execute_fetchall(
        "select code, name, name_en from subject where level = :level order by place",
        {"level": level},
    )
    return {row["code"]: Subject(**row) for row in rows}


async def areas(db: aiosqlite.Connection) -> dict[str, Area]:
    """Return the certificate areas by code, in the order of the list."""
    rows = await db.execute_fetchall("select * from area order by place")
    return {
        row["code"]: Area(row["code"], row["name"], row["name_en"], _list(row["tags"]))
        for row in rows
    }


async def pool(db: aiosqlite.Connection, county: str, level: str) -> tuple[School, ...]:
    """Return the open schools of a county and level, by township, then code."""
    rows = await db.execute_fetchall(
        "select * from school where county = :county and level = :level and open = 1 "
        "order by township, code",
        {"county": county, "level": level},
    )
    return tuple(_school(row) for row in rows)


async def townships(
    db: aiosqlite.Connection, county: str, level: str
) -> tuple[str, ...]:
    """Return the townships with open schools, that of the smallest code first."""
    rows = await db.execute_fetchall(
        "select township from school "
        "where county = :county and level = :level and open = 1 "
        "group by township order by min(code)",
        {"county": county, "level": level},
    )
    return tuple(row[0] for row in rows)


async def by_codes(db: aiosqlite.Connection, codes: Iterable[str]) -> dict[str, School]:
    """Return schools by code, those taken off as well; unknown codes are left out."""
    rows = await db.execute_fetchall(
        "select * from school where code in (select value from json_each(:codes))",
        {"codes": json.dumps(list(codes))},
    )
    return {row["code"]: _school(row) for row in rows}


async def taught(
    db: aiosqlite.Connection, codes: Iterable[str]
) -> dict[str, frozenset[str]]:
    """Return the subjects each school teaches; a school not in it is not known."""
    rows = await db.execute_fetchall(
        "select school, json_group_array(subject) from school_subject "
        "where school in (select value from json_each(:codes)) group by school",
        {"codes": json.dumps(list(codes))},
    )
    return {school: frozenset(json.loads(subjects)) for school, subjects in rows}


async def records(
    db: aiosqlite.Connection, county: str, levels: Iterable[str]
) -> dict[str, Record]:
    """Return the schools of a county at some levels, by code, those taken off too."""
    rows = await db.execute_fetchall(
        "select * from school where county = :county "
        "and level in (select value from json_each(:levels)) order by code",
        {"county": county, "levels": json.dumps(list(levels))},
    )
    return await _records(db, [_school(row) for row in rows])


async def records_of(
    db: aiosqlite.Connection, codes: Iterable[str]
) -> dict[str, Record]:
    """Return the schools of these codes; unknown ones are left out."""
    return await _records(db, (await by_codes(db, codes)).values())


async def _records(
    db: aiosqlite.Connection, found: Iterable[School]
) -> dict[str, Record]:
    by_code = {school.code: school for school in found}
    subjects = await taught(db, by_code)
    seats = await seats_of(db, by_code)
    return {
        code: Record(school, subjects.get(code, frozenset()), seats.get(code, {}))
        for code, school in by_code.items()
    }


async def seats_of(
    db: aiosqlite.Connection, codes: Iterable[str]
) -> dict[str, dict[str, Seats]]:
    """Return the free seats of schools by subject, as far as they have been told."""
    rows = await db.execute_fetchall(
        "select school, subject, total, seats from vacancy "
        "where school in (select value from json_each(:codes)) "
        "order by school, subject",
        {"codes": json.dumps(list(codes))},
    )
    found: dict[str, dict[str, Seats]] = {}
    for school, subject, total, seats in rows:
        found.setdefault(school, {})[subject] = Seats(total, seats)
    return found


async def vacancies(db: aiosqlite.Connection) -> list[tuple[str, str, int]]:
    """Return school, subject and seats, wherever an open school opens seats to others.

    A school that takes part in exchanges alone opens none.
    """
    rows = await db.execute_fetchall(
        """select school, subject, seats from vacancy join school on code = school
        where seats > 0 and open = 1
        and instr('|' || tags || '|', '|swap-only|') = 0 order by school, subject"""
    )
    return [(school, subject, seats) for school, subject, seats in rows]


async def write_record(db: aiosqlite.Connection, record: Record) -> None:
    """Write a school with its subjects and seats; its version rises by one."""
    keys = {"code": record.school.code}
    await add(db, [record.school])
    await db.execute("delete from school_subject where school = :code", keys)
    await add_taught(db, ((keys["code"], subject) for subject in sorted(record.taught)))
    await db.execute("delete from vacancy where school = :code", keys)
    await add_seats(
        db, ((keys["code"], subject, told) for subject, told in record.seats.items())
    )


async def add_seats(
    db: aiosqlite.Connection, seats: Iterable[tuple[str, str, Seats]]
) -> None:
    """Note the free seats of schools by subject."""
    await db.executemany(
        "insert or replace into vacancy (school, subject, total, seats) "
        "values (?, ?, ?, ?)",
        [(school, subject, told.total, told.seats) for school, subject, told in seats],
    )


async def add(db: aiosqlite.Connection, schools: Sequence[School]) -> None:
    """Add schools to the round, or correct those of the same code."""
    await db.executemany(
        """insert into school (code, name, short_name, county, township, level, tags,
        address, notice, open) values (:code, :name, :short_name, :county, :township,
        :level, :tags, :address, :notice, :open)
        on conflict (code) do update set name = :name, short_name = :short_name,
        county = :county, township = :township, level = :level, tags = :tags,
        address = :address, notice = :notice, open = :open, version = version + 1""",
        [
            {name: getattr(school, name) for name in School.__slots__}
            | {"tags": SEPARATOR.join(school.tags), "open": int(school.open)}
            for school in schools
        ],
    )
    await db.execute("update round set schools_revision = schools_revision + 1")


async def add_taught(
    db: aiosqlite.Connection, pairs: Iterable[tuple[str, str]]
) -> None:
    """Note that schools teach subjects, as pairs of both codes."""
    await db.executemany("insert or ignore into school_subject values (?, ?)", pairs)


def _school(row: aiosqlite.Row) -> School:
    fields = dict(row)
    tags, open_ = _list(fields.pop("tags")), bool(fields.pop("open"))
    return School(**fields, tags=tags, open=open_)


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(SEPARATOR)) if text else ()
