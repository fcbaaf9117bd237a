"""Step 6: how far the application is, and everything it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import accounts
from jiepin.web.accounts import Visitor
from jiepin.web.clock import date_text, moment_text
from jiepin.web.documents.sheet import short_digest
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.rendering import county_name, render
from jiepin.web.site import Site
from jiepin.web.store import applications, schools
from jiepin.web.store.applications import Application, Result
from jiepin.web.teacher.steps import signed_in

STATES = {
    "filling": mark("尚未完成申請"),
    "filed": mark("尚未審核通過"),
    "returned": mark("退回補正"),
    "rejected": mark("駁回"),
    "approved": mark("審核通過"),
}
SEXES = {"M": mark("男"), "F": mark("女")}
_SHARED = {
    "appraisal": mark("考績積分"),
    "service": mark("年資積分"),
    "awards": mark("獎懲積分"),
    "special": mark("特殊積分"),
    "studies": mark("研習積分"),
}


Facts = tuple[tuple[str, str], ...]  # a label, and what stands beside it


@dataclass(frozen=True, slots=True)
class Wish:
    place: int
    name: str
    marks: str
    indigenous: bool
    county: str
    open: bool
    doubts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StatusPage:
    """How far the application is, and all that it holds.

    Before points are announced there are none; `points_note` says from when on, and
    then until when and to whom objections go.
    """

    state: str
    state_text: str
    reason: str
    filed: str
    digest: str
    indigenous: bool
    facts: Facts
    points: Facts
    totals: Facts
    points_note: str
    wishes: Sequence[Wish]
    result: str
    email: str


@signed_in(step=applications.STATUS)
async def status(request: Request) -> Response:
    """Show the state of the application and all its data."""
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    application = visitor.application
    now = site.clock.now()
    async with site.database.reading(quick=True) as db:
        names = await Names.read(db, application)
        points = await applications.own_points(db, application, now)
        result = await applications.result(db, application, now)
        result_line = (
            await result_text(db, application, result, names) if result else ""
        )
    filed = application.filed
    page = StatusPage(
        state=application.state,
        state_text=said(STATES[application.state]),
        reason=application.reason,
        filed=moment_text(filed, current(), seconds=True) if filed else "",
        digest=short_digest(application.digest),
        indigenous=bool(application.indigenous),
        facts=await _facts(site, application, names),
        points=() if points is None else point_lines(application, names, points),
        totals=() if points is None else total_lines(application, names, points),
        points_note=_points_note(application, now),
        wishes=names.wishes(application),
        result=result_line,
        email=application.email,
    )
    return await render(request, "status.html", page)


@dataclass(frozen=True, slots=True)
class Names:
    """The names behind the codes of one application."""

    counties: Mapping[str, schools.County]
    subjects: Mapping[str, schools.Subject]
    areas: Mapping[str, schools.Area]
    schools: Mapping[str, schools.School]

    @classmethod
    async def read(cls, db: aiosqlite.Connection, application: Application) -> Names:
        return cls(
            await schools.counties(db),
            await schools.subjects(db, application.level),
            await schools.areas(db),
            await schools.by_codes(db, application.wishes),
        )

    def county(self, code: str) -> str:
        county = self.counties[code]
        return county.name_en if current() == ENGLISH else county.name

    def subject(self, code: str) -> str:
        subject = self.subjects[code]
        return subject.name_en if current() == ENGLISH else subject.name

    def area(self, code: str | None) -> str:
        if code is None:
            return ""
        area = self.areas[code]
        return area.name_en if current() == ENGLISH else area.name

    def wishes(
        self, application: Application, doubts: Mapping[str, Sequence[str]] = {}
    ) -> tuple[Wish, ...]:
        """Return the list in order; `doubts` by school, where they are to be shown."""
        found = (self.schools[code] for code in application.wishes)
        return tuple(
            Wish(
                place,
                school.name,
                school.marks,
                school.indigenous,
                self.county(school.county),
                school.open,
                doubts.get(school.code, ()),
            )
            for place, school in enumerate(found, 1)
        )


def _points_note(application: Application, now: datetime) -> str:
    opens, closes = application.notice_opens, application.notice_closes
    if opens is None or (closes is not None and closes <= now):
        return ""
    if now < opens:
        return _("積分自 %(at)s 起公告。", at=moment_text(opens, current()))
    county = county_name(application)
    if closes is None:
        return _("對積分有疑義者，請向%(county)s介聘承辦人申請複查。", county=county)
    return _(
        "對積分有疑義者，請於 %(until)s 前向%(county)s介聘承辦人申請複查。",
        until=moment_text(closes, current()),
        county=county,
    )


async def _facts(site: Site, application: Application, names: Names) -> Facts:
    return (
        (_("電腦編號"), application.number or _("(待審)")),
        (_("服務學校"), home_school(application)),
        *await person_facts(site, application),
        *appointment_facts(application, names),
        *subject_facts(application, names),
    )


def home_school(application: Application) -> str:
    school = application.school_township + application.school_name
    return f"{county_name(application)} {school}"


async def person_facts(site: Site, application: Application) -> Facts:
    """Return who applies: what the card says, and what step 3 adds."""
    national_id, birthday = await accounts.identity(site, application.account)
    return (
        (_("姓名"), application.name),
        (_("身分證統一編號"), national_id),
        (_("性別"), said(SEXES.get(application.sex, "—"))),
        (_("生日"), date_text(date.fromisoformat(birthday), current())),
        (_("聯絡電話1"), application.phone1),
        (_("聯絡電話2"), application.phone2 or _("無")),
        (_("電子郵件"), application.email),
    )


def appointment_facts(application: Application, names: Names) -> Facts:
    return (
        (_("服務年資"), str(application.service_years)),
        (_("教師證任教地區限制"), names.area(application.area)),
    )


def subject_facts(application: Application, names: Names) -> Facts:
    subjects = [names.subject(code) for code in application.subjects]
    padded = [*subjects, *[_("無")] * 3][:3]
    numbered = " ".join(f"{n}. {name}" for n, name in enumerate(padded, 1))
    return (
        (_("現任服務學校應聘科(類)別"), padded[0]),
        (_("申請應聘科(類)別"), numbered),
    )


def point_lines(
    application: Application, names: Names, points: Mapping[str, int]
) -> Facts:
    return tuple(
        (label, tenths(points.get(item, 0)))
        for item, label in item_labels(application, names).items()
    )


def item_labels(application: Application, names: Names) -> dict[str, str]:
    """Return what each item of the points is called: a reason per county, the rest."""
    reasons = {
        f"reason{n}": _(
            "%(county)s(%(side)s)原因積分", county=names.county(code), side=side
        )
        for n, code, side in sides(application)
    }
    return reasons | {item: said(label) for item, label in _SHARED.items()}


def total_lines(
    application: Application, names: Names, points: Mapping[str, int]
) -> Facts:
    """Return one total per county: what is shared, and the reason for that county."""
    shared = sum(points.get(item, 0) for item in _SHARED)
    return tuple(
        (
            _("%(county)s(%(side)s)積分總計", county=names.county(code), side=side),
            tenths(shared + points.get(f"reason{n}", 0)),
        )
        for n, code, side in sides(application)
    )


def sides(application: Application) -> list[tuple[int, str, str]]:
    """Return the wish counties: number, code, and 甲 or 乙."""
    sides = (_("甲"), _("乙"))
    return [
        (n, code, side)
        for n, (code, side) in enumerate(
            zip(application.counties, sides, strict=False), 1
        )
    ]


def tenths(hundredths: int) -> str:
    """Write points with one decimal, with two where they have them.

    >>> tenths(6550), tenths(0), tenths(7105)
    ('65.5', '0.0', '71.05')
    """
    text = f"{hundredths // 100}.{hundredths % 100:02d}"
    return text[:-1] if text.endswith("0") else text


NOTES = {
    "dropped-out": mark("已登記放棄、未報到或未獲聘任，留任原校"),
    "void": mark("因他人放棄、未報到或未獲聘任，您的介聘連帶失效，仍留原校"),
}


def note_text(result: Result) -> str:
    """Say what became of a result after somebody dropped out, empty if nothing."""
    return said(NOTES[result.note]) if result.note in NOTES else ""


async def result_text(
    db: aiosqlite.Connection, application: Application, result: Result, names: Names
) -> str:
    """Say the result of an application."""
    if result.school is None:
        return note_text(result) or _("未達成介聘")
    school = (await schools.by_codes(db, [result.school]))[result.school]
    return _(
        "達成介聘：%(county)s%(township)s %(school)s"
        "（第 %(choice)s 志願，%(subject)s）",
        county=names.county(school.county),
        township=school.township,
        school=school.name,
        choice=str(result.choice),
        subject=names.subject(result.subject or application.subjects[0]),
    )
