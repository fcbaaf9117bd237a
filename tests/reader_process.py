"""The real program `jiepin-reader` in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("jiepin-reader")
LISTENING = "服務正常監聽中："
START_SECONDS = 60.0


def environment(home: Path) -> dict[str, str]:
    """The environment of a user whose home is `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    return {**kept, "HOME": str(home)}


def run(
    home: Path, *words: str | Path, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [PROGRAM, *words],
        env=environment(home),
        capture_output=True,
        encoding=encoding,
        timeout=120,
        check=False,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port: int = opened.getsockname()[1]
        return port


class Service:
    """A running service; `lines` are those of its log so far."""

    def __init__(self, process: subprocess.Popen[str], port: int, home: Path) -> None:
        self.process = process
        self.port = port
        self.home = home
        self.lines: list[str] = []
        self.url = f"https://localhost:{port}"

    @property
    def authority(self) -> Path:
        return self.home / ".local/share/jiepin-reader/ca.pem"

    def wait_for(self, text: str, after: int = 0) -> None:
        """Wait until the log tells `text`, in a line behind the first so many."""
        end = time.monotonic() + START_SECONDS
        while not any(text in line for line in self.lines[after:]):
            assert time.monotonic() < end, "\n".join(self.lines)
            time.sleep(0.01)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


@contextmanager
def service(
    home: Path, *words: str | Path, port: int | None = None
) -> Iterator[Service]:
    """Start the service, on a free port if none is said; ended at the end."""
    port = port or free_port()
    process = subprocess.Popen(
        [PROGRAM, "--port", str(port), *words],
        env=environment(home),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    started = Service(process, port, home)
    listening = threading.Event()

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            started.lines.append(line.rstrip("\n"))
            if LISTENING in line:
                listening.set()
        listening.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        listening.wait(START_SECONDS)
        assert process.poll() is None, "\n".join(started.lines)
        yield started
    finally:
        if process.poll() is None:
            started.end()
        thread.join()
        assert process.stderr is not None
        process.stderr.close()


def words_for(origin: str, key: Path) -> Sequence[str]:
    return ("--origin", origin, "--server-key", str(key))
