"""A running site that is asked anything: by whom, what its forms hold, what must hold.

Requests go to the application as a server hands them on, so that addresses, headers and
bodies may be anything a server lets through. After each answer the database is as it
was before, so that every example meets the same site.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlencode, urlsplit

import practice_round
import review_desk
from frozen_site import quick_engine
from practice_round import CHEN, ORIGIN, Client, running
from published_round import frozen_round
from staff_site import county_desk, host_desk
from starlette.routing import Route
from wish_site import COMPUTER, begin_session

from jiepin.web.app import ROUTES
from jiepin.web.site import Site
from jiepin.web.store import accounts

# what may change though a request is refused: how often somebody tried, and with what
COUNTED = ("throttle", "challenge", "session", "reset", "mail_code", "audit")
DOORS = re.compile(
    r"/(teacher|city|host)/(challenge|sign-in|enrol|enrol/setup|account|forgot"
    r"|device|password|person/code|reset/.*)"
)
KEPT = {"/teacher/wishes/save": ("wish_draft",)}  # what was typed is not thrown away
KINDS = {"teacher": "teacher", "city": "county", "host": "host"}  # by end
GIVEN = re.compile(r"\.|/tables|/audit|/sheet|/letters|/file|/check")
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_PAGES = 60  # looked at for forms, of each who asks


@dataclass(frozen=True)
class Asked:
    """One request; `path` as the browser writes it, percent signs and all."""

    method: str
    path: str
    query: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    english: bool = False


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")

    @property
    def text(self) -> str:
        packed = self.header(b"content-encoding") == b"gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode("utf-8")


@dataclass(frozen=True)
class Form:
    """A form as it stands on a page of somebody's."""

    who: str
    path: str
    method: str
    fields: tuple[tuple[str, str], ...]


FORM = b"application/x-www-form-urlencoded"


@dataclass
class FuzzedSite:
    """The site, the cookies of those who ask, and the forms they were shown."""

    client: Client
    cookies: dict[str, str]
    forms: list[Form] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)  # of fields, by name

    def __post_init__(self) -> None:
        self.path = self.client.site.settings.database
        self._look = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
        self._kept = sqlite3.connect(":memory:")
        self.keep()

    def keep(self) -> None:
        """Take what is stored now for what every example finds."""
        self._look.backup(self._kept)
        self._tables = self.tables()
        self._seen = self._version()

    def _version(self) -> int:
        return int(self._look.execute("pragma data_version").fetchone()[0])

    def tables(self) -> dict[str, str]:
        """Return a digest of each table."""
        names = self._look.execute("select name from sqlite_master where type='table'")
        return {name: self._digest(name) for (name,) in names.fetchall()}

    def _digest(self, name: str) -> str:
        columns = "key" if name == "outbox" else "*"
        rows = self._look.execute(f'select {columns} from "{name}"').fetchall()
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def changed(self) -> set[str]:
        """Return the tables that differ from what was kept."""
        if self._version() == self._seen:
            return set()
        now = self.tables()
        return {name for name, digest in self._tables.items() if now[name] != digest}

    def restore(self) -> None:
        """Bring back what was kept, past the writer, who has nothing under way."""
        if self._version() == self._seen:
            return
        writer = sqlite3.connect(self.path)
        try:
            self._kept.backup(writer)
        finally:
            writer.close()
        self._seen = self._version()

    def ask(self, asked: Asked, who: str = "") -> Answer:
        """Send one request as a server would hand it on."""
        cookies = [self.cookies.get(who, ""), "__Host-lang=en" if asked.english else ""]
        cookie = "; ".join(filter(None, cookies)).encode()
        headers = [(b"host", ORIGIN.removeprefix("https://").encode()), *asked.headers]
        names = {name for name, _value in asked.headers}
        if b"sec-fetch-site" not in names and b"origin" not in names:
            headers.append((b"sec-fetch-site", b"same-origin"))
        if cookie and b"cookie" not in names:
            headers.append((b"cookie", cookie))
        return self.client.call(lambda _site: self._run(asked, headers))

    async def _run(self, asked: Asked, headers: list[tuple[bytes, bytes]]) -> Answer:
        sent: list[dict[str, object]] = []
        waiting = [{"type": "http.request", "body": asked.body, "more_body": False}]

        async def receive() -> dict[str, object]:
            if not waiting:
                await asyncio.Event().wait()  # nobody hangs up
            return waiting.pop()

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await self.client.app(_scope(asked, headers), receive, send)
        start = sent[0]
        body = b"".join(part.get("body", b"") for part in sent[1:])  # type: ignore[misc]
        return Answer(start["status"], start["headers"], body)  # type: ignore[arg-type]

    def judged(
        self, asked: Asked, who: str = "", after: Sequence[tuple[str, Asked]] = ()
    ) -> Answer:
        """Ask, say what is wrong with the answer, and bring the database back.

        Where something was saved, what is asked `after` shows it, while it is there.
        """
        try:
            answer = self._judged(asked, who)
            changed = self.changed()
            if 400 <= answer.status < 500 or asked.method in ("GET", "HEAD"):
                free = COUNTED if DOORS.fullmatch(asked.path) else ()
                free = KEPT.get(asked.path, free)
                assert changed <= set(free), (answer.status, changed)
            elif changed:
                self._look_after(answer, who, after)
            return answer
        finally:
            self.restore()

    def _judged(self, asked: Asked, who: str) -> Answer:
        before = len(self.faults)
        answer = self.ask(asked, who)
        assert len(self.faults) == before, (asked, self.faults[before:])
        judge(answer, asked)
        return answer

    def _look_after(
        self, answer: Answer, who: str, after: Sequence[tuple[str, Asked]]
    ) -> None:
        leads = answer.header(b"location").removeprefix(ORIGIN.encode())
        if leads:
            path, _mark, query = leads.partition(b"?")
            self._judged(Asked("GET", path.decode("ascii"), query), who)
        for someone, asked in after:
            self._judged(asked, someone)


