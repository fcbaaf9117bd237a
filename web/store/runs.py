"""Runs of the engine over a snapshot: asked for, under way, done, approved.

A run waits, runs, and is done, failed or cancelled. What it found is read back in one
transaction. Two people of different roles approve a lawful one before it can be
published.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Action, Actor, Role
from jiepin.web.clock import from_ms, maybe_from_ms, moment_text, to_ms
from jiepin.web.language import _, current
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import audit, schools, snapshots
from jiepin.web.store.applications import Absent, Closed, Refused

PHASES: Final = ("solve", "verify", "report")
UNDER_WAY: Final = ("waiting", "running")
APPROVALS: Final = 2  # of different roles


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `summary` is that of the result without its seed, empty before.

    `lawful` is what the verification said, None before it did; `folder` and `digest`
    (the SHA-256 of assignments.csv) are empty until it is done.
    """

    id: int
    snapshot: int
    year: int
    asked: datetime
    asked_by: str
    state: str
    phase: str
    started: datetime | None
    finished: datetime | None
    log: str
    folder: str
    summary: Mapping[str, Any]
    digest: str
    lawful: bool | None
    version: str

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY


@dataclass(frozen=True, slots=True)
class Move:
    """Where a teacher is after a run; no stage: he stays.

    `choice` counts in the list of the snapshot, which leaves closed schools out.
    """

    number: str
    stage: str
    exchange: int | None
    school: str
    subject: str
    choice: int | None


