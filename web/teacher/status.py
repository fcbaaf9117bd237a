"""Step 6: how far the application is, and everything it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

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
    """How far the application is, and all that it holds."""

    state: str
    state_text: str
    reason: str
    filed: str
    digest: str
    indigenous: bool
    facts: Facts
    points: Facts
    totals: Facts
    wishes: Sequence[Wish]
    result: str
    email: str


@signed_in(step=applications.STATUS)
async def status(request: Request) -> Response:
    """Show the state of the application and all its data."""
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    application = visitor.application
    async with site.database.reading() as db:
        names = await Names.read(db, application)
        points = await applications.points(db, application.id)
        result = await applications.result(db, application, site.clock.now())
        result_text = await _result_text(db, application, result, names)
    filed = application.filed
    page = StatusPage(
        state=application.state,
        state_text=said(STATES[application.state]),
        reason=application.reason,
        filed=moment_text(filed, current(), seconds=True) if filed else "",
        digest=short_digest(application.digest),
        indigenous=bool(application.indigenous),
        facts=await _facts(site, application, names),
        points=point_lines(application, names, points),
        totals=total_lines(application, names, points),
        wishes=names.wishes(application),
        result=result_text,
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
    reasons = (
        (
            _("%(county)s(%(side)s)原因積分", county=names.county(code), side=side),
            tenths(points.get(f"reason{n}", 0)),
        )
        for n, code, side in sides(application)
    )
    shared = (
        (said(label), tenths(points.get(item, 0))) for item, label in _SHARED.items()
    )
    return (*reasons, *shared)


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


async def _result_text(
    db: aiosqlite.Connection,
    application: Application,
    result: Result | None,
    names: Names,
) -> str:
    """Say the result, empty before it is published."""
    if result is None:
        return ""
    if result.school is None:
        return _("未達成介聘")
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
