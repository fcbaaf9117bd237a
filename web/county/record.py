"""One application as the review desk shows it, made from what the store gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, accounts
from jiepin.web.clock import date_text, moment_text
from jiepin.web.county import differences, eligibility
from jiepin.web.county.review_forms import points_text
from jiepin.web.documents.sheet import short_digest
from jiepin.web.language import _, current, mark, said
from jiepin.web.notify.texts import EVENTS
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague
from jiepin.web.staff.menu import ROLE_NAMES
from jiepin.web.store import accounts as store
from jiepin.web.store import applications, held, outbox, review, rounds, schools
from jiepin.web.store.applications import Application, Version
from jiepin.web.store.held import Held
from jiepin.web.store.review import Entry, Opener
from jiepin.web.teacher.notify import CHANNELS
from jiepin.web.teacher.notify import STATES as DELIVERY_STATES
from jiepin.web.teacher.status import (
    SEXES,
    STATES,
    Facts,
    Names,
    Wish,
    appointment_facts,
    home_school,
    item_labels,
    subject_facts,
    total_lines,
)

FIELDS = {
    "name": mark("姓名"),
    "phone1": mark("聯絡電話1"),
    "phone2": mark("聯絡電話2"),
    "email": mark("電子郵件"),
    "indigenous": mark("原住民族身分之教師單調（原民調）"),
    "area": mark("教師證任教地區限制"),
    "service_years": mark("服務年資"),
    "school": mark("服務學校"),
    "subjects": mark("申請應聘科(類)別"),
    "counties": mark("志願縣市"),
}
EVENT_NAMES = {
    "approved": mark("審核通過"),
    "returned": mark("退回補正"),
    "rejected": mark("駁回"),
    "review-undone": mark("撤銷審核決定"),
    "unlocked": mark("解除登入鎖定"),
    "reset-sent": mark("寄送密碼重設信件"),
    "sessions-ended": mark("登出所有裝置"),
    "computer-forgotten": mark("移除電腦"),
}
NO_PROBLEMS = Problems()


@dataclass(frozen=True, slots=True)
class Changed:
    """A field that the teacher has changed since, as texts."""

    label: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What has changed from an earlier version to the present one."""

    base: int
    fields: Sequence[Changed]
    wishes: Sequence[str]


@dataclass(frozen=True, slots=True)
class PointsRow:
    """One item of the points form; `limit` is the most it may give, in hundredths."""

    item: str
    label: str
    value: str
    note: str
    limit: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check of eligibility; `optional`: it may not apply."""

    item: str
    article: str
    question: str
    optional: bool
    answer: str
    note: str
    hints: Sequence[str]


@dataclass(frozen=True, slots=True)
class EventRow:
    at: str
    name: str
    what: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    at: str
    what: str
    channel: str
    state: str


@dataclass(frozen=True, slots=True)
class Computer:
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Help:
    """How the teacher signs in, and what may be done about it."""

    facts: Facts
    computers: Sequence[Computer]
    can_mail: bool


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One application at the review desk.

    opened    the colleague has it open: all data are shown
    others    who else has it open, as texts
    """

    id: str
    name: str
    version: int
    review: int
    state: str
    state_text: str
    reason: str
    summary: Facts
    others: Sequence[str]
    opened: bool
    may_review: bool
    may_decide: bool
    may_undo: bool
    may_help: bool
    indigenous: bool
    facts: Facts
    wishes: Sequence[Wish]
    versions: Sequence[tuple[int, str]]
    difference: Difference | None
    sheet: str
    code: str
    points: Sequence[PointsRow]
    totals: Facts
    checks: Sequence[CheckRow]
    review_note: str
    events: Sequence[EventRow]
    deliveries: Sequence[DeliveryRow]
    help: Help
    typed: Mapping[str, str]
    problems: Problems

    @property
    def point_names(self) -> Mapping[str, str]:
        """What the fields of points are called: their problems do not say."""
        return {row.item: row.label for row in self.points}


@dataclass(frozen=True, slots=True)
class _Read:
    """Everything that the store gave for the page."""

    application: Application
    names: Names
    homes: Mapping[str, schools.School]
    openers: Sequence[Opener]
    versions: Sequence[Version]
    work: review.Work
    limits: Mapping[str, int]
    barred: datetime | None
    events: Sequence[review.Event]
    deliveries: Sequence[outbox.Delivery]
    held: Held
    locked: datetime | None


