"""When which run is published, and what has been: planning, retracting, the lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, after_run, downloads
from jiepin.web.access import Actor
from jiepin.web.clock import moment_text
from jiepin.web.host.backed_up import no_backup
from jiepin.web.host.corrections import Folders
from jiepin.web.host.schedule import read_time
from jiepin.web.language import _, current, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.result_tables import (
    PER_PAGE,
    Line,
    Option,
    Pages,
    county_options,
    in_force,
    line,
    page_number,
    pages,
    sheet,
)
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.staff.sending import SentRow, sent_rows
from jiepin.web.store import dropouts, result_lists, runs, schools, snapshots
from jiepin.web.store import results as store
from jiepin.web.store.applications import Refused
from jiepin.web.store.result_lists import Search
from jiepin.web.store.results import Candidate, Publication, Write
from jiepin.web.store.schools import LEVELS
from jiepin.web.teacher.forms import Typed, typed

PAGE = "/host/results"
LIST = f"{PAGE}/list"
MOST_FOUND, LONGEST_WORDS = 100, 50
NO_PROBLEMS = Problems()


@dataclass(frozen=True, slots=True)
class RunRow:
    """A lawful run that may be published once it is approved."""

    run: int
    snapshot: int
    kind: str
    finished: str
    digest: str
    approved: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class PublicationRow:
    """A publication and what became of it."""

    id: int
    run: int
    at: str
    set_by: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """`planned` waits for its time, `published` is in force; None: there is none."""

    year: int
    planned: PublicationRow | None
    published: PublicationRow | None
    runs: Sequence[RunRow]
    history: Sequence[PublicationRow]
    sent: Sequence[SentRow]
    at: str
    reason: str
    may_publish: bool
    saved: bool
    problems: Problems


@at_desk()
async def overview(request: Request) -> Response:
    """Show what is published and planned, and what may be."""
    return await _show(request, {}, NO_PROBLEMS)


@at_desk("publish")
async def plan(request: Request) -> Response:
    """Publish a run at a moment, or at once."""
    form = typed(await request.form())
    run, at = form.get("run", ""), form.get("at", "").strip()
    moment = read_time(at)
    problems = Problems.of(
        None if _number(run) else Problem("run", _("請選擇要公告的計算結果")),
        Problem("at", _("時間請填如 2026-04-19T09:00")) if at and not moment else None,
        None if form.get("sure") else Problem("sure", _("請勾選確認後再送出")),
    )
    problems = problems or await no_backup(request, form)
    if problems:
        return await _show(request, form, problems)
    try:
        site: Site = request.app.state.site
        write_as = await _without_dropouts(site, _number(run))
        await store.publish(site, _actor(request), _number(run), moment, write_as)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(f"{PAGE}?saved=1")


async def _without_dropouts(site: Site, id_: int) -> Write | None:
    """Return what writes how a run ends by those who have dropped out before it.

    A corrected result would else place them again. None: nobody has dropped out.
    """
    async with site.database.reading() as db:
        run = await runs.run(db, id_)
        snapshot = await snapshots.by_id(db, run.snapshot) if run else None
        if run is None or snapshot is None or run.state != "done":
            return None
        year = run.year
        dropped = [one for one in await dropouts.of_year(db, year) if one.counts]
    if not dropped:
        return None
    folders = Folders(run.id, snapshot.id, snapshot.folder, run.folder)
    [ending] = await after_run.endings(site, [folders], dropped)

    async def write(db: aiosqlite.Connection) -> None:
        await dropouts.write_ending(db, year, ending)

    return write


@at_desk("publish")
async def retract(request: Request) -> Response:
    """Take back what is planned, with a reason."""
    form = typed(await request.form())
    publication = _number(form.get("publication", ""))
    reason = form.get("reason", "").strip()
    site: Site = request.app.state.site
    try:
        await store.retract(site, _actor(request), publication, reason)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(f"{PAGE}?saved=1")


def _number(text: str) -> int:
    """Return the number of a row; 0, which no row has, for anything else."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def _actor(request: Request) -> Actor:
    actor: Actor = request.state.colleague.actor
    return actor


