"""The review of an application by its county: points, checks, decisions, who is at it.

Whoever works on an application has opened it before, so that others see it. A save
names both versions that its page was made from: that of the application, which its
teacher raises, and that of the review, which every save of the staff raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import aiosqlite

from jiepin.web import access
from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.county import eligibility
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, audit, rounds
from jiepin.web.store.applications import (
    Absent,
    Application,
    ChangedElsewhere,
    Closed,
    NotSaved,
    NotYet,
    Refused,
)
from jiepin.web.vault import Vault

SHARED: Final = ("appraisal", "service", "awards", "special", "studies")
OPEN_LIFE = timedelta(hours=8)  # as long as a session: then nobody is at it any more
HIGHEST = 99_999  # hundredths; what an item may give where the year sets no limit
LONGEST_NOTE, LONGEST_REASON = 200, 500
MOST_SERIALS = 9999
LEVEL_DIGITS: Final = {"junior-high": 1, "elementary": 2, "kindergarten": 3}
UNDONE: Final = ("approved", "returned", "rejected")  # states that can be undone

Entry = tuple[int, str]  # hundredths of a point, and a note


class OpenElsewhere(NotSaved):
    """Others have this application open; `openers` tells who, and since when."""

    def __init__(self, openers: Sequence[Opener]) -> None:
        self.openers = openers
        super().__init__(f"open with {len(openers)} others")


@dataclass(frozen=True, slots=True)
class Seen:
    """The versions that a page was made from."""

    application: int
    review: int


@dataclass(frozen=True, slots=True)
class Opener:
    """Somebody who has an application open."""

    staff: str
    name: str
    role: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """What staff did about an application, and why."""

    at: datetime
    name: str
    event: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Work:
    """What the reviewer has entered: points and answers by item, and a note."""

    points: Mapping[str, Entry]
    answers: Mapping[str, eligibility.Answer]
    note: str


def items_of(application: Application) -> tuple[str, ...]:
    """Return the items that an application has points for: a reason for each county."""
    reasons = (f"reason{n}" for n in range(1, len(application.counties) + 1))
    return (*reasons, *SHARED)


# what is there


async def entries(db: aiosqlite.Connection, application: str) -> dict[str, Entry]:
    """Return points and notes by item."""
    rows = await db.execute_fetchall(
        "select item, value, note from points where application = :application",
        {"application": application},
    )
    return {item: (value, note) for item, value, note in rows}


async def answers(
    db: aiosqlite.Connection, application: str
) -> dict[str, eligibility.Answer]:
    """Return the answers to the checks of eligibility, by item."""
    rows = await db.execute_fetchall(
        "select item, answer, note from review_check where application = :application",
        {"application": application},
    )
    return {
        item: eligibility.Answer(answer, note)
        for item, answer, note in rows
        if item in eligibility.BY_ITEM
    }


async def work(db: aiosqlite.Connection, application: Application) -> Work:
    """Return what has been entered so far."""
    return Work(
        await entries(db, application.id),
        await answers(db, application.id),
        application.review_note,
    )


async def openers(
    db: aiosqlite.Connection, application: str, now: datetime
) -> tuple[Opener, ...]:
    """Return who has an application open, the first first."""
    rows = await db.execute_fetchall(
        """select staff.id, staff.name, staff.role, review_open.since
        from review_open join staff on staff.id = review_open.staff
        where review_open.application = :application and review_open.since > :after
        order by review_open.since, staff.id""",
        {"application": application, "after": to_ms(now - OPEN_LIFE)},
    )
    return tuple(Opener(id_, name, role, from_ms(at)) for id_, name, role, at in rows)


async def events(db: aiosqlite.Connection, application: str) -> tuple[Event, ...]:
    """Return what staff did about an application, newest first."""
    rows = await db.execute_fetchall(
        """select review_event.at, staff.name, review_event.event,
        review_event.version, review_event.reason
        from review_event join staff on staff.id = review_event.staff
        where review_event.application = :application order by review_event.id desc""",
        {"application": application},
    )
    return tuple(Event(from_ms(at), *rest) for at, *rest in rows)


async def barred_until(
    db: aiosqlite.Connection, vault: Vault, account: str, now: datetime
) -> datetime | None:
    """Return until when somebody may not apply, for not having taken up a place (§11).

    None when nothing is known of it.
    """
    sealed, _birthday = await accounts.sealed_identity(db, account)
    national_id = vault.open(sealed, "account.national_id", account)
    rows = await db.execute_fetchall(
        "select max(until) from bar where lookup = :lookup and until > :now",
        {"lookup": vault.lookup(0, "bar", national_id), "now": to_ms(now)},
    )
    return next((maybe_from_ms(row[0]) for row in rows), None)


# opening


async def begin(
    site: Site, actor: access.Actor, application: str, *, also: bool
) -> Application:
    """Open an application, which its teacher can see afterwards.

    Raises OpenElsewhere where others have it open, unless `also`: then all of them
    are at it, and each sees the others.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        found = await applications.by_id(db, application)
        if found is None or not access.can(actor, "see", found, now):
            raise Absent
        present = await openers(db, application, now)
        others = [one for one in present if one.staff != actor.account]
        if others and not also:
            raise OpenElsewhere(others)
        keys = {"application": application, "staff": actor.account, "now": to_ms(now)}
        await db.execute(
            "delete from review_open where application = :application "
            "and since <= :before",
            keys | {"before": to_ms(now - OPEN_LIFE)},
        )
        await db.execute(
            "insert or replace into review_open values (:application, :staff, :now)",
            keys,
        )
        await _audit(db, now, actor, found, "opened")
    return found


