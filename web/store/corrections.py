"""§14: what is mended after the freeze, and who is behind what that changes.

The host opens single applications, and the schools and seats of single counties.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.clock import from_ms, to_ms
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, schools
from jiepin.web.store.applications import Absent, Application, Closed, Refused
from jiepin.web.store.results import Publication


@dataclass(frozen=True, slots=True)
class Open:
    """An application that its county may mend now."""

    application: str
    number: str
    county: str
    level: str
    name: str
    state: str
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OpenCounty:
    """A county that may mend its schools and seats now."""

    county: str
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An application of a frozen round that was not approved."""

    application: str
    county: str
    level: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who is behind a number; `school` is the one that he serves at."""

    number: str
    application: str
    name: str
    county: str
    level: str
    school: str


_NAME = "coalesce(nullif(application.name, ''), account.card_name) as name"
_WHO = "from application join account on account.id = application.account "


async def opened(db: aiosqlite.Connection, year: int, county: str = "") -> list[Open]:
    """Return what may be mended now, of one county or of all."""
    rows = await db.execute_fetchall(
        "select application.id as application, coalesce(number, '') as number, "
        "application.county, application.level, "
        + _NAME
        + ", application.state, correction.opened as since, correction.reason "
        + _WHO
        + """join correction on correction.application = application.id
        and correction.closed is null
        where application.year = :year
        and (:county = '' or application.county = :county)
        order by correction.id""",
        {"year": year, "county": county},
    )
    return [Open(**{**dict(row), "since": from_ms(row["since"])}) for row in rows]


async def opened_counties(
    db: aiosqlite.Connection, year: int, county: str = ""
) -> list[OpenCounty]:
    """Return the counties that may mend schools and seats now, one or all."""
    rows = await db.execute_fetchall(
        """select county, opened as since, reason from correction
        where year = :year and application is null and closed is null
        and (:county = '' or county = :county) order by id""",
        {"year": year, "county": county},
    )
    return [OpenCounty(**{**dict(row), "since": from_ms(row["since"])}) for row in rows]


async def left_out(db: aiosqlite.Connection, year: int) -> list[LeftOut]:
    """Return what was filed and is not approved, and not opened yet."""
    rows = await db.execute_fetchall(
        "select application.id as application, application.county, application.level, "
        + _NAME
        + ", application.state "
        + _WHO
        + """where application.year = :year and correcting is null
        and application.state in ('filed', 'returned', 'rejected')
        order by application.county, application.level, name, application.id""",
        {"year": year},
    )
    return [LeftOut(**dict(row)) for row in rows]


async def open_for(
    site: Site, actor: Actor, number: str, application: str, reason: str
) -> None:
    """Let the county mend an application, by number or as one left out.

    Raises Refused.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        year = await _frozen_year(db, actor, now)
        found = await _found(db, year, number, application)
        if not reason:
            raise Refused(Problem("reason", _("請填寫更正事由")))
        await _insert(db, actor, now, year, found.county, found.id, reason)
        await db.execute(
            "update application set correcting = :now where id = :id",
            {"id": found.id, "now": to_ms(now)},
        )
        await _note(db, actor, found, "correction-opened", now)


async def _found(
    db: aiosqlite.Connection, year: int, number: str, application: str
) -> Application:
    rows = await db.execute_fetchall(
        "select id from application where year = :year "
        "and iif(:number = '', id = :id, number = :number)",
        {"year": year, "number": number, "id": application},
    )
    for (id_,) in rows:
        found = await applications.by_id(db, id_)
        assert found is not None  # just read
        if found.correcting is not None:
            raise Refused(Problem("number", _("這筆申請已經開放更正")))
        return found
    text = _("本年度沒有這個電腦編號；未審核通過的申請請由清單選擇")
    raise Refused(Problem("number", text))


async def close(site: Site, actor: Actor, application: str) -> None:
    """Let nobody mend an application any more; what was mended stays."""
    async with site.database.writing() as db:
        now = site.clock.now()
        year = await _frozen_year(db, actor, now)
        found = await applications.by_id(db, application)
        if found is None or found.year != year:
            raise Absent
        if found.correcting is None:
            raise Closed
        keys = {"id": application, "now": to_ms(now), "by": actor.account}
        await db.execute(
            "update correction set closed = :now, closed_by = :by "
            "where application = :id and closed is null",
            keys,
        )
        await db.execute(
            "update application set correcting = null where id = :id", keys
        )
        await _note(db, actor, found, "correction-closed", now)


