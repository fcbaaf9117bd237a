"""What a county's review desk lists: applications, who is at them, what went out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiosqlite

from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.store import outbox
from jiepin.web.store.review import OPEN_LIFE


@dataclass(frozen=True, slots=True)
class Filters:
    """Which applications are looked for; what is empty does not narrow them.

    `changed`: those alone that their teacher has saved since they were reviewed.
    """

    levels: tuple[str, ...]
    state: str = ""
    school: str = ""
    subject: str = ""
    indigenous: bool = False
    changed: bool = False
    order: str = "filed"


ORDERS: Final = ("filed", "number", "name", "school", "saved")


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list; `open_with`: how many have it open."""

    id: str
    number: str | None
    name: str
    level: str
    school: str
    subject: str | None
    state: str
    indigenous: bool
    version: int
    changed: bool
    filed: datetime | None
    saved: datetime
    open_with: int


_LISTED: Final = """select application.id, application.number,
    coalesce(nullif(application.name, ''), account.card_name) as name,
    application.level, coalesce(school.township || school.name, '') as school,
    application.subject1 as subject, application.state,
    coalesce(application.indigenous, 0) as indigenous, application.version,
    application.reviewed is not null and application.reviewed < application.version
    as changed, application.filed, application.saved,
    (select count(*) from review_open where review_open.application = application.id
    and review_open.since > :after) as open_with
    from application join account on account.id = application.account
    left join school on school.code = application.school """
_OWN: Final = """where application.year = :year and application.county = :county
    and application.level in (select value from json_each(:levels)) """
_FILTERED: Final = """and (:state = '' or application.state = :state)
    and (:school = '' or application.school = :school)
    and (:subject = '' or :subject in (application.subject1, application.subject2,
    application.subject3))
    and (not :indigenous or application.indigenous = 1)
    and (not :changed or application.reviewed < application.version) """
_ORDERED: Final = """order by case :order when 'number' then application.number is null
    when 'filed' then application.filed is null else 0 end,
    case :order when 'number' then application.number when 'name'
    then coalesce(nullif(application.name, ''), account.card_name)
    when 'school' then application.school end,
    case :order when 'saved' then -application.saved when 'filed'
    then application.filed end, application.id """


async def listing(
    db: aiosqlite.Connection,
    year: int,
    county: str,
    filters: Filters,
    now: datetime,
    offset: int = 0,
    limit: int = -1,
) -> tuple[Listed, ...]:
    """Return the applications of a county in order; a limit of -1 is none."""
    rows = await db.execute_fetchall(
        _LISTED + _OWN + _FILTERED + _ORDERED + "limit :limit offset :offset",
        _keys(year, county, filters, now) | {"offset": offset, "limit": limit},
    )
    return tuple(_listed(row) for row in rows)


async def count(
    db: aiosqlite.Connection, year: int, county: str, filters: Filters, now: datetime
) -> int:
    """Return how many applications the filters leave."""
    [[n]] = await db.execute_fetchall(
        "select count(*) from application " + _OWN + _FILTERED,
        _keys(year, county, filters, now),
    )
    return int(n)


def _keys(
    year: int, county: str, filters: Filters, now: datetime
) -> dict[str, str | int]:
    return {
        "year": year,
        "county": county,
        "levels": json.dumps(filters.levels),
        "state": filters.state,
        "school": filters.school,
        "subject": filters.subject,
        "indigenous": filters.indigenous,
        "changed": filters.changed,
        "order": filters.order,
        "after": to_ms(now - OPEN_LIFE),
    }


def _listed(row: aiosqlite.Row) -> Listed:
    fields = dict(row)
    return Listed(
        **fields
        | {
            "indigenous": bool(row["indigenous"]),
            "changed": bool(row["changed"]),
            "filed": maybe_from_ms(row["filed"]),
            "saved": from_ms(row["saved"]),
        }
    )


async def search(
    db: aiosqlite.Connection,
    year: int,
    county: str,
    levels: Sequence[str],
    words: str,
    digest: str,
    now: datetime,
    limit: int,
) -> tuple[Listed, ...]:
    """Return the applications whose number, name or school holds these words.

    Or, with a digest (lower case, of a sheet), the one that has or had it.
    """
    own = Filters(tuple(levels))
    rows = await db.execute_fetchall(
        _LISTED
        + _OWN
        + """and case when :digest != '' then exists (select 1
        from application_version where application_version.application = application.id
        and substr(application_version.digest, 1, length(:digest)) = :digest)
        else instr(coalesce(application.number, '') || ' ' || application.name || ' '
        || account.card_name || ' ' || coalesce(school.township || school.name, ''),
        :words) > 0 end """
        + _ORDERED
        + "limit :limit",
        _keys(year, county, own, now)
        | {"words": words, "digest": digest, "limit": limit},
    )
    return tuple(_listed(row) for row in rows)


