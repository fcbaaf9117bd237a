"""封存與清除: keep the round without its people, once their time has come."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from jiepin.web import archive
from jiepin.web.clock import moment_text
from jiepin.web.language import _, current, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.staff.dropped import id_of
from jiepin.web.store import archive as store
from jiepin.web.store.applications import Absent
from jiepin.web.store.archive import NAMES, Year
from jiepin.web.teacher.forms import typed

PAGE = "/host/archive"


@dataclass(frozen=True, slots=True)
class Line:
    """A round, how long its personal data is kept, and what has become of it."""

    url: str
    year: int
    organiser: str
    published: str
    due: str
    state: str


@dataclass(frozen=True, slots=True)
class ArchivesPage:
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """What would be taken out of a year, and what stands in the way.

    `left`: what was deleted may be in the database file still.
    """

    line: Line
    url: str
    days: int
    held: Sequence[tuple[str, int]]
    total: int
    obstacles: Sequence[str]
    purged: bool
    left: bool
    file: bool
    problems: Problems


@at_desk("archive")
async def archives(request: Request) -> Response:
    """Show all rounds, and until when their personal data is kept."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await store.years(db)
    page = ArchivesPage([_line(site, one) for one in found])
    return await render(request, "host/archives.html", page)


@at_desk("archive")
async def year(request: Request) -> Response:
    """Show what would be taken out of a year, or take it out."""
    if request.method != "POST":
        return await _show(request, Problems())
    site, actor = request.app.state.site, request.state.colleague.actor
    of = id_of(request)
    answer = typed(await request.form()).get("year", "")
    if unicodedata.normalize("NFKC", answer).strip() != str(of):
        text = _("請輸入 %(year)s 以確認", year=str(of))
        return await _show(request, Problems((Problem("year", text),)))
    async with site.database.reading() as db:
        obstacles = await store.obstacles(db, await _year(db, of), site.clock.now())
    if obstacles:
        return await _show(request, Problems((Problem("year", obstacles[0]),)))
    digest = await archive.write(site, of)
    await store.purge(site, actor, of, digest)
    return await _compacted(site, of)


async def _compacted(site: Site, of: int) -> Response:
    """Write the database file anew, and tell when that could not be done to its end."""
    done = await site.database.compact()
    return see(f"{PAGE}/{of}" if done else f"{PAGE}/{of}?left=yes")


async def _year(db: aiosqlite.Connection, of: int) -> Year:
    found = await store.year(db, of)
    if found is None:
        raise Absent
    return found


async def _show(request: Request, problems: Problems) -> Response:
    site: Site = request.app.state.site
    of = id_of(request)
    async with site.database.reading() as db:
        found = await _year(db, of)
        held = await store.held(db, of)
        obstacles = await store.obstacles(db, found, site.clock.now())
    line = _line(site, found)
    page = ArchivePage(
        line=line,
        url=line.url,
        days=found.days,
        held=[(said(NAMES[table]), n) for table, n in held.items() if n],
        total=sum(held.values()),
        obstacles=obstacles,
        purged=found.purged is not None,
        left="left" in request.query_params,
        file=archive.path_of(site, of).is_file(),
        problems=problems,
    )
    return await render(request, "host/archive.html", page, 422 if problems else 200)


@at_desk("archive")
async def compact(request: Request) -> Response:
    """Write the database file anew once more: a crash may have come in between."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await _year(db, id_of(request))
    return await _compacted(site, found.year)


@at_desk("archive")
async def file(request: Request) -> Response:
    """Give what was kept of a year."""
    site: Site = request.app.state.site
    path = archive.path_of(site, id_of(request))
    if not await asyncio.to_thread(path.is_file):
        raise Absent
    return FileResponse(path, media_type="application/zip", filename=path.name)


def _line(site: Site, one: Year) -> Line:
    return Line(
        url=f"{PAGE}/{one.year}",
        year=one.year,
        organiser=one.organiser,
        published=moment_text(one.from_, current()) if one.from_ else "",
        due=moment_text(one.due, current()) if one.due else "",
        state=_state(site, one),
    )


def _state(site: Site, one: Year) -> str:
    if one.purged:
        at = moment_text(one.purged, current())
        return _("個人資料已於 %(at)s 清除", at=at)
    if one.due is not None and site.clock.now() >= one.due:
        return _("保存期限已過，應清除")
    return _("保存中")
