"""A small country in which everybody can be told apart by what is written of him.

Three counties, three levels, people in every state. Each text field of a person holds
a mark of his own, so that an answer says whom it tells of. One site is made once and
brought through the year; each moment of it (`STAGES`) is kept, and can be gone back to
within some milliseconds. Requests go to the app itself, in the site's own loop.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiosqlite
import practice_round
import published_round
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from practice_round import ORIGIN, START, YEAR, school
from review_desk import ANSWERS, POINTS
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jiepin.web import app as web_app
from jiepin.web import demo
from jiepin.web.access import Actor
from jiepin.web.accounts import Presence
from jiepin.web.clock import SetClock, to_ms
from jiepin.web.county.review_forms import read_work
from jiepin.web.documents import sheet, spreadsheets, unpack
from jiepin.web.downloads import Written
from jiepin.web.explainer import Explainer, NotExplained
from jiepin.web.fragments import Fragments
from jiepin.web.notify.worker import Worker
from jiepin.web.round_run import Runner
from jiepin.web.site import Site
from jiepin.web.staff import sign_in
from jiepin.web.staff.desk import actor_of
from jiepin.web.store import (
    accounts,
    applications,
    corrections,
    dropouts,
    notices,
    results,
    review,
    schools,
    snapshots,
    staff,
)
from jiepin.web.store.dropouts import Mark
from jiepin.web.store.review import Seen
from jiepin.web.store.schools import RoundSettings, Window
from jiepin.web.vault import Vault, digest

PASSWORD = "a quiet morning"
CODE = "ABCD-EFGH-IJKL-MNOP"  # for the first sign-in of staff
SECRET = 2 * "JBSWY3DPEHPK3PXP"  # in everybody's authenticator
LEVELS = {"junior-high": "J01", "elementary": "E01", "kindergarten": "K01"}
REVIEW_OPENS = START + timedelta(days=9)
REVIEW_CLOSES = START + timedelta(days=16)

Answered = TypeVar("Answered")

# marks


def letters(number: int) -> str:
    """Return a number in letters, which stand in names as well as in addresses.

    >>> letters(7), letters(41)
    ('ah', 'eb')
    """
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:02d}")


def mark(kind: str, number: int) -> str:
    """Return the mark of a person for one kind of text: name, e-mail or anything."""
    return f"z{kind}{letters(number)}x"


MARK = re.compile(
    r"z(?P<kind>[net])(?P<of>[a-j]{2})x"
    r"|(?P<id>a[pc])-(?P<row>[a-j]{2})"
    r"|(?P<phone>09777(?P<digits>\d{5}))"
    r"|(?P<national>W[12]70000(?P<digits2>\d\d)\d)"
    r"|(?P<born>(?<!\d)(?P<roc>\d\d)年3月9日|19(?P<iso>\d\d)-03-09"
    r"|9 March 19(?P<english>\d\d))"
    r"|(?P<token>tok-[a-j]{2})"
    r"|(?<![0-9A-Fa-f.])(?P<number>1[234][123]0\d{3})(?![0-9A-Fa-f])"
)


@dataclass(frozen=True)
class Told:
    """Something that a text tells: of whom, and which kind of thing."""

    kind: str  # name, email, text, id, phone, national, birth, token or number
    of: str  # a person's number in letters, or a teacher's number as it is


_KINDS = {"n": "name", "e": "email", "t": "text"}


def told_by(text: str) -> set[Told]:
    """Return whom a text tells of.

    >>> sorted(one.kind + one.of for one in told_by("林znahx明 09777000071220001"))
    ['nameah', 'phoneah']
    >>> told_by("no. 1220001 is placed") == {Told("number", "1220001")}
    True
    """
    found = set()
    for one in MARK.finditer(text):
        if one["kind"]:
            found.add(Told(_KINDS[one["kind"]], one["of"]))
        elif one["id"]:
            found.add(Told("id", one["row"]))
        elif one["phone"]:
            found.add(Told("phone", letters(int(one["digits"]))))
        elif one["national"]:
            found.add(Told("national", letters(int(one["digits2"]))))
        elif one["born"]:
            found |= _born(one)
        elif one["token"]:
            found.add(Told("token", one["token"][4:]))
        else:
            found.add(Told("number", one["number"]))
    return found


def _born(one: re.Match[str]) -> set[Told]:
    year = int(one["roc"]) + 11 if one["roc"] else int(one["iso"] or one["english"])
    n = year - BORN
    return {Told("birth", letters(n))} if 0 <= n < len(TEACHERS) else set()


# people

BORN = 60  # year of birth of the first teacher; each is a year younger


@dataclass(frozen=True)
class Teacher:
    """A teacher; `state` is how far he is before the review, and what becomes of him.

    `new`, `begun`, `filed`, or what the review made of it: approved, returned, rejected
    """

    n: int
    county: str
    level: str
    state: str

    @property
    def letters(self) -> str:
        return letters(self.n)

    @property
    def account(self) -> str:
        return f"ac-{self.letters}"

    @property
    def application(self) -> str:
        return f"ap-{self.letters}"

    @property
    def name(self) -> str:
        return f"林{mark('n', self.n)}明"

    @property
    def email(self) -> str:
        return f"{mark('e', self.n)}@example.org"

    @property
    def phone(self) -> str:
        return f"09777{self.n:05d}"

    @property
    def sex(self) -> str:
        return "F"

    @property
    def birth_date(self) -> date:
        return date(1900 + BORN + self.n, 3, 9)

    @property
    def national_id(self) -> str:
        return demo.national_id("W", "F", 7000000 + self.n)

    @property
    def home(self) -> str:
        return school_of(self.county, self.level, 1 + self.n % 2)


@dataclass(frozen=True)
class Official:
    """A member of staff; `chosen` is the level taken at the door."""

    n: int
    kind: str
    role: str
    county: str | None = None
    levels: tuple[str, ...] = tuple(LEVELS)
    chosen: str = ""
    gone: bool = False
    waits: bool = False  # for his first sign-in, with `CODE`

    @property
    def letters(self) -> str:
        return letters(self.n)

    @property
    def id(self) -> str:
        return f"st-{self.letters}"

    @property
    def name(self) -> str:
        return f"王{mark('n', self.n)}芬"

    @property
    def sex(self) -> str:
        return "F"

    @property
    def birth_date(self) -> date:
        return date(1950, 1, self.n % 28 + 1)

    @property
    def national_id(self) -> str:
        return demo.national_id("W", "F", 7000000 + self.n)


_ENDS = ("approved", "returned", "approved", "rejected", "begun", "approved", "filed")


def _teachers() -> tuple[Teacher, ...]:
    found = []
    for county in ("12", "13"):
        for level in LEVELS:
            for _ in range(3):
                n = len(found)
                found.append(Teacher(n, county, level, _ENDS[n % len(_ENDS)]))
    found.append(Teacher(len(found), "14", "elementary", "approved"))
    found.append(Teacher(len(found), "12", "elementary", "new"))
    return tuple(found)


TEACHERS = _teachers()
STAFF = (
    *(
        Official(40 + 3 * k + at, "county", role, county)
        for k, county in enumerate(("12", "13"))
        for at, role in enumerate(("clerk", "reviewer", "head"))
    ),
    Official(46, "county", "clerk", "12", ("elementary",)),
    Official(47, "county", "head", "12", chosen="junior-high"),
    Official(48, "county", "reviewer", "13", ("kindergarten",)),
    Official(49, "county", "head", "14"),
    Official(50, "host", "clerk"),
    Official(51, "host", "reviewer"),
    Official(52, "host", "head"),
    Official(53, "county", "head", "13", gone=True),
    Official(54, "county", "clerk", "13", waits=True),
)
HOST_HEAD, HOST_CLERK = STAFF[12], STAFF[10]
PEOPLE: Mapping[str, Teacher | Official] = {
    one.letters: one for one in (*TEACHERS, *STAFF)
}


def school_of(county: str, level: str, place: int) -> str:
    """Return the code of a school.

    >>> school_of("12", "elementary", 1)
    '122601'
    """
    return f"{county}{1 + list(LEVELS).index(level)}60{place}"


def _schools() -> list[schools.School]:
    names = {"12": ("新興", "前金", "苓雅"), "13": ("中正", "仁愛", "和平")}
    names["14"] = ("豐里", "卑南", "東海")
    endings = {"junior-high": "國中", "elementary": "國小", "kindergarten": "幼兒園"}
    return [
        replace(
            school(school_of(county, level, place), name + endings[level]), level=level
        )
        for county, some in names.items()
        for level in LEVELS
        for place, name in enumerate(some, 1)
    ]


# browsers


@dataclass
class Browser:
    """Somebody's browser: its cookies, and whom it was given to (in words)."""

    name: str
    given: Mapping[str, str]
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> Ed25519PrivateKey:
        """The key of the computer: always the same, as all that is drawn from."""
        return Ed25519PrivateKey.from_private_bytes(sha256(self.name.encode()).digest())

    @property
    def device_key(self) -> bytes:
        return self.device.public_key().public_bytes_raw()


