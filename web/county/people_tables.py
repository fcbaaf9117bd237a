"""Two tables of a county about its teachers: the roster, and points at the review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiosqlite

from jiepin.web import access, national_id
from jiepin.web.access import Actor
from jiepin.web.county.review_forms import parse_points, points_text
from jiepin.web.county.roster import SchoolNames, id_problem
from jiepin.web.county.school_tables import known, level_of, level_text, twice_text
from jiepin.web.county.table_rows import (
    Column,
    Fault,
    Line,
    Plan,
    fingerprint,
    headings,
    in_turns,
)
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import _, mark, said
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, review, rounds, schools
from jiepin.web.store import roster as store
from jiepin.web.store.applications import Application
from jiepin.web.store.review import Entry
from jiepin.web.store.roster import Key
from jiepin.web.store.school_changes import refuse
from jiepin.web.teacher.status import STATES

ID = Column("id", mark("身分證統一編號"), needed=True)
LEVEL = Column("level", mark("階段別"), needed=True)
SCHOOL = Column("school", mark("現任學校"))
APPLICATION = Column("application", mark("申請編號"), needed=True)
ITEMS: Final = (
    Column("reason1", mark("原因積分(甲)")),
    Column("reason2", mark("原因積分(乙)")),
    Column("appraisal", mark("考績積分")),
    Column("service", mark("年資積分")),
    Column("awards", mark("獎懲積分")),
    Column("special", mark("特殊積分")),
    Column("studies", mark("研習積分")),
)


class Roster:
    """Who may sign in for the first time; what is stored cannot be given back."""

    name = "roster"
    title = mark("介聘名冊")
    replaces = True
    columns = (ID, LEVEL, SCHOOL)

    async def current(
        self, _db: aiosqlite.Connection, _site: Site, _actor: Actor
    ) -> Sheet:
        """Return an empty sheet: national IDs are not kept."""
        return Sheet(said(self.title), headings(self.columns), ())

    async def plan(
        self,
        db: aiosqlite.Connection,
        site: Site,
        actor: Actor,
        lines: Sequence[Line],
        replace: bool,
    ) -> Plan:
        year = (await schools.the_round(db)).year
        found = await _read_roster(db, site, actor, lines)
        taken = await store.elsewhere(db, year, actor.county, found.places)
        faults = found.faults + [
            found.places[key].fault(ID, store.elsewhere_text()) for key in sorted(taken)
        ]
        if faults:
            return Plan(tuple(sorted(faults, key=lambda fault: fault.row)))
        levels = {level for level, _lookup in found.schools}
        before = await store.schools_of(db, year, actor.county, levels)
        gone = before.keys() - found.schools.keys() if replace else set()
        changed = {
            key: school
            for key, school in found.schools.items()
            if key not in before or before[key] != school
        }
        stay = gone & await store.signed_in(db, year, actor.county)
        kept = _("其中 %(n)s 人已登入過，其帳號與申請資料保留", n=str(len(stay)))

        async def write(db: aiosqlite.Connection) -> None:
            await _write_roster(db, site, actor, changed, sorted(gone))

        return Plan(
            new=len(changed.keys() - before.keys()),
            changed=len(changed.keys() & before.keys()),
            same=len(found.schools) - len(changed),
            removed=len(gone),
            notes=(kept,) if stay else (),
            fingerprint=fingerprint([_told(changed), _told(before), len(gone)]),
            write=write,
        )


@dataclass(frozen=True, slots=True)
class _RosterRead:
    """What the rows say: the school of each person, and the row that says so."""

    schools: dict[Key, str | None]
    places: dict[Key, Line]
    faults: list[Fault]


async def _read_roster(
    db: aiosqlite.Connection, site: Site, actor: Actor, lines: Sequence[Line]
) -> _RosterRead:
    year = (await schools.the_round(db)).year
    records = (await known(db, actor)).records
    by_level = {
        level: SchoolNames(r for r in records.values() if r.school.level == level)
        for level in actor.levels
    }
    read = _RosterRead({}, {}, [])
    async for line in in_turns(lines):
        person = _read_person(line, actor, by_level)
        if isinstance(person, list):
            read.faults.extend(person)
            continue
        level, id_, school = person
        key = (level, site.vault.lookup(year, level, id_))
        if key in read.schools:
            read.faults.append(line.fault(ID, twice_text()))
        read.schools[key], read.places[key] = school, line
    return read


def _read_person(
    line: Line, actor: Actor, names: Mapping[str, SchoolNames]
) -> tuple[str, str, str | None] | list[Fault]:
    """Return level, national ID and school of a row, or what is wrong with it."""
    level = level_of(actor, line.cells["level"])
    id_ = national_id.clean(line.cells["id"])
    text = line.cells.get("school", "")
    school, wrong = names[level].find(text) if level else (None, "")
    faults = [
        line.fault(column, text)
        for column, text in (
            (ID, "" if national_id.is_right(id_) else id_problem()),
            (LEVEL, "" if level else level_text()),
            (SCHOOL, wrong),
        )
        if text
    ]
    if faults or level is None:
        return faults
    return level, id_, school


def _told(people: Mapping[Key, str | None]) -> list[list[str]]:
    """Write people as JSON can, in order."""
    return sorted(
        [level, lookup.hex(), school or ""]
        for (level, lookup), school in people.items()
    )


async def _write_roster(
    db: aiosqlite.Connection,
    site: Site,
    actor: Actor,
    changed: Mapping[Key, str | None],
    gone: Sequence[Key],
) -> None:
    settings = await schools.the_round(db)
    now = site.clock.now()
    for level in sorted({level for level, _lookup in (*changed, *gone)}):
        scope = access.Scope(actor.county, level, settings.frozen)
        refuse(actor, "roster", scope, now)
    await store.put_on(db, settings.year, actor.county, changed)
    await store.take_off(db, settings.year, gone)
    detail = {"written": len(changed), "removed": len(gone)}
    event = "roster-imported"
    await audit.add(db, now, actor.account, event, "", actor.county, detail)


class Points:
    """Points by item of applications under review; an empty cell changes nothing."""

    name = "points"
    title = mark("積分")
    replaces = False
    columns = (
        APPLICATION,
        Column("number", mark("電腦編號")),
        Column("name", mark("姓名")),
        Column("school", mark("現任學校")),
        Column("state", mark("申請狀態")),
        *ITEMS,
    )

    async def current(
        self, db: aiosqlite.Connection, _site: Site, actor: Actor
    ) -> Sheet:
        """Return the applications that have been filed, with the points they have."""
        found = await _applications(db, actor)
        rows = [
            _point_cells(one, await review.entries(db, one.id))
            for one in found.values()
            if one.state != "filling"
        ]
        return Sheet(said(self.title), headings(self.columns), rows)

    async def plan(
        self,
        db: aiosqlite.Connection,
        site: Site,
        actor: Actor,
        lines: Sequence[Line],
        replace: bool,  # noqa: ARG002 - rows that are missing stay as they are
    ) -> Plan:
        found = await _applications(db, actor)
        numbers = {one.number: one.id for one in found.values() if one.number}
        most = await rounds.limits(db, (await schools.the_round(db)).year)
        changed: dict[str, dict[str, Entry]] = {}
        faults: list[Fault] = []
        async for line in in_turns(lines):
            named = line.cells["application"]
            application = found.get(numbers.get(named, named))
            if application is None:
                faults.append(line.fault(APPLICATION, _("貴縣市沒有這個申請編號")))
                continue
            before = await review.entries(db, application.id)
            entries, wrong = _read_points(line, application, before, most)
            if application.id in changed:
                wrong = [line.fault(APPLICATION, twice_text())]
            elif entries and not _may_review(application, actor, site.clock.now()):
                wrong = [line.fault(APPLICATION, _closed_text())]
            faults += wrong
            changed[application.id] = entries
        return _points_plan(site, actor, found, changed, faults)


def _points_plan(
    site: Site,
    actor: Actor,
    found: Mapping[str, Application],
    read: Mapping[str, Mapping[str, Entry]],
    faults: Sequence[Fault],
) -> Plan:
    if faults:
        return Plan(tuple(faults))
    changed = {id_: entries for id_, entries in read.items() if entries}

    async def write(db: aiosqlite.Connection) -> None:
        now = site.clock.now()
        for id_, entries in changed.items():
            await review.write_points(db, found[id_], entries, now)
            detail = {"version": found[id_].version, "items": len(entries)}
            await audit.add(
                db, now, actor.account, "points-imported", id_, actor.county, detail
            )

    versions = {id_: found[id_].review_version for id_ in changed}
    told = {id_: {k: list(v) for k, v in one.items()} for id_, one in changed.items()}
    return Plan(
        changed=len(changed),
        same=len(read) - len(changed),
        fingerprint=fingerprint([told, versions]),
        write=write,
    )


async def _applications(
    db: aiosqlite.Connection, actor: Actor
) -> dict[str, Application]:
    """Return the applications of the actor's county and levels in this year."""
    found = await applications.of_county(db, actor.county)
    return {one.id: one for one in found if one.level in actor.levels}


