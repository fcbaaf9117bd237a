"""A small site with one teacher who has come to step 5."""

from __future__ import annotations

import asyncio
import queue
import re
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from httpx2 import Response
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jiepin.web.app import create_app
from jiepin.web.clock import SetClock, to_ms
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, schools
from jiepin.web.store.applications import Application
from jiepin.web.store.schools import RoundSettings, School, Window
from jiepin.web.vault import Vault, digest

ORIGIN = "https://tas.test"
START = datetime(2026, 4, 20, 1, 0, tzinfo=UTC)
HOME = "124601"
COOKIE = "a-session-of-the-test"
YEAR, LEVEL = 115, "elementary"

ROWS = (  # code, name, township, tags, notice
    (HOME, "新興國小", "新興區", (), ""),
    ("134601", "和平國小", "屏東市", (), ""),
    ("134602", "仁愛國小", "屏東市", (), "借校上課"),
    ("134701", "青山國小", "三地門鄉", ("special-remote", "indigenous"), ""),
    ("144601", "台東國小", "臺東市", (), ""),
    ("144701", "蘭嶼國小", "蘭嶼鄉", ("extreme-remote",), ""),
    ("144501", "寶桑國中", "臺東市", (), ""),
    ("014601", "板橋國小", "板橋區", (), ""),
)


def school(
    code: str, name: str, township: str, tags: tuple[str, ...] = (), notice: str = ""
) -> School:
    """Make a school of the county that its code begins with."""
    level = "junior-high" if name.endswith("國中") else LEVEL
    return School(
        code, name, name[:2], code[:2], township, level, tags, "", notice, open=True
    )


SCHOOLS = tuple(school(*row) for row in ROWS)


