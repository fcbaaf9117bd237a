"""What is published: which run, from which moment on, and where everybody ends by it.

A run's results are written when its publication is planned, and read by whoever asks
through the publication in force at that moment: before `publish_at` there is none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.clock import maybe_from_ms, to_ms
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, runs, schools, snapshots
from jiepin.web.store.applications import Absent, Refused
from jiepin.web.store.schools import LEVELS, RoundSettings, Window

LONGEST_REASON = 500
_AT_ONCE = 10  # applicants told in one transaction: others want to write as well
_PAUSE = 0.05  # seconds after each: all whom it concerns look at their result
_EVENTS = ("result", "dropped-out", "void", "restored")


@dataclass(frozen=True, slots=True)
class Publication:
    """That a run is published from `publish_at` on.

    `set_by` is a name; `told`: when the notices went out; `reason`: why it was
    retracted. The folders of the round and of the result lie below the data folder.
    """

    id: int
    year: int
    run: int
    snapshot: int
    publish_at: datetime
    set_by: str
    set_at: datetime
    told: datetime | None
    retracted: datetime | None
    reason: str
    round_folder: str
    run_folder: str


_PUBLICATION = """select publication.id, publication.year, publication.run,
    run.snapshot, publication.publish_at, staff.name as set_by, publication.set_at,
    publication.told, publication.retracted, publication.reason,
    snapshot.folder as round_folder, run.folder as run_folder from publication
    join staff on staff.id = publication.set_by
    join run on run.id = publication.run
    join snapshot on snapshot.id = run.snapshot """


async def published(
    db: aiosqlite.Connection, year: int, now: datetime
) -> Publication | None:
    """Return the publication in force: the last one whose time has come."""
    return await _first(
        db,
        "where publication.year = :year and retracted is null and publish_at <= :now "
        "order by publish_at desc, publication.id desc",
        {"year": year, "now": to_ms(now)},
    )


async def newest(db: aiosqlite.Connection, now: datetime) -> Publication | None:
    """Return the publication in force of the newest year that has one."""
    return await _first(
        db,
        "where retracted is null and publish_at <= :now "
        "order by publication.year desc, publish_at desc, publication.id desc",
        {"now": to_ms(now)},
    )


async def planned(
    db: aiosqlite.Connection, year: int, now: datetime
) -> Publication | None:
    """Return the publication that waits for its time."""
    return await _first(
        db,
        "where publication.year = :year and retracted is null and publish_at > :now "
        "order by publish_at",
        {"year": year, "now": to_ms(now)},
    )


async def history(db: aiosqlite.Connection, year: int) -> tuple[Publication, ...]:
    """Return every publication of a year, retracted ones too, the newest first."""
    rows = await db.execute_fetchall(
        _PUBLICATION + "where publication.year = :year order by publication.id desc",
        {"year": year},
    )
    return tuple(_publication(row) for row in rows)


async def of_snapshot(
    db: aiosqlite.Connection, snapshot: int, now: datetime
) -> tuple[Publication, ...]:
    """Return the publications of a snapshot that are or were in force, newest first."""
    rows = await db.execute_fetchall(
        _PUBLICATION + "where run.snapshot = :snapshot and retracted is null "
        "and publish_at <= :now order by publish_at desc, publication.id desc",
        {"snapshot": snapshot, "now": to_ms(now)},
    )
    return tuple(_publication(row) for row in rows)


async def _first(
    db: aiosqlite.Connection, where: str, keys: dict[str, Any]
) -> Publication | None:
    rows = await db.execute_fetchall(_PUBLICATION + where + " limit 1", keys)
    return next((_publication(row) for row in rows), None)


def _publication(row: aiosqlite.Row) -> Publication:
    fields: dict[str, Any] = dict(row)
    for name in ("publish_at", "set_at", "told", "retracted"):
        fields[name] = maybe_from_ms(fields[name])
    return Publication(**fields)


# planning and retracting


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lawful run of a snapshot in force.

    `approved`: by two people of different roles; `kind` is that of the snapshot.
    """

    run: int
    snapshot: int
    kind: str
    finished: datetime
    digest: str
    approved: bool


