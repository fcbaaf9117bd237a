"""異動紀錄 of everything: what happened, whether its chain holds, all of it to keep."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from jiepin.web import access, downloads
from jiepin.web.clock import from_ms, moment_text
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import _, current, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff import lists, names
from jiepin.web.staff.audit_search import (
    MOST_LINES,
    ON_A_PAGE,
    Asked,
    action_name,
    day_of,
)
from jiepin.web.staff.desk import at_desk
from jiepin.web.staff.dropped import Names
from jiepin.web.store import audit
from jiepin.web.store.audit import Chain, Link, Search

AUDIT = "/host/audit"
AT_ONCE = 2_000  # entries of the export


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
    actions: Sequence[tuple[str, str]]
    counties: Sequence[tuple[str, str]]
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
    asked = Asked.read(request.query_params)
    first = lists.first_of(request.query_params)
    async with site.database.reading() as db:
        search = await _search(db, asked)
        found = await audit.found(db, search, first, ON_A_PAGE)
        total = await audit.count(db, search)
        known = await Names.read(db)
        lines = await _lines(db, known, found)
        actions = await audit.actions(db)
        check = "check" in request.query_params
        state = _state(await audit.chain(db)) if check else None
    before, after = lists.turns(partial(asked.address, AUDIT), first, total, ON_A_PAGE)
    page = AuditPage(
        asked=asked,
        actions=[(action, action_name(action)) for action in actions],
        counties=list(known.counties.items()),
        lines=lines,
        total=total,
        first=first,
        before=before,
        after=after,
        downloads=[
            (kind, asked.address(f"{AUDIT}/table/{kind}"))
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
    asked = Asked.read(request.query_params)
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
        what=action_name(link.action),
        about=about,
        county=known.counties.get(link.county, link.county),
        detail=" ".join(f"{name}={value}" for name, value in sorted(detail.items())),
    )


def _actor(actor: str) -> str:
    if actor in ("system", "command line"):
        return _("系統")
    return _("申請人") if actor else _("未確認身分者")
