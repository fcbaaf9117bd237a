"""The results of the own county: who comes, who goes, who stays, whom to write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiosqlite
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import downloads
from jiepin.web.access import Actor
from jiepin.web.clock import moment_text
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import _, current, mark, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.result_tables import (
    PER_PAGE,
    Counties,
    Line,
    Option,
    Pages,
    line,
    page_number,
    pages,
    place_text,
    sheet,
)
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk
from jiepin.web.staff.sending import SentRow, sent_rows
from jiepin.web.store import result_lists, results, schools
from jiepin.web.store.result_lists import Placed, Search
from jiepin.web.store.results import Publication

PAGE: Final = "/city/results"
WAYS: Final = {
    "in": mark("調入"),
    "out": mark("調出"),
    "stay": mark("未達成介聘"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """One of the lists, and how many are in it."""

    code: str
    name: str
    n: int


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """One list of the county; `published` is empty before there is a result."""

    published: str
    way: str
    ways: Sequence[Way]
    lines: Sequence[Line]
    pages: Pages
    level: str
    levels: Sequence[Option]
    sent: Sequence[SentRow]
    not_reached: Sequence[str]


@at_desk()
async def shown(request: Request) -> Response:
    """Show the results of the county at the levels one acts for."""
    site: Site = request.app.state.site
    year = request.state.round.year if request.state.round else 0
    async with site.database.reading() as db:
        publication = await results.published(db, year, site.clock.now())
        page = (
            await _page(db, request, publication)
            if publication
            else ResultsPage("", "in", (), (), pages(PAGE, {}, 1, 0), "", (), (), ())
        )
    return await render(request, "city/results.html", page)


async def _page(
    db: aiosqlite.Connection, request: Request, publication: Publication
) -> ResultsPage:
    actor, level = _actor(request), request.query_params.get("level", "")
    way = request.query_params.get("way", "")
    way = way if way in WAYS else "in"
    searches = {way: _search(actor, level, way) for way in WAYS}
    counties = await schools.counties(db)
    counts = {
        way: await result_lists.count(db, publication.run, search)
        for way, search in searches.items()
    }
    asked = {"way": way, "level": level}
    page = page_number(request.query_params.get("page", ""))
    where = pages(PAGE, asked, page, counts[way])
    found = await result_lists.found(
        db, publication.run, searches[way], where.offset, PER_PAGE
    )
    return ResultsPage(
        moment_text(publication.publish_at, current()),
        way,
        [Way(code, said(name), counts[code]) for code, name in WAYS.items()],
        [line(one, counties) for one in found],
        where,
        level,
        [Option(level, said(LEVEL_NAMES[level])) for level in actor.levels],
        sent_rows(await results.sending(db, actor.county, actor.levels)),
        await results.not_reached(db, actor.county, actor.levels),
    )


def _actor(request: Request) -> Actor:
    actor: Actor = request.state.colleague.actor
    return actor


def _search(actor: Actor, level: str, way: str) -> Search:
    levels = (level,) if level in actor.levels else actor.levels
    return Search(actor.county, levels, way)


@at_desk("export")
async def file(request: Request) -> Response:
    """Give all lists of the county, and that of the letters; the audit tells of it.

    A csv file holds one list alone: that which `way` asks for.
    """
    site: Site = request.app.state.site
    actor, given = _actor(request), request.query_params
    year = request.state.round.year if request.state.round else 0
    async with site.database.reading() as db:
        publication = await results.published(db, year, site.clock.now())
        if publication is None:
            raise HTTPException(404)
        counties = await schools.counties(db)
        found = {
            way: await result_lists.found(
                db, publication.run, _search(actor, given.get("level", ""), way)
            )
            for way in WAYS
        }
    sheets = {
        way: sheet(said(WAYS[way]), [line(one, counties) for one in ones])
        for way, ones in found.items()
    }
    sheets["letters"] = letters(found["in"], found["out"], counties)
    first = sheets.pop(given.get("way", ""), None)
    ordered = [first, *sheets.values()] if first else list(sheets.values())
    name = f"{publication.year} results {actor.county}"
    kind = request.path_params["kind"]
    taken = await downloads.answer(kind, name, ordered)
    await results.exported(site, actor, kind)
    return taken


def letters(
    coming: Sequence[Placed], going: Sequence[Placed], counties: Counties
) -> Sheet:
    """Return whom of the county's schools to write to, about whom: one line each."""
    rows = []
    for placed in going:
        there = placed.there
        assert there is not None  # who goes has a place to go to
        rows.append((placed.home, said(WAYS["out"]), placed, there))
    for placed in coming:
        assert placed.there is not None
        rows.append((placed.there, said(WAYS["in"]), placed, placed.home))
    rows.sort(key=lambda row: (row[0].school, row[1], row[2].number))
    columns = (
        *(_("學校代碼"), _("受文學校"), _("地址"), _("事由"), _("電腦編號")),
        *(_("姓名"), _("對方學校"), _("對方地址")),
    )
    return Sheet(
        _("發函清單"),
        columns,
        [
            (
                *(own.school, place_text(own, counties), own.address, what),
                *(who.number, who.name, place_text(other, counties), other.address),
            )
            for own, what, who, other in rows
        ],
    )
