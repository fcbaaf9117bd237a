"""Applications: each save is one transaction that keeps every version for good.

A save names the version it was made from. When the stored one is newer, another window
has saved in between: `ChangedElsewhere`, and nothing is overwritten. The time to fill
in is compared inside the transaction, once before and once after the writing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiosqlite

from jiepin.web import access
from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.language import _, current
from jiepin.web.problems import Problem, Problems
from jiepin.web.site import Site
from jiepin.web.store import audit, notices, outbox, schools

NOTICES, PASSWORD, PERSON, APPOINTMENT, WISHES, STATUS = range(1, 7)


class NotSaved(Exception):
    """A save that changed nothing."""


class Closed(NotSaved):
    """The time to fill in is over, not yet come, or the application is approved."""


class Absent(NotSaved):
    """There is no such application for this actor."""


class NotYet(NotSaved):
    """An earlier step has to be done first."""


class ChangedElsewhere(NotSaved):
    """Another window has saved since this page was loaded."""

    def __init__(self, seen: int, found: int) -> None:
        self.seen, self.found = seen, found
        super().__init__(f"version {seen} was changed; found version {found}")


class Refused(NotSaved):
    """What was sent does not hold against the round; `problems` says why."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = Problems(problems)
        super().__init__(f"{len(problems)} problems")


class BadWishes(Refused):
    """The counties or the list of wishes do not hold."""


@dataclass(frozen=True, slots=True)
class Application:
    """One teacher's application, with what is shown beside it."""

    id: str
    account: str
    year: int
    level: str
    county: str
    version: int
    step: int
    state: str
    saved: datetime
    digest: str
    notices_version: int | None
    notices_at: datetime | None
    name: str
    phone1: str
    phone2: str
    email: str
    email_confirmed: datetime | None
    indigenous: bool | None
    area: str | None
    service_years: int | None
    school: str | None
    subjects: tuple[str, ...]
    counties: tuple[str, ...]
    wishes: tuple[str, ...]
    wishes_saved: datetime | None
    filed: datetime | None
    number: str | None
    reason: str
    sex: str
    card_name: str
    card_name_certain: bool
    has_password: bool
    fill_opens: datetime | None
    fill_closes: datetime | None
    review_opens: datetime | None
    review_closes: datetime | None
    notice_opens: datetime | None
    notice_closes: datetime | None
    frozen: datetime | None
    correcting: datetime | None
    review_version: int
    reviewed: int | None
    sheet_checked: int | None
    review_note: str
    language: str
    county_name: str
    county_name_en: str
    school_name: str
    school_township: str


@dataclass(frozen=True, slots=True)
class Person:
    """Step 3: what the teacher writes about himself; the e-mail waits for its code."""

    name: str
    phone1: str
    phone2: str


