"""A practice site as a process of its own, killed while several people save.

Everybody who saves knows what was acknowledged to him last and what he tried next: one
of the two must be stored, whole, after each kill.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from practice_round import PASSWORD, appointment_form, person_form

from jiepin.web import audit_check

RUN = "from jiepin.web.cli import main; main()"
STARTS_WITHIN = 60  # seconds
FIRST_KILL, LAST_KILL = 0.05, 0.4  # seconds after the first save of a round
N_WISHES = 20
# practice cards: number, level, subject, and the county that is wished
CARDS = (
    ("0", "elementary", "E01", "13"),
    ("1", "elementary", "E01", "14"),
    ("4", "junior-high", "J01", "13"),
    ("5", "junior-high", "J01", "14"),
)
CONTENT = "wishes", "phone2", "service_years", "state", "version"


class Site:
    """The practice site as a process; it is killed whenever `running` ends."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.address = f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "jiepin.db"

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
            with httpx2.Client(base_url=self.address) as http:
                wait_for(http, process)
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def query(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as db:
            return db.execute(statement, values).fetchall()


@dataclass(frozen=True)
class State:
    """What a save leaves: the version and what can be changed here."""

    version: int
    wishes: tuple[str, ...] = ()
    phone2: str = ""
    service_years: int = 5
    state: str = "filling"


@dataclass
class Saver:
    """Somebody with a practice card who saves without end."""

    site: Site
    card: tuple[str, str, str, str]
    dice: random.Random
    known: State = State(0)
    tried: State = State(0)
    acknowledged: int = 0
    pool: tuple[str, ...] = ()
    form: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.email = f"card{self.card[0]}@example.org"
        self.http = httpx2.Client(
            base_url=self.site.address, headers={"origin": self.site.address}
        )

    def post(self, path: str, **fields: str) -> httpx2.Response:
        return self.http.post(path, data=fields)

    def save_page(self, path: str, **fields: str) -> None:
        """Save a step from its page as it is now."""
        page = self.http.get(path.removesuffix("/code")).text
        found = re.search(r'name="version" value="(\d+)"', page)
        version = found.group(1) if found else ""
        done = self.post(path, version=version, **fields)
        assert done.status_code == 303, (path, done.status_code, done.text[-600:])

    def come_to_the_wishes(self) -> None:
        """Sign in and do the first four steps."""
        number, level, subject, county = self.card
        self.post("/teacher/sign-in", level=level, practice=number)
        self.save_page("/teacher/notices", notices_version="1")
        self.save_page("/teacher/password", password=PASSWORD, again=PASSWORD)
        self.save_page("/teacher/person", **person_form(email=self.email))
        self.save_page("/teacher/person/code", code=self.code())
        page = self.http.get("/teacher/appointment").text
        home = re.search(r'<option value="(\w+)" selected>', page)
        assert home is not None
        self.form = appointment_form(school=home.group(1), subject1=subject)
        self.save_page("/teacher/appointment", **self.form)
        self.save_page("/teacher/wishes/counties", county1=county)
        rows = self.site.query(
            "select code from school where county = :county and level = :level",
            county=county,
            level=level,
        )
        self.pool = tuple(code for (code,) in rows)
        self.known = self.stored()

    def code(self) -> str:
        page = self.http.get("/practice/mail").text
        found = re.search(rf"{self.email}.*?\b(\d{{8}})\b", page, re.DOTALL)
        assert found is not None
        return found.group(1)

    # saves

    def save_until_killed(self) -> None:
        """Save one thing after the other until nobody answers."""
        while True:
            path, fields, self.tried = self.next_save()
            version = str(self.known.version)
            try:
                answer = self.post(path, version=version, **fields)
            except httpx2.TransportError:
                return
            assert answer.status_code == 303, (path, answer.status_code, answer.text)
            self.known = self.tried
            self.acknowledged += 1

    def next_save(self) -> tuple[str, dict[str, str], State]:
        """Choose what to save: address, fields, and what will be stored."""
        now = replace(self.known, version=self.known.version + 1)
        kind = self.dice.choice(("list", "list", "empty", "person", "years", "file"))
        if kind == "person":
            phone = f"07-{self.dice.randrange(10**7):07d}"
            fields = person_form(email=self.email, phone2=phone)
            return "/teacher/person", fields, replace(now, phone2=phone)
        if kind == "years":
            years = self.dice.randrange(40)
            fields = self.form | {"service_years": str(years)}
            return "/teacher/appointment", fields, replace(now, service_years=years)
        if kind == "file" and now.wishes:
            return "/teacher/check", {}, replace(now, state="filed")
        n = 0 if kind == "empty" else min(N_WISHES, len(self.pool))
        wishes = tuple(self.dice.sample(self.pool, n))
        state = now.state if wishes else "filling"
        fields = {"schools": " ".join(wishes)}
        return "/teacher/wishes/save", fields, replace(now, wishes=wishes, state=state)

    # what is stored

    def stored(self) -> State:
        [row] = self.site.query(
            """select version, (select json_group_array(school) from (select school
            from wish where application = application.id order by place)),
            phone2, service_years, state from application where email = :email""",
            email=self.email,
        )
        version, wishes, phone, years, state = row
        return State(version, tuple(json.loads(wishes)), phone, years, state)

    def check(self) -> None:
        """Hold what is stored against what was acknowledged; go on from there."""
        stored = self.stored()
        assert stored in (self.known, self.tried), (stored, self.known, self.tried)
        versions = self.site.query(
            """select kept.version, event, kept.digest, content, application.digest
            from application_version as kept
            join application on application.id = kept.application
            where email = :email order by kept.version""",
            email=self.email,
        )
        self._check_versions(stored, versions)
        self.known = stored

    def _check_versions(self, stored: State, rows: Sequence[tuple[Any, ...]]) -> None:
        numbers = [version for version, *_ in rows]
        assert numbers == list(range(numbers[0], stored.version + 1))
        for _version, _event, digest, content, _last in rows:
            assert hashlib.sha256(content.encode()).hexdigest() == digest
        newest = json.loads(rows[-1][3])
        newest["wishes"] = tuple(newest["wishes"])
        assert State(**{name: newest[name] for name in CONTENT}) == stored
        assert rows[-1][2] == rows[-1][4]
        receipts = sum(event in ("wishes-saved", "filed") for _, event, *_ in rows)
        [[noted, told]] = self.site.query(
            """select (select count(*) from audit where object = application.id and
            json_extract(detail, '$.digest') is not null),
            (select count(*) from outbox where outbox.application = application.id
            and event in ('wishes-saved', 'filed')) from application
            where email = :email""",
            email=self.email,
        )
        assert (noted, told) == (len(rows), receipts)


def settled(site: Site, savers: Sequence[Saver]) -> None:
    """Check everything that lies in the folder of a site that was killed."""
    for saver in savers:
        saver.check()
    assert site.query("pragma integrity_check") == [("ok",)]
    assert site.query("pragma foreign_key_check") == []
    verdict = asyncio.run(audit_check.verify(site.database, None))
    assert verdict.holds, verdict.english


def killed_while_saving(folder: Path, rounds: int, seed: int) -> int:
    """Kill a site so many times while all save; return how many saves were told done.

    Raises AssertionError when a save that was told done is lost, or torn.
    """
    dice = random.Random(seed)
    site = Site(folder)
    savers = [Saver(site, card, random.Random(dice.random())) for card in CARDS]
    with site.running():
        for saver in savers:
            saver.come_to_the_wishes()
    for _ in range(rounds):
        with site.running() as process:
            save_at_once(savers, process, dice.uniform(FIRST_KILL, LAST_KILL))
        settled(site, savers)
    for saver in savers:
        saver.http.close()
    return sum(saver.acknowledged for saver in savers)


def save_at_once(
    savers: Sequence[Saver], process: subprocess.Popen[bytes], seconds: float
) -> None:
    """Let all save at the same time until the site is killed after some seconds."""
    faults: list[BaseException] = []

    def save(saver: Saver) -> None:
        try:
            saver.save_until_killed()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=save, args=(saver,)) for saver in savers]
    killer = threading.Timer(seconds, process.kill)
    for thread in (*threads, killer):
        thread.start()
    for thread in (*threads, killer):
        thread.join()
    if faults:
        raise faults[0]


def wait_for(http: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    """Wait until a site that was started answers."""
    patience = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < patience:
        try:
            http.get("/teacher/help")
        except httpx2.TransportError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError(f"the site does not answer: {process.returncode}")
