"""The real smart card service, pcscd, with two virtual slots of vpcd.

There is one pcscd a machine, since its socket has a fixed place. It is started here
only where none runs, with a configuration of its own, and stopped by its own process
id. vpcd listens to the whole network while it runs: for test machines only.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from virtual_card import PORT

FOLDER = Path("/run/pcscd")
SOCKET = FOLDER / "pcscd.comm"
LEFT_OVERS = (SOCKET, FOLDER / "pcscd.pid")
DEBIAN_READER = Path("/etc/reader.conf.d/vpcd")
START_SECONDS = 10.0
STOP_SECONDS = 5.0
FIRST_TRIES = (PORT, *range(PORT + 2, PORT + 40, 2))

READER = """\
FRIENDLYNAME "Virtual PCD"
DEVICENAME /dev/null:{port}
LIBPATH {driver}
CHANNELID {port}
"""


class Unavailable(Exception):
    """Why the smart card service cannot be run here, for people to read."""


class Daemon:
    """A pcscd to start and stop again and again; ended with its `with` block.

    Entering it raises Unavailable. `ports` are where the cards of the two slots plug
    in, in the order of `SLOTS`.
    """

    SLOTS = ("Virtual PCD 00 00", "Virtual PCD 00 01")

    def __init__(self) -> None:
        self.ports: tuple[int, int] = (0, 0)
        self._readers = True
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._scratch = Path()

    def __enter__(self) -> Daemon:
        program, driver = _installed()
        self._lock = _only_one()
        self._program = program
        self._scratch = Path(tempfile.mkdtemp(prefix="jiepin-pcscd-"))
        try:
            self.ports = _free_ports()
            for name in ("readers", "no-readers"):
                (self._scratch / name).mkdir()
            (self._scratch / "readers" / "vpcd").write_text(
                READER.format(port=self.ports[0], driver=driver)
            )
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._scratch)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process else None

    def ensure(self, readers: bool = True) -> None:
        """See that it runs, with or without its two slots."""
        if self.pid is None or self._readers != readers:
            self.restart(readers)

    def start(self, readers: bool = True) -> None:
        """Start it and return as soon as it serves; raises Unavailable."""
        assert self.pid is None, "runs already"
        for file in LEFT_OVERS:
            file.unlink(missing_ok=True)
        self._readers = readers
        folder = self._scratch / ("readers" if readers else "no-readers")
        log = self._scratch / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*self._program, "--config", folder],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        end = time.monotonic() + START_SECONDS
        while not _serves():
            if self.pid is None or time.monotonic() > end:
                self.stop()
                raise Unavailable(f"pcscd does not start: {log.read_text('utf-8')}")
            time.sleep(0.02)

    def stop(self, force: bool = False) -> None:
        """End it; by force it leaves its socket and its pid file behind."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if force else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self, readers: bool = True) -> None:
        """Stop it and start it anew."""
        self.stop()
        self.start(readers)


def _installed() -> tuple[list[str | Path], str]:
    """Return how pcscd is called, and the driver of its virtual reader."""
    if not sys.platform.startswith("linux"):
        raise Unavailable("virtual card readers are for Linux only")
    program = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unavailable("pcscd is missing: apt-get install pcscd")
    if not DEBIAN_READER.exists():
        raise Unavailable("vpcd is missing: apt-get install vsmartcard-vpcd")
    driver = re.search(r"^LIBPATH\s+(\S+)", DEBIAN_READER.read_text("utf-8"), re.M)
    if driver is None or not Path(driver[1]).exists():
        raise Unavailable(f"{DEBIAN_READER} names no driver that exists")
    told = subprocess.run([program, "--help"], capture_output=True, check=False).stdout
    polkit = ["--disable-polkit"] if b"--disable-polkit" in told else []
    # by itself it ends after a minute without clients, should these tests be killed
    return [program, "--foreground", "--error", "--auto-exit", *polkit], driver[1]


def _only_one() -> int:
    """Keep other test runs away, and return the lock; closing it lets them in."""
    import fcntl

    try:
        FOLDER.mkdir(exist_ok=True)
    except OSError:
        raise Unavailable(f"pcscd needs {FOLDER}, which only root makes") from None
    if not os.access(FOLDER, os.W_OK):
        raise Unavailable(f"pcscd cannot write {FOLDER}; run these tests as root")
    lock = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _serves():
            raise Unavailable(
                "a pcscd runs here that these tests did not start; stop it first "
                "(systemctl stop pcscd.socket pcscd)"
            )
    except BaseException as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise Unavailable("another test run uses pcscd") from None
        raise
    return lock


def _serves() -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(SOCKET)) == 0


def _free_ports() -> tuple[int, int]:
    """Return two neighbouring ports for vpcd, its usual ones if they are free."""
    for first in FIRST_TRIES:
        pair = (first, first + 1)
        if all(map(_is_free, pair)):
            return pair
    raise Unavailable(f"all ports from {FIRST_TRIES[0]} to {pair[1]} are taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as vpcd does
        try:
            probe.bind(("", port))
            probe.listen()
        except OSError:
            return False
        return True
