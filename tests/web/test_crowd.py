"""More come than can be answered: some are asked to come again, and nothing is lost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from practice_round import Client, running, settings
from starlette.types import Message, Receive, Scope, Send

from jiepin.web import crowd
from jiepin.web.crowd import Crowd, Room
from jiepin.web.figures import Figures
from jiepin.web.guard import MOST_BODY
from jiepin.web.rendering import make_environment

MOST: Mapping[Room, int] = {"door": 2, "inside": 2, "saves": 2, "files": 2}
PATIENCE = 30  # seconds for what would otherwise wait for ever
COOKIE = "lang=zh-Hant; __Host-sid=abc"
HTML = {"accept": "text/html,*/*"}


class Site:
    """An app whose answers wait until they are let go, behind a crowd's control."""

    def __init__(self, folder: Path) -> None:
        self.go = asyncio.Event()
        self.bodies: list[bytes] = []
        self.figures = Figures()
        state = SimpleNamespace(figures=self.figures, templates=make_environment())
        self._app = SimpleNamespace(state=state)
        self._crowd = Crowd(self._answer, settings(folder), MOST)

    async def _answer(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(
        self,
        path: str,
        method: str = "GET",
        parts: list[bytes | asyncio.Event] | None = None,
        **headers: str,
    ) -> asyncio.Task[list[Message]]:
        """Begin a request; an event among the parts of its body keeps it waiting."""
        if parts is not None:
            headers["transfer-encoding"] = "chunked"
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "app": self._app,
        }
        return asyncio.create_task(self._asked(scope, list(parts or [])))

    async def _asked(self, scope: Scope, parts: list[Any]) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            while parts and isinstance(parts[0], asyncio.Event):
                await parts.pop(0).wait()
            body = parts.pop(0) if parts else b""
            return {"type": "http.request", "body": body, "more_body": bool(parts)}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._crowd(scope, receive, send)
        return sent


def at_a_crowd(folder: Path, work: Callable[[Site], Awaitable[None]]) -> None:
    async def run() -> None:
        site = Site(folder)
        try:
            async with asyncio.timeout(PATIENCE):
                await work(site)
        finally:
            site.go.set()

    asyncio.run(run())


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def status(task: asyncio.Task[list[Message]]) -> int:
    return int((await task)[0]["status"])


PLACES = {
    "door": ("/teacher/", "GET", ""),
    "inside": ("/teacher/status", "GET", COOKIE),
    "saves": ("/teacher/wishes/save", "POST", COOKIE),
    "files": ("/static/abc/site.css", "GET", ""),
}


@pytest.mark.parametrize("full", PLACES)
def test_each_kind_has_room_of_its_own(tmp_path: Path, full: str) -> None:
    async def work(site: Site) -> None:
        path, method, cookie = PLACES[full]
        waiting = [site.ask(path, method, cookie=cookie) for _ in range(2)]
        await settled()
        assert await status(site.ask(path, method, cookie=cookie)) == 503
        others = [
            site.ask(path, method, cookie=cookie)
            for kind, (path, method, cookie) in PLACES.items()
            if kind != full
        ]
        await settled()
        site.go.set()
        assert [await status(one) for one in (*waiting, *others)] == [200] * 5
        again = site.ask(path, method, cookie=cookie)
        assert await status(again) == 200  # there is room again

    at_a_crowd(tmp_path, work)


@pytest.mark.parametrize("path", ["/teacher/challenge", "/city/sign-in"])
def test_whoever_signs_in_is_at_the_door(tmp_path: Path, path: str) -> None:
    """The cookie of the challenge is not that of somebody who is in."""

    async def work(site: Site) -> None:
        waiting = [site.ask("/teacher/") for _ in range(2)]
        await settled()
        assert await status(site.ask(path, "POST", cookie=COOKIE)) == 503
        assert not any(one.done() for one in waiting)

    at_a_crowd(tmp_path, work)


