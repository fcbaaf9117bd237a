"""列印個人資料表: the applicant's own sheet, as PDF and as a page to print."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, accounts
from jiepin.web.accounts import Visitor
from jiepin.web.clock import moment_text
from jiepin.web.documents.sheet import (
    INDIGENOUS_MARK,
    County,
    NoChineseFont,
    Pair,
    Paper,
    Sheet,
    Wish,
    paper,
    pdf,
)
from jiepin.web.language import CHINESE, _, speaking
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import applications
from jiepin.web.store.applications import Application
from jiepin.web.store.schools import School
from jiepin.web.teacher.status import Names, point_lines, total_lines
from jiepin.web.teacher.steps import see, signed_in

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SheetPage:
    """The page to print."""

    paper: Paper


@signed_in(step=applications.STATUS)
async def page(request: Request) -> Response:
    """Show the sheet as a page to print."""
    sheet = await _sheet(request)
    return await render(request, "sheet.html", SheetPage(paper(sheet)))


@signed_in(step=applications.STATUS)
async def document(request: Request) -> Response:
    """Give the sheet as PDF; where it cannot be set, lead to the page to print."""
    sheet = await _sheet(request)
    try:
        data = await run_in_threadpool(pdf, sheet)
    except NoChineseFont as missing:
        log.error("%s", missing)
        return see("/teacher/sheet")
    name = f"sheet-{sheet.year}-{sheet.level}-v{sheet.version}.pdf"
    headers = {"content-disposition": f'inline; filename="{name}"'}
    return Response(data, media_type="application/pdf", headers=headers)


async def _sheet(request: Request) -> Sheet:
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    if not access.can(visitor.actor, "print", visitor.application, site.clock.now()):
        raise HTTPException(404)
    application = visitor.application
    async with site.database.reading(quick=True) as db:
        points = await applications.own_points(db, application, site.clock.now())
    return await read_sheet(site, application, points)


async def read_sheet(
    site: Site, application: Application, points: Mapping[str, int] | None
) -> Sheet:
    """Return the sheet of an application as it is stored now.

    Without points (None) it says when they are announced.
    """
    national_id, birthday = await accounts.identity(site, application.account)
    async with site.database.reading(quick=True) as db:
        names = await Names.read(db, application)
    with speaking(CHINESE):
        lines = _lines(application, names, points)
        area = names.area(application.area)
        subjects = tuple(names.subject(code) for code in application.subjects)
        counties = tuple(
            County(code, names.county(code)) for code in application.counties
        )
    return Sheet(
        year=application.year,
        level=application.level,
        name=application.name,
        national_id=national_id,
        sex=application.sex,
        birth_date=date.fromisoformat(birthday),
        phones=(application.phone1, application.phone2),
        email=application.email,
        home_school=_home_school(application),
        area=area,
        service_years=application.service_years or 0,
        subjects=subjects,
        priority=bool(application.indigenous),
        counties=counties,
        wishes=tuple(_wish(names.schools[code]) for code in application.wishes),
        points=lines,
        serial=application.number or "",
        filed=application.state != "filling",
        practice=site.settings.practice,
        version=application.version,
        digest=application.digest,
        saved_at=application.saved,
        printed_at=site.clock.now(),
    )


def _lines(
    application: Application, names: Names, points: Mapping[str, int] | None
) -> tuple[Pair, ...]:
    if points is None and application.notice_opens is not None:
        opens = moment_text(application.notice_opens, CHINESE)
        return ((_("積分公告"), _("自 %(at)s 起", at=opens)),)
    if not points:
        return ()
    return (
        *point_lines(application, names, points),
        *total_lines(application, names, points),
    )


def _home_school(application: Application) -> str:
    school = application.school_township + application.school_name
    return f"{application.county_name} {school}"


def _wish(school: School) -> Wish:
    marks = school.marks + (INDIGENOUS_MARK if school.indigenous else "")
    return Wish(school.short_name, marks, school.county)
