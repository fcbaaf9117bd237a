"""§11: who did not take up a place, whose moves fall with it, what is opened instead.

Nothing here knows how moves hang together: pages ask `after_run` and hand over the
`Ending` of every run that counts. Inside the transaction it is held against what is
true then, so that two people who act at once never mix their results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.clock import TAIPEI, from_ms, maybe_from_ms, to_ms
from jiepin.web.language import _, mark
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, results
from jiepin.web.store.applications import Absent, ChangedElsewhere, Closed, Refused
from jiepin.web.store.results import Publication
from jiepin.web.store.runs import Move

KINDS: Final = {
    "gave-up": mark("放棄介聘"),
    "no-show": mark("未報到"),
    "refused": mark("經學校拒絕聘任"),
}
BARRED: Final = ("gave-up", "no-show")  # §11 I; who was refused (§10) is not among them
BARRED_YEARS: Final = 10
MOST_DAYS: Final = 30
_FALLEN: Final = ("dropped-out", "void")

State = Literal["waiting", "answered", "applied", "final", "undone"]


@dataclass(frozen=True, slots=True)
class Dropout:
    """Somebody who was placed and does not go there.

    `county` and `level` are those of the school that he serves at; its county may open
    a seat there until `decide_by`. `opened` says what it answered at `decided`.
    """

    id: int
    year: int
    number: str
    application: str
    county: str
    level: str
    name: str
    kind: str
    reason: str
    at: datetime
    decide_by: datetime
    decided: datetime | None
    opened: bool
    applied: datetime | None
    final: datetime | None
    undone: datetime | None
    undone_reason: str

    @property
    def state(self) -> State:
        """How far it is."""
        if self.undone:
            return "undone"
        if self.final:
            return "final"
        if self.applied:
            return "applied"
        return "answered" if self.decided else "waiting"

    @property
    def counts(self) -> bool:
        """Whether the results say so."""
        return self.state in ("applied", "final")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the host writes down; the county has `days` to open a seat."""

    number: str
    kind: str
    reason: str
    days: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends with certain people dropped out: all moves, notes by number.

    `dropped` holds them by number, with whether a seat was opened for each.
    """

    run: int
    dropped: Mapping[str, bool]
    moves: Sequence[Move]
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a run, without his name: from where, and to where he was to go."""

    number: str
    application: str
    level: str
    county: str
    school: str
    stage: str
    to_county: str
    to_school: str
    subject: str


_DROPOUT: Final = """select dropout.*, application.county, application.level,
    coalesce(nullif(application.name, ''), account.card_name) as name
    from dropout join application on application.id = dropout.application
    join account on account.id = application.account """


async def of_year(db: aiosqlite.Connection, year: int) -> list[Dropout]:
    """Return all that were written down in a year, oldest first."""
    rows = await db.execute_fetchall(
        _DROPOUT + "where dropout.year = :year order by dropout.id", {"year": year}
    )
    return [_dropout(row) for row in rows]


async def listed(db: aiosqlite.Connection, year: int) -> list[Dropout]:
    """Return those of a year and what is open still of earlier ones, oldest first."""
    rows = await db.execute_fetchall(
        _DROPOUT + "where dropout.year = :year "
        "or dropout.undone is null and dropout.final is null order by dropout.id",
        {"year": year},
    )
    return [_dropout(row) for row in rows]


async def by_id(db: aiosqlite.Connection, id_: int) -> Dropout | None:
    """Return one that was written down."""
    rows = await db.execute_fetchall(_DROPOUT + "where dropout.id = :id", {"id": id_})
    return next((_dropout(row) for row in rows), None)


async def targets(
    db: aiosqlite.Connection, year: int, now: datetime
) -> tuple[Publication, ...]:
    """Return the publications whose results follow: in force, and to come."""
    found = (
        await results.published(db, year, now),
        await results.planned(db, year, now),
    )
    return tuple(publication for publication in found if publication)


async def people(
    db: aiosqlite.Connection, run: int, numbers: Iterable[str]
) -> dict[str, Person]:
    """Return people of a run by number, as the run itself had them."""
    rows = await db.execute_fetchall(
        """select run_move.number, application.id, application.level,
        application.county, home.name, run_move.stage, school.county, school.name,
        run_move.subject
        from run_move join run on run.id = run_move.run
        join snapshot_teacher on snapshot_teacher.snapshot = run.snapshot
        and snapshot_teacher.number = run_move.number
        join application on application.id = snapshot_teacher.application
        join school as home on home.code = application.school
        join school on school.code = run_move.school
        where run_move.run = :run
        and run_move.number in (select value from json_each(:numbers))""",
        {"run": run, "numbers": json.dumps(list(numbers))},
    )
    return {row[0]: Person(*row) for row in rows}


