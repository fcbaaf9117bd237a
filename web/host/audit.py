"""異動紀錄 of everything: what happened, whether its chain holds, all of it to keep."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from jiepin.web import access, downloads
from jiepin.web.clock import from_ms, moment_text
from jiepin.web.county.audit import MOST_LINES, ON_A_PAGE, action_name, day_of, first_of
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.host.dropouts import Option
from jiepin.web.language import _, current, mark, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff import names
from jiepin.web.staff.desk import at_desk
from jiepin.web.staff.dropped import Names
from jiepin.web.store import audit
from jiepin.web.store.audit import Chain, Link, Search

AUDIT = "/host/audit"
AT_ONCE = 2_000  # entries of the export
ACTIONS: Final = {
    "year-begun": mark("開始年度"),
    "settings-changed": mark("變更年度設定"),
    "texts-changed": mark("變更公告文字"),
    "schedule-changed": mark("變更作業日程"),
    "rules-changed": mark("變更介聘規則"),
    "list-changed": mark("變更縣市或科(類)別清單"),
    "frozen": mark("凍結資料"),
    "freeze-withdrawn": mark("撤回凍結"),
    "run-asked": mark("要求計算"),
    "run-done": mark("計算完成"),
    "run-failed": mark("計算失敗"),
    "run-cancelled": mark("取消計算"),
    "run-approved": mark("核可計算"),
    "run-approval-withdrawn": mark("撤回核可"),
    "publication-planned": mark("排定公告"),
    "publication-retracted": mark("撤回公告"),
    "published": mark("公告結果"),
    "differences-exported": mark("下載差異清單或函"),
    "letters-exported": mark("下載通知函"),
    "archived": mark("封存並清除個人資料"),
    "roster": mark("更正名冊"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for, as typed; a day that is none counts for nothing."""

    action: str
    county: str
    since: str
    until: str
    of: str

    def address(self, first: int = 0, path: str = AUDIT) -> str:
        """Return where the same is asked for, from one entry on."""
        fields = {name: getattr(self, name) for name in Asked.__slots__}
        fields["first"] = str(first) if first > 0 else ""
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"{path}?{query}" if query else path


@dataclass(frozen=True, slots=True)
class Line:
    """One entry: who did what, with whose application or what else."""

    id: int
    at: str
    who: str
    what: str
    about: str
    county: str
    detail: str


@dataclass(frozen=True, slots=True)
class State:
    """Whether the chain holds, as far as it was asked for."""

    holds: bool
    text: str
    head: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    asked: Asked
    actions: Sequence[Option]
    counties: Sequence[Option]
    lines: Sequence[Line]
    total: int
    first: int
    before: str
    after: str
    downloads: Sequence[tuple[str, str]]
    state: State | None
    archive: bool


@at_desk("audit")
async def page(request: Request) -> Response:
    """Show what happened, newest first; with `check` whether the chain holds."""
    site: Site = request.app.state.site
    asked, first = _asked(request.query_params), first_of(request.query_params)
    async with site.database.reading() as db:
        search = await _search(db, asked)
        found = await audit.found(db, search, first, ON_A_PAGE)
        total = await audit.count(db, search)
        known = await Names.read(db)
        lines = await _lines(db, known, found)
        actions = await audit.actions(db)
        check = "check" in request.query_params
        state = _state(await audit.chain(db)) if check else None
    last = first + ON_A_PAGE
    page = AuditPage(
        asked=asked,
        actions=[Option(action, _action(action)) for action in actions],
        counties=[Option(code, name) for code, name in known.counties.items()],
        lines=lines,
        total=total,
        first=first,
        before=asked.address(first - ON_A_PAGE) if first else "",
        after=asked.address(last) if last < total else "",
        downloads=[
            (kind, asked.address(path=f"{AUDIT}/table/{kind}"))
            for kind in ("xlsx", "ods", "csv")
        ],
        state=state,
        archive=access.can(
            request.state.colleague.actor, "archive", access.Round(0), site.clock.now()
        ),
    )
    return await render(request, "host/audit.html", page)


