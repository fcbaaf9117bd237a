"""The processes of a measurement: the site itself, its mail server, and a probe.

The site is the command `jiepin-web serve` with the settings of a real one: what speaks
to it stands where the proxy would, with the Host header, X-Forwarded-For and
`__Host-` cookies.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
ORIGIN = "https://tas.example"
HOST = "tas.example"
SERVE = "from jiepin.web.cli import main; main()"
STARTS, STOPS = 60, 60  # seconds, at the most


def free_port() -> int:
    """Return a port of this computer that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A site that runs as a process of its own."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Return the seconds of processor time so far, without its children."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        """Return its resident memory in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)


@contextmanager
def serving(folder: Path, keys: Path) -> Iterator[Server]:
    """Run the site on a folder, with a mail server that takes everything."""
    port, mail = free_port(), free_port()
    environment = {
        **os.environ,
        "JIEPIN_DATA": str(folder),
        "JIEPIN_KEYS": str(keys),
        "JIEPIN_ORIGIN": ORIGIN,
        "JIEPIN_PORT": str(port),
        "JIEPIN_PROXIES": "127.0.0.1",
        "JIEPIN_SMTP_HOST": "127.0.0.1",
        "JIEPIN_SMTP_PORT": str(mail),
        "JIEPIN_SMTP_SECURITY": "none",
        "JIEPIN_MAIL_FROM": "noreply@tas.example",
    }
    mailbox = subprocess.Popen([sys.executable, str(HERE / "mail_sink.py"), str(mail)])
    site = subprocess.Popen([sys.executable, "-c", SERVE, "serve"], env=environment)
    try:
        _wait_for(site, port)
        yield Server(port, site)
    finally:
        for process in (site, mailbox):
            process.terminate()
            process.wait(STOPS)


def _wait_for(site: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + STARTS
    while time.monotonic() < until and site.poll() is None:
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=STARTS)
        try:
            asking.request("GET", "/teacher/help", headers={"Host": HOST})
            asking.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            asking.close()
    raise RuntimeError(f"the site did not start; exit code {site.poll()}")


@dataclass(frozen=True)
class Probed:
    """What the probe saw: its answers, their statuses, the longest gap in seconds."""

    answers: int
    statuses: dict[str, int]
    gap: float
    at: float  # seconds after the start of the probe


class Probe:
    """Asks a cheap page fifty times a second from a process of its own."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "probe.py"), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> Probed:
        """Stop asking, and return what was seen."""
        said, _nothing = self._process.communicate("\n", STOPS)
        return Probed(**json.loads(said))