async def mark_as(site: Site, actor: Actor, asked: Mark) -> int:
    """Write down that somebody does not go where he was placed; returns its id.

    Nothing falls yet: the county of his school is asked first. Raises Refused.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        publication = await results.newest(db, now)
        _permit(actor, publication.year if publication else 0, now)
        if publication is None:
            raise Closed
        problems = _problems(asked)
        application = await _placed(db, publication, asked.number)
        if application is None:
            text = _("公告結果中沒有以這個電腦編號達成介聘的教師")
            problems.insert(0, Problem("number", text))
        elif await _is_marked(db, application):
            problems.insert(0, Problem("number", _("這位教師已經登記過了")))
        if problems:
            raise Refused(*problems)
        done = await db.execute(
            """insert into dropout (year, run, number, application, kind, reason, at,
            by, decide_by) values (:year, :run, :number, :application, :kind, :reason,
            :at, :by, :decide_by)""",
            {
                "year": publication.year,
                "run": publication.run,
                "number": asked.number,
                "application": application,
                "kind": asked.kind,
                "reason": asked.reason,
                "at": to_ms(now),
                "by": actor.account,
                "decide_by": to_ms(now + timedelta(days=asked.days)),
            },
        )
        assert done.lastrowid is not None  # one row was inserted
        dropout = await _one(db, done.lastrowid)
        await _note(db, actor, dropout, "dropout-marked", now, {"kind": asked.kind})
    return dropout.id


def _problems(asked: Mark) -> list[Problem]:
    problems = []
    if asked.kind not in KINDS:
        problems.append(Problem("kind", _("請選擇情形")))
    if not asked.reason:
        problems.append(Problem("reason", _("請填寫事由")))
    if not 1 <= asked.days <= MOST_DAYS:
        text = _("請填 1 至 %(most)s 之間的天數", most=str(MOST_DAYS))
        problems.append(Problem("days", text))
    return problems


async def _placed(
    db: aiosqlite.Connection, publication: Publication, number: str
) -> str | None:
    """Return the application of somebody who is placed."""
    rows = await db.execute_fetchall(
        """select result.application from snapshot_teacher
        join result on result.application = snapshot_teacher.application
        and result.run = :run and result.school is not null
        where snapshot_teacher.snapshot = :snapshot
        and snapshot_teacher.number = :number""",
        {
            "run": publication.run,
            "snapshot": publication.snapshot,
            "number": number,
        },
    )
    return next((application for (application,) in rows), None)


async def _is_marked(db: aiosqlite.Connection, application: str) -> bool:
    """Tell whether somebody is written down, and that was not taken back."""
    rows = await db.execute_fetchall(
        "select 1 from dropout where application = :application and undone is null",
        {"application": application},
    )
    return bool(rows)


async def answer(site: Site, actor: Actor, id_: int, opened: bool) -> None:
    """Note whether the county opens a seat; it may change its mind in its time."""
    async with site.database.writing() as db:
        now = site.clock.now()
        dropout = await _one(db, id_)
        scope = access.Scope(dropout.county, dropout.level)
        if not access.can(actor, "open-seat", scope, now):
            raise Absent
        if dropout.state not in ("waiting", "answered") or now >= dropout.decide_by:
            raise Closed
        await db.execute(
            "update dropout set decided = :now, opened = :opened, opened_by = :by "
            "where id = :id",
            {"now": to_ms(now), "opened": opened, "by": actor.account, "id": id_},
        )
        what = "dropout-seat-opened" if opened else "dropout-no-seat"
        await _note(db, actor, dropout, what, now)


async def apply(site: Site, actor: Actor, id_: int, endings: Sequence[Ending]) -> None:
    """Let the results say so; tells everybody whose result changes.

    Somebody is waited for: the county until its answer or the end of its time, unless
    nobody's move would fall. What counts already is applied again to a run that does
    not say so yet. Raises Refused where his move has fallen with another's meanwhile:
    nobody is barred for a place that he no longer had.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        dropout = await _one(db, id_)
        _permit(actor, dropout.year, now)
        if dropout.state in ("undone", "final"):
            raise Closed
        due = await targets(db, dropout.year, now)
        if await has_fallen(db, dropout, due):
            raise Refused(Problem("reason", fallen_text()))
        runs = [one.run for one in due]
        if dropout.counts and dropout.number not in await behind(db, runs):
            raise Closed
        asked = dropout.state == "waiting" and now < dropout.decide_by
        if asked and await _falls(db, endings):
            raise Closed
        await db.execute(
            "update dropout set applied = :now where id = :id",
            {"now": to_ms(now), "id": id_},
        )
        if dropout.kind in BARRED:
            await _bar(site, db, dropout)
        await _note(db, actor, dropout, "dropout-applied", now)
        await _write(site, db, actor, dropout.year, endings, now)