def _token(number: int, what: str = "") -> str:
    return f"tok-{letters(number)}-{what or 'of this browser'}".replace(" ", "-")


@dataclass(frozen=True)
class Answer:
    """What the site answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def texts(self) -> Iterator[str]:
        """Yield all that can be read in it: headers, and what is in files.

        Left out are cookies, which hold what the browser is known by.
        """
        yield "\n".join(
            f"{name}: {value}" for name, value in self.headers if name != "set-cookie"
        )
        yield from texts_in(self.body)


def texts_in(content: bytes) -> Iterator[str]:
    """Yield the texts of a page or file, those in an archive one by one."""
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name
                yield from texts_in(archive.read(name))
    else:
        yield content.decode("utf-8", "replace")


@dataclass(frozen=True)
class Change:
    """A row that was written; `old` and `new` hold its columns, blobs as hex."""

    table: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        return [row for row in (self.old, self.new) if row is not None]


# the site


async def _never(*_: object) -> None:
    """Stand for what works beside the pages: the test decides when it happens."""


async def _unexplained(*_: object) -> None:
    raise NotExplained


def _as_texts(_layout: bytes, inputs: dict[str, str], _timestamp: int) -> bytes:
    return ("%PDF-\n" + "\n".join(inputs.values())).encode()


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what is slow and is tested elsewhere.

    Nothing runs beside the pages; papers are what they are made from, which holds all
    that would be printed; files that are sent are read in this process.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_app, "_tend", _never)
        patch.setattr(Worker, "run", _never)
        patch.setattr(Runner, "run", _never)
        patch.setattr(Explainer, "explain", _unexplained)
        patch.setattr(sheet, "_compile", _as_texts)
        patch.setattr(spreadsheets, "_unpacked", unpack.sheets)
        yield


STAGES = (
    *("filling", "opening", "review", "reviewed", "frozen", "ran", "planned"),
    *("public", "after", "corrected", "over"),
)


@dataclass
class Stage:
    """A moment of the year: the database, the folders of the rounds, the time."""

    database: sqlite3.Connection
    rounds: Path
    now: datetime


@dataclass
class Country:
    """The running site, its people's browsers, and the moments of its year."""

    app: Starlette
    http: TestClient
    clock: SetClock
    folder: Path
    stages: dict[str, Stage] = field(default_factory=dict)
    browsers: dict[str, Browser] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        site: Site = self.app.state.site
        return site

    def call(self, work: Callable[..., Awaitable[Answered]], *rest: Any) -> Answered:
        """Do something in the site's own loop."""
        assert self.http.portal is not None
        return self.http.portal.call(work, *rest)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement with the writer."""

        async def do() -> list[tuple[Any, ...]]:
            writer = self.site.database._writer
            rows = await writer.execute_fetchall(statement, values)
            return [tuple(row) for row in rows]

        return self.call(do)

    # asking

    def ask(
        self,
        browser: Browser,
        method: str,
        path: str,
        form: Mapping[str, Any] | None = None,
        file: bytes = b"",
    ) -> Answer:
        """Send a request with the browser's cookies, and keep those that come back."""
        body, kind = _encoded(form or {}, file) if method == "POST" else (b"", "")
        headers = {
            "host": self.site.settings.host,
            "sec-fetch-site": "same-origin",
            "cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items()),
            "content-type": kind,
        }
        answer = self.call(_asked, self.app, method, path, headers, body)
        for name, value in answer.headers:
            if name == "set-cookie":
                _keep_cookie(browser, value)
        return answer

    # going back

    def keep(self, name: str) -> None:
        """Keep the moment."""
        copy = sqlite3.connect(":memory:", check_same_thread=False)

        async def take() -> None:
            writer = self.site.database._writer
            await writer._execute(lambda: writer._conn.backup(copy))

        self.call(take)
        rounds = self.folder / f"kept-{name}"
        shutil.copytree(self.folder / "site/rounds", rounds)
        self.stages[name] = Stage(copy, rounds, self.now)

    def go_to(self, name: str) -> None:
        """Go to a moment that was kept, with every browser as it was given."""
        stage = self.stages[name]

        async def put() -> None:
            writer = self.site.database._writer
            await writer._execute(lambda: stage.database.backup(writer._conn))

        self.call(put)
        here = self.folder / "site/rounds"
        shutil.rmtree(here)
        shutil.copytree(stage.rounds, here)
        self.clock.set(stage.now)
        state = self.app.state
        state.presence, state.staff_presence = Presence(), Presence()
        state.fragments, state.written = Fragments(), Written()
        for browser in self.browsers.values():
            browser.cookies = dict(browser.given)
        self.stay()
        self.changes()

    def wait_until(self, moment: datetime) -> None:
        """Let time pass; whoever was signed in stays, but for those long gone."""
        self.clock.set(moment)
        self.stay()
        self.changes()

    def stay(self) -> None:
        """Let every session be as young as the moment, but for those that are over."""
        over = [digest(_token(n, "over")) for n in (0, 52)]
        for table in ("session", "staff_session"):
            self.sql(
                f"update {table} set created = :now, seen = :now "
                "where token not in (:first, :second)",
                now=to_ms(self.now),
                first=over[0],
                second=over[1],
            )

    # what was written

    def watch(self) -> None:
        """Let triggers of the writing connection note every row that changes."""
        self.sql("create temp table noted (name text, old text, new text)")
        tables = self.sql("select name from main.sqlite_master where type = 'table'")
        for (table,) in tables:
            for statement in self._triggers(table):
                self.sql(statement)

    def _triggers(self, table: str) -> Iterator[str]:
        columns = self.sql(f"select name, type from pragma_table_info('{table}')")
        for event, old, new in (
            ("insert", "", "new"),
            ("update", "old", "new"),
            ("delete", "old", ""),
        ):
            values = [_as_json(row, columns) for row in (old, new)]
            yield (
                f"create temp trigger {table}_{event} after {event} on main.{table} "
                f"begin insert into noted values ('{table}', {values[0]}, {values[1]});"
                " end"
            )

    def changes(self) -> list[Change]:
        """Return what was written since the last time this was asked.

        Rows that were written as they were are left out.
        """
        rows = self.sql("select name, old, new from noted where old is not new")
        self.sql("delete from noted")
        return [
            Change(table, *(json.loads(row) if row else None for row in pair))
            for table, *pair in rows
        ]


