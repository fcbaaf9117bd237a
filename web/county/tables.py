"""Tables of a county, out and in: tried, shown, then put in whole or not at all."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.access import Action, Actor
from jiepin.web.county.people_tables import Points, Roster
from jiepin.web.county.school_tables import Schools, SeatsOfSchools
from jiepin.web.county.schools import TouchedLine, may_edit, touched_lines
from jiepin.web.county.table_rows import Fault, Line, Plan, Table, read_lines
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Kind, NotASpreadsheet
from jiepin.web.language import _, mark, said
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.store import audit, uploads
from jiepin.web.store.uploads import Upload
from jiepin.web.teacher.forms import typed
from jiepin.web.vault import digest

HOME: Final = "/city/tables"
MOST_FAULTS: Final = 100  # shown
TABLES: Final[dict[str, Table]] = {
    table.name: table for table in (Roster(), Schools(), SeatsOfSchools(), Points())
}
ACTIONS: Final[dict[str, Action]] = {
    "roster": "roster",
    "schools": "schools",
    "seats": "schools",
    "points": "see",  # whether each application may be reviewed is asked by itself
}
HINTS: Final = {
    "roster": mark(
        "下載的是空白範本：系統不保存身分證統一編號，無法產出現有名冊。現任學校可填代碼"
        "或校名，也可空白。"
    ),
    "schools": mark(
        "已有的學校依檔案所列欄位更正；多個註記或科別代碼以頓號分隔；開放介聘填是或否。"
    ),
    "seats": mark("一列為一校一科(類)別；兩個數字都空白的列不變更缺額。"),
    "points": mark(
        "下載檔列出已完成申請者；空白的積分欄不變更。檔案含個人資料，下載會留下紀錄。"
    ),
}
DONE: Final = {
    "put": mark("已匯入。"),
    "gone": mark("這次試算已逾時或已匯入，請重新上傳。"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One table on the page; `editable` whether it may be put in now."""

    name: str
    title: str
    hint: str
    replaces: bool
    editable: bool


@dataclass(frozen=True, slots=True)
class TablesPage:
    """The tables; `faults` are those of the one that was tried."""

    tables: Sequence[Entry]
    done: str
    tried: str
    why: str
    faults: Sequence[Fault]
    count: int


@dataclass(frozen=True, slots=True)
class TriedPage:
    """What putting in a table would do."""

    title: str
    replaces: bool
    plan: Plan
    lines: Sequence[TouchedLine]
    changed: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """A table that was read: its rows, and whether missing ones are taken away."""

    table: Table
    lines: Sequence[Line]
    replaces: bool

    def content(self) -> str:
        rows = [[line.number, dict(line.cells)] for line in self.lines]
        return json.dumps([self.replaces, rows], ensure_ascii=False)

    @classmethod
    def of(cls, upload: Upload) -> Tried:
        replaces, rows = json.loads(upload.content)
        lines = [Line(number, cells) for number, cells in rows]
        return cls(TABLES[upload.kind], lines, replaces)


@at_desk()
async def tables(request: Request) -> Response:
    """Show the tables; or try one that was sent, and say what is wrong with it."""
    if request.method != "POST":
        return await _show(request, _page(request))
    async with request.form(max_files=1) as form:
        name, sent = str(form.get("table", "")), form.get("file")
        replaces = form.get("mode") == "replace"
        content = await sent.read() if isinstance(sent, UploadFile) else b""
    if name not in TABLES or not _may_put(request, name):
        raise HTTPException(404)
    try:
        async with request.app.state.readings:
            tried = await _read(TABLES[name], content, replaces)
    except NotASpreadsheet as error:
        return await _show(request, replace(_page(request), tried=name, why=str(error)))
    if isinstance(tried, Tried):
        site, actor = _here(request)
        async with site.database.reading() as db:
            plan = await tried.table.plan(db, site, actor, tried.lines, tried.replaces)
        if not plan.faults:
            return see(f"{HOME}/tried/{await _keep(site, actor, tried)}")
        tried = plan.faults
    page = replace(_page(request), tried=name, count=len(tried))
    return await _show(request, replace(page, faults=tried[:MOST_FAULTS]))


async def _read(
    table: Table, content: bytes, replaces: bool
) -> Tried | tuple[Fault, ...]:
    """Return the rows of a file, or what is wrong with its columns.

    Raises NotASpreadsheet.
    """
    if not content:
        raise NotASpreadsheet(_("請選擇檔案"))
    sheets = await asyncio.to_thread(spreadsheets.read, content)
    lines, faults = await asyncio.to_thread(read_lines, table.columns, sheets)
    if faults:
        return tuple(faults)
    if not lines:
        raise NotASpreadsheet(_("檔案裡沒有資料列"))
    return Tried(table, lines, replaces and table.replaces)


