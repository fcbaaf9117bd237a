"""What a county corrects about its schools, whom it touches, and telling them.

A correction that takes something away from saved wishes has to be confirmed with the
digest of whom it touches: nobody is told of what was not shown before. After the freeze
wishes are not filled in any more: a correction then (§14) touches nobody here, and what
it changes is told with the corrected result.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import aiosqlite

from jiepin.web import access
from jiepin.web.language import _, mark, said, speaking
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, schools
from jiepin.web.store.applications import (
    Absent,
    ChangedElsewhere,
    Closed,
    NotSaved,
    Refused,
)
from jiepin.web.store.schools import Record

CLOSED, NO_SEAT, NOT_TAUGHT, OUTSIDE_AREA, NOT_INDIGENOUS = (
    "closed",
    "seat",
    "taught",
    "area",
    "indigenous",
)
LOSSES: Final = {
    CLOSED: mark("已自介聘學校名單移除"),
    NO_SEAT: mark("申請的科(類)別已無缺額，僅能以互調達成"),
    NOT_TAUGHT: mark("已不再有申請的科(類)別"),
    OUTSIDE_AREA: mark("所持教師證已不能在這所學校任教"),
    NOT_INDIGENOUS: mark("已不是原民校，不再適用原民調"),
}

Loss = tuple[str, str]  # the code of a school, and what a wish for it has lost


@dataclass(frozen=True, slots=True)
class Wisher:
    """Who has saved wishes, as far as it matters to what a school loses."""

    application: str
    county: str
    level: str
    subjects: frozenset[str]
    area_tags: frozenset[str]
    indigenous: bool
    wishes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Touched:
    """An applicant whom a correction takes something away from."""

    application: str
    county: str
    level: str
    losses: tuple[Loss, ...]


class NotConfirmed(NotSaved):
    """The correction touches applicants; it must be confirmed first."""

    def __init__(self, touched: Sequence[Touched]) -> None:
        self.touched = touched
        self.digest = digest(touched)
        super().__init__(f"touches {len(touched)} applicants")


def lost(wisher: Wisher, before: Record, after: Record) -> tuple[str, ...]:
    """Return what a correction of a school takes away from a wish for it."""
    if not before.school.open or not after.school.open:
        return (CLOSED,) if before.school.open else ()
    seats = (before.offered - after.offered) & wisher.subjects & after.taught
    taught = (before.taught - after.taught) & wisher.subjects
    was, is_ = frozenset(before.school.tags), frozenset(after.school.tags)
    area = wisher.area_tags & was and not wisher.area_tags & is_
    indigenous = wisher.indigenous and "indigenous" in was - is_
    found = ((NO_SEAT, seats), (NOT_TAUGHT, taught), (OUTSIDE_AREA, area))
    return tuple(
        loss for loss, is_lost in (*found, (NOT_INDIGENOUS, indigenous)) if is_lost
    )


def losses(
    wishers: Iterable[Wisher],
    before: Mapping[str, Record],
    after: Mapping[str, Record],
) -> tuple[Touched, ...]:
    """Return whom corrections take something away from, and what it is."""
    told = (
        Touched(
            wisher.application,
            wisher.county,
            wisher.level,
            tuple(
                (code, loss)
                for code in sorted(wisher.wishes & before.keys() & after.keys())
                for loss in lost(wisher, before[code], after[code])
            ),
        )
        for wisher in wishers
    )
    return tuple(touched for touched in told if touched.losses)


def digest(touched: Sequence[Touched]) -> str:
    """Return what stands for whom a correction touches; empty where it is nobody."""
    if not touched:
        return ""
    told = sorted([one.application, *one.losses] for one in touched)
    return hashlib.sha256(audit.canonical(told).encode("utf-8")).hexdigest()


async def save(
    site: Site,
    actor: access.Actor,
    seen: Mapping[str, int],
    after: Sequence[Record],
    confirmed: str,
) -> int:
    """Save corrected schools; returns how many applicants were told.

    `seen` are the versions that the page was made from, 0 for a new school. Raises
    ChangedElsewhere, Refused, and NotConfirmed when `confirmed` is not the digest of
    those whom it touches.
    """
    async with site.database.writing() as db:
        before = await schools.records_of(db, seen)
        for code, version in seen.items():
            found = before[code].school.version if code in before else 0
            if version == 0 < found:
                raise Refused(Problem("code", _("這個學校代碼已有學校使用")))
            if version != found:
                raise ChangedElsewhere(version, found)
        return await write(db, site, actor, before, after, confirmed)


async def write(
    db: aiosqlite.Connection,
    site: Site,
    actor: access.Actor,
    before: Mapping[str, Record],
    after: Sequence[Record],
    confirmed: str,
) -> int:
    """Write corrected schools in the transaction of the caller, and tell whom they
    touch; `before` is what is stored. Returns how many were told."""
    now = site.clock.now()
    kept = [before[one.school.code] for one in after if one.school.code in before]
    await _refuse_others(db, actor, (*kept, *after), now)
    changed = {record.school.code: record for record in after}
    touched = losses(await wishers(db, changed), before, changed)
    if digest(touched) != confirmed:
        raise NotConfirmed(touched)
    told = Counter(code for one in touched for code in dict(one.losses))
    for code, record in changed.items():
        await schools.write_record(db, record)
        event = "school-corrected" if code in before else "school-added"
        version = before[code].school.version + 1 if code in before else 1
        detail = {"version": version, "told": told[code]}
        county = record.school.county
        await audit.add(db, now, actor.account, event, code, county, detail)
    await _tell(db, site, touched, changed, now)
    return len(touched)


async def _refuse_others(
    db: aiosqlite.Connection,
    actor: access.Actor,
    records: Iterable[Record],
    now: datetime,
) -> None:
    """Raise Absent or Closed unless these schools are the actor's to change now."""
    round_ = await schools.round(db)
    frozen = round_.frozen if round_ else None
    correcting = await schools.correcting(db, actor.county)
    for record in records:
        school = record.school
        scope = access.Scope(school.county, school.level, frozen, correcting)
        refuse(actor, "schools", scope, now)