def _as_json(row: str, columns: Sequence[tuple[str, str]]) -> str:
    if not row:
        return "null"
    pairs = (
        f"'{name}', hex({row}.{name})"
        if kind.lower() == "blob"
        else f"'{name}', {row}.{name}"
        for name, kind in columns
    )
    return f"json_object({', '.join(pairs)})"


def _encoded(form: Mapping[str, Any], file: bytes) -> tuple[bytes, str]:
    if not file:
        return urlencode(form, doseq=True).encode(), "application/x-www-form-urlencoded"
    edge = "edge-of-a-part"
    parts = [
        f'--{edge}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.items()
    ]
    head = (
        f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="a.ods"'
        "\r\ncontent-type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + head.encode() + file + f"\r\n--{edge}--".encode()
    return body, f"multipart/form-data; boundary={edge}"


def _keep_cookie(browser: Browser, header: str) -> None:
    for name, morsel in SimpleCookie(header).items():
        if morsel["max-age"] == "0" or not morsel.value:
            browser.cookies.pop(name, None)
        else:
            browser.cookies[name] = morsel.value


async def _asked(
    app: Starlette, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()],
        "client": ("192.0.2.7", 4711),
        "server": ("tas.test", 443),
    }
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()  # the browser stays until all has come
        return waiting.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Answer(
        start["status"],
        [(k.decode(), v.decode("latin-1")) for k, v in start["headers"]],
        b"".join(one.get("body", b"") for one in sent[1:]),
    )


