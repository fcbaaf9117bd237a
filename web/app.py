"""Which addresses exist, and what every request passes through."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jiepin.web import accounts, demo, language
from jiepin.web.accounts import Presence
from jiepin.web.backup_schedule import Backups
from jiepin.web.clock import STANDS_STILL, Clock, SystemClock
from jiepin.web.county import account_help, papers, review, seats, tables
from jiepin.web.county import applications as city_applications
from jiepin.web.county import audit as city_audit
from jiepin.web.county import dropouts as city_dropouts
from jiepin.web.county import home as city_home
from jiepin.web.county import results as city_results
from jiepin.web.county import roster as city_roster
from jiepin.web.county import schools as city_schools
from jiepin.web.crowd import Crowd
from jiepin.web.documents import spreadsheets
from jiepin.web.downloads import Written
from jiepin.web.explainer import Explainer
from jiepin.web.faults import fault_of
from jiepin.web.figures import Counted, Figures, route_of
from jiepin.web.fragments import Fragments
from jiepin.web.guard import MOST_BODY, Guard
from jiepin.web.host import archive as host_archive
from jiepin.web.host import audit as host_audit
from jiepin.web.host import corrections as host_corrections
from jiepin.web.host import dropouts as host_dropouts
from jiepin.web.host import home as host_home
from jiepin.web.host import lists as host_lists
from jiepin.web.host import results as host_results
from jiepin.web.host import rules as host_rules
from jiepin.web.host import run_routes
from jiepin.web.host import schedule as host_schedule
from jiepin.web.host import setup as host_setup
from jiepin.web.landing import landing
from jiepin.web.logs import tell_of_loop, wordless
from jiepin.web.nightly import Nights
from jiepin.web.notify.worker import Worker
from jiepin.web.passwords import Busy, Passwords
from jiepin.web.public import announced as public_announced
from jiepin.web.public import listed as public_listed
from jiepin.web.public import statistics as public_statistics
from jiepin.web.rendering import STATIC, make_environment, render
from jiepin.web.round_run import Runner
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.staff import desk
from jiepin.web.staff import routes as staff_routes
from jiepin.web.staff.menu import MENUS, end_of_path
from jiepin.web.store import audit, results, snapshots
from jiepin.web.store.applications import NotSaved
from jiepin.web.store.database import Database
from jiepin.web.teacher import (
    appointment,
    check_answers,
    device,
    door,
    new_password,
    notices,
    notify,
    own_data,
    own_result,
    own_sheet,
    password,
    person,
    pool,
    status,
    wishes,
)
from jiepin.web.teacher.steps import not_saved
from jiepin.web.vault import Vault

log = logging.getLogger(__name__)

YEAR_SECONDS = 365 * 86400
TEND_EVERY = 60  # seconds
# what a page that needs nothing says, in both languages
LAST_WORDS = """<!doctype html>
<html lang="zh-Hant-TW"><meta charset="utf-8"><title>系統發生問題</title>
<h1>系統發生問題</h1>
<p>這次的動作沒有完成，已儲存的資料不受影響。請稍後再試。問題編號：<code>{number}</code></p>
<p lang="en">Something went wrong. This was not done; what you saved before is safe.
Try again later. Number of the problem: <code>{number}</code></p></html>
"""


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Why there is no page: absent, busy, large, unread, fault with its number; or what
    disk or database could not do (see jiepin.web.faults)."""

    kind: str
    number: str = ""


async def home(_request: Request) -> Response:
    return RedirectResponse("/teacher/", status_code=303)