def refuse(
    actor: access.Actor, action: access.Action, scope: access.Scope, now: datetime
) -> None:
    """Raise Absent where this is not the actor's to do, Closed once it is frozen."""
    if not access.can(actor, action, replace(scope, frozen=None), now):
        raise Absent
    if not access.can(actor, action, scope, now):
        raise Closed


async def wishers(db: aiosqlite.Connection, codes: Iterable[str]) -> list[Wisher]:
    """Return who has saved a wish for one of these schools in this round.

    Nobody once it is frozen.
    """
    rows = await db.execute_fetchall(
        """select application.id, application.county, application.level, subject1,
            subject2, subject3, coalesce(area.tags, '') as tags, indigenous,
            json_group_array(wish.school) as wishes
        from wish join application on application.id = wish.application
        join round on round.year = application.year and round.frozen is null
        left join area on area.code = application.area
        where wish.school in (select value from json_each(:codes))
        and application.year = (select max(year) from round)
        and application.state != 'rejected'
        group by application.id order by application.id""",
        {"codes": json.dumps(list(codes))},
    )
    return [_wisher(row) for row in rows]


def _wisher(row: aiosqlite.Row) -> Wisher:
    subjects = (row["subject1"], row["subject2"], row["subject3"])
    return Wisher(
        row["id"],
        row["county"],
        row["level"],
        frozenset(code for code in subjects if code),
        frozenset(row["tags"].split(schools.SEPARATOR) if row["tags"] else ()),
        bool(row["indigenous"]),
        frozenset(json.loads(row["wishes"])),
    )


async def _tell(
    db: aiosqlite.Connection,
    site: Site,
    touched: Sequence[Touched],
    after: Mapping[str, Record],
    now: datetime,
) -> None:
    """Put a notice for each of them into the outbox, in his language."""
    revision = (await schools.the_round(db)).schools_revision
    for one in touched:
        application = await applications.by_id(db, one.application)
        assert application is not None  # it was just read
        with speaking(application.language):
            lines = [
                _("%(school)s：%(loss)s", school=_place(after[code]), loss=said(text))
                for code, loss in one.losses
                for text in [LOSSES[loss]]
            ]
        payload = {"schools": lines}
        await applications.tell(
            db, site, application, "schools", revision, payload, now, by_staff=True
        )


def _place(record: Record) -> str:
    return record.school.township + record.school.name