async def candidates(db: aiosqlite.Connection, year: int) -> tuple[Candidate, ...]:
    """Return what might be published, the newest first."""
    in_force = {
        one.id: one.kind
        for one in await snapshots.of_year(db, year)
        if not one.withdrawn
    }
    found = [
        Candidate(
            run.id,
            run.snapshot,
            in_force[run.snapshot],
            run.finished or run.asked,
            run.digest,
            await runs.approved(db, run.id),
        )
        for run in await runs.of_year(db, year)
        if run.lawful and run.snapshot in in_force
    ]
    return tuple(found)


Write = Callable[[aiosqlite.Connection], Awaitable[None]]


async def publish(
    site: Site,
    actor: Actor,
    run: int,
    at: datetime | None,
    write_as: Write | None = None,
) -> None:
    """Publish a run at a moment, or at once.

    It must be lawful and approved of by two people of different roles. Its results are
    what it left, or what `write_as` writes in the same transaction. Raises Refused.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        year = (await _round_for(db, actor, now)).year
        await _check(db, year, run, at, now)
        await (write_as(db) if write_as else write(db, run))
        keys = {
            "year": year,
            "run": run,
            "at": to_ms(at or now),
            "by": actor.account,
            "now": to_ms(now),
        }
        done = await db.execute(
            "insert into publication (year, run, publish_at, set_by, set_at) "
            "values (:year, :run, :at, :by, :now)",
            keys,
        )
        await _announce(db, year, at or now)
        detail = {"run": run, "publish_at": to_ms(at or now)}
        await _note(
            db, now, actor.account, "publication-planned", done.lastrowid, detail
        )


async def _round_for(
    db: aiosqlite.Connection, actor: Actor, now: datetime
) -> RoundSettings:
    settings = await schools.round(db)
    if settings is None:
        raise Absent
    object_ = access.Round(settings.year, settings.frozen)
    if not access.can(actor, "publish", object_, now):
        raise Absent
    return settings


async def _check(
    db: aiosqlite.Connection, year: int, run: int, at: datetime | None, now: datetime
) -> None:
    approved = {one.run: one.approved for one in await candidates(db, year)}
    current = await published(db, year, now)
    problems = []
    if run not in approved:
        problems.append(Problem("run", _("請選擇通過檢核的計算結果")))
    elif not approved[run]:
        text = _("須由兩位不同角色的人員（承辦人、審核人、主管）核可後才能公告")
        problems.append(Problem("run", text))
    if current is not None and current.run == run:
        problems.append(Problem("run", _("這次計算的結果已經公告")))
    if await planned(db, year, now) is not None:
        problems.append(
            Problem("run", _("已有排定的公告；要改期或改公告另一次計算，請先撤回"))
        )
    if at is not None and at < now:
        problems.append(
            Problem("at", _("公告時間已過；請填未來的時間，或留空立即公告"))
        )
    if problems:
        raise Refused(*problems)


async def retract(site: Site, actor: Actor, publication: int, reason: str) -> None:
    """Take a publication back before its time; nobody has seen it. Raises Refused."""
    async with site.database.writing() as db:
        now = site.clock.now()
        year = (await _round_for(db, actor, now)).year
        found = await planned(db, year, now)
        # told of, it was public, whatever the clock says since
        if found is None or found.id != publication or found.told is not None:
            raise Refused(Problem("reason", _("這次公告已到時間或已撤回，不能再撤回")))
        if not 0 < len(reason) <= LONGEST_REASON:
            most = str(LONGEST_REASON)
            raise Refused(Problem("reason", _("請填寫撤回原因，至多 %(n)s 字", n=most)))
        await db.execute(
            "update publication set retracted = :now, reason = :reason where id = :id",
            {"id": publication, "now": to_ms(now), "reason": reason},
        )
        await db.execute(
            "delete from result where run = :run and not exists (select 1 from "
            "publication where run = :run and retracted is null)",
            {"run": found.run},
        )
        current = await published(db, year, now)
        await _announce(db, year, current.publish_at if current else None)
        detail = {"run": found.run}
        await _note(
            db, now, actor.account, "publication-retracted", publication, detail
        )


async def _announce(db: aiosqlite.Connection, year: int, at: datetime | None) -> None:
    """Let the schedule say when results are published, or nothing."""
    await db.execute(
        "delete from window where year = :year and kind = 'result'", {"year": year}
    )
    if at is not None:
        for level in LEVELS:
            await schools.save_window(db, year, level, "result", Window(at, None))


async def _note(
    db: aiosqlite.Connection,
    now: datetime,
    by: str,
    action: str,
    publication: int | None,
    detail: Mapping[str, object] | None = None,
) -> None:
    object_ = f"publication {publication}"
    await audit.add(db, now, by, action, object_, detail=detail)


async def exported(site: Site, actor: Actor, kind: str) -> None:
    """Note that a list of results with names was taken away; raises Absent."""
    async with site.database.writing() as db:
        now = site.clock.now()
        settings = await schools.round(db)
        object_: access.Round | access.Scope = access.Scope(actor.county)
        if actor.kind == "host":
            object_ = access.Round(settings.year if settings else 0)
        if not access.can(actor, "export", object_, now):
            raise Absent
        detail = {"kind": kind}
        await audit.add(
            db, now, actor.account, "results-exported", "", actor.county, detail
        )


# what a run means for the applicants


async def number_in(
    db: aiosqlite.Connection, publication: Publication, application: str
) -> str:
    """Return the number that an application with a result has in the snapshot."""
    [[number]] = await db.execute_fetchall(
        "select number from snapshot_teacher "
        "where snapshot = :snapshot and application = :application",
        {"snapshot": publication.snapshot, "application": application},
    )
    return str(number)


async def numbers(
    db: aiosqlite.Connection, publication: Publication
) -> tuple[str, ...]:
    """Return the numbers of all teachers of the snapshot."""
    rows = await db.execute_fetchall(
        "select number from snapshot_teacher where snapshot = :snapshot "
        "order by number",
        {"snapshot": publication.snapshot},
    )
    return tuple(number for (number,) in rows)


class Move(Protocol):
    """Where a teacher of a snapshot is afterwards; no stage: where he was."""

    @property
    def number(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def school(self) -> str: ...
    @property
    def subject(self) -> str: ...


async def write(
    db: aiosqlite.Connection,
    run: int,
    moves: Iterable[Move] | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write the results of a run anew, in the transaction of the caller.

    Without `moves` they are as the run left them. `notes` tell by number what it did to
    people that somebody dropped out. The number of a choice is the place in the
    applicant's own list, which may hold schools that the snapshot left out.
    """
    told = notes or {}
    rows = (
        await _moves(db, run)
        if moves is None
        else [(move.number, move.stage, move.school, move.subject) for move in moves]
    )
    table = json.dumps([[*row, told.get(row[0], "")] for row in rows])
    await db.execute("delete from result where run = :run", {"run": run})
    await db.execute(
        """insert into result (application, run, stage, school, subject, choice, note)
        select application, :run, stage, iif(stage = '', null, school),
        iif(stage = '', null, subject), iif(stage = '', null, (select place from wish
            where wish.application = snapshot_teacher.application
            and wish.school = moves.school)), note
        from (select value ->> 0 as number, value ->> 1 as stage, value ->> 2 as school,
            value ->> 3 as subject, value ->> 4 as note from json_each(:moves)) as moves
        -- in this order, or the moves are read once for every teacher
        cross join snapshot_teacher on snapshot_teacher.number = moves.number
            and snapshot = (select snapshot from run where id = :run)""",
        {"run": run, "moves": table},
    )


