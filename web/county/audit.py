"""異動紀錄: what happened in one's own county, and how far its notices are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, downloads
from jiepin.web.clock import from_ms, moment_text
from jiepin.web.county.record import DeliveryRow, delivery_row
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import _, current, said
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff import lists, names
from jiepin.web.staff.audit_search import (
    MOST_LINES,
    ON_A_PAGE,
    Asked,
    action_name,
    day_of,
)
from jiepin.web.staff.desk import Colleague, at_desk
from jiepin.web.store import applications, audit, review_lists
from jiepin.web.store.audit import Link, Search
from jiepin.web.store.schools import RoundSettings
from jiepin.web.teacher.notify import STATES

AUDIT, NOTICES = "/city/audit", "/city/audit/notices"


@dataclass(frozen=True, slots=True)
class Line:
    at: str
    who: str
    what: str
    url: str
    applicant: str
    version: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    asked: Asked
    actions: Sequence[tuple[str, str]]
    lines: Sequence[Line]
    total: int
    first: int
    before: str
    after: str
    downloads: Sequence[tuple[str, str]]  # kind, address
    unknown: bool  # no application has the number asked for


@dataclass(frozen=True, slots=True)
class SentRow:
    url: str
    applicant: str
    delivery: DeliveryRow
    state: str
    tries: int


@dataclass(frozen=True, slots=True)
class NoticesPage:
    states: Sequence[tuple[str, str]]
    state: str
    rows: Sequence[SentRow]
    total: int
    first: int
    before: str
    after: str


@at_desk("audit")
async def page(request: Request) -> Response:
    """Show what happened in the county, newest first, as far as it is asked for."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    asked = Asked.read(request.query_params)
    first = lists.first_of(request.query_params)
    async with site.database.reading() as db:
        search = await _search(db, request, asked)
        found = await audit.found(db, search, first, ON_A_PAGE) if search else []
        total = await audit.count(db, search) if search else 0
        lines = await _lines(db, colleague.actor, found)
        actions = await audit.actions(db, colleague.actor.county)
    before, after = lists.turns(partial(asked.address, AUDIT), first, total, ON_A_PAGE)
    page = AuditPage(
        asked=asked,
        actions=[(action, action_name(action)) for action in actions],
        lines=lines,
        total=total,
        first=first,
        before=before,
        after=after,
        downloads=[
            (kind, asked.address(f"{AUDIT}/{kind}")) for kind in ("xlsx", "ods", "csv")
        ],
        unknown=search is None,
    )
    return await render(request, "city/audit.html", page)


@at_desk("audit")
async def download(request: Request) -> Response:
    """Give what was asked for as a table; it names applicants, so the audit tells."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    asked, kind = Asked.read(request.query_params), request.path_params["kind"]
    async with site.database.reading() as db:
        search = await _search(db, request, asked)
        found = await audit.found(db, search, 0, MOST_LINES) if search else []
        lines = await _lines(db, colleague.actor, found)
    columns = (_("時間"), _("使用者"), _("動作"), _("申請人"), _("版本"))
    rows = [
        (line.at, line.who, line.what, line.applicant, line.version) for line in lines
    ]
    sheet = Sheet(_("異動紀錄"), columns, rows)
    taken = await downloads.answer(kind, "audit", [sheet])
    async with site.database.writing() as db:
        now, county = site.clock.now(), colleague.actor.county
        who, detail = colleague.actor.account, {"kind": kind}
        await audit.add(db, now, who, "audit-exported", "", county, detail)
    return taken


@at_desk("audit")
async def notices(request: Request) -> Response:
    """Show how far the notices to the county's applicants are, failures as asked."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    county, levels = colleague.actor.county, colleague.actor.levels
    state, first = (
        request.query_params.get("state", ""),
        lists.first_of(request.query_params),
    )
    state = state if state in STATES else ""
    address_of = partial(lists.address, NOTICES, {"state": state})
    async with site.database.reading() as db:
        found = await review_lists.sent(db, county, levels, state, first, ON_A_PAGE)
        total = await review_lists.count_sent(db, county, levels, state)
    before, after = lists.turns(address_of, first, total, ON_A_PAGE)
    page = NoticesPage(
        states=[(one, said(text)) for one, text in STATES.items()],
        state=state,
        rows=[
            SentRow(
                f"/city/applications/{one.application}",
                one.applicant,
                delivery_row(one.delivery),
                one.delivery.state,
                one.delivery.tries,
            )
            for one in found
        ],
        total=total,
        first=first,
        before=before,
        after=after,
    )
    return await render(request, "city/notices.html", page)


async def _search(
    db: aiosqlite.Connection, request: Request, asked: Asked
) -> Search | None:
    """Return what to look for; None where the application asked for is not there."""
    actor = request.state.colleague.actor
    round_: RoundSettings | None = request.state.round
    objects: tuple[str, ...] = ()
    if asked.of:
        id_ = await review_lists.by_number(
            db, round_.year if round_ else 0, actor.county, asked.of
        )
        found = await applications.by_id(db, id_ or asked.of)
        now = request.app.state.site.clock.now()
        if found is None or not access.can(actor, "see", found, now):
            return None
        objects = (found.id, found.account)
    return Search(
        action=asked.action,
        objects=objects,
        county=actor.county,
        since=day_of(asked.since),
        until=day_of(asked.until, days=1),
    )


async def _lines(
    db: aiosqlite.Connection, actor: access.Actor, found: Sequence[Link]
) -> list[Line]:
    """Name who did it, and whose application it is about at one's own levels."""
    who = await names.colleagues(db, (link.actor for link in found))
    about = await review_lists.names_of_objects(
        db, actor.levels, {link.object for link in found}
    )
    return [_line(link, who, about.get(link.object, ("", ""))) for link in found]


def _line(link: Link, who: Mapping[str, str], about: tuple[str, str]) -> Line:
    id_, applicant = about
    detail = json.loads(link.detail)
    return Line(
        moment_text(from_ms(link.at), current(), seconds=True),
        who.get(link.actor) or _teacher_or_nobody(link.actor),
        action_name(link.action),
        f"/city/applications/{id_}" if id_ else "",
        applicant,
        str(detail.get("version", "")),
    )


def _teacher_or_nobody(actor: str) -> str:
    return _("申請人") if actor else _("未確認身分者")