# the year


@contextmanager
def little_country(folder: Path) -> Iterator[Country]:
    """Run the site, and bring it through the year once."""
    clock = SetClock(START)
    (folder / "site/rounds").mkdir(parents=True)
    settings = practice_round.settings(folder / "site")
    with _quiet():
        app = web_app.create_app(settings, Vault.new(), clock)
        passwords = app.state.passwords
        passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        passwords._nobody = passwords._hasher.hash("nobody")
        with TestClient(app, base_url=ORIGIN) as http:
            country = Country(app, http, clock, folder)
            country.watch()
            _live(country, passwords._hasher.hash(PASSWORD))
            yield country


def _live(country: Country, password: str) -> None:
    country.sql("pragma synchronous = off")  # nobody pulls the plug here
    country.browsers = {one.name: one for one in _browsers(country)}
    country.call(_set_up, country)
    for one in TEACHERS:
        country.call(_fill_in, country.site, one, password)
    country.call(_sit_down, country, password)
    country.keep("filling")
    country.clock.set(REVIEW_OPENS)
    country.keep("opening")
    for one in TEACHERS:
        country.call(_review, country.site, one)
    country.keep("review")
    country.clock.set(REVIEW_CLOSES)
    country.keep("reviewed")
    for name, step in (
        ("frozen", _freeze),
        ("ran", _run),
        ("planned", _plan),
        ("public", _publish),
        ("after", _after),
        ("corrected", _correct),
    ):
        country.call(step, country)
        country.keep(name)
    country.go_to("public")
    country.clock.move(days=400)
    country.keep("over")