async def open_county(site: Site, actor: Actor, county: str, reason: str) -> None:
    """Let a county mend its schools and seats; nothing else of it. Raises Refused."""
    async with site.database.writing() as db:
        now = site.clock.now()
        year = await _frozen_year(db, actor, now)
        problems = []
        if county not in await schools.taking_part(db, year):
            problems.append(Problem("county", _("請選擇縣市")))
        elif await schools.correcting(db, county) is not None:
            text = _("這個縣市的學校與缺額已經開放更正")
            problems.append(Problem("county", text))
        if not reason:
            problems.append(Problem("county_reason", _("請填寫更正事由")))
        if problems:
            raise Refused(*problems)
        await _insert(db, actor, now, year, county, None, reason)
        await audit.add(db, now, actor.account, "schools-opened", "", county)


async def close_county(site: Site, actor: Actor, county: str) -> None:
    """Let a county mend its schools no more; what was mended stays."""
    async with site.database.writing() as db:
        now = site.clock.now()
        year = await _frozen_year(db, actor, now)
        if await schools.correcting(db, county) is None:
            raise Closed
        await db.execute(
            "update correction set closed = :now, closed_by = :by where year = :year "
            "and county = :county and application is null and closed is null",
            {"year": year, "county": county, "now": to_ms(now), "by": actor.account},
        )
        await audit.add(db, now, actor.account, "schools-closed", "", county)


async def _insert(
    db: aiosqlite.Connection,
    actor: Actor,
    now: datetime,
    year: int,
    county: str,
    application: str | None,
    reason: str,
) -> None:
    await db.execute(
        """insert into correction
        (year, county, application, reason, opened, opened_by)
        values (:year, :county, :application, :reason, :now, :by)""",
        {
            "year": year,
            "county": county,
            "application": application,
            "reason": reason,
            "now": to_ms(now),
            "by": actor.account,
        },
    )


async def _frozen_year(db: aiosqlite.Connection, actor: Actor, now: datetime) -> int:
    """Return the year of the frozen round; before the freeze the review is there."""
    round_ = await schools.round(db)
    if round_ is None or not access.can(
        actor, "correct", access.Round(round_.year, round_.frozen), now
    ):
        raise Absent
    if round_.frozen is None:
        raise Closed
    return round_.year


async def _note(
    db: aiosqlite.Connection,
    actor: Actor,
    application: Application,
    action: str,
    now: datetime,
) -> None:
    detail = {"version": application.version}
    await audit.add(
        db, now, actor.account, action, application.id, application.county, detail
    )


async def exported(
    site: Site, actor: Actor, action: str, detail: dict[str, object]
) -> None:
    """Note that a list with names, or letters, were taken away."""
    async with site.database.writing() as db:
        now = site.clock.now()
        round_ = await schools.round(db)
        if round_ is None or not access.can(
            actor, "export", access.Round(round_.year, round_.frozen), now
        ):
            raise Absent
        await audit.add(db, now, actor.account, action, detail=detail)


def before(history: Sequence[Publication], run: int) -> Publication | None:
    """Return the publication that a run is to be compared with.

    That is the newest one before its own; `history` holds the newest first.
    """
    valid = [one for one in history if one.retracted is None]
    own = [at for at, one in enumerate(valid) if one.run == run]
    earlier = valid[own[-1] + 1 :] if own else valid
    return next((one for one in earlier if one.run != run), None)


async def people(
    db: aiosqlite.Connection, snapshots: Iterable[int], numbers: Iterable[str]
) -> dict[str, Person]:
    """Return who is behind numbers of these snapshots."""
    rows = await db.execute_fetchall(
        "select distinct snapshot_teacher.number, application.id as application, "
        + _NAME
        + ", application.county, application.level, school.name as school "
        + _WHO
        + """join snapshot_teacher on snapshot_teacher.application = application.id
        join school on school.code = application.school
        where snapshot in (select value from json_each(:snapshots))
        and snapshot_teacher.number in (select value from json_each(:numbers))""",
        {
            "snapshots": json.dumps(list(snapshots)),
            "numbers": json.dumps(list(numbers)),
        },
    )
    return {row["number"]: Person(**dict(row)) for row in rows}