def _may_review(application: Application, actor: Actor, now: datetime) -> bool:
    return application.state == "filed" and access.can(
        actor, "review", application, now
    )


def _closed_text() -> str:
    return _("這份申請目前不能填積分：不在審核期間，或未完成申請、已審核")


def _read_points(
    line: Line,
    application: Application,
    before: Mapping[str, Entry],
    most: Mapping[str, int],
) -> tuple[dict[str, Entry], list[Fault]]:
    """Return the items that differ from what is stored, with the notes they have."""
    entries: dict[str, Entry] = {}
    faults = []
    for column in ITEMS:
        text = line.cells.get(column.key, "")
        if not text:
            continue
        value = parse_points(text)
        note = before.get(column.key, (0, ""))[1]
        if value is None:
            faults.append(line.fault(column, _("積分須為 0 以上、至多兩位小數的數字")))
            continue
        wrong = review.entry_problem(application, column.key, value, note, most)
        if wrong:
            faults.append(line.fault(column, wrong))
        elif before.get(column.key) != (value, note):
            entries[column.key] = (value, note)
    return entries, faults


def _point_cells(
    application: Application, entries: Mapping[str, Entry]
) -> tuple[str, ...]:
    points = (
        points_text(entries[column.key][0]) if column.key in entries else ""
        for column in ITEMS
    )
    return (
        application.id,
        application.number or "",
        application.name or application.card_name,
        application.school_township + application.school_name,
        said(STATES[application.state]),
        *points,
    )