def test_nothing_of_what_was_refused_was_done(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        for body in (b"first", b"second", b"third"):
            site.ask("/teacher/wishes/save", "POST", [body], cookie=COOKIE)
        await settled()
        assert site.bodies == [b"first", b"second"]

    at_a_crowd(tmp_path, work)


def test_whoever_sends_slowly_takes_no_room(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        sent = asyncio.Event()
        path = "/teacher/wishes/save"
        slow = [
            site.ask(path, "POST", [b"a", sent, b"b"], cookie=COOKIE) for _ in range(2)
        ]
        await settled()
        quick = site.ask(path, "POST", [b"quick"], cookie=COOKIE)
        await settled()
        assert site.bodies == [b"quick"]
        site.go.set()
        assert await status(quick) == 200
        sent.set()
        assert {await status(one) for one in slow} == {200}
        assert site.bodies == [b"quick", b"ab", b"ab"]

    at_a_crowd(tmp_path, work)


def test_what_is_too_large_is_not_taken_in(tmp_path: Path) -> None:
    """What comes behind the limit is left to whoever refuses it."""

    async def work(site: Site) -> None:
        never = asyncio.Event()
        parts = [bytes(MOST_BODY), b"more", never, b"end"]
        asked = site.ask("/city/tables", "POST", parts, cookie=COOKIE)
        await settled()
        assert len(parts) == 4  # a copy was taken of them
        assert site._crowd._waiting["saves"] == 1
        asked.cancel()

    at_a_crowd(tmp_path, work)


async def refused(site: Site, **headers: str) -> tuple[dict[str, str], str]:
    for _ in range(2):
        site.ask("/teacher/")
    await settled()
    start, body = await site.ask("/teacher/", **headers)
    found = {k.decode(): v.decode() for k, v in start["headers"]}
    return found, body["body"].decode()


def test_a_browser_gets_a_page_that_says_when(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        headers, page = await refused(site, **HTML)
        low, high = crowd.COME_AGAIN
        assert low <= int(headers["retry-after"]) <= high
        assert "<h1>請稍候</h1>" in page
        assert "沒有儲存" in page
        told = site.figures.text().decode()
        assert 'jiepin_refused_total{why="crowd"} 1.0' in told

    at_a_crowd(tmp_path, work)


def test_a_script_gets_the_same_in_json(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        headers, told = await refused(site, accept="application/json")
        assert headers["content-type"] == "application/json"
        assert re.fullmatch(r'\{"problem":"(.+)","text":"\1"\}', told)

    at_a_crowd(tmp_path, work)


def test_the_whole_site_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers, language and doors are those of the site; who is in goes on."""
    monkeypatch.setitem(crowd.MOST, "door", 0)
    with running(tmp_path) as client:
        english = f"{client.site.settings.language_cookie}=en"
        answer = client.http.get("/teacher/", headers=HTML | {"cookie": english})
        assert answer.status_code == 503
        assert "Very many people are here" in answer.text
        assert 'lang="en"' in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "content-security-policy" in answer.headers
        assert_is_in(client)


def assert_is_in(client: Client) -> None:
    client.http.cookies.set("__Host-sid", "nobody's", domain="tas.test")
    assert client.get("/teacher/status").headers["location"] == "/teacher/"


def test_those_who_come_at_once_are_counted_before_one_is_served(
    tmp_path: Path,
) -> None:
    """Also where an answer never waits for anything: then nobody would be waiting."""

    async def work(site: Site) -> None:
        site.go.set()
        asked = [site.ask("/teacher/status", cookie=COOKIE) for _ in range(5)]
        assert [await status(one) for one in asked] == [200, 200, 503, 503, 503]

    at_a_crowd(tmp_path, work)


def test_saves_come_in_between_however_many_ask_for_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "AT_ONCE", 2)

    async def work(site: Site) -> None:
        site._crowd._most = dict.fromkeys(MOST, 100)
        site.go.set()
        asked = [site.ask("/teacher/status", cookie=COOKIE) for _ in range(40)]
        save = site.ask("/teacher/wishes/save", "POST", [b"save"], cookie=COOKIE)
        assert await status(save) == 200
        assert sum(one.done() for one in asked) < 20
        assert {await status(one) for one in asked} == {200}

    at_a_crowd(tmp_path, work)
