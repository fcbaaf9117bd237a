"""A whole year over HTTP; then everything on the disk is searched for what is secret.

What is searched: the database with its log, copies and archives of it, all that the
engine wrote, what was logged and printed, temporary files, and what was downloaded.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage
import pytest
import staff_cards
import year_story
from frozen_site import quick_engine
from line_server import (
    CHANNEL_TOKEN,
    LOGIN_ID,
    LOGIN_SECRET,
    LineServer,
    line_server,
)
from mail_servers import Mailbox, mail_server
from plain_search import Secrets, files_of, hits, unpacked, ways_of_writing
from pyrage.x25519 import Identity
from site_server import SiteServer, site_server
from year_story import (
    CHEN,
    COUNTIES,
    GAO,
    HUANG,
    LI,
    LIN,
    ORGANISER,
    PAN,
    QIU,
    TABLES,
    TIMES,
    WANG,
    WEN,
    ZHANG,
    Official,
    Teacher,
    Visitor,
    file_application,
    official,
    taipei,
)

from jiepin.web import backup
from jiepin.web.card import from_base64
from jiepin.web.clock import SetClock
from jiepin.web.demo import Person
from jiepin.web.logs import Json
from jiepin.web.notify import worker
from jiepin.web.settings import Line, Mail, Settings
from jiepin.web.site import Site
from jiepin.web.staff.accounts import add_host_head
from jiepin.web.store import results

APPLICANTS = (LIN, CHEN, HUANG, WANG, ZHANG, PAN, QIU, LI, WEN, GAO)
SECOND, THIRD = "seven herons by the river", "eleven kites in the rain"
KINDS = {
    *("national id", "birthday", "password", "session", "challenge", "mailed code"),
    *("enrolment code", "second factor", "line", "link", "identity"),
}
ADDRESS = LIN.email.encode()  # is there in plain, until the year is archived
WITHIN = 240  # seconds, beside whatever else the machine does


@dataclass
class Post:
    """A mail server in a thread of its own, and what it has been given."""

    mailbox: Mailbox

    def codes(self) -> list[str]:
        return self._all(r"(?<!\w)\d{8}(?!\w)")

    def links(self) -> list[str]:
        return self._all(r"/teacher/reset/[\w-]+")

    def _all(self, pattern: str) -> list[str]:
        bodies = [mail.get_content() for mail in self.mailbox.arrived]
        return [found for body in bodies for found in re.findall(pattern, body)]


@contextmanager
def post_office() -> Iterator[Post]:
    started: queue.Queue[tuple[Mailbox, asyncio.AbstractEventLoop]] = queue.Queue()
    end = asyncio.Event()

    async def serve() -> None:
        async with mail_server() as mailbox:
            started.put((mailbox, asyncio.get_running_loop()))
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    mailbox, loop = started.get(timeout=WITHIN)
    try:
        yield Post(mailbox)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(timeout=WITHIN)


@dataclass
class Watched(Visitor):
    """A visitor whose cookies, challenges and sealed readings are remembered."""

    secrets: Secrets = field(kw_only=True, default_factory=Secrets)
    post_office: Post | None = None

    def watch(self) -> None:
        self.http.event_hooks = {"response": [self._remember]}

    def _remember(self, answer: Any) -> None:
        for cookie in answer.headers.get_list("set-cookie"):
            value = cookie.partition("=")[2].partition(";")[0]
            if len(value) > 20:
                self.secrets.add("session", value)

    def post(self, path: str, **fields: object) -> Any:
        answer = super().post(path, **fields)
        if path.endswith("/challenge"):
            asked = answer.json()
            raw = from_base64(asked["challenge"])
            self.secrets.add("challenge", asked["challenge"], raw)
        return answer

    def mailed(self, _event: str) -> list[dict[str, Any]]:
        """Return what has arrived: the site keeps nothing of what it has sent."""
        assert self.post_office is not None
        self.wait_for_mail()
        return [{"code": code} for code in self.post_office.codes()]

    def wait_for_mail(self) -> None:
        waiting = "select count(*) from outbox where state in ('waiting', 'claimed')"
        self.wait_for(waiting, [(0,)])

    def wait_for(self, statement: str, result: list[tuple[Any, ...]]) -> None:
        for _ in range(20 * WITHIN):
            if self.query(statement) == result:
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"{statement}: {self.query(statement)}")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        async def read(site: Site) -> list[tuple[Any, ...]]:
            async with site.database.reading() as db:
                rows = await db.execute_fetchall(statement)
            return [tuple(row) for row in rows]

        return self.call(read)


@dataclass
class Year:
    """The site of the story, and all that happened to be secret in it."""

    server: SiteServer
    clock: SetClock
    post: Post
    line: LineServer
    secrets: Secrets = field(default_factory=Secrets)
    staff: dict[str, Official] = field(default_factory=dict)
    teachers: dict[str, Watched] = field(default_factory=dict)
    visitors: list[Watched] = field(default_factory=list)
    downloads: dict[str, bytes] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.server.site.settings.data

    def visitor(self) -> Watched:
        browser: Any = None
        made = Watched.new(self.server, browser, self.clock)
        assert isinstance(made, Watched)
        made.secrets, made.post_office = self.secrets, self.post
        made.watch()
        self.visitors.append(made)
        return made

    def at(self, moment: str) -> None:
        self.clock.set(taipei(moment))

    def know(self, person: Person) -> None:
        self.secrets.add("national id", person.national_id)
        self.secrets.add_birthday(person.birth_date)

    def enrol(self, key: str, end: str, person: Person, code: str) -> Official:
        self.know(person)
        self.secrets.add("enrolment code", code, code.replace("-", ""))
        visitor = self.visitor()
        telephone = staff_cards.enrol(visitor, end, person, code)
        self.secrets.add("second factor", telephone.secret)
        self.staff[key] = Official(visitor, end, person, telephone)
        return self.staff[key]

    def take(self, name: str, answer: Any) -> None:
        assert answer.status_code == 200, (name, answer.status_code)
        self.downloads[name] = answer.content

    def close(self) -> None:
        for visitor in self.visitors:
            visitor.close()


@contextmanager
def year_in(folder: Path) -> Iterator[Year]:
    """Run a site with real mail and LINE beside it."""
    with post_office() as post, line_server() as line:

        def settings_at(origin: str) -> Settings:
            line.callback = f"{origin}/teacher/line"
            return Settings(
                data=folder,
                origin=origin,
                keys=folder.with_name("keys.json"),
                mail=Mail(
                    host="127.0.0.1",
                    port=post.mailbox.port,
                    security="none",
                    sender="noreply@tas.example",
                ),
                line=Line(
                    channel_token=CHANNEL_TOKEN,
                    login_id=LOGIN_ID,
                    login_secret=LOGIN_SECRET,
                    api=line.address,
                    access=line.address,
                ),
            )

        clock = SetClock(taipei("2026-04-10T09:00"))
        with quick_engine(), site_server(settings_at, clock) as server:
            year = Year(server, clock, post, line)
            try:
                yield year
            finally:
                year.close()


# the story


def set_up(year: Year) -> None:
    """A head by the command; year, schedule and staff by the pages."""
    person = official("施文傑", "M")
    made = year.server.run(
        add_host_head, year.server.site, person.name, person.national_id
    )
    host = year.enrol("host", "host", person, made.code)
    host.post("/host/round/begin", year="115", organiser=ORGANISER)
    page = host.get("/host/round")
    values = dict(re.findall(r'name="([\w-]+)"[^>]* value="(\w*)"', page))
    form = {name: values[name] for name in ("max_counties", "max_subjects")}
    form |= {"retention_days": values["retention_days"], "version": values["version"]}
    form |= {name: v for name, v in values.items() if name.startswith("points-")}
    chosen: dict[str, Any] = {"level": ["elementary"], "county": list(COUNTIES)}
    saved = host.visitor.http.post(
        "/host/round", data={**form, "max_choices": "30", **chosen}
    )
    assert saved.status_code == 303, saved.text
    version = host.visitor.version("/host/round/schedule")
    host.post("/host/round/schedule", version=version, all="yes", **TIMES)
    for role, name in (("reviewer", "鄭可晴"), ("clerk", "何承恩")):
        colleague = official(name, "F")
        code = host.add_colleague(colleague, "/host/staff/new", role=role)
        year.enrol(f"host {role}", "host", colleague, code)
    for county, name in {"12": "周書安", "13": "洪淑貞", "14": "杜文華"}.items():
        head = official(name, "F")
        code = host.add_colleague(
            head, "/host/staff/new-head", county=county, levels="elementary"
        )
        head_of = year.enrol(f"{county} head", "city", head, code)
        for table, sheet_of in TABLES.items():
            head_of.put_in(table, sheet_of(county))
    host.visitor.sign_in(LIN.person)  # a stranger's card at a teacher's door


def everybody_files(year: Year) -> None:
    year.at("2026-04-20T09:00")
    for one in APPLICANTS:
        year.know(one.person)
        year.teachers[one.person.name] = visitor = year.visitor()
        file_application(visitor, one)
    year.secrets.add("password", year_story.PASSWORD, staff_cards.PASSWORD)


def link_line(year: Year, one: Teacher) -> None:
    visitor = year.teachers[one.person.name]
    page = visitor.get("/teacher/notify").text
    [address] = re.findall(rf'href="({year.line.address}[^"]+)"', page)
    back = visitor.http.get(address.replace("&amp;", "&")).headers["location"]
    path = back.removeprefix(year.server.origin)
    form = dict(re.findall(r"[?&](\w+)=([^&]+)", path))
    year.secrets.add("line", year.line.user, form["code"], form["state"])
    year.secrets.add("line", CHANNEL_TOKEN, LOGIN_SECRET)
    assert visitor.get(path).status_code == 200
    assert visitor.post("/teacher/line", **form).status_code == 200


def new_passwords(year: Year) -> None:
    """One is forgotten and one changed; a mistake is made with each."""
    lin, chen = (year.teachers[one.person.name] for one in (LIN, CHEN))
    fresh = {"password": SECOND, "again": SECOND, "hint": "白鷺鷥"}
    lin.save("/teacher/password", **fresh, present="not the present one")
    saved = lin.save("/teacher/password", **fresh, present=year_story.PASSWORD)
    assert saved.status_code == 303, saved.text
    chen.sign_in(CHEN.person, "a wrong try of mine")
    level = CHEN.person.level
    chen.post(
        "/teacher/forgot", level=level, confirmed="yes", **chen.answer(CHEN.person)
    )
    chen.wait_for_mail()
    [link] = year.post.links()
    assert chen.get(link).status_code == 200
    form = {"password": THIRD, "again": THIRD, **chen.answer(CHEN.person)}
    assert "密碼已重設" in chen.post(link, **form).text
    assert chen.sign_in(CHEN.person, THIRD).status_code == 303
    year.secrets.add("password", SECOND, THIRD, "not the present one")
    year.secrets.add("password", "a wrong try of mine")
    year.secrets.add("link", link.rpartition("/")[2])


def counties_review(year: Year) -> None:
    year.at("2026-04-28T09:00")
    for county in COUNTIES:
        head = year.staff[f"{county} head"].enter()
        for one in APPLICANTS:
            if one.county == county:
                found = year.teachers[one.person.name].application(one.person)
                head.review(one, found.id, found.digest)
    head = year.staff["12 head"]
    record = f"/city/applications/{application(year, LIN)}"
    form = {"help": "mail", "help-reason": "本人臨櫃"}
    head.post(f"{record}/help", **form)
    head.begin_review(application(year, LIN))
    for paper in ("sheet.pdf", "points.pdf"):
        year.take(f"city {paper}", head.visitor.get(f"{record}/{paper}"))


def application(year: Year, one: Teacher) -> str:
    return str(year.teachers[one.person.name].application(one.person).id)


def freeze_run_publish(year: Year) -> None:
    year.at("2026-05-04T09:00")
    year.staff["host"].enter().post("/host/runs/freeze", reason="")
    clerk = year.staff["host clerk"].enter()
    clerk.post("/host/runs/snapshots/1/run")
    clerk.visitor.wait_for("select state from run", [("done",)])  # type: ignore[attr-defined]
    clerk.post("/host/runs/1/approve")
    year.staff["host reviewer"].enter().post("/host/runs/1/approve")
    year.staff["host"].enter().post("/host/results/plan", run="1", sure="yes")
    year.server.run(results.tend, year.server.site)
    clerk.visitor.wait_for_mail()  # type: ignore[attr-defined]


def after_the_result(year: Year) -> None:
    """Somebody gives up; what may be downloaded is downloaded."""
    host, wen = year.staff["host"], year.teachers[WEN.person.name]
    number = wen.application(WEN.person).number
    form = {"number": number, "kind": "gave-up", "reason": "家庭因素", "days": "3"}
    where = host.post("/host/dropouts", **form)
    county = year.staff["14 head"].enter()
    county.post(where.replace("/host/", "/city/"), answer="none")
    host.post(where + "/apply")
    host.post(where + "/finish")
    host.visitor.wait_for_mail()  # type: ignore[attr-defined]
    for kind in ("csv", "ods", "xlsx"):
        year.take(f"host list.{kind}", host.visitor.post(f"/host/results/list.{kind}"))
        year.take(f"city results.{kind}", county.visitor.post(f"/city/results.{kind}"))
        year.take(f"city audit.{kind}", county.visitor.post(f"/city/audit/{kind}"))
        year.take(f"public.{kind}", year.visitor().get(f"/public/results.{kind}"))
    year.take("letters.pdf", host.visitor.post(where + "/letters"))
    year.take("chain.jsonl", host.visitor.get("/host/audit/chain.jsonl"))
    year.take("round.zip", host.visitor.get("/public/snapshots/1/round.zip"))
    lin = year.teachers[LIN.person.name]
    assert lin.sign_in(LIN.person, SECOND).status_code == 303
    for page in ("status", "result", "own-data"):
        year.take(f"page {page}", lin.get(f"/teacher/{page}"))
    year.take("own sheet.pdf", lin.get("/teacher/sheet.pdf"))
    year.take("own-data.json", lin.post("/teacher/own-data.json"))


def the_year_is_archived(year: Year) -> None:
    year.clock.move(days=400)
    host = year.staff["host"].enter()
    host.post("/host/archive/115", year="115")
    year.take("archive.zip", host.visitor.get("/host/archive/115/file"))


# the search

# worth nothing once it has been used; gone once the log is written over
USED = ("jiepin.db-wal", "challenge")
# what a teacher asks for about himself, and the sheet that he signs for his county
OWN = {"own sheet.pdf", "own-data.json", "page status", "city sheet.pdf"}


def left_behind(year: Year, log: Path, temporary: Path, name: str) -> dict[str, bytes]:
    """Return all that is on the disk now; `name` tells the moments apart."""
    found = files_of(year.folder) | files_of(temporary)
    found |= backed_up(year) | {"log": log.read_bytes()}
    return {f"{name}: {path}": content for path, content in found.items()}


def backed_up(year: Year) -> dict[str, bytes]:
    """Return a backup as it is kept, and what its owner finds in it."""
    identity = Identity.generate()
    year.secrets.add("identity", str(identity))
    site, folder = year.server.site, year.folder.with_name("backups")
    file, _ = asyncio.run(
        backup.make(year.folder, site.vault, folder, [identity.to_public()])
    )
    sealed = file.read_bytes()
    return {"backup": sealed, "backup opened": pyrage.decrypt(sealed, [identity])}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Everything that is logged, from INFO on; of our own also what is not shown."""
    file = tmp_path / "log"
    root, ours = logging.getLogger(), logging.getLogger("jiepin")
    before = root.level, ours.level
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(Json())
    handler.addFilter(_is_of_the_site)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    yield file
    root.setLevel(before[0])
    ours.setLevel(before[1])
    root.removeHandler(handler)
    handler.close()


