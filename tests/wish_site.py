"""A small site with one teacher who has come to step 5."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import practice_round
from httpx2 import Response
from practice_round import LIN, running, school
from site_server import SiteServer, site_server
from starlette.testclient import TestClient

from jiepin.web.clock import SetClock, to_ms
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications
from jiepin.web.store.applications import Application
from jiepin.web.store.schools import School
from jiepin.web.vault import digest

COOKIE = "a-session-of-the-test"
COMPUTER = b"the computer of the test"
HOME = "123601"  # where teachers of the practice round serve
LEVEL = LIN.level

SCHOOLS = (
    school(HOME, "新興國小", township="新興區"),
    school("134601", "和平國小", township="屏東市"),
    school("134602", "仁愛國小", township="屏東市", notice="借校上課"),
    school("134701", "青山國小", "special-remote", "indigenous", township="三地門鄉"),
    school("144601", "台東國小", township="臺東市"),
    school("144701", "蘭嶼國小", "extreme-remote", township="蘭嶼鄉"),
    school("144501", "寶桑國中", township="臺東市"),
    school("014601", "板橋國小", township="板橋區"),
)


class Behind:
    """What tests do and see behind the scenes of a site with its one teacher."""

    site: Site
    account: str

    def run(self, do: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Do something where the database lives."""
        raise NotImplementedError

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement with the writer."""

        async def do() -> list[tuple[Any, ...]]:
            async with self.site.database.writing() as db:
                rows = await db.execute_fetchall(statement, values)
                return [tuple(row) for row in rows]

        found: list[tuple[Any, ...]] = self.run(do)
        return found

    def stored(self) -> Application:
        async def do() -> Application | None:
            async with self.site.database.reading() as db:
                return await applications.of_account(db, self.account)

        application: Application | None = self.run(do)
        assert application is not None
        return application


@dataclass(frozen=True)
class Desk(Behind):
    """The browser of the teacher, and a way behind the scenes."""

    client: TestClient
    clock: SetClock
    site: Site
    account: str

    def run(self, do: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        portal = self.client.portal
        assert portal is not None
        return portal.call(do, *args)

    def get(self, path: str = "", **query: Any) -> str:
        answer = self.client.get(f"/teacher/wishes{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **form: Any) -> Response:
        return self.client.post(f"/teacher/wishes{path}", data=form)

    def do(self, **form: Any) -> str:
        """Press a button of the editor and follow to the page that comes."""
        data = {"draft": self.draft(), **form}
        answer = self.client.post(
            "/teacher/wishes/edit", data=data, follow_redirects=True
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def draft(self) -> str:
        """Return what the page as it is now says of the list under way."""
        page = self.client.get("/teacher/wishes").text
        found = re.search('name="draft" value="([^"]*)"', page)
        return found.group(1) if found else ""

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
        fields = {"version": self.stored().version, "draft": self.draft(), **more}
        return self.post("/save", schools=" ".join(wishes), **fields)

    def file(self, *wishes: str) -> None:
        """Save this list and file the application with it."""
        assert self.save(*wishes, then="check").headers["location"] == "/teacher/check"
        version = self.stored().version
        filed = self.client.post("/teacher/check", data={"version": version})
        assert filed.headers["location"] == "/teacher/status"


@contextmanager
def desk(folder: Path, more: Sequence[School] = ()) -> Iterator[Desk]:
    """Open a site in a folder and sit the teacher down at step 5."""
    with running(folder, (*SCHOOLS, *more)) as browser:
        account = browser.call(sit_down)
        browser.http.cookies.set(browser.site.settings.cookie, COOKIE)
        yield Desk(browser.http, browser.clock, browser.site, account)


async def sit_down(site: Site) -> str:
    """Let the teacher come to step 5, signed in; returns the account."""
    actor, _application = await practice_round.teacher(site)
    async with site.database.writing() as db:
        await accounts.confirm_device(db, actor.account, COMPUTER, site.clock.now())
    await begin_session(site, actor.account, COOKIE)
    return actor.account


async def begin_session(site: Site, account: str, token: str) -> None:
    """Sign the teacher in, and everybody out who was."""
    async with site.database.writing() as db:
        await db.execute("delete from session")
        now = site.clock.now()
        await accounts.add_session(db, digest(token), account, COMPUTER, now)


def chosen(page: str) -> list[str]:
    """Return the schools in the list of a page, in order."""
    return re.findall(r'<li data-school="(\w+)"', page)


def offered(page: str) -> list[str]:
    """Return the schools of the pool that a page lists."""
    return re.findall(r'name="add" value="(\w+)"', page)


@dataclass(frozen=True)
class Served(Behind):
    """The same site behind a real server, for a browser."""

    origin: str
    site: Site
    account: str
    server: SiteServer
    token: str = COOKIE

    @property
    def cookie(self) -> dict[str, str]:
        """What the browser of the teacher holds."""
        name = self.site.settings.cookie
        return {"name": name, "value": self.token, "url": self.origin}

    def afresh(self) -> Served:
        """End the session and begin another: what an old page still sends is lost."""
        token = secrets.token_urlsafe(8)
        self.run(begin_session, self.site, self.account, token)
        return replace(self, token=token)

    def run(self, do: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return self.server.run(do, *args)


@contextmanager
def served(folder: Path, all_schools: Sequence[School] = SCHOOLS) -> Iterator[Served]:
    """Serve a site on a free port of this computer until the end of the block."""

    def settings_at(origin: str) -> Settings:
        return replace(practice_round.settings(folder), origin=origin)

    with site_server(settings_at) as server:
        server.run(practice_round.fill, server.site, all_schools)
        account = server.run(sit_down, server.site)
        yield Served(server.origin, server.site, account, server)
