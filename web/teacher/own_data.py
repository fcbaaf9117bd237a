"""What the site holds about oneself, to take away, and who has looked at it.

For those alone whose address is confirmed: till then it may be anyone with the card.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, accounts
from jiepin.web.accounts import Visitor
from jiepin.web.clock import moment_text
from jiepin.web.language import _, current, mark, said
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, drafts, held, notices, outbox
from jiepin.web.store.applications import Application
from jiepin.web.teacher.my_data import Rows, my_data
from jiepin.web.teacher.steps import signed_in

ACTIONS = {
    "first-sign-in": mark("首次登入"),
    "sign-in": mark("登入"),
    "sign-in-refused": mark("登入失敗"),
    "notices": mark("同意注意事項"),
    "device-refused": mark("新電腦驗證碼錯誤"),
    "device-confirmed": mark("確認新電腦"),
    "password": mark("設定密碼"),
    "password-changed": mark("更改密碼"),
    "password-reset": mark("重設密碼"),
    "reset-asked": mark("申請密碼重設"),
    "person": mark("儲存基本資料"),
    "email": mark("驗證電子郵件"),
    "appointment": mark("儲存應聘資料"),
    "counties": mark("儲存志願縣市"),
    "wishes-saved": mark("儲存志願學校"),
    "filed": mark("完成申請"),
    "opened": mark("開啟您的資料"),
    "exported": mark("下載個人資料"),
    "line-linked": mark("連動LINE"),
    "line-unlinked": mark("解除LINE連動"),
    "notices-chosen": mark("設定通知"),
}


@dataclass(frozen=True, slots=True)
class Line:
    at: str
    who: str
    what: str
    version: str


@dataclass(frozen=True, slots=True)
class OwnDataPage:
    lines: Sequence[Line]


@signed_in(step=applications.APPOINTMENT)
async def page(request: Request) -> Response:
    """Show who did what with one's application, newest first."""
    visitor: Visitor = request.state.visitor
    application = visitor.application
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        entries = await audit.of_object(db, application.id, application.account)
    lines = [_line(entry, application.account) for entry in reversed(entries)]
    return await render(request, "own_data.html", OwnDataPage(lines))


def _line(entry: audit.Entry, account: str) -> Line:
    return Line(
        moment_text(entry.at, current(), seconds=True),
        _who(entry.actor, account),
        said(ACTIONS[entry.action]) if entry.action in ACTIONS else entry.action,
        str(entry.detail.get("version", "")),
    )


def _who(actor: str, account: str) -> str:
    """Name an actor; nobody is named for what came before any proof of a person."""
    if not actor:
        return _("未確認身分者")
    return _("您本人") if actor == account else actor


@signed_in(step=applications.APPOINTMENT)
async def download(request: Request) -> Response:
    """Give everything held about the visitor as JSON; the audit tells of it."""
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    application = visitor.application
    now = site.clock.now()
    if not access.can(visitor.actor, "export", application, now):
        raise HTTPException(404)
    async with site.database.writing() as db:
        await audit.add(
            db,
            now,
            application.account,
            "exported",
            application.id,
            application.county,
        )
    table = my_data(await _rows(site, application), now)
    text = json.dumps(table, ensure_ascii=False, indent=1)
    return Response(
        text,
        media_type="application/json",
        headers={"content-disposition": 'attachment; filename="jiepin-own-data.json"'},
    )


async def _rows(site: Site, application: Application) -> Rows:
    national_id, birth_date = await accounts.identity(site, application.account)
    id_ = application.id
    async with site.database.reading() as db:
        return Rows(
            national_id=national_id,
            birth_date=birth_date,
            application=application,
            held=await held.of_account(db, application.account),
            points=await applications.points(db, id_),
            result=await applications.result(db, application, site.clock.now()),
            draft=await drafts.draft(db, id_),
            versions=await applications.versions(db, id_),
            history=await audit.of_object(db, id_, application.account),
            deliveries=await outbox.log(db, id_),
            line_linked=await notices.line_linked(db, id_),
            unwanted=await notices.unwanted(db, id_),
        )
