"""A small invented round, and a browser that signs in with invented cards."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jiepin.web import demo
from jiepin.web.access import NOBODY, Actor
from jiepin.web.app import create_app
from jiepin.web.card import from_base64
from jiepin.web.clock import SetClock
from jiepin.web.demo import Person
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, schools
from jiepin.web.store.applications import Application
from jiepin.web.store.database import Database
from jiepin.web.store.schools import RoundSettings, School, Window
from jiepin.web.vault import Vault

ORIGIN = "https://tas.test"
START = datetime(2026, 4, 20, 1, 0, tzinfo=UTC)
CLOSES = datetime(2026, 4, 29, 16, 0, tzinfo=UTC)
YEAR = 115
PASSWORD = "a quiet morning"

LIN = Person("林小明", "M", date(1985, 3, 9), "elementary", "12", 0)
CHEN = Person("陳美華", "F", date(1990, 11, 23), "elementary", "12", 1)
WANG = Person("王大同", "M", date(1982, 5, 17), "junior-high", "12", 0)
STRANGER = Person("外人", "M", date(1980, 1, 1), "elementary", "12", 0)
ROSTER = (LIN, CHEN, WANG)

Answer = TypeVar("Answer")


def school(
    code: str, name: str, *tags: str, township: str = "", notice: str = ""
) -> School:
    """Make a school of the county that its code begins with, at the level it names."""
    short, level = name[:2], "junior-high" if "國中" in name else "elementary"
    township = township or short + "鄉"
    return School(
        code, name, short, code[:2], township, level, tags, "", notice, open=True
    )


SCHOOLS = (
    school("123601", "新興國小"),
    school("123602", "前金國小"),
    school("133601", "青山國小", "special-remote", "indigenous"),
    school("133602", "中正國小"),
    school("133603", "仁愛國小", "remote"),
    school("143601", "豐里國小", "extreme-remote"),
    school("143602", "卑南國小"),
    school("123501", "前鎮國中"),
    school("133501", "明正國中"),
)


def settings(folder: Path) -> Settings:
    return Settings(data=folder, origin=ORIGIN, keys=folder / "keys.json")


async def fill(site: Site, all_schools: Sequence[School] = SCHOOLS) -> None:
    """Write the round, its schedule from now on, its schools and the roster."""
    now = site.clock.now()
    window = Window(now - timedelta(days=1), now + (CLOSES - START))
    async with site.database.writing() as db:
        await schools.save_round(
            db, RoundSettings(YEAR, "高雄市政府教育局", 1, 2, 3, 0, 1)
        )
        for level in schools.LEVELS:
            await schools.save_window(db, YEAR, level, "fill", window)
        await schools.add(db, all_schools)
        for person in ROSTER:
            lookup = site.vault.lookup(YEAR, person.level, person.national_id)
            await accounts.add_to_roster(db, YEAR, person.level, lookup, "12", None)


@contextmanager
def running(folder: Path, all_schools: Sequence[School] = SCHOOLS) -> Iterator[Client]:
    """Run the site on a folder, with a clock that the test moves."""
    clock = SetClock(START)
    app = create_app(settings(folder), Vault.new(), clock)
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as http:
        client = Client(app, http, clock)
        client.call(lambda site: fill(site, all_schools))
        yield client


def with_site(folder: Path, work: Callable[[Site], Awaitable[Answer]]) -> Answer:
    """Do something with the store alone."""

    async def run() -> Answer:
        database = await Database.open(folder / "jiepin.db")
        try:
            site = Site(settings(folder), SetClock(START), Vault.new(), database)
            await fill(site)
            return await work(site)
        finally:
            await database.close()

    return asyncio.run(run())


async def teacher(site: Site, person: Person = LIN) -> tuple[Actor, Application]:
    """Make an account whose first four steps are done."""
    lookup = site.vault.lookup(YEAR, person.level, person.national_id)
    id_ = "account of " + person.name
    new = accounts.NewAccount(
        id=id_,
        year=YEAR,
        level=person.level,
        lookup=lookup,
        county="12",
        national_id=site.vault.seal(person.national_id, "account.national_id", id_),
        birth_date=site.vault.seal("1985-03-09", "account.birth_date", id_),
        sex=person.sex,
        card_name=person.name,
        card_name_certain=True,
    )
    now = site.clock.now()
    async with site.database.writing() as db:
        await accounts.create(db, new, now)
        await applications.create(db, "application of " + person.name, id_, now)
    actor = Actor("teacher", id_, YEAR, person.level, "12")
    saved = await applications.agree_to_notices(site, actor, 1, 1)
    saved = await applications.save_password(site, actor, saved.version, "hash", "")
    details = applications.Person(person.name, "07-1234567", "")
    saved = await applications.save_person(site, actor, saved.version, details)
    saved = await applications.confirm_email(
        site, actor, saved.version, "lin@example.org"
    )
    home = "123601" if person.level == "elementary" else "123501"
    subject = "E01" if person.level == "elementary" else "J01"
    appointment = applications.Appointment(False, "general", 5, home, (subject,))
    saved = await applications.save_appointment(site, actor, saved.version, appointment)
    return actor, saved


async def save_and_file(
    site: Site, actor: Actor, seen: int, wishes: Sequence[str]
) -> Application:
    """Save a list and file the application with it."""
    saved = await applications.save_wishes(site, actor, seen, wishes)
    return await applications.file(site, actor, saved.version)


@dataclass
class Client:
    """A browser on the running site."""

    app: Starlette
    http: TestClient
    clock: SetClock
    device: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    actor: Actor = NOBODY  # of the staff who is signed in, see staff_site

    def __post_init__(self) -> None:
        self.http.headers["sec-fetch-site"] = "same-origin"

    @property
    def site(self) -> Site:
        return self.app.state.site

    def call(self, work: Callable[[Site], Awaitable[Answer]]) -> Answer:
        """Do something in the site's own loop."""

        async def run() -> Answer:
            return await work(self.site)

        return self.http.portal.call(run)

    def another(self) -> Client:
        """Return a second browser on this computer, without the cookies of this one."""
        http = TestClient(self.app, base_url=ORIGIN, follow_redirects=False)
        http.portal = self.http.portal
        return Client(self.app, http, self.clock, self.device)

    def elsewhere(self) -> Client:
        """Return a browser on a computer that has not been seen yet."""
        return replace(self.another(), device=Ed25519PrivateKey.generate())

    def get(self, path: str):
        return self.http.get(path)

    def post(self, path: str, **fields: object):
        return self.http.post(path, data={k: str(v) for k, v in fields.items()})

    def answer(self, person: Person, source: str = "pcsc") -> dict[str, str]:
        """Fetch a challenge and let the person's card answer it."""
        asked = self.post("/teacher/challenge").json()
        raw = from_base64(asked["challenge"])
        return demo.sealed(person, raw, self.device, source)

    def sign_in(self, person: Person = LIN, password: str = "", **more: str):
        fields = {"level": person.level, "password": password, **self.answer(person)}
        return self.post("/teacher/sign-in", **{**fields, **more})

    def version(self, path: str) -> str:
        return self.hidden(path).get("version", "")

    def hidden(self, path: str) -> dict[str, str]:
        """Return what the form of a page says that it was made from."""
        names = "version|notices_version|draft"
        field = rf'type="hidden" name="({names})" value="(\w*)"'
        return dict(re.findall(field, self.get(path).text))

    def mailed(self, event: str) -> list[dict[str, Any]]:
        """Return what was put into the outbox for an event, oldest first.

        Read beside the worker, which takes messages whenever it likes.
        """

        async def read(site: Site) -> list[dict[str, Any]]:
            async with site.database.reading() as db:
                rows = await db.execute_fetchall(
                    "select key, payload from outbox "
                    "where event = ? and channel = 'mail' order by id",
                    (event,),
                )
            texts = [site.vault.open(text, "outbox.payload", key) for key, text in rows]
            return [json.loads(text) for text in texts]

        return self.call(read)

    def code(self) -> str:
        """Return the newest code that was mailed."""
        return self.mailed("mail-code")[-1]["code"]

    def fill_in(self, step: int, person: Person = LIN) -> None:
        """Sign in and do the steps before this one."""
        self.sign_in(person)
        if step > 1:
            self.save("/teacher/notices")
        if step > 2:
            self.save("/teacher/password", password=PASSWORD, again=PASSWORD, hint="")
        if step > 3:
            self.save("/teacher/person", **person_form())
            self.save("/teacher/person/code", code=self.code())
        if step > 4:
            self.save("/teacher/appointment", **appointment_form(person))

    def save(self, path: str, **fields: object):
        """Save a step from its page as it is now."""
        page = path.removesuffix("/code").removesuffix("/save")
        return self.post(path, **{**self.hidden(page), **fields})

    def file(self, *wishes: str) -> None:
        """Fill in everything, choose 屏東縣 and 臺東縣, and file with these wishes."""
        self.fill_in(5)
        self.save("/teacher/wishes/counties", county1="13", county2="14")
        listed = " ".join(wishes)
        saved = self.save("/teacher/wishes/save", schools=listed, then="check")
        assert saved.headers["location"] == "/teacher/check"
        filed = self.save("/teacher/check")
        assert filed.headers["location"] == "/teacher/status"

    def application(self, person: Person = LIN) -> Application:
        async def read(site: Site) -> Application:
            lookup = site.vault.lookup(YEAR, person.level, person.national_id)
            async with site.database.reading() as db:
                account = await accounts.by_lookup(db, YEAR, person.level, lookup)
                return await applications.of_account(db, account.id)

        return self.call(read)

    def digest(self) -> str:
        """Return a digest of everything in the database."""
        return self.call(digest_of)