@at_desk("audit")
async def download(request: Request) -> Response:
    """Give what was asked for as a table."""
    site: Site = request.app.state.site
    asked = _asked(request.query_params)
    async with site.database.reading() as db:
        found = await audit.found(db, await _search(db, asked), 0, MOST_LINES)
        lines = await _lines(db, await Names.read(db), found)
    columns = (
        _("編號"),
        _("時間"),
        _("使用者"),
        _("動作"),
        _("對象"),
        _("縣市"),
        _("內容"),
    )
    rows = [[getattr(line, name) for name in Line.__slots__] for line in lines]
    sheet = Sheet(_("異動紀錄"), columns, rows)
    return await downloads.answer(request.path_params["kind"], "audit", [sheet])


@at_desk("audit")
async def export(request: Request) -> Response:
    """Give the whole chain, which `jiepin-web audit verify --file` follows."""
    site: Site = request.app.state.site

    async def parts() -> AsyncIterator[str]:
        first = 0
        while True:
            async with site.database.reading() as db:
                lines = [x async for x in audit.export_lines(db, first, AT_ONCE)]
            if not lines:
                return
            yield "".join(lines)
            first = json.loads(lines[-1])["id"]

    return StreamingResponse(
        parts(),
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="audit.jsonl"'},
    )


def _state(chain: Chain) -> State:
    if chain.broken is None:
        n = str(chain.whole)
        return State(True, _("紀錄完整，共 %(n)s 筆。", n=n), chain.head.hex())
    text = _(
        "第 %(id)s 筆與寫入時不符，或前一筆已被移除；之前 %(n)s 筆完整。"
        "請保全現場，並與較早的匯出檔或備份比對。",
        id=str(chain.broken.id),
        n=str(chain.whole),
    )
    return State(False, text, chain.head.hex())


def _action(action: str) -> str:
    return said(ACTIONS[action]) if action in ACTIONS else action_name(action)


def _asked(query: Mapping[str, str]) -> Asked:
    return Asked(
        query.get("action", "")[:40],
        query.get("county", "")[:2],
        query.get("since", "")[:10],
        query.get("until", "")[:10],
        query.get("of", "").strip()[:20],
    )


async def _search(db: aiosqlite.Connection, asked: Asked) -> Search:
    """Return what to look for; a number that nobody has finds nothing."""
    objects = await audit.objects_of(db, asked.of) if asked.of else ()
    return Search(
        action=asked.action,
        objects=objects or ((asked.of,) if asked.of else ()),
        county=asked.county,
        since=day_of(asked.since),
        until=day_of(asked.until, days=1),
    )


async def _lines(
    db: aiosqlite.Connection, known: Names, found: Sequence[Link]
) -> list[Line]:
    """Name staff; applicants go by number, level and county."""
    who = await names.colleagues(db, (link.actor for link in found))
    about = await audit.applicants(db, {link.object for link in found})
    return [_line(link, who, known, about.get(link.object)) for link in found]


def _line(
    link: Link,
    who: Mapping[str, str],
    known: Names,
    applicant: audit.Applicant | None,
) -> Line:
    detail = json.loads(link.detail)
    about = link.object
    if applicant is not None:
        number = applicant.number or _("(未編號)")
        about = f"{said(LEVEL_NAMES[applicant.level])} {number}"
    return Line(
        id=link.id,
        at=moment_text(from_ms(link.at), current(), seconds=True),
        who=who.get(link.actor) or _actor(link.actor),
        what=_action(link.action),
        about=about,
        county=known.counties.get(link.county, link.county),
        detail=" ".join(f"{name}={value}" for name, value in sorted(detail.items())),
    )


def _actor(actor: str) -> str:
    if actor in ("system", "command line"):
        return _("系統")
    return _("申請人") if actor else _("未確認身分者")