@dataclass(frozen=True, slots=True)
class Desk:
    """The browser of the teacher, and a way behind the scenes."""

    client: TestClient
    app: Starlette
    clock: SetClock

    @property
    def site(self) -> Site:
        site: Site = self.app.state.site
        return site

    def run(self, do: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Call something asynchronous where the database lives."""
        portal = self.client.portal
        assert portal is not None
        return portal.call(do, *args)

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement with the writer."""

        async def do() -> list[tuple[Any, ...]]:
            async with self.site.database.writing() as db:
                rows = await db.execute_fetchall(statement, values)
                return [tuple(row) for row in rows]

        found: list[tuple[Any, ...]] = self.run(do)
        return found

    def get(self, path: str = "", **query: Any) -> str:
        answer = self.client.get(f"/teacher/wishes{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **form: Any) -> Response:
        return self.client.post(f"/teacher/wishes{path}", data=form)

    def do(self, **form: Any) -> str:
        """Press a button of the editor and follow to the page that comes."""
        answer = self.client.post(
            "/teacher/wishes/edit", data=form, follow_redirects=True
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def stored(self) -> Application:
        async def do() -> Application | None:
            async with self.site.database.reading() as db:
                return await applications.of_account(db, "a")

        application: Application | None = self.run(do)
        assert application is not None
        return application

    def wait(self, **time: float) -> None:
        """Let time pass, without the session ending over it."""
        self.clock.move(**time)
        now = to_ms(self.clock.now())
        self.sql("update session set seen = :now, created = :now", now=now)

    def choose(self, *counties: str) -> None:
        """Choose the wish counties."""
        fields = {f"county{n}": code for n, code in enumerate(counties, 1)}
        answer = self.post("/counties", version=self.stored().version, **fields)
        assert answer.status_code == 303, answer.text

    def save(self, *wishes: str, **more: Any) -> Response:
        """Save this list as the page made from the stored version would."""
        fields = {"version": self.stored().version, **more}
        return self.post("/save", schools=" ".join(wishes), **fields)


@contextmanager
def desk(folder: Path, more: Sequence[School] = ()) -> Iterator[Desk]:
    """Open a site in a folder and sit the teacher down at step 5."""
    clock = SetClock(START)
    settings = Settings(folder, ORIGIN, folder / "keys.json")
    app = create_app(settings, Vault.new(), clock)
    client = TestClient(
        app,
        base_url=ORIGIN,
        headers={"sec-fetch-site": "same-origin"},
        follow_redirects=False,
    )
    with client:
        opened = Desk(client, app, clock)
        opened.run(fill, opened.site, (*SCHOOLS, *more))
        client.cookies.set(settings.cookie, COOKIE)
        yield opened


async def fill(site: Site, all_schools: Sequence[School], max_choices: int = 0) -> None:
    """Write a round with its schools, and the teacher with a session."""
    now = site.clock.now()
    settings = RoundSettings(YEAR, "高雄市政府教育局", 1, 2, 3, max_choices, 1)
    window = Window(now - timedelta(days=1), now + timedelta(days=9))
    async with site.database.writing() as db:
        await schools.save_round(db, settings)
        await schools.save_window(db, YEAR, LEVEL, "fill", window)
        await schools.add(db, all_schools)
        await db.execute(
            """insert into account (id, year, level, lookup, county, national_id,
            birth_date, sex, card_name, card_name_certain, password, created)
            values ('a', :year, :level, x'00', '12', :id, :birth, 'F', '林小明', 1, '',
            :now)""",
            {
                "year": YEAR,
                "level": LEVEL,
                "id": site.vault.seal("A123456789", "account.national_id", "a"),
                "birth": site.vault.seal("1985-03-09", "account.birth_date", "a"),
                "now": to_ms(now),
            },
        )
        await applications.create(db, "p", "a", now)
        await db.execute(
            "update application set step = 5, name = '林小明', area = 'general', "
            "service_years = 5, school = :home, subject1 = 'E01' where id = 'p'",
            {"home": HOME},
        )
        await accounts.add_session(db, digest(COOKIE), "a", None, now)


def chosen(page: str) -> list[str]:
    """Return the schools in the list of a page, in order."""
    return re.findall(r'<li data-school="(\w+)"', page)


def offered(page: str) -> list[str]:
    """Return the schools of the pool that a page lists."""
    return re.findall(r'name="add" value="(\w+)"', page)


@dataclass(frozen=True, slots=True)
class Served:
    """The same site behind a real server, for a browser."""

    origin: str
    site: Site
    loop: asyncio.AbstractEventLoop
    token: str = COOKIE

    @property
    def cookie(self) -> dict[str, str]:
        """What the browser of the teacher holds."""
        name = self.site.settings.cookie
        return {"name": name, "value": self.token, "url": self.origin}

    def afresh(self) -> Served:
        """End the session and begin another: what an old page still sends is lost."""
        token = secrets.token_urlsafe(8)

        async def do() -> None:
            async with self.site.database.writing() as db:
                await db.execute("delete from session")
                now = self.site.clock.now()
                await accounts.add_session(db, digest(token), "a", None, now)

        self.run(do)
        return replace(self, token=token)

    def run(self, do: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(do(*args), self.loop).result(30)

    def sql(self, statement: str, **values: Any) -> None:
        async def do() -> None:
            async with self.site.database.writing() as db:
                await db.execute(statement, values)

        self.run(do)

    def stored(self) -> Application:
        async def do() -> Application | None:
            async with self.site.database.reading() as db:
                return await applications.of_account(db, "a")

        application: Application | None = self.run(do)
        assert application is not None
        return application


@contextmanager
def served(folder: Path, all_schools: Sequence[School] = SCHOOLS) -> Iterator[Served]:
    """Serve a site on a free port of this computer until the end of the block."""
    # said to be TCP, so that asyncio sends without waiting for more (TCP_NODELAY)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = create_app(Settings(folder, origin, folder / "keys.json"), Vault.new())
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    started: queue.Queue[asyncio.AbstractEventLoop] = queue.Queue()

    async def serve() -> None:
        started.put(asyncio.get_running_loop())
        await server.serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        loop = started.get(timeout=10)
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        opened = Served(origin, app.state.site, loop)
        opened.run(fill, opened.site, all_schools)
        yield opened
    finally:
        server.should_exit = True
        thread.join(timeout=20)