def device_of(client: Client) -> bytes:
    """Return the key that the site knows a computer by."""
    return client.device.public_key().public_bytes_raw()


async def digest_of(site: Site) -> str:
    whole = hashlib.sha256()
    async with site.database.reading() as db:
        tables = await db.execute_fetchall(
            "select name from sqlite_master where type = 'table' order by name"
        )
        for (name,) in tables:
            await add_table(db, name, whole)
    return whole.hexdigest()


async def add_table(db: aiosqlite.Connection, name: str, whole) -> None:
    # the worker changes how far messages are, at any time; not which there are
    columns = "key" if name == "outbox" else "*"
    for row in await db.execute_fetchall(f'select {columns} from "{name}"'):
        whole.update(repr((name, tuple(row))).encode())


def person_form(**changes: str) -> dict[str, str]:
    form = {"name": "林小明", "phone1": "07-1234567#89", "phone2": ""}
    return form | {"email": "lin@example.org"} | changes


def appointment_form(person: Person = LIN, **changes: str) -> dict[str, str]:
    junior = person.level == "junior-high"
    form = {
        "indigenous": "no",
        "area": "general",
        "service_years": "5",
        "school": "123501" if junior else "123601",
        "subject1": "J01" if junior else "E01",
        "subject2": "",
        "subject3": "",
    }
    return form | changes


class Page(HTMLParser):
    """What stands on a page: its tags, its text, the values of its fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: dict[str, str] = {}
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if tag == "input" and "name" in found:
            self.values[found["name"] or ""] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        self.text += data