async def show(
    request: Request,
    application: Application,
    typed: Mapping[str, str] | None = None,
    problems: Problems = NO_PROBLEMS,
    refusal: int = 422,
) -> Response:
    """Answer with the record; what was typed and could not be saved is kept.

    `refusal` is the status of an answer with problems.
    """
    site: Site = request.app.state.site
    colleague: Colleague = request.state.colleague
    identity = await accounts.identity(site, application.account)
    async with site.database.reading() as db:
        read = await _read(db, site, application)
    base = _base(request.query_params.get("compare", ""), application)
    page = _page(site.clock.now(), colleague, read, identity, base, typed, problems)
    status = refusal if problems else 200
    return await render(request, "city/record.html", page, status)


def conflicts(
    application: Application, entered: review.Work, stored: review.Work
) -> tuple[Problem, ...]:
    """Say at each field what is stored there, where something else was entered."""
    points = [
        Problem(item, _now_stored(_points_stored(stored.points.get(item))))
        for item in review.items_of(application)
        if entered.points.get(item) != stored.points.get(item)
    ]
    answers = [
        Problem(f"check-{item}", _now_stored(_answer_stored(stored.answers.get(item))))
        for item in eligibility.BY_ITEM
        if entered.answers.get(item) != stored.answers.get(item)
    ]
    note = stored.note or _("無")
    notes = [Problem("review-note", _now_stored(note))]
    return (*points, *answers, *(notes if entered.note != stored.note else ()))


def _now_stored(value: str) -> str:
    return _("目前儲存：%(value)s", value=value)


def _points_stored(entry: Entry | None) -> str:
    if entry is None:
        return _("無")
    value, note = entry
    return f"{points_text(value)} {note}".strip()


def _answer_stored(given: eligibility.Answer | None) -> str:
    if given is None:
        return _("無")
    return f"{said(eligibility.ANSWER_NAMES[given.answer])} {given.note}".strip()


async def _read(
    db: aiosqlite.Connection, site: Site, application: Application
) -> _Read:
    now = site.clock.now()
    versions = await applications.versions(db, application.id)
    every = {code for one in versions for code in one.content["wishes"]}
    homes = {one.content["school"] for one in versions if one.content["school"]}
    return _Read(
        application=application,
        names=await Names.read(db, application),
        homes=await schools.by_codes(db, sorted(every | homes)),
        openers=await review.openers(db, application.id, now),
        versions=versions,
        work=await review.work(db, application),
        limits=await rounds.limits(db, application.year),
        barred=await review.barred_until(db, site.vault, application.account, now),
        events=await review.events(db, application.id),
        deliveries=await outbox.log(db, application.id),
        held=await held.of_account(db, application.account),
        locked=await store.locked_until(db, application.account, now),
    )


def _base(asked: str, application: Application) -> int | None:
    """Return the version to compare with: the one asked for, or that last reviewed."""
    if asked.isascii() and asked.isdigit():
        return int(asked[:9])
    return application.reviewed


def _page(
    now: datetime,
    colleague: Colleague,
    read: _Read,
    identity: tuple[str, str],
    base: int | None,
    typed: Mapping[str, str] | None,
    problems: Problems,
) -> RecordPage:
    application, actor = read.application, colleague.actor
    mine = [one for one in read.openers if one.staff == actor.account]
    may_decide = access.can(actor, "decide", application, now)
    filed = application.state == "filed"
    return RecordPage(
        id=application.id,
        name=application.name or application.card_name,
        version=application.version,
        review=application.review_version,
        state=application.state,
        state_text=said(STATES[application.state]),
        reason=application.reason,
        summary=_summary(application),
        others=[opener_text(one) for one in read.openers if one not in mine],
        opened=bool(mine),
        may_review=filed and access.can(actor, "review", application, now),
        may_decide=filed and may_decide,
        may_undo=application.state in review.UNDONE and may_decide,
        may_help=access.can(actor, "unlock", application, now),
        indigenous=bool(application.indigenous),
        facts=_facts(application, read.names, identity),
        wishes=read.names.wishes(application),
        versions=_versions(read.versions, application.version),
        difference=_difference(read, base),
        sheet=_sheet_text(application),
        code=(typed or {}).get("code", ""),
        points=_points(read, typed),
        totals=_totals(read),
        checks=_checks(read, typed),
        review_note=(typed or {}).get("review-note", read.work.note),
        events=[_event(one) for one in read.events],
        deliveries=[delivery_row(one) for one in read.deliveries],
        help=_help(application, read.held, read.locked),
        typed=typed or {},
        problems=problems,
    )