@dataclass(frozen=True, slots=True)
class Approval:
    """That somebody has approved a run, and as what."""

    staff: str
    name: str
    role: Role
    at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run found, as it is read back from its folder."""

    moves: Sequence[Move]
    summary: Mapping[str, Any]
    digest: str
    lawful: bool
    version: str


# what is there

_RUN: Final = """select run.id, run.snapshot, snapshot.year, run.asked,
    staff.name as asked_by, run.state, run.phase, run.started, run.finished, run.log,
    run.folder, run.summary, run.digest, run.lawful, run.version
    from run join snapshot on snapshot.id = run.snapshot
    join staff on staff.id = run.asked_by """


async def run(db: aiosqlite.Connection, id_: int) -> Run | None:
    """Return a run."""
    rows = await db.execute_fetchall(_RUN + "where run.id = :id", {"id": id_})
    return next((_run(row) for row in rows), None)


async def latest(db: aiosqlite.Connection, year: int) -> Run | None:
    """Return the newest run of a year that is done, of a snapshot in force."""
    rows = await db.execute_fetchall(
        _RUN + "where snapshot.year = :year and snapshot.withdrawn is null "
        "and run.state = 'done' order by run.id desc limit 1",
        {"year": year},
    )
    return next((_run(row) for row in rows), None)


async def of_year(db: aiosqlite.Connection, year: int) -> list[Run]:
    """Return all runs of a year, newest first."""
    rows = await db.execute_fetchall(
        _RUN + "where snapshot.year = :year order by run.id desc", {"year": year}
    )
    return [_run(row) for row in rows]


async def moves(db: aiosqlite.Connection, id_: int) -> list[Move]:
    """Return where everybody is after a run, by number."""
    rows = await db.execute_fetchall(
        "select number, stage, exchange, school, subject, choice from run_move "
        "where run = :id order by number",
        {"id": id_},
    )
    return [Move(*row) for row in rows]


async def approvals(db: aiosqlite.Connection, id_: int) -> list[Approval]:
    """Return who has approved a run, in order."""
    rows = await db.execute_fetchall(
        """select approval.staff, staff.name, approval.role, approval.at
        from approval join staff on staff.id = approval.staff
        where approval.run = :id order by approval.at, approval.staff""",
        {"id": id_},
    )
    return [Approval(staff, name, role, from_ms(at)) for staff, name, role, at in rows]


async def approved(db: aiosqlite.Connection, id_: int) -> bool:
    """Tell whether two people of different roles have approved a run."""
    return len({one.role for one in await approvals(db, id_)}) >= APPROVALS


def own_choice(wishes: Sequence[str], move: Move) -> int | None:
    """Return the choice as it stands in the teacher's own list.

    >>> own_choice(["a", "closed", "b"], Move("1", "mutual", 1, "b", "E01", 2))
    3
    """
    return wishes.index(move.school) + 1 if move.stage else None


def _run(row: aiosqlite.Row) -> Run:
    fields = dict(row)
    moments = {
        name: maybe_from_ms(fields.pop(name)) for name in ("started", "finished")
    }
    summary, lawful = fields.pop("summary"), fields.pop("lawful")
    return Run(
        **fields | moments | {"asked": from_ms(row["asked"])},
        summary=json.loads(summary) if summary else {},
        lawful=None if lawful is None else bool(lawful),
    )


# what staff do


async def ask(site: Site, actor: Actor, snapshot: int) -> int:
    """Ask for a run over a snapshot in force; returns its id. Raises Refused."""
    async with site.database.writing() as db:
        now = site.clock.now()
        found = await _snapshot_for(db, actor, "run", snapshot, now)
        if text := await _why_not(db, found, now):
            raise Refused(Problem("run", text))
        done = await db.execute(
            "insert into run (snapshot, asked, asked_by, state) "
            "values (:snapshot, :now, :by, 'waiting')",
            {"snapshot": snapshot, "now": to_ms(now), "by": actor.account},
        )
        assert done.lastrowid is not None
        detail = {"snapshot": snapshot}
        await _note(db, now, actor.account, "run-asked", done.lastrowid, detail)
    return done.lastrowid


async def _why_not(
    db: aiosqlite.Connection, snapshot: snapshots.Snapshot, now: datetime
) -> str:
    rows = await db.execute_fetchall(
        "select 1 from run where snapshot = :id and state in ('waiting', 'running')",
        {"id": snapshot.id},
    )
    if rows:
        return _("這份快照正在計算中")
    times = await db.execute_fetchall(
        "select max(opens) from window where year = :year and kind = 'run'",
        {"year": snapshot.year},
    )
    for (opens,) in times:
        if opens is not None and opens > to_ms(now):
            time = moment_text(from_ms(opens), current())
            return _("依作業日程，%(time)s 起才可計算", time=time)
    return ""


async def cancel(site: Site, actor: Actor, id_: int) -> None:
    """Cancel a run that waits or is under way; its process is ended by the runner."""
    async with site.database.writing() as db:
        now = site.clock.now()
        found = await _run_for(db, actor, "run", id_, now)
        if not found.under_way:
            raise Closed
        await db.execute(
            "update run set state = 'cancelled', finished = :now where id = :id",
            {"now": to_ms(now), "id": id_},
        )
        await _note(db, now, actor.account, "run-cancelled", id_)


async def approve(site: Site, actor: Actor, id_: int) -> None:
    """Approve a lawful run of a snapshot in force, once."""
    async with site.database.writing() as db:
        now = site.clock.now()
        found = await _run_for(db, actor, "approve", id_, now)
        if found.state != "done" or not found.lawful:
            raise Closed
        keys = {"run": id_, "staff": actor.account, "role": actor.role}
        done = await db.execute(
            "insert or ignore into approval values (:run, :staff, :role, :now)",
            keys | {"now": to_ms(now)},
        )
        if done.rowcount:
            detail = {"role": actor.role, "digest": found.digest}
            await _note(db, now, actor.account, "run-approved", id_, detail)


async def withdraw_approval(site: Site, actor: Actor, id_: int) -> None:
    """Take one's own approval back, as long as the run is not to be published."""
    async with site.database.writing() as db:
        now = site.clock.now()
        await _run_for(db, actor, "approve", id_, now)
        planned = await db.execute_fetchall(
            "select 1 from publication where run = :run and retracted is null",
            {"run": id_},
        )
        if planned:
            raise Closed
        done = await db.execute(
            "delete from approval where run = :run and staff = :staff",
            {"run": id_, "staff": actor.account},
        )
        if done.rowcount:
            await _note(db, now, actor.account, "run-approval-withdrawn", id_)


