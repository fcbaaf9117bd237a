"""Who is placed, for everybody: names masked, by county and level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import downloads
from jiepin.web.clock import moment_text
from jiepin.web.downloads import Written
from jiepin.web.language import _, current, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.result_tables import (
    FOR_EVERYBODY,
    PER_PAGE,
    Counties,
    Line,
    Option,
    Pages,
    county_options,
    in_force,
    masked_line,
    page_number,
    pages,
    sheet,
)
from jiepin.web.site import Site
from jiepin.web.store import result_lists, results, schools
from jiepin.web.store.result_lists import Search
from jiepin.web.store.results import Publication
from jiepin.web.store.schools import LEVELS


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """Who is placed, names masked; `published` is empty before there is a result."""

    published: str
    lines: Sequence[Line]
    pages: Pages
    county: str
    level: str
    counties: Sequence[Option]
    levels: Sequence[Option]
    query: str


async def listed(request: Request) -> Response:
    """Show who is placed, by county and level."""
    site: Site = request.app.state.site
    search, asked = _asked(request)
    page = page_number(request.query_params.get("page", ""))
    where, lines = pages("/public/results", asked, page, 0), []
    async with site.database.reading() as db:
        counties = await schools.counties(db)
        publication = await results.newest(db, site.clock.now())
        if publication:
            total = await result_lists.count(db, publication.run, search)
            where = pages("/public/results", asked, page, total)
            lines = await _lines(db, publication, search, counties, where)
    shown = ResultsPage(
        published=moment_text(publication.publish_at, current()) if publication else "",
        lines=lines,
        pages=where,
        **asked,
        counties=county_options(counties),
        levels=[Option(level, said(name)) for level, name in LEVEL_NAMES.items()],
        query=request.url.query,
    )
    return await render(request, "public/results.html", shown)


def _asked(request: Request) -> tuple[Search, dict[str, str]]:
    given = request.query_params
    county, level = given.get("county", ""), given.get("level", "")
    search = Search(county, (level,) if level in LEVELS else LEVELS)
    return search, {"county": county, "level": level}


async def _lines(
    db: aiosqlite.Connection,
    publication: Publication,
    search: Search,
    counties: Counties,
    where: Pages,
) -> list[Line]:
    found = await result_lists.found(
        db, publication.run, search, where.offset, PER_PAGE
    )
    return [masked_line(one, counties) for one in found]


async def listed_file(request: Request) -> Response:
    """Give the list as it is narrowed, as a file."""
    site: Site = request.app.state.site
    search, _asked_for = _asked(request)
    async with site.database.reading() as db:
        publication = await in_force(db, site)
        counties = await schools.counties(db)
        found = await result_lists.found(db, publication.run, search)
    lines = [masked_line(one, counties) for one in found]
    table = sheet(_("達成介聘名單"), lines, FOR_EVERYBODY)
    name = f"{publication.year} results"
    written: Written = request.app.state.written
    return await downloads.answer(request.path_params["kind"], name, [table], written)