async def end(site: Site, actor: access.Actor, application: str) -> None:
    """Close an application that one had open."""
    async with site.database.writing() as db:
        await db.execute(
            "delete from review_open where application = :application "
            "and staff = :staff",
            {"application": application, "staff": actor.account},
        )


# entering


async def write_points(
    db: aiosqlite.Connection,
    application: Application,
    entries: Mapping[str, Entry],
    now: datetime,
) -> None:
    """Write points of an application, in the transaction of the caller.

    Items that are not named stay as they are. Whoever has the page of the review open
    is told that it has changed. Raises Closed, and Refused for values that the year's
    limits do not allow. Who may do it, and the audit, are the caller's.
    """
    if application.state != "filed" or not access.review_open(application, now):
        raise Closed
    await _write_entries(db, application, entries)
    await db.execute(
        "update application set review_version = review_version + 1 where id = :id",
        {"id": application.id},
    )


async def _write_entries(
    db: aiosqlite.Connection, application: Application, entries: Mapping[str, Entry]
) -> None:
    most = await rounds.limits(db, application.year)
    problems = [
        Problem(item, text)
        for item, (value, note) in entries.items()
        if (text := entry_problem(application, item, value, note, most))
    ]
    if problems:
        raise Refused(*problems)
    await db.executemany(
        "insert into points (application, item, value, note) "
        "values (:application, :item, :value, :note) "
        "on conflict (application, item) do update set value = :value, note = :note",
        [
            {"application": application.id, "item": item, "value": value, "note": note}
            for item, (value, note) in entries.items()
        ],
    )


def entry_problem(
    application: Application,
    item: str,
    value: int,
    note: str,
    most: Mapping[str, int],
) -> str:
    """Return what is wrong with the points of an item; `most` are the year's limits."""
    if item not in items_of(application):
        return _("這位老師沒有這個積分項目")
    limit = most.get(item, HIGHEST)
    if not 0 <= value <= limit:
        return _("積分應在 0 與 %(most)s 之間", most=f"{limit / 100:.2f}")
    if len(note) > LONGEST_NOTE:
        return _("備註至多 %(n)s 個字", n=str(LONGEST_NOTE))
    return ""


@dataclass(slots=True)
class _Review:
    """A save of the review that is under way; `after` is there once it is done."""

    db: aiosqlite.Connection
    before: Application
    now: datetime
    after: Application = field(init=False)

    @property
    def keys(self) -> dict[str, Any]:
        return {"id": self.before.id, "now": to_ms(self.now)}