def _browsers(country: Country) -> Iterator[Browser]:
    settings = country.site.settings
    for one in TEACHERS:
        yield Browser(f"teacher {one.letters}", {settings.cookie: _token(one.n)})
    for each in STAFF:
        cookies = {settings.staff_cookie: _token(each.n)}
        where = f"{each.county or 'host'} {each.role}"
        yield Browser(f"{where} {each.letters}", cookies)
    yield Browser("nobody", {})
    yield Browser("new computer", {settings.cookie: _token(0, "new")})
    yield Browser("session over", {settings.cookie: _token(0, "over")})
    yield Browser("staff session over", {settings.staff_cookie: _token(52, "over")})


async def _set_up(country: Country) -> None:
    site = country.site
    fill = Window(START - timedelta(days=1), REVIEW_OPENS)
    over = Window(REVIEW_OPENS, REVIEW_CLOSES)
    async with site.database.writing() as db:
        await schools.save_round(db, RoundSettings(YEAR, "主辦", 1, 2, 3, 0, 1))
        for level in LEVELS:
            await schools.save_window(db, YEAR, level, "fill", fill)
            await schools.save_window(db, YEAR, level, "review", over)
        await schools.add(db, _schools())
        for county in ("12", "13", "14"):
            row = {"year": YEAR, "county": county}
            await db.execute("insert into round_county values (:year, :county)", row)
        for level, subject in LEVELS.items():
            seat = {"school": school_of("13", level, 3), "subject": subject}
            await db.execute(
                "insert into vacancy values (:school, :subject, 2, 1)", seat
            )
        await db.executemany(
            "insert into school_subject values (?, ?)",
            [(one.code, LEVELS[one.level]) for one in _schools()],
        )
        for one in TEACHERS:
            lookup = site.vault.lookup(YEAR, one.level, one.national_id)
            await accounts.add_to_roster(
                db, YEAR, one.level, lookup, one.county, one.home
            )
        for each in STAFF:
            await staff.create(db, _new_member(site, each), site.clock.now())


