"""A list that was acknowledged is never lost: the site is killed while it saves."""

from __future__ import annotations

import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
from practice_round import PASSWORD, appointment_form, person_form

ROUNDS = 5
RUN = "from jiepin.web.cli import main; main()"

Wishes = tuple[str, ...]


class Site:
    """The practice site as a process of its own, and a browser that is signed in."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        address = f"http://127.0.0.1:{self.port}"
        self.http = httpx2.Client(
            base_url=address, headers={"origin": address}, follow_redirects=True
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the site; it is killed at the end, in the midst of whatever it does."""
        options = ["--data", str(self.folder), "--port", str(self.port)]
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "demo", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.wait_for(process)
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def wait_for(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            try:
                self.http.get("/teacher/help")
            except httpx2.TransportError:
                threading.Event().wait(0.05)
            else:
                return
        raise AssertionError(f"the site ended with {process.returncode}")

    def post(self, path: str, page: str = "", **fields: str) -> httpx2.Response:
        version = self.version(page or path)
        return self.http.post(path, data={"version": version, **fields})

    def version(self, page: str) -> str:
        found = re.search(r'name="version" value="(\d+)"', self.http.get(page).text)
        return found.group(1) if found else ""

    def come_to_the_wishes(self) -> None:
        card = {"level": "elementary", "practice": "0"}
        self.http.post("/teacher/sign-in", data=card)
        self.post("/teacher/notices", notices_version="1")
        self.post("/teacher/password", password=PASSWORD, again=PASSWORD)
        self.post("/teacher/person", **person_form())
        code = re.search(r"\b\d{8}\b", self.http.get("/practice/mail").text)
        assert code is not None
        self.post("/teacher/person/code", "/teacher/person", code=code.group())
        page = self.http.get("/teacher/appointment").text
        home = re.search(r'<option value="(\w+)" selected>', page)
        assert home is not None
        self.post("/teacher/appointment", **appointment_form(school=home.group(1)))
        self.post("/teacher/wishes/counties", county1="13")

    def save_until_killed(
        self, process: subprocess.Popen[bytes], pool: Wishes, dice: random.Random
    ) -> tuple[Wishes, Wishes]:
        """Save lists without end; return the last acknowledged one and the next one."""
        known: Wishes = self.stored()
        version = int(self.version("/teacher/wishes"))
        threading.Timer(dice.uniform(0.05, 0.4), process.kill).start()
        while True:
            tried = tuple(dice.sample(pool, 20))
            form = {"version": str(version), "schools": " ".join(tried)}
            try:
                answer = self.http.post(
                    "/teacher/wishes/save", data=form, follow_redirects=False
                )
            except httpx2.TransportError:
                return known, tried
            assert answer.status_code == 303, answer.text
            known, version = tried, version + 1

    def query(self, statement: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self.folder / "jiepin.db")) as db:
            return db.execute(statement).fetchall()

    def stored(self) -> Wishes:
        rows = self.query(
            "select wish.school from wish "
            "join application as own on own.id = application "
            "join account on account.id = own.account "
            "where last_sign_in is not null order by place"
        )
        return tuple(code for (code,) in rows)


def test_4_4_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    with site.running():
        site.come_to_the_wishes()
        rows = site.query(
            "select code from school where county = '13' and level = 'elementary'"
        )
    pool = tuple(code for (code,) in rows)
    dice = random.Random(7)
    for _ in range(ROUNDS):
        with site.running() as process:
            known, tried = site.save_until_killed(process, pool, dice)
        assert site.stored() in (known, tried)
        assert site.query("pragma integrity_check") == [("ok",)]