def opener_text(one: Opener) -> str:
    """Say who has a record open, and since when."""
    return _(
        "%(name)s（%(role)s）自 %(since)s 起開啟中",
        name=one.name,
        role=said(ROLE_NAMES[one.role]),
        since=moment_text(one.since, current()),
    )


def _summary(application: Application) -> Facts:
    saved = moment_text(application.saved, current(), seconds=True)
    version = _("第 %(n)s 版（%(at)s 儲存）", n=str(application.version), at=saved)
    school = home_school(application) if application.school else _("(尚未填寫)")
    return (
        (_("電腦編號"), application.number or _("(待審)")),
        (_("階段別"), said(LEVEL_NAMES[application.level])),
        (_("服務學校"), school),
        (_("版本"), version),
        (_("校驗碼"), short_digest(application.digest)),
    )


def _facts(application: Application, names: Names, identity: tuple[str, str]) -> Facts:
    """Return all data of an application, also of one that is not yet complete."""
    national_id, birthday = identity
    return (
        (_("姓名"), application.name),
        (_("身分證統一編號"), national_id),
        (_("性別"), said(SEXES.get(application.sex, "—"))),
        (_("生日"), date_text(date.fromisoformat(birthday), current())),
        (_("聯絡電話1"), application.phone1),
        (_("聯絡電話2"), application.phone2 or _("無")),
        (_("電子郵件"), application.email),
        *(appointment_facts(application, names) if application.area else ()),
        *subject_facts(application, names),
    )


def _versions(versions: Sequence[Version], present: int) -> tuple[tuple[int, str], ...]:
    return tuple(
        (
            one.version,
            _(
                "第 %(n)s 版（%(at)s）",
                n=str(one.version),
                at=moment_text(one.saved, current(), seconds=True),
            ),
        )
        for one in versions
        if one.version < present
    )


def _difference(read: _Read, base: int | None) -> Difference | None:
    """Return what has changed since a version, None where nothing is to be told."""
    kept = {one.version: one.content for one in read.versions}
    if base is None or base not in kept or base >= read.application.version:
        return None
    before, now = kept[base], applications.content(read.application)
    wishes = differences.wish_changes(before["wishes"], now["wishes"])
    return Difference(
        base,
        [
            Changed(
                said(FIELDS[change.field]),
                _value(read, change.field, change.before),
                _value(read, change.field, change.now),
            )
            for change in differences.changes(before, now)
        ],
        _wish_lines(read, wishes),
    )


def _value(read: _Read, field: str, value: Any) -> str:
    if value is None or value in ("", []):
        return _("無")
    match field:
        case "indigenous":
            return _("是") if value else _("否")
        case "area":
            return read.names.area(value)
        case "school":
            return _school_name(read, value)
        case "subjects":
            return _("、").join(read.names.subject(code) for code in value)
        case "counties":
            return _("、").join(read.names.county(code) for code in value)
    return str(value)


def _school_name(read: _Read, code: str) -> str:
    return read.homes[code].name if code in read.homes else code


def _wish_lines(read: _Read, changed: differences.WishChanges) -> list[str]:
    added = [
        _("新增第 %(n)s 志願：%(school)s", n=str(n), school=_school_name(read, code))
        for n, code in changed.added
    ]
    removed = [
        _("刪除原第 %(n)s 志願：%(school)s", n=str(n), school=_school_name(read, code))
        for n, code in changed.removed
    ]
    moved = [
        _(
            "移動：%(school)s，原第 %(old)s 志願改為第 %(new)s 志願",
            school=_school_name(read, code),
            old=str(old),
            new=str(new),
        )
        for old, new, code in changed.moved
    ]
    return [*removed, *added, *moved]


def _sheet_text(application: Application) -> str:
    """Say whether the sheet of the present version has been seen."""
    checked = application.sheet_checked
    if checked is None:
        return ""
    if checked == application.version:
        return _("已核對：個人資料表為目前的第 %(n)s 版", n=str(checked))
    return _(
        "曾核對第 %(old)s 版；申請資料已改為第 %(n)s 版，請重新核對",
        old=str(checked),
        n=str(application.version),
    )