async def _show(request: Request, form: Typed, problems: Problems) -> Response:
    site: Site = request.app.state.site
    now = site.clock.now()
    year = request.state.round.year if request.state.round else 0
    async with site.database.reading() as db:
        planned = await store.planned(db, year, now)
        published = await store.published(db, year, now)
        public = published.run if published else 0
        runs = [one for one in await store.candidates(db, year) if one.run != public]
        history = await store.history(db, year)
        sent = await store.sending(db)
    page = ResultsPage(
        year=year,
        planned=_publication(planned, planned, published) if planned else None,
        published=_publication(published, planned, published) if published else None,
        runs=[_run(one, form, runs) for one in runs],
        history=[_publication(one, planned, published) for one in history],
        sent=sent_rows(sent),
        at=form.get("at", ""),
        reason=form.get("reason", ""),
        may_publish=access.can(_actor(request), "publish", access.Round(year), now),
        saved="saved" in request.query_params,
        problems=problems,
    )
    status = 422 if problems else 200
    return await render(request, "host/results.html", page, status)


def _run(one: Candidate, form: Typed, runs: Sequence[Candidate]) -> RunRow:
    approved = [candidate.run for candidate in runs if candidate.approved]
    newest = str(approved[0]) if approved else ""
    return RunRow(
        one.run,
        one.snapshot,
        _("更正") if one.kind == "correction" else _("凍結"),
        moment_text(one.finished, current()),
        one.digest[:16],
        one.approved,
        chosen=str(one.run) == form.get("run", newest),
    )


def _publication(
    one: Publication, planned: Publication | None, published: Publication | None
) -> PublicationRow:
    at = moment_text(one.publish_at, current())
    state = _state(one, planned, published)
    return PublicationRow(one.id, one.run, at, one.set_by, state, one.reason)


def _state(
    one: Publication, planned: Publication | None, published: Publication | None
) -> str:
    if one.retracted:
        time = moment_text(one.retracted, current())
        return _("%(time)s 撤回", time=time)
    if one == planned:
        return _("等待公告")
    return _("公告中") if one == published else _("已由後來的公告取代")


# the list


@dataclass(frozen=True, slots=True)
class ListPage:
    """All results that are published, narrowed by what is asked for.

    `words`: what somebody was looked for by; then there are neither pages nor files.
    """

    published: str
    lines: Sequence[Line]
    pages: Pages
    asked: Mapping[str, str]
    counties: Sequence[Option]
    levels: Sequence[Option]
    query: str
    words: str


@at_desk()
async def listed(request: Request) -> Response:
    """Show the published results of every county, or those of somebody looked for.

    That is asked by POST although nothing changes: a name does not belong into an
    address, which browsers and servers keep.
    """
    site: Site = request.app.state.site
    search, asked = _asked(request)
    words = typed(await request.form()).get("who", "").strip()[:LONGEST_WORDS]
    page = page_number(request.query_params.get("page", ""))
    async with site.database.reading() as db:
        publication = await in_force(db, site)
        counties = await schools.counties(db)
        total = await result_lists.count(db, publication.run, search)
        where = pages(LIST, asked, page, total)
        here = (search, where.offset, PER_PAGE)
        if words:
            here = (Search(who=words), 0, MOST_FOUND)
        found = await result_lists.found(db, publication.run, *here)
    shown = ListPage(
        moment_text(publication.publish_at, current()),
        [line(one, counties) for one in found],
        where,
        asked,
        county_options(counties),
        [Option(level, said(name)) for level, name in LEVEL_NAMES.items()],
        request.url.query,
        words,
    )
    return await render(request, "host/result_list.html", shown)


def _asked(request: Request) -> tuple[Search, dict[str, str]]:
    names = ("county", "level", "way")
    asked = {name: request.query_params.get(name, "").strip() for name in names}
    levels = (asked["level"],) if asked["level"] in LEVELS else LEVELS
    return Search(asked["county"], levels, asked["way"]), asked


@at_desk("export")
async def listed_file(request: Request) -> Response:
    """Give the list as it is narrowed, as a file; the audit tells of it."""
    site: Site = request.app.state.site
    search, asked = _asked(request)
    async with site.database.reading() as db:
        publication = await in_force(db, site)
        counties = await schools.counties(db)
        found = await result_lists.found(db, publication.run, search)
    lines = [line(one, counties) for one in found]
    name = f"{publication.year} results {asked['county']}"
    table = sheet(_("介聘結果"), lines)
    kind = request.path_params["kind"]
    taken = await downloads.answer(kind, name, [table])
    await store.exported(site, _actor(request), kind)
    return taken