@asynccontextmanager
async def _reviewing(
    site: Site,
    actor: access.Actor,
    application: str,
    seen: Seen,
    action: access.Action,
    states: Sequence[str] = ("filed",),
) -> AsyncIterator[_Review]:
    """Open a transaction in which the review of an application may be written."""
    async with site.database.writing() as db:
        now = site.clock.now()
        before = await applications.by_id(db, application)
        if before is None or not access.can(actor, "see", before, now):
            raise Absent
        _refuse_closed(actor, action, before, now)
        present = await openers(db, application, now)
        if actor.account not in [one.staff for one in present]:
            raise NotYet
        if before.version != seen.application:
            raise ChangedElsewhere(seen.application, before.version)
        if before.review_version != seen.review:
            raise ChangedElsewhere(seen.review, before.review_version)
        if before.state not in states:
            raise Closed
        review = _Review(db, before, now)
        yield review
        await db.execute(
            "update application set review_version = review_version + 1, "
            "reviewed = version where id = :id",
            review.keys,
        )
        after = await applications.by_id(db, application)
        assert after is not None  # it is being reviewed
        review.after = after
        _refuse_closed(actor, action, before, site.clock.now())


def _refuse_closed(
    actor: access.Actor, action: access.Action, application: Application, now: datetime
) -> None:
    if not access.review_open(application, now):
        raise Closed
    if not access.can(actor, action, application, now):
        raise Absent


async def save(
    site: Site, actor: access.Actor, application: str, seen: Seen, entered: Work
) -> Application:
    """Save what a reviewer has entered; items left empty are forgotten."""
    async with _reviewing(site, actor, application, seen, "review") as review:
        await _write_work(review, entered)
        await _audit(review.db, review.now, actor, review.before, "review-saved")
    return review.after


async def _write_work(review: _Review, entered: Work) -> None:
    keys = {"application": review.before.id}
    await review.db.execute("delete from points where application = :application", keys)
    await _write_entries(review.db, review.before, entered.points)
    await review.db.execute(
        "delete from review_check where application = :application", keys
    )
    await review.db.executemany(
        "insert into review_check values (:application, :item, :answer, :note)",
        [
            keys | {"item": item, "answer": answer.answer, "note": answer.note}
            for item, answer in entered.answers.items()
        ],
    )
    await review.db.execute(
        "update application set review_note = :note where id = :id",
        review.keys | {"note": entered.note},
    )


async def sheet_version(
    db: aiosqlite.Connection, application: Application, digest: str
) -> int | None:
    """Return the version whose digest begins so (lower case); None: no version."""
    rows = await db.execute_fetchall(
        "select version from application_version where application = :application "
        "and substr(digest, 1, length(:digest)) = :digest order by version desc",
        {"application": application.id, "digest": digest},
    )
    return next((row[0] for row in rows), None)


async def note_sheet(
    site: Site, actor: access.Actor, application: str, seen: Seen
) -> None:
    """Note that the sheet of the present version lies before the reviewer."""
    async with _reviewing(site, actor, application, seen, "review") as review:
        await review.db.execute(
            "update application set sheet_checked = version where id = :id",
            review.keys,
        )
        await _audit(review.db, review.now, actor, review.before, "sheet-checked")


# deciding


async def approve(
    site: Site, actor: access.Actor, application: str, seen: Seen, entered: Work
) -> Application:
    """Save what was entered and approve: the application gets its number (電腦編號).

    Raises Refused with all that stands in the way.
    """
    async with _reviewing(site, actor, application, seen, "decide") as review:
        db, before = review.db, review.before
        await _write_work(review, entered)
        barred = await barred_until(db, site.vault, before.account, review.now)
        found = obstacles(before, entered, barred is not None)
        if found:
            raise Refused(*found)
        number = before.number or await _next_number(db, before)
        await db.execute(
            "update application set number = :number where id = :id",
            review.keys | {"number": number},
        )
        await _decide(site, actor, review, "approved", "passed", {"number": number})
    return review.after