@dataclass(frozen=True, slots=True)
class Appointment:
    """Step 4. `subjects` are two or three codes at most, the first the home subject."""

    indigenous: bool | None
    area: str
    service_years: int
    school: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """An application as it was saved once."""

    version: int
    saved: datetime
    event: str
    digest: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What the round decided; no school: not placed.

    `note`: dropped-out, void, or kept when somebody dropped out afterwards.
    """

    stage: str
    school: str | None
    subject: str | None
    choice: int | None
    note: str = ""


async def by_id(db: aiosqlite.Connection, application: str) -> Application | None:
    """Return an application."""
    rows = await db.execute_fetchall(
        "select * from application_whole where id = :id", {"id": application}
    )
    return next((from_row(row) for row in rows), None)


async def of_account(db: aiosqlite.Connection, account: str) -> Application | None:
    """Return the application of an account."""
    rows = await db.execute_fetchall(
        "select * from application_whole where account = :account",
        {"account": account},
    )
    return next((from_row(row) for row in rows), None)


async def of_county(db: aiosqlite.Connection, county: str) -> list[Application]:
    """Return the applications from a county in the newest year, school by school."""
    rows = await db.execute_fetchall(
        "select * from application_whole where county = :county "
        "and year = (select max(year) from round) order by level, school, id",
        {"county": county},
    )
    return [from_row(row) for row in rows]


async def create(
    db: aiosqlite.Connection, id_: str, account: str, now: datetime
) -> None:
    """Start the application of a new account."""
    await db.execute(
        """insert into application (id, account, year, level, county, saved)
        select :id, id, year, level, county, :now from account where id = :account""",
        {"id": id_, "account": account, "now": to_ms(now)},
    )


async def agree_to_notices(
    site: Site, actor: access.Actor, seen: int, notices_version: int
) -> Application:
    """Save step 1: which text was agreed to, and when."""
    async with _saving(site, actor, seen, NOTICES, "notices") as save:
        await save.db.execute(
            "update application set notices_version = :text, notices_at = :now, "
            "step = max(step, 2) where id = :id",
            {"text": notices_version, **save.keys},
        )
    return save.saved


async def save_password(
    site: Site,
    actor: access.Actor,
    seen: int,
    password: str,
    hint: str,
) -> Application:
    """Save step 2: the hash of the first password, and the hint sealed.

    Where there is one already, that one stays: `accounts.change_password`.
    """
    async with _saving(site, actor, seen, PASSWORD, "password") as save:
        sealed = site.vault.seal(hint, "account.hint", actor.account) if hint else None
        done = await save.db.execute(
            "update account set password = :password, hint = :hint "
            "where id = :account and password is null",
            {"password": password, "hint": sealed, "account": actor.account},
        )
        if done.rowcount == 0:
            raise ChangedElsewhere(seen, save.before.version)
        await save.db.execute(
            "update application set step = max(step, 3) where id = :id", save.keys
        )
    return save.saved


async def save_person(
    site: Site, actor: access.Actor, seen: int, person: Person
) -> Application:
    """Save step 3, without the e-mail; step 4 opens once that is confirmed."""
    async with _saving(site, actor, seen, PERSON, "person") as save:
        await save.db.execute(
            """update application set name = :name, phone1 = :phone1, phone2 = :phone2,
            step = max(step, case when email_confirmed is null then 3 else 4 end)
            where id = :id""",
            {
                "name": person.name,
                "phone1": person.phone1,
                "phone2": person.phone2,
                **save.keys,
            },
        )
    return save.saved


async def confirm_email(
    site: Site, actor: access.Actor, seen: int, email: str, device: bytes | None = None
) -> Application:
    """Save the e-mail whose code came back; the computer is confirmed with it.

    The address that was confirmed before is told.
    """
    async with _saving(site, actor, seen, PERSON, "email") as save:
        if save.before.email not in ("", email):
            await _warn(site, save, "email-changed")
        await save.db.execute(
            "update application set email = :email, email_confirmed = :now, "
            "step = max(step, 4) where id = :id",
            {"email": email, **save.keys},
        )
        keys = save.keys | {"account": actor.account, "device": device}
        await save.db.execute("delete from mail_code where account = :account", keys)
        await save.db.execute(
            "update device set confirmed = :now "
            "where account = :account and device = :device",
            keys,
        )
    return save.saved


async def save_appointment(
    site: Site, actor: access.Actor, seen: int, appointment: Appointment
) -> Application:
    """Save step 4; raises Refused for a school or subject of another level."""
    async with _saving(site, actor, seen, APPOINTMENT, "appointment") as save:
        await _check_appointment(save.db, save.before, appointment)
        subjects = (*appointment.subjects, None, None)
        await save.db.execute(
            """update application set indigenous = :indigenous, area = :area,
            service_years = :years, school = :school, subject1 = :subject1,
            subject2 = :subject2, subject3 = :subject3, step = max(step, 5)
            where id = :id""",
            {
                "indigenous": appointment.indigenous,
                "area": appointment.area,
                "years": appointment.service_years,
                "school": appointment.school,
                "subject1": subjects[0],
                "subject2": subjects[1],
                "subject3": subjects[2],
                **save.keys,
            },
        )
    return save.saved


async def _check_appointment(
    db: aiosqlite.Connection, application: Application, appointment: Appointment
) -> None:
    known = await schools.subjects(db, application.level)
    school = (await schools.by_codes(db, [appointment.school])).get(appointment.school)
    areas = await schools.areas(db)
    problems = []
    if school is None or school.level != application.level:
        problems.append(Problem("school", _("請選擇現任服務學校")))
    elif school.county != application.county:
        problems.append(Problem("school", _("現任服務學校須為名冊所載縣市之學校")))
    if appointment.area not in areas:
        problems.append(Problem("area", _("請選擇教師證任教地區限制")))
    if not appointment.subjects or not set(appointment.subjects) <= known.keys():
        problems.append(Problem("subject1", _("請選擇本階段別的科(類)別")))
    if problems:
        raise Refused(*problems)


async def change_counties(
    site: Site, actor: access.Actor, seen: int, counties: Sequence[str]
) -> tuple[Application, tuple[str, ...]]:
    """Save the wish counties (甲, 乙); returns the school codes that this dropped.

    Raises BadWishes. A filed application whose list becomes empty is open again.
    """
    async with _saving(site, actor, seen, WISHES, "counties") as save:
        before = save.before
        await _check_counties(save.db, before, counties)
        found = await schools.by_codes(save.db, before.wishes)
        kept = [code for code in before.wishes if found[code].county in counties]
        await _write_wishes(save.db, before.id, kept)
        first, second = (*counties, None)[:2]
        await save.db.execute(
            "update application set county1 = :first, county2 = :second where id = :id",
            {"first": first, "second": second, **save.keys},
        )
    dropped = tuple(code for code in before.wishes if code not in set(kept))
    return save.saved, dropped


async def _check_counties(
    db: aiosqlite.Connection, application: Application, counties: Sequence[str]
) -> None:
    settings = await schools.the_round(db)
    known = await schools.taking_part(db, settings.year)
    if not counties:
        raise BadWishes(Problem("county1", _("請至少選擇一個志願縣市")))
    if len(counties) > settings.max_counties > 0:
        raise BadWishes(
            Problem("county2", _("志願縣市至多 %(n)s 個", n=str(settings.max_counties)))
        )
    if len(set(counties)) < len(counties):
        raise BadWishes(Problem("county2", _("甲、乙志願縣市不可相同")))
    if not set(counties) <= known.keys():
        raise BadWishes(Problem("county1", _("請從清單選擇志願縣市")))
    if application.county in counties:
        raise BadWishes(Problem("county1", _("志願縣市不可為現任服務學校所在縣市")))


async def save_wishes(
    site: Site, actor: access.Actor, seen: int, wishes: Sequence[str]
) -> Application:
    """Save the list of school codes, first choice first.

    What is filed stays filed, unless its list becomes empty. A receipt with the list
    goes out by mail. Raises BadWishes.
    """
    async with _saving(site, actor, seen, WISHES, "wishes-saved") as save:
        await _check_wishes(save.db, save.before, wishes)
        await _write_wishes(save.db, save.before.id, wishes)
        await save.db.execute(
            "update application set wishes_saved = :now where id = :id", save.keys
        )
        save.receipt = True
    return save.saved


async def file(site: Site, actor: access.Actor, seen: int) -> Application:
    """File the application as it is saved (完成申請); step 6 opens.

    The list is checked once more: schools may have been taken off since it was saved,
    and the present school may have changed. A receipt goes out by mail. Raises
    BadWishes.
    """
    async with _saving(site, actor, seen, WISHES, "filed") as save:
        wishes = save.before.wishes
        require_wishes(wishes)
        await _check_wishes(save.db, save.before, wishes)
        await save.db.execute(
            "update application set state = 'filed', filed = :now, step = 6 "
            "where id = :id",
            save.keys,
        )
        save.receipt = True
    return save.saved


def require_wishes(wishes: Sequence[str]) -> None:
    """Raise BadWishes for an empty list, with which nothing can be filed."""
    if not wishes:
        raise BadWishes(Problem("wishes", _("請至少選擇一所志願學校")))


async def _check_wishes(
    db: aiosqlite.Connection, application: Application, wishes: Sequence[str]
) -> None:
    settings = await schools.the_round(db)
    found = await schools.by_codes(db, wishes)
    problems = [
        Problem("wishes", text)
        for code in wishes
        if (text := wish_problem(application, found.get(code)))
    ]
    if len(set(wishes)) < len(wishes):
        problems.append(Problem("wishes", _("同一所學校只能填一次")))
    if 0 < settings.max_choices < len(wishes):
        limit = str(settings.max_choices)
        problems.append(Problem("wishes", _("志願學校至多 %(n)s 所", n=limit)))
    if problems:
        raise BadWishes(*problems)


def wish_problem(application: Application, school: schools.School | None) -> str:
    if school is None:
        return _("清單中有不存在的學校，請重新載入本頁")
    if not school.open:
        return _("%(school)s 已由縣市自介聘學校名單移除，請刪除", school=school.name)
    if school.level != application.level or school.county not in application.counties:
        return _("%(school)s 不屬於您的志願縣市或階段別", school=school.name)
    if school.code == application.school:
        return _("%(school)s 為您的現任服務學校", school=school.name)
    return ""


async def _write_wishes(
    db: aiosqlite.Connection, application: str, wishes: Sequence[str]
) -> None:
    """Write the list; what is filed is open again when nothing is left in it."""
    await db.execute(
        "delete from wish where application = :application",
        {"application": application},
    )
    await db.execute(
        "insert into wish (application, place, school) "
        "select :application, key + 1, value from json_each(:wishes)",
        {"application": application, "wishes": json.dumps(list(wishes))},
    )
    if not wishes:
        await db.execute(
            """update application set step = 5,
            state = case state when 'filed' then 'filling' else state end
            where id = :application""",
            {"application": application},
        )


@dataclass(slots=True)
class _Save:
    """A save that is under way; `saved` is there once it is done."""

    db: aiosqlite.Connection
    before: Application
    now: datetime
    receipt: bool = False
    saved: Application = field(init=False)

    @property
    def keys(self) -> dict[str, Any]:
        return {"id": self.before.id, "now": to_ms(self.now)}


@asynccontextmanager
async def _saving(
    site: Site, actor: access.Actor, seen: int, step: int, event: str
) -> AsyncIterator[_Save]:
    """Open a transaction in which one step of an application may be written."""
    async with site.database.writing(quick=True) as db:
        now = site.clock.now()
        before = await of_account(db, actor.account)
        if before is None or not access.can(actor, "see", before, now):
            raise Absent
        _refuse_closed(site, actor, before)
        if before.version != seen:
            raise ChangedElsewhere(seen, before.version)
        if before.step < step:
            raise NotYet
        save = _Save(db, before, now)
        yield save
        save.saved = await _keep_version(save, actor, event)
        if save.receipt:
            await _add_receipt(site, save, event)
        _refuse_closed(site, actor, before)


async def _warn(site: Site, save: _Save, event: str) -> None:
    """Tell the address as it was before that what guards the account has changed."""
    at = to_ms(save.now)
    await tell(save.db, site, save.before, event, at, {}, save.now)


def _refuse_closed(site: Site, actor: access.Actor, application: Application) -> None:
    if not access.can(actor, "edit", application, site.clock.now()):
        raise Closed


async def _keep_version(save: _Save, actor: access.Actor, event: str) -> Application:
    """Raise the version, keep what it holds, and note it in the audit."""
    keys = save.keys | {"seen": save.before.version}
    await save.db.execute(
        "update application set version = version + 1, saved = :now, "
        "language = :language where id = :id and version = :seen",
        keys | {"language": current()},
    )
    saved = await of_account(save.db, save.before.account)
    assert saved is not None  # it is being saved
    text = audit.canonical(content(saved))
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    keys |= {"version": saved.version, "event": event, "digest": digest, "text": text}
    await save.db.execute(
        "insert into application_version "
        "values (:id, :version, :now, :event, :digest, :text)",
        keys,
    )
    await save.db.execute(
        "update application set digest = :digest where id = :id", keys
    )
    await audit.add(
        save.db,
        save.now,
        actor.account,
        event,
        saved.id,
        saved.county,
        {"version": saved.version, "digest": digest},
    )
    again = await of_account(save.db, save.before.account)
    assert again is not None
    return again


async def _add_receipt(site: Site, save: _Save, event: str) -> None:
    saved = save.saved
    found = await schools.by_codes(save.db, saved.wishes)
    counties = await schools.counties(save.db)
    wishes = [
        [place, found[code].name, found[code].marks, counties[found[code].county].name]
        for place, code in enumerate(saved.wishes, 1)
    ]
    payload = {
        "version": saved.version,
        "saved": saved.saved.isoformat(),
        "digest": saved.digest,
        "wishes": wishes,
        "filed": saved.state != "filling",
    }
    await tell(save.db, site, saved, event, saved.version, payload, save.now)


async def tell(
    db: aiosqlite.Connection,
    site: Site,
    application: Application,
    event: str,
    version: int,
    payload: dict[str, Any],
    now: datetime,
    *,
    by_staff: bool = False,
) -> None:
    """Put notices for the applicant into the outbox, once per event and version.

    A mail goes to `to` of the payload or else to the confirmed address; LINE, where it
    is linked, is told that something happened, never what. What staff did is told in
    the language that the applicant saved in last.
    """
    language = application.language if by_staff else current()
    common = {
        "to": application.email,
        "language": language,
        "name": application.name or application.card_name,
        "level": application.level,
        "year": application.year,
    }
    letter = common | payload
    for channel in await notices.channels(db, application.id, event):
        if channel == "mail" and not letter["to"]:
            continue
        message = outbox.Message(
            channel,
            event,
            application.id,
            application.county,
            version,
            letter if channel == "mail" else {"language": language},
        )
        await outbox.add(db, site.vault, message, now)


def content(application: Application) -> dict[str, Any]:
    """Return what a version holds: all that was filled in, and no sealed value."""
    return {
        "application": application.id,
        "version": application.version,
        "year": application.year,
        "level": application.level,
        "county": application.county,
        "notices_version": application.notices_version,
        "name": application.name,
        "phone1": application.phone1,
        "phone2": application.phone2,
        "email": application.email,
        "indigenous": application.indigenous,
        "area": application.area,
        "service_years": application.service_years,
        "school": application.school,
        "subjects": list(application.subjects),
        "counties": list(application.counties),
        "wishes": list(application.wishes),
        "state": application.state,
    }


async def versions(db: aiosqlite.Connection, application: str) -> tuple[Version, ...]:
    """Return every version that was saved, oldest first."""
    rows = await db.execute_fetchall(
        "select version, saved, event, digest, content from application_version "
        "where application = :application order by version",
        {"application": application},
    )
    return tuple(
        Version(version, from_ms(saved), event, digest, json.loads(text))
        for version, saved, event, digest, text in rows
    )


async def points(db: aiosqlite.Connection, application: str) -> dict[str, int]:
    """Return the points by item, hundredths; empty before the review."""
    rows = await db.execute_fetchall(
        "select item, value from points where application = :application",
        {"application": application},
    )
    return {row["item"]: row["value"] for row in rows}


async def own_points(
    db: aiosqlite.Connection, application: Application, now: datetime
) -> dict[str, int] | None:
    """Return the points as the applicant sees them, None before they are announced.

    Where no time is set for that, they show as the county enters them.
    """
    opens = application.notice_opens
    if opens is not None and now < opens:
        return None
    return await points(db, application.id)


async def result(
    db: aiosqlite.Connection, application: Application, now: datetime
) -> Result | None:
    """Return the result, None before it is published."""
    rows = await db.execute_fetchall(
        """select stage, school, subject, choice, note from result
        where application = :id and run = (select run from publication
            where year = :year and retracted is null and publish_at <= :now
            order by publish_at desc, id desc limit 1)""",
        {"id": application.id, "year": application.year, "now": to_ms(now)},
    )
    return next((Result(*row) for row in rows), None)


_MOMENTS = (
    "notices_at",
    "email_confirmed",
    "wishes_saved",
    "filed",
    "fill_opens",
    "fill_closes",
    "review_opens",
    "review_closes",
    "notice_opens",
    "notice_closes",
    "frozen",
    "correcting",
)


def from_row(row: aiosqlite.Row) -> Application:
    """Read a row of the view application_whole."""
    fields = {name: row[name] for name in row.keys() if name in _PLAIN}  # noqa: SIM118
    fields |= {name: maybe_from_ms(row[name]) for name in _MOMENTS}
    subjects = (row["subject1"], row["subject2"], row["subject3"])
    return Application(
        **fields,
        saved=from_ms(row["saved"]),
        indigenous=None if row["indigenous"] is None else bool(row["indigenous"]),
        subjects=tuple(code for code in subjects if code),
        counties=tuple(code for code in (row["county1"], row["county2"]) if code),
        wishes=tuple(json.loads(row["wishes"])),
        card_name_certain=bool(row["card_name_certain"]),
        has_password=bool(row["has_password"]),
    )


_PLAIN = (
    set(Application.__slots__)
    - set(_MOMENTS)
    - {"saved", "indigenous", "subjects", "counties", "wishes"}
    - {"card_name_certain", "has_password"}
)