def _is_of_the_site(record: logging.LogRecord) -> bool:
    """Leave out the browsers, in the thread of the test, and the mail server."""
    browser = record.name.startswith("http") and record.threadName == "MainThread"
    return not (browser or record.name.startswith("mail"))


def assert_the_search_works(year: Year, files: dict[str, bytes]) -> None:
    """Each kind of secret is known, and is found where it does stand."""
    kinds = set(year.secrets.known)
    assert kinds == KINDS
    assert {what for _, what in hits(year.downloads, year.secrets)} >= {
        "national id",
        "birthday",
    }
    for what, known in year.secrets.known.items():
        for way in ways_of_writing(min(known)):
            assert hits({"x": b"\n" + way + b"\n"}, year.secrets) == [("x", what)]
    seen = [n for f, c in files.items() for n, p in unpacked(f, c) if ADDRESS in p]
    assert "before: backup opened!gz!jiepin.db" in seen
    assert {"before: jiepin.db", "before: jiepin.db-wal"} & set(seen)
    assert any(re.match(r"\d: jiepin.db-wal", name) for name in seen)
    assert not [name for name in seen if name.startswith(("after", "closed", "std"))]


def test_asvs_14_2_4_a_year_leaves_nothing_secret_behind(
    tmp_path: Path,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(worker, "LOOK_EVERY", 0.02)
    steps: Sequence[Any] = (
        set_up,
        everybody_files,
        lambda year: link_line(year, HUANG),
        new_passwords,
        counties_review,
        freeze_run_publish,
        after_the_result,
    )
    with year_in(tmp_path / "site") as year:
        files = {}
        for number, step in enumerate(steps):
            step(year)
            log_of_database = year.folder / "jiepin.db-wal"  # is written over in time
            files[f"{number}: jiepin.db-wal"] = log_of_database.read_bytes()
        files |= left_behind(year, log, temporary, "before")
        the_year_is_archived(year)
        files |= left_behind(year, log, temporary, "after")
        year.secrets.add("mailed code", *year.post.codes())
        year.secrets.add("link", *(one[15:] for one in year.post.links()))
        assert year.line.delivered
    printed = capfd.readouterr()
    files |= {"stdout": printed.out.encode(), "stderr": printed.err.encode()}
    files |= {f"closed: {p}": c for p, c in files_of(tmp_path / "site").items()}
    handed_out = {n: c for n, c in year.downloads.items() if n not in OWN}
    assert_the_search_works(year, files)
    found = hits(files, year.secrets)
    assert [(name, what) for name, what in found if (name[-13:], what) != USED] == []
    assert hits(handed_out, year.secrets) == []