def obstacles(
    application: Application, entered: Work, barred: bool
) -> tuple[Problem, ...]:
    """Return what stands in the way of an approval, in the order of the page."""
    found = []
    if application.sheet_checked != application.version:
        text = _("尚未核對第 %(n)s 版個人資料表", n=str(application.version))
        found.append(Problem("code", text))
    found += [
        Problem(item, _("尚未登錄積分"))
        for item in items_of(application)
        if item not in entered.points
    ]
    against = eligibility.obstacles(
        entered.answers, indigenous=bool(application.indigenous), barred=barred
    )
    return (*found, *against)


async def _next_number(db: aiosqlite.Connection, application: Application) -> str:
    """Return the next number of a county and level: 12 for the county, 2, a serial."""
    start = f"{application.county}{LEVEL_DIGITS[application.level]}"
    [[last]] = await db.execute_fetchall(
        "select max(number) from application where year = :year "
        "and substr(number, 1, length(:start)) = :start",
        {"year": application.year, "start": start},
    )
    serial = int(last[len(start) :]) + 1 if last else 1
    if serial > MOST_SERIALS:
        text = _("電腦編號已用完（每縣市每階段別 %(n)s 號）", n=str(MOST_SERIALS))
        raise Refused(Problem("code", text))
    return f"{start}{serial:04d}"


async def send_back(
    site: Site, actor: access.Actor, application: str, seen: Seen, reason: str
) -> Application:
    """Return an application to its teacher for correction (退回補正)."""
    told = {"reason": reason}
    async with _reviewing(site, actor, application, seen, "decide") as review:
        await _decide(site, actor, review, "returned", "returned", told)
    return review.after


async def reject(
    site: Site, actor: access.Actor, application: str, seen: Seen, reason: str
) -> Application:
    """Reject an application for good (駁回)."""
    told = {"reason": reason}
    async with _reviewing(site, actor, application, seen, "decide") as review:
        await _decide(site, actor, review, "rejected", "rejected", told)
    return review.after


async def undo(
    site: Site, actor: access.Actor, application: str, seen: Seen, reason: str
) -> Application:
    """Take a decision back: filed as before, to be decided again; the number stays."""
    async with _reviewing(
        site, actor, application, seen, "decide", states=UNDONE
    ) as review:
        if not review.before.wishes:
            text = _("老師的志願清單目前是空的，不能撤銷退回")
            raise Refused(Problem("undo-reason", text))
        await _decide(site, actor, review, "filed", "reopened", {}, reason)
    return review.after


async def _decide(
    site: Site,
    actor: access.Actor,
    review: _Review,
    state: str,
    notice: str,
    facts: dict[str, Any],
    reason: str = "",
) -> None:
    """Write a decision, tell the applicant, and close the record for everybody."""
    db, before = review.db, review.before
    told, reason = str(facts.get("reason", "")), str(facts.get("reason", reason))
    await db.execute(
        "update application set state = :state, reason = :reason where id = :id",
        review.keys | {"state": state, "reason": told},
    )
    await db.execute("delete from review_open where application = :id", review.keys)
    at = before.review_version + 1  # of this save: each decision is told, once
    await applications.tell(
        db, site, before, notice, at, facts, review.now, by_staff=True
    )
    event = state if notice != "reopened" else "review-undone"
    await note(db, review.now, actor, before, event, reason)


async def note(
    db: aiosqlite.Connection,
    now: datetime,
    actor: access.Actor,
    application: Application,
    event: str,
    reason: str = "",
) -> None:
    """Note what staff did about an application: with the reason in the record, and
    without it in the audit, which holds nothing that a person wrote.
    """
    await db.execute(
        "insert into review_event (application, at, staff, event, version, reason) "
        "values (:application, :now, :staff, :event, :version, :reason)",
        {
            "application": application.id,
            "now": to_ms(now),
            "staff": actor.account,
            "event": event,
            "version": application.version,
            "reason": reason,
        },
    )
    await _audit(db, now, actor, application, event)


async def _audit(
    db: aiosqlite.Connection,
    now: datetime,
    actor: access.Actor,
    application: Application,
    event: str,
) -> None:
    detail = {"version": application.version, "review": application.review_version}
    await audit.add(
        db, now, actor.account, event, application.id, application.county, detail
    )
