"""Papers of the review: the personal sheet as it is now, and 積分確認單 to sign."""

from __future__ import annotations

import logging

import aiosqlite
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, accounts
from jiepin.web.county.review import address, own_record
from jiepin.web.documents import confirmation, sheet
from jiepin.web.documents.confirmation import Confirmation, Item
from jiepin.web.documents.sheet import County, NoChineseFont
from jiepin.web.language import CHINESE, speaking
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague, see
from jiepin.web.store import applications, review
from jiepin.web.store.applications import STATUS, Application
from jiepin.web.teacher.own_sheet import read_sheet
from jiepin.web.teacher.status import (
    Names,
    home_school,
    item_labels,
    tenths,
    total_lines,
)
from jiepin.web.vault import mask_id

log = logging.getLogger(__name__)


@own_record
async def personal_sheet(request: Request) -> Response:
    """Give the personal sheet as the teacher would print it now."""
    application = await _opened(request)
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        points = await applications.points(db, application.id)
    found = await read_sheet(site, application, points)
    name = f"sheet-{application.year}-{application.level}-v{application.version}.pdf"
    try:
        return _answer(await run_in_threadpool(sheet.pdf, found), name)
    except NoChineseFont as missing:
        log.error("%s", missing)
        return see(address(application))


@own_record
async def points_sheet(request: Request) -> Response:
    """Give the confirmation of points, for the teacher to sign."""
    application = await _opened(request)
    site: Site = request.app.state.site
    national_id, _birthday = await accounts.identity(site, application.account)
    async with site.database.reading() as db:
        with speaking(CHINESE):
            paper = await _confirmation(db, site, application, mask_id(national_id))
    name = f"points-{application.year}-{application.level}-v{application.version}.pdf"
    try:
        return _answer(await run_in_threadpool(confirmation.pdf, paper), name)
    except NoChineseFont as missing:
        log.error("%s", missing)
        return see(address(application))


async def _opened(request: Request) -> Application:
    """Return the application, filed, that the colleague has open; no other is there."""
    application: Application = request.state.application
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    now = site.clock.now()
    async with site.database.reading() as db:
        present = await review.openers(db, application.id, now)
    opened = colleague.actor.account in [one.staff for one in present]
    may = access.can(colleague.actor, "print", application, now)
    if not (opened and may and application.step == STATUS):
        raise HTTPException(404)
    return application


async def _confirmation(
    db: aiosqlite.Connection, site: Site, application: Application, masked_id: str
) -> Confirmation:
    names = await Names.read(db, application)
    entries = await review.entries(db, application.id)
    points = {item: value for item, (value, _note) in entries.items()}
    counties = tuple(County(code, names.county(code)) for code in application.counties)
    version = application.version
    return Confirmation(
        year=application.year,
        level=application.level,
        serial=application.number or "",
        name=application.name,
        masked_id=masked_id,
        home_school=home_school(application),
        subjects=tuple(names.subject(code) for code in application.subjects),
        counties=counties,
        items=tuple(
            Item(label, tenths(points[item]) if item in points else "", note)
            for item, label in item_labels(application, names).items()
            for note in [entries[item][1] if item in entries else ""]
        ),
        totals=total_lines(application, names, points),
        version=version,
        digest=confirmation.points_digest(application.id, version, points),
        approved=application.state == "approved",
        practice=site.settings.practice,
        printed_at=site.clock.now(),
    )


def _answer(document: bytes, name: str) -> Response:
    headers = {"content-disposition": f'inline; filename="{name}"'}
    return Response(document, media_type="application/pdf", headers=headers)