async def has_fallen(
    db: aiosqlite.Connection, dropout: Dropout, due: Iterable[Publication]
) -> bool:
    """Tell whether somebody who waits has no place any more that he could give up."""
    if dropout.state not in ("waiting", "answered"):
        return False
    return not any([await _placed(db, one, dropout.number) for one in due])


def fallen_text() -> str:
    """Say why one cannot be applied, and what to do."""
    return _("這位教師的介聘已隨他人失效或經更正，沒有可放棄的名額；請撤銷登記")


async def _falls(db: aiosqlite.Connection, endings: Sequence[Ending]) -> bool:
    """Tell whether somebody's move falls that has not fallen with another already.

    Who drops out makes more moves fall, never fewer.
    """
    for ending in endings:
        fallen = [*(await _notes(db, ending.run)).values()].count("void")
        if [*ending.notes.values()].count("void") > fallen:
            return True
    return False


async def undo(
    site: Site, actor: Actor, id_: int, reason: str, endings: Sequence[Ending]
) -> None:
    """Take one back before it is final; who moved again is told. Raises Refused."""
    async with site.database.writing() as db:
        now = site.clock.now()
        dropout = await _one(db, id_)
        _permit(actor, dropout.year, now)
        if dropout.state in ("undone", "final"):
            raise Closed
        if not reason:
            raise Refused(Problem("reason", _("請填寫事由")))
        await db.execute(
            "update dropout set undone = :now, undone_reason = :reason where id = :id",
            {"now": to_ms(now), "reason": reason, "id": id_},
        )
        await db.execute(
            "delete from bar where application = :application and year = :year",
            {"application": dropout.application, "year": dropout.year},
        )
        await _note(db, actor, dropout, "dropout-undone", now)
        if dropout.counts:
            await _write(site, db, actor, dropout.year, endings, now)


async def finish(site: Site, actor: Actor, id_: int) -> None:
    """Make one final: there is no undoing after it."""
    async with site.database.writing() as db:
        now = site.clock.now()
        dropout = await _one(db, id_)
        _permit(actor, dropout.year, now, "finish")
        if dropout.state != "applied":
            raise Closed
        await db.execute(
            "update dropout set final = :now where id = :id",
            {"now": to_ms(now), "id": id_},
        )
        await _note(db, actor, dropout, "dropout-final", now)


async def behind(db: aiosqlite.Connection, runs: Iterable[int]) -> set[str]:
    """Return the numbers that count as dropped out and are placed in one of the runs.

    That is so after a correction was published: its results know nothing of them.
    """
    rows = await db.execute_fetchall(
        """select dropout.number from dropout join result
        on result.application = dropout.application and result.school is not null
        where dropout.applied is not null and dropout.undone is null
        and result.run in (select value from json_each(:runs))""",
        {"runs": json.dumps(list(runs))},
    )
    return {number for (number,) in rows}


def _permit(
    actor: Actor,
    year: int,
    now: datetime,
    action: Literal["correct", "finish"] = "correct",
) -> None:
    """Raise Absent for who may not do this about a year's round."""
    if not access.can(actor, action, access.Round(year), now):
        raise Absent


async def _one(db: aiosqlite.Connection, id_: int) -> Dropout:
    found = await by_id(db, id_)
    if found is None:
        raise Absent
    return found


async def _note(
    db: aiosqlite.Connection,
    actor: Actor,
    dropout: Dropout,
    action: str,
    now: datetime,
    detail: Mapping[str, object] | None = None,
) -> None:
    await audit.add(
        db,
        now,
        actor.account,
        action,
        dropout.application,
        dropout.county,
        {"dropout": dropout.id, **(detail or {})},
    )