async def _moves(db: aiosqlite.Connection, run: int) -> list[tuple[str, str, str, str]]:
    rows = await db.execute_fetchall(
        "select number, stage, school, subject from run_move where run = :run",
        {"run": run},
    )
    return [(number, stage, school, subject) for number, stage, school, subject in rows]


# notices


async def tend(site: Site) -> None:
    """Tell the applicants of publications whose time has come; safe to call twice."""
    now = site.clock.now()
    async with site.database.reading() as db:
        due = await _due(db, now)
    for publication, concerned in due:
        for start in range(0, len(concerned), _AT_ONCE):
            some = concerned[start : start + _AT_ONCE]
            async with site.database.writing(quick=True) as db:
                await _tell(db, site, some, publication, now)
            await asyncio.sleep(_PAUSE)
        async with site.database.writing() as db:
            await _note_told(db, publication, now)


async def _due(
    db: aiosqlite.Connection, now: datetime
) -> list[tuple[int, Sequence[str]]]:
    """Return the publications to tell of, each with those for whom it is news."""
    rows = await db.execute_fetchall(
        """select id, run, (select before.run from publication as before
            where before.year = publication.year and before.retracted is null and
            (before.publish_at, before.id) < (publication.publish_at, publication.id)
            order by before.publish_at desc, before.id desc limit 1) as before
        from publication where told is null and retracted is null
        and publish_at <= :now order by publish_at, id""",
        {"now": to_ms(now)},
    )
    return [(id_, await _concerned(db, run, before)) for id_, run, before in rows]