async def _keep(site: Site, actor: Actor, tried: Tried) -> str:
    """Keep the rows, sealed, for as long as somebody looks at what they would do."""
    token = secrets.token_urlsafe(16)
    expires = site.clock.now() + uploads.LIFE
    upload = Upload(tried.table.name, tried.content(), expires)
    async with site.database.writing() as db:
        await uploads.keep(db, site.vault, _key(token), actor.account, upload)
    return token


def _key(token: str) -> str:
    return digest(token).hex()


def _here(request: Request) -> tuple[Site, Actor]:
    """Return the site and who acts; before there is a round there is nothing here."""
    if request.state.round is None:
        raise HTTPException(404)
    return request.app.state.site, request.state.colleague.actor


def _may_put(request: Request, name: str) -> bool:
    return may_edit(request, "", ACTIONS[name])


def _page(request: Request) -> TablesPage:
    done = request.query_params.get("done", "")
    entries = [
        Entry(
            name,
            said(table.title),
            said(HINTS[name]),
            table.replaces,
            _may_put(request, name),
        )
        for name, table in TABLES.items()
    ]
    return TablesPage(entries, said(DONE[done]) if done in DONE else "", "", "", (), 0)


async def _show(request: Request, page: TablesPage) -> Response:
    status = 422 if page.tried else 200
    return await render(request, "city/tables.html", page, status)


# what was tried


@at_desk()
async def tried(request: Request) -> Response:
    """Show what putting in a table would do; or do so, if it is still just that."""
    site, actor = _here(request)
    key, now = _key(request.path_params["token"]), site.clock.now()
    if request.method != "POST":
        async with site.database.reading() as db:
            upload = await uploads.find(db, site.vault, key, actor.account, now)
            if upload is None:
                return see(f"{HOME}?done=gone")
            found = Tried.of(upload)
            plan = await found.table.plan(db, site, actor, found.lines, found.replaces)
        return await _show_tried(request, found, plan, changed=False)
    form = typed(await request.form())
    async with site.database.writing() as db:
        upload = await uploads.find(db, site.vault, key, actor.account, now)
        if upload is None:
            return see(f"{HOME}?done=gone")
        found = Tried.of(upload)
        plan = await found.table.plan(db, site, actor, found.lines, found.replaces)
        as_shown = plan.fingerprint == form.get("fingerprint", "")
        if as_shown and not plan.faults and not plan.empty:
            await plan.write(db)
            await uploads.forget(db, key)
            return see(f"{HOME}?done=put")
    return await _show_tried(request, found, plan, changed=True)


async def _show_tried(
    request: Request, found: Tried, plan: Plan, *, changed: bool
) -> Response:
    lines = await touched_lines(request, plan.touched)
    title = said(found.table.title)
    page = TriedPage(title, found.replaces, plan, lines, changed)
    return await render(request, "city/tried.html", page, 409 if changed else 200)


# out


@at_desk("export")
async def download(request: Request) -> Response:
    """Give a table of schools or seats as it is stored, or an empty roster."""
    name, _dot, kind = request.path_params["file"].partition(".")
    if name not in TABLES or name == "points" or kind not in spreadsheets.MEDIA_TYPES:
        raise HTTPException(404)
    return await _file(request, TABLES[name], kind)


@at_desk("export")
async def download_points(request: Request) -> Response:
    """Give the points with names of applicants; the audit tells of it."""
    kind = str((await request.form()).get("kind", ""))
    if kind not in spreadsheets.MEDIA_TYPES:
        raise HTTPException(404)
    site, actor = _here(request)
    async with site.database.writing() as db:
        now, county = site.clock.now(), actor.county
        await audit.add(db, now, actor.account, "points-exported", "", county)
    return await _file(request, TABLES["points"], kind)


async def _file(request: Request, table: Table, kind: str) -> Response:
    site, actor = _here(request)
    async with site.database.reading() as db:
        sheet = await table.current(db, site, actor)
    content = await asyncio.to_thread(spreadsheets.write, cast("Kind", kind), [sheet])
    year = request.state.round.year if request.state.round else ""
    name = f"{year}-{actor.county}-{table.name}"
    return Response(content, headers=spreadsheets.headers(name, kind))
