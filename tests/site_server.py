"""A site on a free port of this computer, for browsers."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette

from jiepin.web.app import create_app
from jiepin.web.clock import Clock
from jiepin.web.settings import Line, Settings
from jiepin.web.site import Site
from jiepin.web.vault import Vault

STARTS, ANSWERS, STOPS = 10, 30, 20  # seconds, at the most


@dataclass(frozen=True, slots=True)
class SiteServer:
    """A running site; `run` does something in its own loop."""

    origin: str
    site: Site
    loop: asyncio.AbstractEventLoop

    def run(self, do: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(do(*args), self.loop).result(ANSWERS)


@contextmanager
def site_server(
    settings_at: Callable[[str], Settings],
    clock: Clock | None = None,
    http: Literal["auto", "h11", "httptools"] = "auto",
) -> Iterator[SiteServer]:
    """Serve the site that `settings_at` describes for an address; ended at the end."""
    # said to be TCP, so that asyncio sends without waiting for more (TCP_NODELAY)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = create_app(settings_at(origin), Vault.new(), clock)
    with _serving(app, listening, http) as loop:
        yield SiteServer(origin, app.state.site, loop)


@contextmanager
def _serving(
    app: Starlette,
    listening: socket.socket,
    http: Literal["auto", "h11", "httptools"],
) -> Iterator[asyncio.AbstractEventLoop]:
    config = uvicorn.Config(
        app, http=http, log_level="error", access_log=False, lifespan="on"
    )
    server = uvicorn.Server(config)
    started: queue.Queue[asyncio.AbstractEventLoop] = queue.Queue()

    async def serve() -> None:
        started.put(asyncio.get_running_loop())
        await server.serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        loop = started.get(timeout=STARTS)
        while not server.started and thread.is_alive():
            thread.join(0.02)
        yield loop
    finally:
        server.should_exit = True
        thread.join(timeout=STOPS)


@contextmanager
def practice_server(folder: Path, line: Line | None = None) -> Iterator[SiteServer]:
    """Serve a practice site of its own in a folder."""

    def settings_at(origin: str) -> Settings:
        environment = {"JIEPIN_DATA": str(folder), "JIEPIN_ORIGIN": origin}
        settings = Settings.read(environment, practice=True)
        return replace(settings, line=line) if line else settings

    with site_server(settings_at) as running:
        yield running