def _scope(asked: Asked, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "https",
        "path": unquote(asked.path),
        "raw_path": asked.path.encode("ascii", "replace"),
        "root_path": "",
        "query_string": asked.query,
        "headers": list(headers),
        "client": ("192.0.2.7", 50000),
        "server": ("tas.test", 443),
        "state": {},
    }


def judge(answer: Answer, asked: Asked) -> None:
    """Refuse an answer that no request may have."""
    assert answer.status < 500 or answer.status == 502, answer.body.decode()[-2000:]
    assert b"Traceback" not in answer.body
    for name, value in answer.headers:
        assert not re.search(rb"[\x00\r\n]", name + value), (name, value)
    names = [name for name, _value in answer.headers]
    assert b"content-security-policy" in names
    assert names.count(b"content-type") <= 1
    leads = answer.header(b"location").decode("latin-1").removeprefix(ORIGIN)
    assert not leads or (leads.startswith("/") and not leads.startswith("//")), leads
    page = answer.header(b"content-type").startswith(b"text/html")
    if page and asked.method != "HEAD":
        _judge_page(answer, asked)


def _judge_page(answer: Answer, asked: Asked) -> None:
    text = answer.text
    Shown(text)
    assert text.rstrip().endswith("</html>"), text[-300:]
    if any(name == b"cookie" for name, _value in asked.headers):
        return  # it may have asked for any language, or several
    if asked.path == "/teacher/sheet":
        return  # printed in Chinese, always
    spoken = "en" if asked.english else "zh-Hant-TW"
    assert f'<html lang="{spoken}"' in text[:400], text[:400]


class Shown(HTMLParser):
    """The forms and the addresses that stand on a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, list[tuple[str, str]]]] = []
        self.kinds: dict[str, str] = {}
        self._select = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "form":
            method = found.get("method", "get").upper()
            self.forms.append((found.get("action", ""), method, []))
        if not self.forms:
            return
        fields = self.forms[-1][2]
        self.kinds[found.get("name", "")] = found.get("type", tag)
        if tag in ("input", "button", "textarea") and found.get("name"):
            fields.append((found["name"], found.get("value", "")))
        if tag == "select":
            self._select = found.get("name", "")
        if tag == "option" and self._select and found.get("value"):
            fields.append((self._select, found["value"]))
        if found.get("formaction"):
            self.forms.append((found["formaction"], "POST", fields))


def look_around(site: FuzzedSite) -> None:
    """Look at the pages of everybody, and gather their forms, addresses and words."""
    for who in site.cookies:
        _look_around(site, who)
    pool = {word for form in site.forms for pair in form.fields for word in pair}
    site.words = sorted(word for word in pool if word)
    site.forms = sorted(set(site.forms), key=repr)
    site.addresses = sorted(set(site.addresses))


def _look_around(site: FuzzedSite, who: str) -> None:
    kind = who.partition(" ")[0]
    end = next((f"/{end}/" for end, one in KINDS.items() if one == kind), "/teacher/")
    plain = [r.path for r in _routes("GET") if "{" not in r.path]
    queue = [path for path in plain if path.startswith((end, "/public/"))]
    seen = set(queue)
    for path in queue:
        shown = Shown(_page(site, path, who))
        site.kinds |= shown.kinds
        for action, method, fields in shown.forms:
            target = urlsplit(action or path).path
            if method not in ("GET", "POST"):
                continue  # a dialog's
            # one of each name: what a browser would send
            site.forms.append(Form(who, target, method, tuple(dict(fields).items())))
        links = [link for link in shown.links if link.startswith((end, "/public/"))]
        site.addresses += links
        for link in links:
            if len(queue) < _PAGES and link not in seen:
                seen.add(link)
                queue.append(link)
    site.addresses += queue


def _page(site: FuzzedSite, path: str, who: str) -> str:
    answer = site.ask(_page_asked(path), who)
    is_page = answer.header(b"content-type").startswith(b"text/html")
    return answer.text if is_page else ""


def _routes(method: str) -> list[Route]:
    return [
        route
        for route in ROUTES
        if isinstance(route, Route) and method in (route.methods or ())
    ]


def addresses(method: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return every address that takes a method, and the names of its parameters."""
    return [
        (_PARAMETER.sub(r"{\1}", route.path), tuple(_PARAMETER.findall(route.path)))
        for route in _routes(method)
    ]


