"""A practice site on a free port of this computer, for browsers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from jiepin.web.app import create_app
from jiepin.web.settings import Settings
from jiepin.web.vault import Vault


@dataclass(frozen=True)
class PracticeServer:
    """A running practice site."""

    origin: str
    vault: Vault


@contextmanager
def practice_server(folder: Path) -> Iterator[PracticeServer]:
    """Serve a practice site of its own; ended at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    environment = {"JIEPIN_DATA": str(folder), "JIEPIN_ORIGIN": origin}
    vault = Vault.new()
    app = create_app(Settings.read(environment, practice=True), vault)
    config = uvicorn.Config(app, port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.05)
    try:
        yield PracticeServer(origin, vault)
    finally:
        server.should_exit = True
        thread.join()