def _points(read: _Read, typed: Mapping[str, str] | None) -> tuple[PointsRow, ...]:
    return tuple(
        PointsRow(
            item,
            label,
            *_entry(read.work.points.get(item), item, typed),
            limit=points_text(read.limits[item]) if item in read.limits else "",
        )
        for item, label in item_labels(read.application, read.names).items()
    )


def _entry(
    entry: Entry | None, item: str, typed: Mapping[str, str] | None
) -> tuple[str, str]:
    if typed and item in typed:
        return typed[item], typed.get(f"note-{item}", "")
    return (points_text(entry[0]), entry[1]) if entry else ("", "")


def _totals(read: _Read) -> Facts:
    values = {item: value for item, (value, _note) in read.work.points.items()}
    return total_lines(read.application, read.names, values)


def _checks(read: _Read, typed: Mapping[str, str] | None) -> tuple[CheckRow, ...]:
    return tuple(_check(read, check, typed) for check in eligibility.CHECKS)


def _check(
    read: _Read, check: eligibility.Check, typed: Mapping[str, str] | None
) -> CheckRow:
    given = read.work.answers.get(check.item, eligibility.Answer(""))
    if typed and f"note-{check.item}" in typed:
        answer = typed.get(f"check-{check.item}", "")
        given = eligibility.Answer(answer, typed[f"note-{check.item}"])
    return CheckRow(
        check.item,
        said(check.article),
        said(check.question),
        check.optional,
        given.answer,
        given.note,
        _hints(read, check.item),
    )


def _hints(read: _Read, item: str) -> list[str]:
    """Return what the site itself knows of a check."""
    application = read.application
    if item == eligibility.SIX_SEMESTERS:
        years = str(application.service_years)
        return [_("所填服務年資：%(n)s 年", n=years)]
    if item == "subjects":
        subjects = [read.names.subject(code) for code in application.subjects]
        return [_("、").join(subjects)]
    if item == "indigenous":
        asked = _("已申請原民調") if application.indigenous else _("未申請原民調")
        return [asked]
    if item == "no-bar":
        return [_bar_hint(read.barred)]
    if item == "area" and application.area:
        return [read.names.area(application.area), *_outside_area(read)]
    return []


def _outside_area(read: _Read) -> list[str]:
    """Name the wishes that lie outside of the area of the certificate (§13)."""
    application = read.application
    tags = set(read.names.areas[application.area or ""].tags)
    found = [
        school.name
        for code in application.wishes
        for school in [read.names.schools[code]]
        if tags and not tags & set(school.tags)
    ]
    if not found:
        return []
    listed = _("、").join(found)
    return [_("不在任教地區內之志願：%(schools)s", schools=listed)]


def _bar_hint(until: datetime | None) -> str:
    if until is None:
        return _("本系統查無紀錄")
    day = date_text(until, current())
    return _("本系統查有紀錄：%(day)s 前不得申請介聘，不能審核通過", day=day)


def _event(one: review.Event) -> EventRow:
    what = said(EVENT_NAMES[one.event]) if one.event in EVENT_NAMES else one.event
    at = moment_text(one.at, current(), seconds=True)
    return EventRow(at, one.name, what, one.version, one.reason)


def delivery_row(one: outbox.Delivery) -> DeliveryRow:
    """Say how far a notice is."""
    return DeliveryRow(
        moment_text(one.created, current(), seconds=True),
        said(EVENTS[one.event]) if one.event in EVENTS else one.event,
        said(CHANNELS[one.channel]),
        said(DELIVERY_STATES[one.state]),
    )


def _help(application: Application, found: Held, locked: datetime | None) -> Help:
    return Help(
        facts=(
            (_("首次登入"), _moment(found.created)),
            (_("最近登入"), _moment(found.last_sign_in)),
            (_("登入鎖定"), _lock_text(locked)),
            (_("登入中的裝置"), str(len(found.sessions))),
        ),
        computers=[_computer(one) for one in found.computers],
        can_mail=application.email_confirmed is not None and application.has_password,
    )


def _moment(at: datetime | None) -> str:
    return moment_text(at, current(), seconds=True) if at else _("無")


def _lock_text(locked: datetime | None) -> str:
    return _("鎖定至 %(at)s", at=_moment(locked)) if locked else _("未鎖定")


def _computer(one: held.Computer) -> Computer:
    state = _("已驗證") if one.confirmed else _("未驗證")
    since = _moment(one.first_seen)
    return Computer(
        one.key.hex(), _("%(at)s 起使用（%(state)s）", at=since, state=state)
    )
