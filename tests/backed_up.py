"""Small sites to make backups of, put back, and served as a process of their own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from frozen_site import frozen, reviewed, written
from killed_site import wait_for
from pyrage.x25519 import Identity

from jiepin.web import backup
from jiepin.web.backup import Manifest
from jiepin.web.clock import SystemClock
from jiepin.web.restore import Restored, restore
from jiepin.web.vault import Vault

RUN = "from jiepin.web.cli import main; main()"


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """Call `jiepin-web` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Kept:
    """The data folder of a site that has stopped, its keys, and who opens backups."""

    data: Path
    vault: Vault
    identity: Identity

    @property
    def keys(self) -> Path:
        return self.data / "keys.json"

    def backup(self, folder: Path) -> tuple[Path, Manifest]:
        recipients = [self.identity.to_public()]
        return asyncio.run(backup.make(self.data, self.vault, folder, recipients))

    def restore(
        self, file: Path, target: Path, vault: Vault | None = None, hold: bool = True
    ) -> Restored:
        now = SystemClock().now()
        return asyncio.run(restore(file, self.identity, target, vault, hold, now))


def keep(folder: Path) -> Kept:
    """Make a site with a snapshot, a run with a report, and a cache; stop it."""
    data = folder / "site"
    with reviewed(data) as (client, host):
        snapshot = frozen(host)
        run = f"rounds/{snapshot.year}/run-1"
        for name in (f"{run}/assignments.csv", f"{run}-report/report.html"):
            (data / name).parent.mkdir(parents=True)
            (data / name).write_text(f"invented {name}")
        written(
            client,
            "insert into run (snapshot, asked, asked_by, state, folder, lawful) "
            "values (:snapshot, 0, :by, 'done', :folder, 1)",
            snapshot=snapshot.id,
            by=host.actor.account,
            folder=run,
        )
        (data / "cache").mkdir()
        (data / "cache" / "compiled").write_text("made again at any time")
        client.site.vault.write(data / "keys.json")
        return Kept(data, client.site.vault, Identity.generate())


# a site as a process


class Loopback(httpx2.HTTPTransport):
    """Reaches a site on this computer under the name that it has for browsers."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = httpx2.Request(
            request.method,
            request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(sent)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[httpx2.Client]:
    """Serve a site as its settings say, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "serve"],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    port, origin = int(environment["JIEPIN_PORT"]), environment["JIEPIN_ORIGIN"]
    try:
        with httpx2.Client(base_url=origin, transport=Loopback(port)) as http:
            wait_for(http, process)
            yield http
    finally:
        process.terminate()
        _, said = process.communicate()
        if process.returncode:
            print(said.decode())


def digests(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder, by the paths in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in files}
