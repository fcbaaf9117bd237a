"""Being watched: is the site alive, is it ready, and its figures.

They have a listener of their own, on this computer unless told otherwise: none of
these addresses is on the site that browsers see.

  /health   200 as long as the process and its event loop answer
  /ready    200 when the site can serve; else 503 and the names of what is wrong
  /metrics  the figures, as Prometheus reads them
"""

from __future__ import annotations

import asyncio
import math
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jiepin.web.backup_schedule import newest
from jiepin.web.figures import Figures
from jiepin.web.rotation import unopened
from jiepin.web.site import Site
from jiepin.web.store.condition import condition, is_newest

LEAST_ROOM: Final = 256 * 1024 * 1024  # bytes free for the data folder
PATIENCE: Final = 3.0  # seconds for one look
# of the disk and the database; aiosqlite says ValueError of one that is closed
_NO_ANSWER: Final = (OSError, sqlite3.Error, TimeoutError, ValueError)


async def obstacles(site: Site) -> list[str]:
    """Return the names of what keeps a site from serving, none when it can.

    database  it cannot be read or written within three seconds
    shape     it is not of the newest shape
    lock      its file or its lock was replaced while the site runs
    keys      the keys do not open what is sealed in it
    disk      hardly any room is left
    """
    looks: dict[str, Callable[[Site], Awaitable[bool]]] = {
        "database": _writes,
        "shape": _of_newest_shape,
        "lock": _in_place,
        "keys": _opens,
        "disk": _has_room,
    }
    return [name for name, look in looks.items() if not await _holds(look, site)]


async def _holds(look: Callable[[Site], Awaitable[bool]], site: Site) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await look(site)
    except _NO_ANSWER:
        return False


async def _writes(site: Site) -> bool:
    async with site.database.writing():
        return True


async def _of_newest_shape(site: Site) -> bool:
    async with site.database.reading() as db:
        return await is_newest(db)


async def _in_place(site: Site) -> bool:
    return site.database.in_place()


async def _opens(site: Site) -> bool:
    async with site.database.reading() as db:
        return not await unopened(db, site.vault)


async def _has_room(site: Site) -> bool:
    return shutil.disk_usage(site.settings.data).free >= LEAST_ROOM


class Monitor:
    """Answers for one site, which may not have started yet."""

    def __init__(self, site: Starlette) -> None:
        self._state = site.state
        figures: Figures = site.state.figures
        self._figures = figures
        make = figures.gauge
        self._ready = make("jiepin_ready", "1: it can serve")
        self._outbox = make("jiepin_outbox", "messages not sent", "state")
        self._oldest = make("jiepin_outbox_oldest_seconds", "age of what waits longest")
        self._runs = make("jiepin_runs", "runs of the engine", "state")
        self._here = make("jiepin_sessions", "here within ten minutes", "who")
        self._hashing = make("jiepin_passwords_waiting", "for their turn")
        self._database = make("jiepin_database_bytes", "size of the database")
        self._log = make("jiepin_wal_bytes", "size of its write-ahead log")
        self._room = make("jiepin_disk_free_bytes", "free for the data folder")
        self._backup = make("jiepin_backup_age_seconds", "age of the newest backup")
        self.app = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/ready", self.ready),
                Route("/metrics", self.metrics),
            ]
        )

    async def health(self, _request: Request) -> Response:
        return _text("alive")

    async def ready(self, _request: Request) -> Response:
        found = await self._obstacles()
        if found:
            return _text("not ready: " + ", ".join(found), 503)
        return _text("ready")

    async def metrics(self, _request: Request) -> Response:
        self._ready.set(not await self._obstacles())
        if self._site is not None:
            with suppress(*_NO_ANSWER):  # the rest is told
                async with asyncio.timeout(PATIENCE):
                    await self._take(self._site)
        text = await asyncio.to_thread(self._figures.text)  # pages do not wait for it
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @property
    def _site(self) -> Site | None:
        site: Site | None = getattr(self._state, "site", None)
        return site

    async def _obstacles(self) -> list[str]:
        return ["starting"] if self._site is None else await obstacles(self._site)

    async def _take(self, site: Site) -> None:
        """Set the figures that nobody counts meanwhile."""
        now = site.clock.now()
        path = site.database.path
        self._room.set(shutil.disk_usage(site.settings.data).free)
        self._database.set(_size(path))
        self._log.set(_size(path.with_name(path.name + "-wal")))
        self._hashing.set(self._state.passwords.waiting)
        self._here.labels("teachers").set(self._state.presence.online(now))
        self._here.labels("staff").set(self._state.staff_presence.online(now))
        self._backup.set(_age_of_backup(site))
        async with site.database.reading() as db:
            found = await condition(db)
        waits = now - found.waits_since if found.waits_since else now - now
        self._oldest.set(waits.total_seconds())
        for state, n in found.outbox.items():
            self._outbox.labels(state).set(n)
        for state, n in found.runs.items():
            self._runs.labels(state).set(n)


def _age_of_backup(site: Site) -> float:
    """Return seconds; without end where there is no backup, NaN where none are made."""
    if site.settings.backups is None:
        return math.nan
    made = newest(site.settings.backups)
    return math.inf if made is None else (site.clock.now() - made).total_seconds()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _text(line: str, status_code: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return PlainTextResponse(line + "\n", status_code, headers)


class _Beside(uvicorn.Server):
    """A second listener in the process; the first one looks after signals."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()


@asynccontextmanager
async def watched(site: Starlette, listening: socket.socket) -> AsyncIterator[None]:
    """Let a site be watched on a socket, until the end of the block."""
    config = uvicorn.Config(
        Monitor(site).app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        limit_concurrency=16,
    )
    server = _Beside(config)
    figures: Figures = site.state.figures
    lag = asyncio.create_task(figures.watch_loop())
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        lag.cancel()
        await asyncio.wait([serving, lag])