def _new_member(site: Site, one: Official) -> staff.NewMember:
    return staff.NewMember(
        id=one.id,
        kind=one.kind,
        county=one.county,
        levels=one.levels,
        role=one.role,
        name=one.name,
        email=f"{mark('e', one.n)}@example.org",
        lookup=sign_in.lookup(site.vault, one.kind, one.national_id),
        masked="A12****789",
        enrol=sign_in.code_digest(CODE) if one.waits else b"",
        enrol_expires=site.clock.now() + timedelta(days=99),
        created_by=staff.COMMAND_LINE,
    )


async def _sit_down(country: Country, password: str) -> None:
    site, now = country.site, country.now
    async with site.database.writing() as db:
        for one in TEACHERS:
            key = country.browsers[f"teacher {one.letters}"].device_key
            await accounts.confirm_device(db, one.account, key, now)
            await accounts.add_session(db, digest(_token(one.n)), one.account, key, now)
        first, elsewhere = TEACHERS[0].account, country.browsers["new computer"]
        await accounts.add_session(
            db, digest(_token(0, "new")), first, elsewhere.device_key, now
        )
        gone = now - timedelta(days=1)
        await accounts.add_session(db, digest(_token(0, "over")), first, b"", gone)
        for each in STAFF:
            await _enrol(site, db, each, password)
        await staff.add_session(db, digest(_token(52, "over")), HOST_HEAD.id, gone)
        for one in TEACHERS[:6]:
            await notices.link_line(
                db, site.vault, one.application, f"U{one.n}", country.now
            )
        for n in (0, 9):
            until = now + timedelta(days=30)
            token = digest(_token(n, "reset"))
            await accounts.add_reset(db, token, f"ac-{letters(n)}", now, until)


async def _enrol(
    site: Site, db: aiosqlite.Connection, one: Official, password: str
) -> None:
    """Let a member of staff have been in, and sit at his desk."""
    if one.waits:
        return
    token, now = digest(_token(one.n)), site.clock.now()
    await staff.add_session(db, token, one.id, now, one.chosen)
    await db.execute(
        "update staff set password = :password, totp = :totp, enrol = null, "
        "disabled = :disabled where id = :id",
        {
            "id": one.id,
            "password": password,
            "totp": site.vault.seal(SECRET, "staff.totp", one.id),
            "disabled": 0 if one.gone else None,
        },
    )


async def _fill_in(site: Site, one: Teacher, password: str) -> None:
    await _first_sign_in(site, one)
    if one.state == "new":
        return
    actor = _actor(one)
    saved = await applications.agree_to_notices(site, actor, 1, 1)
    hint = f"提示{mark('t', one.n)}"
    saved = await applications.save_password(site, actor, saved.version, password, hint)
    details = applications.Person(one.name, one.phone, "")
    saved = await applications.save_person(site, actor, saved.version, details)
    saved = await applications.confirm_email(site, actor, saved.version, one.email)
    appointment = applications.Appointment(
        None, "general", 5, one.home, (LEVELS[one.level],)
    )
    saved = await applications.save_appointment(site, actor, saved.version, appointment)
    other = "13" if one.county == "12" else "12"
    saved, _ = await applications.change_counties(site, actor, saved.version, (other,))
    wishes = [school_of(other, one.level, place) for place in (1, 3, 2)]
    saved = await applications.save_wishes(site, actor, saved.version, wishes)
    if one.state != "begun":
        await applications.file(site, actor, saved.version)


async def _first_sign_in(site: Site, one: Teacher) -> None:
    def sealed(text: str, column: str) -> bytes:
        return site.vault.seal(text, f"account.{column}", one.account)

    new = accounts.NewAccount(
        id=one.account,
        year=YEAR,
        level=one.level,
        lookup=site.vault.lookup(YEAR, one.level, one.national_id),
        county=one.county,
        national_id=sealed(one.national_id, "national_id"),
        birth_date=sealed(one.birth_date.isoformat(), "birth_date"),
        sex=one.sex,
        card_name=one.name,
        card_name_certain=True,
    )
    now = site.clock.now()
    async with site.database.writing() as db:
        await accounts.create(db, new, now)
        await applications.create(db, one.application, one.account, now)


def _actor(one: Teacher) -> Actor:
    return Actor("teacher", one.account, YEAR, one.level, one.county)


