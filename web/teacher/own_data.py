"""What the site holds about oneself, to take away, and who has looked at it.

For those alone whose address is confirmed: till then it may be anyone with the card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from jiepin.web.staff import names
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
    "review-saved": mark("登錄積分與資格審查"),
    "sheet-checked": mark("核對個人資料表"),
    "approved": mark("審核通過"),
    "returned": mark("退回補正"),
    "rejected": mark("駁回"),
    "review-undone": mark("撤銷審核決定"),
    "unlocked": mark("解除登入鎖定"),
    "reset-sent": mark("寄送密碼重設信件"),
    "sessions-ended": mark("登出所有裝置"),
    "computer-forgotten": mark("移除電腦"),
    "dropout-marked": mark("登記放棄或未報到"),
    "dropout-seat-opened": mark("現職縣市增開缺額"),
    "dropout-no-seat": mark("現職縣市不增開缺額"),
    "dropout-applied": mark("放棄或未報到套用到結果"),
    "dropout-undone": mark("撤銷放棄或未報到"),
    "dropout-final": mark("放棄或未報到確定"),
    "result-dropped-out": mark("介聘因放棄或未報到失效"),
    "result-void": mark("介聘因他人放棄失效"),
    "result-restored": mark("介聘恢復效力"),
    "correction-opened": mark("開放更正"),
    "correction-closed": mark("更正關閉"),
    "schools-opened": mark("開放縣市更正學校與缺額"),
    "schools-closed": mark("關閉縣市更正學校與缺額"),
    "publication-planned": mark("排定結果公告"),
    "publication-retracted": mark("撤回排定的公告"),
    "published": mark("公告結果並送出通知"),
    "line-linked": mark("連動LINE"),
    "line-unlinked": mark("解除LINE連動"),
    "notices-chosen": mark("設定通知"),
    "staff-sign-in": mark("同仁登入"),
    "staff-enrolled": mark("同仁完成首次登入"),
    "staff-password": mark("同仁更改密碼"),
    "staff-sessions": mark("同仁結束其他連線"),
    "staff-added": mark("建立人員帳號"),
    "staff-changed": mark("變更人員帳號"),
    "staff-renewed": mark("重新發給登記碼"),
    "staff-disabled": mark("停用人員帳號"),
    "staff-enabled": mark("恢復人員帳號"),
    "school-added": mark("新增學校"),
    "school-corrected": mark("更正學校資料或缺額"),
    "roster-added": mark("加入名冊"),
    "roster-changed": mark("更正名冊所載學校"),
    "roster-removed": mark("自名冊移除"),
    "roster-imported": mark("匯入名冊"),
    "points-imported": mark("匯入積分"),
    "points-exported": mark("下載積分表"),
    "audit-exported": mark("下載異動紀錄"),
    "results-exported": mark("下載結果名單"),
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
        offices = await names.offices(db, (entry.actor for entry in entries))
    known = offices | {application.account: _("您本人")}
    lines = [_line(entry, known) for entry in reversed(entries)]
    return await render(request, "own_data.html", OwnDataPage(lines))


def _line(entry: audit.Entry, known: Mapping[str, str]) -> Line:
    return Line(
        moment_text(entry.at, current(), seconds=True),
        _who(entry.actor, known),
        said(ACTIONS[entry.action]) if entry.action in ACTIONS else entry.action,
        str(entry.detail.get("version", "")),
    )


def _who(actor: str, known: Mapping[str, str]) -> str:
    """Name an actor; nobody is named for what came before any proof of a person."""
    return known.get(actor, actor) if actor else _("未確認身分者")


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
    id_, now = application.id, site.clock.now()
    async with site.database.reading() as db:
        return Rows(
            national_id=national_id,
            birth_date=birth_date,
            application=application,
            held=await held.of_account(db, application.account),
            points=await applications.own_points(db, application, now),
            result=await applications.result(db, application, now),
            draft=await drafts.draft(db, id_),
            versions=await applications.versions(db, id_),
            history=await audit.of_object(db, id_, application.account),
            deliveries=await outbox.log(db, id_),
            line_linked=await notices.line_linked(db, id_),
            unwanted=await notices.unwanted(db, id_),
        )
