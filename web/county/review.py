"""The review desk: one application, opened, its points, checks and decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

import aiosqlite
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jiepin.web import access
from jiepin.web.county import record
from jiepin.web.county.review_forms import (
    Typed,
    read_reason,
    read_seen,
    read_stamp,
    read_work,
)
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague, at_desk, see
from jiepin.web.store import applications, review
from jiepin.web.store.applications import Application, ChangedElsewhere, Refused
from jiepin.web.store.review import OpenElsewhere, Seen
from jiepin.web.teacher.forms import typed

Handler = Callable[[Request], Awaitable[Response]]
Decide = Callable[[Site, access.Actor, str, Seen, str], Awaitable[Application]]


def own_record(handler: Handler) -> Handler:
    """Let a handler be reached by staff alone who may see the application named.

    It finds it at `request.state.application`. Absent and refused look the same.
    """

    @wraps(handler)
    async def wrapped(request: Request) -> Response:
        site: Site = request.app.state.site
        colleague: Colleague = request.state.colleague
        async with site.database.reading() as db:
            found = await applications.by_id(db, request.path_params["id"])
        now = site.clock.now()
        if found is None or not access.can(colleague.actor, "see", found, now):
            raise HTTPException(404)
        request.state.application = found
        return await handler(request)

    return at_desk()(wrapped)


def address(application: Application) -> str:
    """Return the address of a record."""
    return f"/city/applications/{application.id}"


@own_record
async def page(request: Request) -> Response:
    """Show the record: in outline, or whole to whom has it open."""
    return await record.show(request, request.state.application)


@own_record
async def begin(request: Request) -> Response:
    """Open the record; where others have it open, only after saying so."""
    application: Application = request.state.application
    site: Site = request.app.state.site
    form = typed(await request.form())
    try:
        await review.begin(
            site, _actor(request), application.id, also=form.get("also") == "yes"
        )
    except OpenElsewhere:
        text = _("其他人正開啟這筆資料；要一併開啟，請勾選下方選項")
        return await record.show(request, application, form, _one("also", text))
    return see(address(application))


@own_record
async def end(request: Request) -> Response:
    """Close the record and go back to the list."""
    application: Application = request.state.application
    await review.end(request.app.state.site, _actor(request), application.id)
    return see("/city/applications")


@own_record
async def openers(request: Request) -> Response:
    """Tell a page that is open who else has this record open by now."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await review.openers(db, request.state.application.id, site.clock.now())
    mine = _actor(request).account
    return JSONResponse([record.opener_text(one) for one in found if one.staff != mine])


@own_record
async def sheet(request: Request) -> Response:
    """Compare the sheet on the table with the present version, by digest or QR code."""
    application: Application = request.state.application
    site: Site = request.app.state.site
    form = typed(await request.form())
    async with site.database.reading() as db:
        wrong = await _sheet_problem(db, application, form.get("code", ""))
    if wrong:
        return await record.show(request, application, form, _one("code", wrong))
    await review.note_sheet(site, _actor(request), application.id, read_seen(form))
    return see(address(application) + "#sheet")


async def _sheet_problem(
    db: aiosqlite.Connection, application: Application, code: str
) -> str:
    """Say why a code is not that of the sheet of the present version."""
    stamp = read_stamp(code)
    if stamp is None:
        return _("請輸入校驗碼 16 個字元，或掃描個人資料表的二維條碼")
    version = await review.sheet_version(db, application, stamp.digest)
    if version is None or not stamp.suits(application, version):
        return _("與這位老師的任何一版都不符；請確認是否為這位老師的個人資料表")
    if version == application.version:
        return ""
    return _(
        "這是第 %(old)s 版的個人資料表，已失效；目前為第 %(n)s 版，請老師重新列印",
        old=str(version),
        n=str(application.version),
    )


@own_record
async def save(request: Request) -> Response:
    """Save points and checks; with `then` approve, approve as well."""
    application: Application = request.state.application
    site: Site = request.app.state.site
    form = typed(await request.form())
    entered, problems = read_work(form, application)
    if problems:
        return await record.show(request, application, form, problems)
    do = review.approve if form.get("then") == "approve" else review.save
    try:
        await do(site, _actor(request), application.id, read_seen(form), entered)
    except Refused as refused:
        return await record.show(request, application, form, refused.problems)
    except ChangedElsewhere:
        return await _show_both(request, form, entered)
    return see(address(application))


async def _show_both(request: Request, form: Typed, entered: review.Work) -> Response:
    """Show what others have saved meanwhile beside what was typed and is not saved."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        now = await applications.by_id(db, request.path_params["id"])
        assert now is not None  # it is being reviewed
        stored = await review.work(db, now)
    text = _("其他人或申請人已儲存新的內容，您的內容還沒有儲存；請核對後再儲存")
    problems = Problems((Problem("points-title", text),))
    told = problems + record.conflicts(now, entered, stored)
    return await record.show(request, now, form, told, 409)


@own_record
async def send_back(request: Request) -> Response:
    """Return the application for correction (退回補正)."""
    return await _decide(request, "return-reason", review.send_back)


@own_record
async def reject(request: Request) -> Response:
    """Reject the application (駁回)."""
    return await _decide(request, "reject-reason", review.reject)


@own_record
async def undo(request: Request) -> Response:
    """Take the decision back (撤銷審核決定)."""
    return await _decide(request, "undo-reason", review.undo)


async def _decide(request: Request, field: str, do: Decide) -> Response:
    application: Application = request.state.application
    site: Site = request.app.state.site
    form = typed(await request.form())
    reason = read_reason(form, field)
    if isinstance(reason, Problem):
        return await record.show(request, application, form, Problems((reason,)))
    try:
        await do(site, _actor(request), application.id, read_seen(form), reason)
    except Refused as refused:
        return await record.show(request, application, form, refused.problems)
    return see(address(application))


def _one(field: str, text: str) -> Problems:
    return Problems((Problem(field, text),))


def _actor(request: Request) -> access.Actor:
    colleague: Colleague = request.state.colleague
    return colleague.actor