async def actor_at(site: Site, one: Official) -> Actor:
    """Return what a member of staff acts as."""
    async with site.database.reading() as db:
        found = await staff.by_id(db, one.id)
    assert found is not None
    return actor_of(found)


async def _review(site: Site, one: Teacher) -> None:
    if one.state in ("new", "begun", "filed"):
        return
    head = next(s for s in STAFF if (s.county, s.role) == (one.county, "head"))
    actor, id_ = await actor_at(site, head), one.application
    found = await review.begin(site, actor, id_, also=True)
    await review.note_sheet(site, actor, id_, Seen(found.version, 0))
    text = mark("t", one.n)
    notes = {"review-note": text, "note-service": text, "note-home": text}
    work, problems = read_work({**POINTS, **ANSWERS, **notes}, found)
    assert not problems
    seen = Seen(found.version, 1)
    if one.state == "approved":
        await review.approve(site, actor, id_, seen, work)
        return
    await review.save(site, actor, id_, seen, work)
    do = review.send_back if one.state == "returned" else review.reject
    await do(site, actor, id_, Seen(found.version, 2), f"原因{text}")


async def _freeze(country: Country) -> None:
    site = country.site
    actor = await actor_at(site, HOST_HEAD)
    async with site.database.reading() as db:
        [[left]] = await db.execute_fetchall(
            "select count(*) from application where state in ('filed', 'returned')"
        )
    await snapshots.freeze(site, actor, "freeze", "逾期未審", left)


async def engine_runs(country: Country, snapshot: int) -> None:
    """Solve a snapshot, and leave what a run leaves, its report but in name."""
    site = country.site
    run = await published_round.run(site, await actor_at(site, HOST_CLERK), snapshot)
    for end in ("-report", "-report-en"):
        report = site.settings.data / f"rounds/{YEAR}/run-{run}{end}"
        report.mkdir(exist_ok=True)
        for name in ("report.html", "flows.svg", "stages.svg", "choices.svg"):
            (report / name).write_text(f"of run {run}", "utf-8")


async def _run(country: Country) -> None:
    site = country.site
    await engine_runs(country, 1)
    async with site.database.writing() as db:
        for one in (HOST_CLERK, HOST_HEAD):
            row = {"staff": one.id, "role": one.role}
            await db.execute("insert into approval values (1, :staff, :role, 0)", row)


async def _plan(country: Country) -> None:
    actor = await actor_at(country.site, HOST_HEAD)
    at = country.now + timedelta(hours=2)
    await results.publish(country.site, actor, 1, at)


async def _publish(country: Country) -> None:
    country.clock.move(hours=2)
    await results.tend(country.site)


async def _after(country: Country) -> None:
    """Let somebody give his place up, and the host open things for correction."""
    site, actor = country.site, await actor_at(country.site, HOST_CLERK)
    async with site.database.reading() as db:
        placed = list(
            await db.execute_fetchall(
                "select number, application from result join application "
                "on application.id = result.application where result.school not null "
                "order by number"
            )
        )
    number, id_ = placed[0]
    reason = f"家庭因素{mark('t', _n(id_))}"
    await dropouts.mark_as(site, actor, Mark(number, "gave-up", reason, 3))
    number, id_ = placed[1]
    await corrections.open_for(site, actor, number, "", f"更正{mark('t', _n(id_))}")
    await corrections.open_county(site, actor, "13", "缺額更正")


async def _correct(country: Country) -> None:
    """Mend what was opened, freeze once more, and run."""
    site, actor = country.site, await actor_at(country.site, HOST_CLERK)
    async with site.database.writing() as db:
        rows = await db.execute_fetchall(
            "select application from correction where application not null"
        )
        [[id_]] = rows
        await db.execute(
            "update points set value = value + 500 where application = :id "
            "and item = 'service'",
            {"id": id_},
        )
    await corrections.close(site, actor, id_)
    await corrections.close_county(site, actor, "13")
    await snapshots.freeze(site, actor, "correction", "積分更正")
    await engine_runs(country, 2)


def _n(application: str) -> int:
    return next(one.n for one in TEACHERS if one.application == application)