async def _concerned(
    db: aiosqlite.Connection, run: int, before: int | None
) -> Sequence[str]:
    """Return those whose result a run changes; all of them when it is the first."""
    rows = await db.execute_fetchall(
        """select result.application from result left join result as earlier
            on earlier.application = result.application and earlier.run = :before
        where result.run = :run and (earlier.run is null
            or earlier.school is not result.school
            or earlier.subject is not result.subject)
        order by result.application""",
        {"run": run, "before": before},
    )
    return tuple(application for (application,) in rows)


async def _note_told(db: aiosqlite.Connection, publication: int, now: datetime) -> None:
    done = await db.execute(
        "update publication set told = :now where id = :id and told is null",
        {"id": publication, "now": to_ms(now)},
    )
    if done.rowcount:
        await _note(db, now, audit.SYSTEM, "published", publication)


async def tell_changed(
    db: aiosqlite.Connection, site: Site, changed: Iterable[str], now: datetime
) -> None:
    """Tell these applicants to look at their result once more."""
    await _tell(db, site, changed, to_ms(now), now)


async def _tell(
    db: aiosqlite.Connection,
    site: Site,
    concerned: Iterable[str],
    version: int,
    now: datetime,
) -> None:
    for id_ in concerned:
        application = await applications.by_id(db, id_)
        if application is not None:
            await applications.tell(
                db, site, application, "result", version, {}, now, by_staff=True
            )


@dataclass(frozen=True, slots=True)
class Sending:
    """How many notices of one kind are on their way, sent, or could not be sent."""

    event: str
    channel: str
    waiting: int
    done: int
    failed: int


async def sending(
    db: aiosqlite.Connection, county: str = "", levels: Sequence[str] = LEVELS
) -> tuple[Sending, ...]:
    """Return how far the notices about results are, of a county or of all."""
    rows = await db.execute_fetchall(
        """select event, channel, sum(outbox.state in ('waiting', 'claimed'))
        as waiting, sum(outbox.state = 'done') as done,
        sum(outbox.state = 'failed') as failed from outbox
        join application on application.id = outbox.application
        where event in (select value from json_each(:events))
        and application.year = (select max(year) from round)
        and (:county = '' or outbox.county = :county)
        and application.level in (select value from json_each(:levels))
        group by event, channel order by event desc, channel desc""",
        {
            "events": json.dumps(_EVENTS),
            "county": county,
            "levels": json.dumps(levels),
        },
    )
    return tuple(Sending(**dict(row)) for row in rows)


async def not_reached(
    db: aiosqlite.Connection, county: str, levels: Sequence[str]
) -> tuple[str, ...]:
    """Return the numbers of those whom a notice about results could not reach."""
    rows = await db.execute_fetchall(
        """select distinct number from outbox
        join application on application.id = outbox.application
        where outbox.state = 'failed' and outbox.county = :county
        and application.year = (select max(year) from round)
        and application.level in (select value from json_each(:levels))
        and event in (select value from json_each(:events)) order by number""",
        {
            "events": json.dumps(_EVENTS),
            "county": county,
            "levels": json.dumps(levels),
        },
    )
    return tuple(number for (number,) in rows)