def filled_in(path: str, values: Sequence[str]) -> str:
    """Write values into an address with parameters, as a browser would."""
    rest = iter(values)
    return _PARAMETER.sub(lambda _found: quote(next(rest), safe=""), path)


def who_may(site: FuzzedSite, path: str) -> list[str]:
    """Return who belongs to the end of an address; everybody where it has none."""
    end = path.split("/")[1]
    return [who for who in site.cookies if who.startswith(KINDS.get(end, ""))]


def shows(site: FuzzedSite) -> list[tuple[str, Asked]]:
    """Return what shows what is stored: pages, and files that forms ask for."""
    found = [
        (who, _page_asked(address))
        for address in site.addresses
        for who in who_may(site, address)
    ]
    for form in site.forms:
        if form.method == "POST" and GIVEN.search(form.path):
            body = urlencoded(form.fields)
            asked = Asked("POST", form.path, b"", [(b"content-type", FORM)], body)
            found.append((form.who, asked))
    return found


def _page_asked(address: str) -> Asked:
    path, _mark, query = address.partition("#")[0].partition("?")
    return Asked("GET", path, query.encode())


def urlencoded(fields: Sequence[tuple[str, str]]) -> bytes:
    return urlencode(list(fields), errors="surrogatepass").encode("ascii")


# the sites


class _Faults(logging.Handler):
    """Keeps what the site says went wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._faults.append(self.format(record))


@contextmanager
def fuzzed(folder: Path, stage: str) -> Iterator[FuzzedSite]:
    """Run a site at a stage of the year: filling, review or published."""
    with quick_engine(), running(folder) as client:
        site = FuzzedSite(client, STAGES[stage](client))
        handler = _Faults(site.faults)
        logger = logging.getLogger("jiepin")
        logger.addHandler(handler)
        client.call(lambda _site: _rest(client))
        try:
            look_around(site)
            site.restore()
            yield site
        finally:
            logger.removeHandler(handler)
            site._look.close()
            site._kept.close()


async def _rest(client: Client) -> None:
    """Let no run begin: its process would outlive the example that asked for it."""
    client.app.state.runner.wake = lambda: None


def _filling(client: Client) -> dict[str, str]:
    actor, found = client.call(practice_round.teacher)
    counties = ("13", "14")
    wishes = ("133601", "133602")

    async def wish(site: Site) -> None:
        chosen, _ = await practice_round.applications.change_counties(
            site, actor, found.version, counties
        )
        await practice_round.applications.save_wishes(
            site, actor, chosen.version, wishes
        )

    client.call(wish)
    client.call(lambda site: practice_round.teacher(site, CHEN))
    return _everybody(client)


def _review(client: Client) -> dict[str, str]:
    review_desk.file(client)
    return _everybody(client)


def _published(client: Client) -> dict[str, str]:
    found = frozen_round(client)
    found.approve()
    found.publish()
    found.tend()
    found.host.post("/host/corrections", number="1220002", reason="誤算")
    return _everybody(client)


STAGES: dict[str, Callable[[Client], dict[str, str]]] = {
    "filling": _filling,
    "review": _review,
    "published": _published,
}


def _everybody(client: Client) -> dict[str, str]:
    """Sign in one of each kind; return the cookies that they send."""
    settings = client.site.settings
    found = {"nobody": ""}

    async def teacher(site: Site) -> None:
        async with site.database.reading() as db:
            [[account], *_] = await db.execute_fetchall(
                "select id from account order by id"
            )
        await begin_session(site, account, "a-teacher-of-the-test")
        async with site.database.writing() as db:
            await accounts.confirm_device(db, account, COMPUTER, site.clock.now())

    client.call(teacher)
    found["teacher"] = f"{settings.cookie}=a-teacher-of-the-test"
    for role in ("head", "reviewer", "clerk"):
        for end, desk in (("county", county_desk), ("host", host_desk)):
            if end == "host" and role == "reviewer":
                continue
            account = desk(client, role).actor.account
            found[f"{end} {role}"] = f"{settings.staff_cookie}={account}"
    return found
