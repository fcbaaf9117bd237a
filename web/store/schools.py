"""The round's settings, its schools and the lists that step 4 and 5 choose from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.clock import maybe_from_ms, to_ms

LEVELS = ("junior-high", "elementary", "kindergarten")
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

    @property
    def marks(self) -> str:
        """The marks behind its name: △ ▲ ◆ for remoteness, ★ for correctional ones."""
        return "".join(mark for tag, mark in MARKS.items() if tag in self.tags)

    @property
    def indigenous(self) -> bool:
        """Whether it is a 原民校."""
        return "indigenous" in self.tags


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


async def counties(db: aiosqlite.Connection) -> dict[str, County]:
    """Return all counties by code, in the order of their codes."""
    rows = await db.execute_fetchall("select * from county order by code")
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


async def add(db: aiosqlite.Connection, schools: Sequence[School]) -> None:
    """Add schools to the round, or correct those of the same code."""
    await db.executemany(
        """insert into school values (:code, :name, :short_name, :county, :township,
        :level, :tags, :address, :notice, :open)
        on conflict (code) do update set name = :name, short_name = :short_name,
        county = :county, township = :township, level = :level, tags = :tags,
        address = :address, notice = :notice, open = :open""",
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