async def _bar(site: Site, db: aiosqlite.Connection, dropout: Dropout) -> None:
    """Keep who did not take up the place from applying for ten years."""
    [[account, sealed]] = await db.execute_fetchall(
        "select account.id, national_id from account join application "
        "on application.account = account.id where application.id = :application",
        {"application": dropout.application},
    )
    national_id = site.vault.open(sealed, "account.national_id", account)
    await db.execute(
        "insert or replace into bar (lookup, since, until, year, application) "
        "values (:lookup, :since, :until, :year, :application)",
        {
            "lookup": site.vault.lookup(0, "bar", national_id),
            "since": to_ms(dropout.at),
            "until": to_ms(years_after(dropout.at, BARRED_YEARS)),
            "year": dropout.year,
            "application": dropout.application,
        },
    )


def years_after(moment: datetime, years: int) -> datetime:
    """Return the same day and time, in Taiwan, so many years later.

    >>> from datetime import UTC
    >>> years_after(datetime(2028, 2, 29, 4, tzinfo=UTC), 10).isoformat()
    '2038-03-01T12:00:00+08:00'
    """
    there = moment.astimezone(TAIPEI)
    try:
        return there.replace(year=there.year + years)
    except ValueError:  # there is no 29 February
        return there.replace(year=there.year + years, month=3, day=1)


async def _write(
    site: Site,
    db: aiosqlite.Connection,
    actor: Actor,
    year: int,
    endings: Sequence[Ending],
    now: datetime,
) -> None:
    """Write how the runs end, if that was worked out from what is true now."""
    public = await results.published(db, year, now)
    due = await targets(db, year, now)
    if [ending.run for ending in endings] != [one.run for one in due]:
        raise ChangedElsewhere(len(endings), len(due))
    for ending in endings:
        before = await _notes(db, ending.run)
        await write_ending(db, year, ending)
        if public is not None and ending.run == public.run:
            after = await _notes(db, ending.run)
            await _tell(site, db, actor, before, after, now)


async def write_ending(db: aiosqlite.Connection, year: int, ending: Ending) -> None:
    """Write how a run ends, if that was worked out from who has dropped out by now."""
    standing = {one.number: one.opened for one in await of_year(db, year) if one.counts}
    if ending.dropped != standing:
        raise ChangedElsewhere(len(ending.dropped), len(standing))
    await results.write(db, ending.run, ending.moves, ending.notes)


async def _notes(db: aiosqlite.Connection, run: int) -> dict[str, str]:
    rows = await db.execute_fetchall(
        "select application, note from result where run = :run order by application",
        {"run": run},
    )
    return dict(tuple(row) for row in rows)


async def _tell(
    site: Site,
    db: aiosqlite.Connection,
    actor: Actor,
    before: Mapping[str, str],
    after: Mapping[str, str],
    now: datetime,
) -> None:
    """Tell everybody whose result has changed what it has become."""
    for application, note in after.items():
        event = _event(before.get(application, ""), note)
        if not event:
            continue
        found = await applications.by_id(db, application)
        assert found is not None  # its result has just been read
        await audit.add(
            db, now, actor.account, f"result-{event}", application, found.county
        )
        facts = {"kind": await _kind(db, application)} if event == "dropped-out" else {}
        await applications.tell(
            db, site, found, event, to_ms(now), facts, now, by_staff=True
        )


def _event(before: str, after: str) -> str:
    """Return what is to be told of a change of notes; empty: nothing.

    >>> _event("", "void"), _event("void", "kept"), _event("", "kept")
    ('void', 'restored', '')
    """
    if after in _FALLEN:
        return after if after != before else ""
    return "restored" if before in _FALLEN else ""


async def _kind(db: aiosqlite.Connection, application: str) -> str:
    [[kind]] = await db.execute_fetchall(
        "select kind from dropout where application = :application and undone is null",
        {"application": application},
    )
    return str(kind)


def _dropout(row: aiosqlite.Row) -> Dropout:
    fields: dict[str, Any] = {name: row[name] for name in _PLAIN}
    fields |= {name: maybe_from_ms(row[name]) for name in _MOMENTS}
    return Dropout(
        **fields,
        at=from_ms(row["at"]),
        decide_by=from_ms(row["decide_by"]),
        opened=bool(row["opened"]),
    )


_MOMENTS: Final = ("decided", "applied", "final", "undone")
_PLAIN: Final = set(Dropout.__slots__) - {*_MOMENTS, "at", "decide_by", "opened"}