async def choose_language(request: Request) -> Response:
    """Keep the language chosen, and go back to the page it was chosen on."""
    form = await request.form()
    back = _own_path(str(form.get("back", "/")))
    seen = _can_be_seen(request.app, back)  # not so the answer to a post
    answer = RedirectResponse(back if seen else "/", status_code=303)
    answer.set_cookie(
        request.app.state.site.settings.language_cookie,
        "en" if form.get("language") == language.ENGLISH else language.CHINESE,
        max_age=YEAR_SECONDS,
        secure=request.app.state.site.settings.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def _own_path(back: str) -> str:
    own = back.startswith("/") and not back.startswith(("//", "/\\"))
    return back if own and back.isprintable() and back.isascii() else "/"


def _can_be_seen(app: Starlette, path: str) -> bool:
    asked = {"type": "http", "method": "GET", "path": path}
    return any(route.matches(asked)[0] is Match.FULL for route in app.routes)


ROUTES: Sequence[BaseRoute] = (
    Route("/", landing),
    Route("/language", choose_language, methods=["POST"]),
    Route("/teacher/", door.sign_in_page),
    Route("/teacher/challenge", door.challenge, methods=["POST"]),
    Route("/teacher/sign-in", door.sign_in, methods=["POST"]),
    Route("/teacher/sign-out", door.sign_out, methods=["POST"]),
    Route("/teacher/device", device.device, methods=["GET", "POST"]),
    Route("/teacher/device/again", device.again, methods=["POST"]),
    Route("/teacher/help", door.help_page),
    Route("/teacher/forgot", new_password.forgot, methods=["POST"]),
    Route("/teacher/reset/{token}", new_password.reset, methods=["GET", "POST"]),
    Route("/teacher/notices", notices.notices, methods=["GET", "POST"]),
    Route("/teacher/password", password.password, methods=["GET", "POST"]),
    Route("/teacher/person", person.person, methods=["GET", "POST"]),
    Route("/teacher/person/code", person.code, methods=["POST"]),
    Route("/teacher/person/again", person.again, methods=["POST"]),
    Route("/teacher/appointment", appointment.appointment, methods=["GET", "POST"]),
    Route("/teacher/wishes", wishes.wishes),
    Route("/teacher/wishes/counties", wishes.counties, methods=["GET", "POST"]),
    Route("/teacher/wishes/edit", wishes.edit, methods=["POST"]),
    Route("/teacher/wishes/mine", wishes.keep_mine, methods=["POST"]),
    Route("/teacher/wishes/draft", wishes.draft, methods=["POST"]),
    Route("/teacher/wishes/save", wishes.save, methods=["POST"]),
    Route("/teacher/pool/{level}/{county}/{digest}", pool.answer),
    Route("/teacher/check", check_answers.check_answers, methods=["GET", "POST"]),
    Route("/teacher/status", status.status),
    Route("/teacher/result", own_result.why),
    Route("/teacher/sheet", own_sheet.page),
    Route("/teacher/sheet.pdf", own_sheet.document),
    Route("/teacher/notify", notify.settings, methods=["GET", "POST"]),
    Route("/teacher/notify/unlink", notify.unlink, methods=["POST"]),
    Route("/teacher/line", notify.line, methods=["GET", "POST"]),
    Route("/teacher/own-data", own_data.page),
    Route("/teacher/own-data.json", own_data.download, methods=["POST"]),
    *staff_routes.CITY,
    *staff_routes.HOST,
    Route("/city/home", city_home.home),
    Route("/city/applications", city_applications.listing),
    Route(
        "/city/applications/search", city_applications.search, methods=["GET", "POST"]
    ),
    Route("/city/applications/{id}", review.page),
    Route("/city/applications/{id}/open", review.begin, methods=["POST"]),
    Route("/city/applications/{id}/close", review.end, methods=["POST"]),
    Route("/city/applications/{id}/openers", review.openers),
    Route("/city/applications/{id}/sheet", review.sheet, methods=["POST"]),
    Route("/city/applications/{id}/save", review.save, methods=["POST"]),
    Route("/city/applications/{id}/return", review.send_back, methods=["POST"]),
    Route("/city/applications/{id}/reject", review.reject, methods=["POST"]),
    Route("/city/applications/{id}/undo", review.undo, methods=["POST"]),
    Route("/city/applications/{id}/help", account_help.give, methods=["POST"]),
    Route("/city/applications/{id}/sheet.pdf", papers.personal_sheet),
    Route("/city/applications/{id}/points.pdf", papers.points_sheet),
    Route("/city/schools", city_schools.listed),
    Route("/city/schools/new", city_schools.new, methods=["GET", "POST"]),
    Route("/city/schools/seats", seats.seats, methods=["GET", "POST"]),
    Route("/city/schools/{code}", city_schools.edit, methods=["GET", "POST"]),
    Route("/city/roster", city_roster.roster),
    Route("/city/roster/add", city_roster.add, methods=["POST"]),
    Route("/city/roster/remove", city_roster.remove, methods=["POST"]),
    Route("/city/tables", tables.tables, methods=["GET", "POST"]),
    Route("/city/tables/points", tables.download_points, methods=["POST"]),
    Route("/city/tables/tried/{token}", tables.tried, methods=["GET", "POST"]),
    Route("/city/tables/{file}", tables.download),
    Route("/city/audit", city_audit.page),
    Route("/city/audit/notices", city_audit.notices),
    Route("/city/audit/{kind}", city_audit.download, methods=["POST"]),
    Route("/city/results", city_results.shown),
    Route("/city/results.{kind}", city_results.file, methods=["POST"]),
    Route("/host/home", host_home.home),
    Route("/host/progress.json", host_home.progress),
    Route("/host/round", host_setup.setup, methods=["GET", "POST"]),
    Route("/host/round/texts", host_setup.texts, methods=["POST"]),
    Route("/host/round/begin", host_setup.begin, methods=["POST"]),
    Route("/host/round/schedule", host_schedule.schedule, methods=["GET", "POST"]),
    Route("/host/round/lists", host_lists.start),
    Route("/host/round/lists/{list}", host_lists.lists, methods=["GET", "POST"]),
    Route("/host/rules", host_rules.rules, methods=["GET", "POST"]),
    *run_routes.ROUTES,
    Route("/host/results", host_results.overview),
    Route("/host/results/plan", host_results.plan, methods=["POST"]),
    Route("/host/results/retract", host_results.retract, methods=["POST"]),
    Route("/host/results/list", host_results.listed, methods=["GET", "POST"]),
    Route("/host/results/list.{kind}", host_results.listed_file, methods=["POST"]),
    Route("/public/", public_announced.announced),
    Route("/public/snapshots/{id:row}/manifest.json", public_announced.manifest),
    Route("/public/snapshots/{id:row}/round.zip", public_announced.round_zip),
    Route("/public/results", public_listed.listed),
    Route("/public/results.{kind}", public_listed.listed_file),
    Route("/public/statistics", public_statistics.statistics),
    Route("/public/pictures/{name}.svg", public_statistics.picture),
    Route("/public/report", public_statistics.report),
    Route("/city/dropouts", city_dropouts.dropouts),
    Route("/city/dropouts/{id}", city_dropouts.answer, methods=["POST"]),
    Route("/host/archive", host_archive.archives),
    Route("/host/archive/{id}", host_archive.year, methods=["GET", "POST"]),
    Route("/host/archive/{id}/compact", host_archive.compact, methods=["POST"]),
    Route("/host/archive/{id}/file", host_archive.file),
    Route("/host/audit", host_audit.page),
    Route("/host/audit/chain.jsonl", host_audit.export),
    Route("/host/audit/table/{kind}", host_audit.download),
    Route("/host/corrections", host_corrections.corrections, methods=["GET", "POST"]),
    Route("/host/corrections/close", host_corrections.close, methods=["POST"]),
    Route("/host/corrections/freeze", host_corrections.freeze, methods=["POST"]),
    Route("/host/corrections/schools", host_corrections.open_schools, methods=["POST"]),
    Route(
        "/host/corrections/schools/close",
        host_corrections.close_schools,
        methods=["POST"],
    ),
    Route("/host/corrections/{id}", host_corrections.differences),
    Route("/host/corrections/{id}/file", host_corrections.file, methods=["POST"]),
    Route("/host/dropouts", host_dropouts.dropouts, methods=["GET", "POST"]),
    Route("/host/dropouts/{id}", host_dropouts.dropout),
    Route("/host/dropouts/{id}/apply", host_dropouts.apply, methods=["POST"]),
    Route("/host/dropouts/{id}/undo", host_dropouts.undo, methods=["POST"]),
    Route("/host/dropouts/{id}/letters", host_dropouts.letters, methods=["POST"]),
    Route("/host/dropouts/{id}/finish", host_dropouts.finish, methods=["POST"]),
    Mount(STATIC, StaticFiles(directory=str(files("jiepin.web") / "static"))),
)


def create_app(
    settings: Settings, vault: Vault, clock: Clock | None = None
) -> Starlette:
    """Return the site; the database opens when it starts and closes when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(tell_of_loop)
        database = await Database.open(settings.database)
        app.state.site = Site(settings, clock or SystemClock(), vault, database)
        try:
            await _start(app)
            running = [
                asyncio.create_task(work)
                for work in (
                    _tend(app),
                    app.state.worker.run(),
                    app.state.runner.run(),
                    app.state.backups.run(),
                )
            ]
            log.info("the site has started")
            try:
                yield
            finally:
                log.info("the site stops")
                await _stop(running)
                await app.state.explainer.stop()
                await _flush(app)
        finally:
            await database.close()

    figures = Figures()
    app = Starlette(
        routes=[*ROUTES, *(demo.ROUTES if settings.practice else ())],
        middleware=[
            Middleware(Counted, figures=figures),
            Middleware(Guard, settings=settings),
            Middleware(GZipMiddleware, minimum_size=1400),
            Middleware(Spoken),
            Middleware(Sized),
            Middleware(Crowd, settings=settings),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MOST_BODY),
            Middleware(Faults),
        ],
        exception_handlers={
            NotSaved: _not_saved,
            Busy: _busy,
            ClientDisconnect: _gone,
            sqlite3.OperationalError: _not_stored,
            OSError: _not_stored,
            HTTPException: _http_error,
        },
        lifespan=lifespan,
    )
    app.state.figures = figures
    app.state.templates = make_environment()
    app.state.passwords = Passwords()
    app.state.presence = Presence()
    app.state.staff_presence = Presence()
    app.state.fragments = Fragments()
    app.state.written = Written()
    app.state.readings = asyncio.Semaphore(spreadsheets.READ_AT_ONCE)
    app.state.counting = host_home.Counting()
    return app


async def _start(app: Starlette) -> None:
    site: Site = app.state.site
    await _look_at_clock(site)
    app.state.worker = Worker.of(site)
    app.state.runner = Runner(site)
    app.state.backups = Backups(site)
    app.state.explainer = Explainer(site.settings.data)
    if site.settings.practice:
        app.state.practice = await demo.fill(site)
        app.state.worker = Worker(site, {"mail": app.state.practice})


async def _look_at_clock(site: Site) -> None:
    """Say so when this machine's time is before what was written here already."""
    async with site.database.reading() as db:
        latest = await audit.latest(db)
    if latest is not None and site.clock.now() < latest - STANDS_STILL:
        log.error(
            "the clock of this machine is behind the audit, whose latest entry is of "
            "%s; times that were over are open again until then",
            latest.isoformat(timespec="seconds"),
        )


class Spoken:
    """Speaks the language that the browser's cookie asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cookie = scope["app"].state.site.settings.language_cookie
        chosen = Request(scope).cookies.get(cookie, language.CHINESE)
        with language.speaking(chosen):
            await self._app(scope, receive, send)


class Sized:
    """Refuses a body that says itself that it is too large, before anything is done.

    What comes without saying so is counted while it is read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        if scope["type"] == "http":
            length = Headers(scope=scope).get("content-length", "")
            if length.isdecimal() and int(length[:12]) > MOST_BODY:
                page = ErrorPage("large")
                answer = await render(Request(scope), "error.html", page, 413)
        await answer(scope, receive, send)


class Faults:
    """Answers with a page when something went wrong that nobody foresaw.

    What it was goes to the log under a number; the page shows the number alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            number = secrets.token_hex(4)
            scope["app"].state.figures.incidents.inc()
            log.error(
                "incident %s: %s",
                number,
                type(error).__name__,
                exc_info=wordless(error),
                extra={"incident": number},
            )
            answer = await _fault_page(Request(scope), number)
            await answer(scope, receive, send)


async def _fault_page(request: Request, number: str) -> Response:
    """Show the number of a fault, without the database where that is the fault."""
    try:
        return await render(request, "error.html", ErrorPage("fault", number), 500)
    except Exception as fault:
        log.error("incident %s, and no page: %s", number, type(fault).__name__)
        return HTMLResponse(LAST_WORDS.format(number=number), 500)


async def _tend(app: Starlette) -> None:
    """Look after what grows old, once a minute."""
    nights = Nights(app.state.site)
    while True:
        await asyncio.sleep(TEND_EVERY)
        try:
            await _flush(app)
            await results.tend(app.state.site)
            await snapshots.keep_audits(app.state.site)
            await own_result.prepare(app.state.site, app.state.explainer)
            await nights.tend()
        except Exception as fault:
            log.error(
                "tending failed: %s; trying again in a minute",
                type(fault).__name__,
                exc_info=wordless(fault),
            )


async def _flush(app: Starlette) -> None:
    await accounts.flush(app.state.site, app.state.presence)
    await accounts.flush_staff(app.state.site, app.state.staff_presence)


async def _stop(running: Sequence[asyncio.Task[None]]) -> None:
    for task in running:
        task.cancel()
    for task in running:
        with suppress(asyncio.CancelledError):
            await task


async def _not_saved(request: Request, error: Exception) -> Response:
    """Answer to a save that changed nothing, in the way of the end it was made at."""
    of_staff = end_of_path(request.url.path) in MENUS
    return await (desk.not_saved if of_staff else not_saved)(request, error)


async def _busy(request: Request, _error: Exception) -> Response:
    request.app.state.figures.refused("busy")
    answer = await render(request, "error.html", ErrorPage("busy"), 503)
    answer.headers["retry-after"] = "30"
    return answer


async def _not_stored(request: Request, error: Exception) -> Response:
    """Say that nothing was saved, for the disk's sake; what was there stays."""
    fault = fault_of(error)
    if fault is None:
        raise error
    request.app.state.figures.refused(fault)
    log.error("not stored: %s (%s)", fault, type(error).__name__)
    return await render(request, "error.html", ErrorPage(fault), 503)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds = {400: "unread", 404: "absent", 405: "absent", 413: "large"}
    kind = kinds.get(error.status_code, "fault")
    if kind == "absent":
        _log_absent(request)
    return await render(request, "error.html", ErrorPage(kind), error.status_code)


def _log_absent(request: Request) -> None:
    """Log who has asked for what is not there for him: what is refused looks so too."""
    for name in ("colleague", "visitor"):
        who = getattr(request.state, name, None)
        if who is not None:
            where, account = route_of(request.scope), who.actor.account
            log.info("absent: %s %s for %s", request.method, where, account)