async def counts(
    db: aiosqlite.Connection, year: int, county: str, levels: Sequence[str]
) -> dict[tuple[str, str], int]:
    """Return how many applications there are by level and state."""
    rows = await db.execute_fetchall(
        "select level, state, count(*) from application "
        + _OWN
        + "group by level, state",
        {"year": year, "county": county, "levels": json.dumps(list(levels))},
    )
    return {(level, state): n for level, state, n in rows}


async def home_schools(
    db: aiosqlite.Connection, year: int, county: str, levels: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return code and name of the schools that applications come from."""
    rows = await db.execute_fetchall(
        "select distinct school.code, school.township || school.name "
        "from application join school on school.code = application.school "
        + _OWN
        + "order by school.township, school.code",
        {"year": year, "county": county, "levels": json.dumps(list(levels))},
    )
    return tuple((code, name) for code, name in rows)


@dataclass(frozen=True, slots=True)
class AtWork:
    """Who has which application open."""

    application: str
    applicant: str
    name: str
    role: str
    since: datetime


async def at_work(
    db: aiosqlite.Connection,
    year: int,
    county: str,
    levels: Sequence[str],
    now: datetime,
) -> tuple[AtWork, ...]:
    """Return who of a county has which application open, the newest first."""
    rows = await db.execute_fetchall(
        """select application.id, application.name, staff.name, staff.role,
        review_open.since from review_open
        join application on application.id = review_open.application
        join staff on staff.id = review_open.staff """
        + _OWN
        + "and review_open.since > :after order by review_open.since desc, staff.id",
        {
            "year": year,
            "county": county,
            "levels": json.dumps(list(levels)),
            "after": to_ms(now - OPEN_LIFE),
        },
    )
    return tuple(
        AtWork(id_, applicant, name, role, from_ms(since))
        for id_, applicant, name, role, since in rows
    )


# what went out


@dataclass(frozen=True, slots=True)
class Sent:
    """A notice of the county's applicants, and how far it is."""

    application: str
    applicant: str
    delivery: outbox.Delivery


async def sent(
    db: aiosqlite.Connection,
    county: str,
    levels: Sequence[str],
    state: str,
    offset: int,
    limit: int,
) -> tuple[Sent, ...]:
    """Return the notices to a county's applicants, newest first; all states for ''."""
    rows = await db.execute_fetchall(
        "select application.id, application.name, channel, event, created, "
        "outbox.state, tries, finished, error "
        + _SENT
        + "order by outbox.id desc limit :limit offset :offset",
        {
            "county": county,
            "levels": json.dumps(list(levels)),
            "state": state,
            "offset": offset,
            "limit": limit,
        },
    )
    return tuple(_sent(*row) for row in rows)


_SENT: Final = """from outbox join application on application.id = outbox.application
    where application.year = (select max(year) from round)
    and application.county = :county
    and application.level in (select value from json_each(:levels))
    and (:state = '' or outbox.state = :state) """


def _sent(id_: str, name: str, *delivery: Any) -> Sent:
    channel, event, created, state, tries, finished, error = delivery
    at, done = from_ms(created), maybe_from_ms(finished)
    return Sent(
        id_, name, outbox.Delivery(channel, event, at, state, tries, done, error)
    )


async def count_sent(
    db: aiosqlite.Connection, county: str, levels: Sequence[str], state: str
) -> int:
    """Return how many notices to a county's applicants are in a state."""
    [[n]] = await db.execute_fetchall(
        "select count(*) " + _SENT,
        {"county": county, "levels": json.dumps(list(levels)), "state": state},
    )
    return int(n)


async def names_of_objects(
    db: aiosqlite.Connection, levels: Sequence[str], objects: Iterable[str]
) -> dict[str, tuple[str, str]]:
    """Return application and name behind objects of the audit, at these levels."""
    rows = await db.execute_fetchall(
        """select object.value, application.id, application.name
        from json_each(:objects) as object
        -- not `in`, for which every application is looked at for every object
        join application on application.id = object.value
            or application.account = object.value
        where application.level in (select value from json_each(:levels))""",
        {"objects": json.dumps(list(objects)), "levels": json.dumps(list(levels))},
    )
    return {object_: (id_, name) for object_, id_, name in rows}


async def by_number(
    db: aiosqlite.Connection, year: int, county: str, number: str
) -> str | None:
    """Return the application of a county that has a number (電腦編號)."""
    rows = await db.execute_fetchall(
        "select id from application "
        "where year = :year and county = :county and number = :number",
        {"year": year, "county": county, "number": number},
    )
    return next((row[0] for row in rows), None)