async def _run_for(
    db: aiosqlite.Connection, actor: Actor, action: Action, id_: int, now: datetime
) -> Run:
    found = await run(db, id_)
    if found is None:
        raise Absent
    await _snapshot_for(db, actor, action, found.snapshot, now)
    return found


async def _snapshot_for(
    db: aiosqlite.Connection, actor: Actor, action: Action, id_: int, now: datetime
) -> snapshots.Snapshot:
    """Return a snapshot of the year's round if this may be done with it now."""
    settings = await schools.round(db)
    found = await snapshots.by_id(db, id_)
    if settings is None or found is None or found.year != settings.year:
        raise Absent
    matter = access.Round(settings.year, settings.frozen)
    if not access.can(actor, action, matter, now):
        raise Absent
    if found.withdrawn is not None:
        raise Closed
    return found


async def _note(
    db: aiosqlite.Connection,
    now: datetime,
    by: str,
    action: str,
    id_: int,
    detail: Mapping[str, object] | None = None,
) -> None:
    await audit.add(db, now, by, action, f"run {id_}", "", detail)


# what the runner does


async def take_up_again(site: Site) -> None:
    """Let what was left running wait for its turn again; nothing may be under way."""
    async with site.database.writing() as db:
        await db.execute(
            "update run set state = 'waiting', phase = '', log = '' "
            "where state = 'running'"
        )


async def begin_next(site: Site) -> Run | None:
    """Begin the run that has waited longest; None when none waits."""
    async with site.database.reading() as db:
        rows = list(
            await db.execute_fetchall(
                "select id from run where state = 'waiting' order by id limit 1"
            )
        )
    if not rows:
        return None
    async with site.database.writing() as db:
        keys = {"id": rows[0][0], "now": to_ms(site.clock.now())}
        await db.execute(
            "update run set state = 'running', started = :now "
            "where id = :id and state = 'waiting'",
            keys,
        )
        begun = await run(db, keys["id"])
    return begun if begun is not None and begun.state == "running" else None


async def at_phase(site: Site, id_: int, phase: str, log: str) -> None:
    """Note how far a run is."""
    async with site.database.writing() as db:
        await db.execute(
            "update run set phase = :phase, log = :log where id = :id",
            {"phase": phase, "log": log, "id": id_},
        )


async def fail(site: Site, id_: int, log: str) -> None:
    """Note that a run came to nothing; one that was cancelled stays that."""
    async with site.database.writing() as db:
        now = site.clock.now()
        done = await db.execute(
            "update run set state = 'failed', finished = :now where id = :id "
            "and state = 'running'",
            {"now": to_ms(now), "id": id_},
        )
        await db.execute(
            "update run set log = :log where id = :id", {"log": log, "id": id_}
        )
        if done.rowcount:
            await _note(db, now, audit.SYSTEM, "run-failed", id_)


async def finish(site: Site, id_: int, folder: str, found: Finding, log: str) -> None:
    """Store what a run found, all of it or nothing; one cancelled stays that."""
    async with site.database.writing() as db:
        now = site.clock.now()
        done = await db.execute(
            """update run set state = 'done', phase = '', finished = :now, log = :log,
            folder = :folder, summary = :summary, digest = :digest, lawful = :lawful,
            version = :version where id = :id and state = 'running'""",
            {
                "now": to_ms(now),
                "log": log,
                "folder": folder,
                "summary": audit.canonical(found.summary),
                "digest": found.digest,
                "lawful": found.lawful,
                "version": found.version,
                "id": id_,
            },
        )
        if not done.rowcount:
            return
        await db.executemany(
            "insert into run_move values (?, ?, ?, ?, ?, ?, ?)",
            [(id_, *_cells(move)) for move in found.moves],
        )
        detail = {"digest": found.digest, "lawful": found.lawful}
        await _note(db, now, audit.SYSTEM, "run-done", id_, detail)


def _cells(move: Move) -> tuple[str | int | None, ...]:
    return (
        move.number,
        move.stage,
        move.exchange,
        move.school,
        move.subject,
        move.choice,
    )
