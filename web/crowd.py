"""When more ask than can be answered, the site says so at once, and cheaply.

A request that waits too long helps nobody: the browser asks again, and the crowd
grows. So only so many wait at a time; who comes then is told to come again in a few
seconds, before anything of what he asked was done. There is room for four kinds of
requests, so that a crowd before the doors does not keep those waiting who are in, and
those who look do not keep those waiting who save.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jiepin.web import language
from jiepin.web.guard import MOST_BODY, SAFE_METHODS, STATIC
from jiepin.web.language import _
from jiepin.web.settings import Settings

Room = Literal["door", "inside", "saves", "files"]

# How many wait at a time: at two hundred answers a second, 60 for a third of a second.
# Before the doors a hundred more may wait for a password to be hashed.
MOST: Final[Mapping[Room, int]] = {"door": 160, "inside": 60, "saves": 60, "files": 60}
AT_ONCE: Final = 8  # pages begun in one turn of the event loop: some 30 ms
COME_AGAIN: Final = (5, 15)  # seconds, drawn, so that not all come at once
_DOORS: Final = ("/challenge", "/sign-in")


class Crowd:
    """Turns away who finds no room; counts a request once all of it has come.

    Whoever sends slowly takes no room, as long as he has not sent it all.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, most: Mapping[Room, int] = MOST
    ) -> None:
        self._app = app
        self._cookies = tuple(
            f"{name}=" for name in (settings.cookie, settings.staff_cookie)
        )
        self._most = most
        self._waiting: Counter[Room] = Counter()
        self._begun = 0  # pages, in this turn of the event loop
        self._pages: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _has_body(Headers(scope=scope)):
            receive = await _whole(receive)
        room = self._room(scope)
        if self._waiting[room] >= self._most[room]:
            scope["app"].state.figures.refused("crowd")
            await self._refusal(scope)(scope, receive, send)
            return
        self._waiting[room] += 1
        try:
            await self._turn(room)
            await self._app(scope, receive, send)
        finally:
            self._waiting[room] -= 1

    async def _turn(self, room: Room) -> None:
        """Wait until all who have come are counted; then few pages begin at a time.

        A page is made in one go, a save takes some turns of the event loop: those are
        to be short however many ask for pages.
        """
        await asyncio.sleep(0)
        if room in ("inside", "door"):
            while self._begun >= AT_ONCE:
                await asyncio.sleep(0)
            if self._begun == 0:
                asyncio.get_running_loop().call_soon(self._next_turn)
            self._begun += 1

    def _next_turn(self) -> None:
        self._begun = 0

    def _room(self, scope: Scope) -> Room:
        path: str = scope["path"]
        if path.startswith(STATIC):
            return "files"
        cookies = Headers(scope=scope).get("cookie", "")
        if path.endswith(_DOORS) or not any(name in cookies for name in self._cookies):
            return "door"
        return "inside" if scope["method"] in SAFE_METHODS else "saves"

    def _refusal(self, scope: Scope) -> Response:
        headers = {"retry-after": str(random.randint(*COME_AGAIN))}
        if "text/html" in Headers(scope=scope).get("accept", ""):
            return HTMLResponse(self._page(scope), 503, headers)
        text = _come_again()  # for scripts: what the door says, and what the editor
        return JSONResponse({"problem": text, "text": text}, 503, headers)

    def _page(self, scope: Scope) -> str:
        """Return the page in the language spoken now; it is made once."""
        spoken = language.current()
        if spoken not in self._pages:
            templates = Request(scope).app.state.templates
            lang = language.HTML_LANG[spoken]
            found = templates.get_template("crowd.html")
            self._pages[spoken] = found.render(lang=lang, text=_come_again())
        return self._pages[spoken]


def _come_again() -> str:
    return _(
        "目前使用人數眾多，請約十秒後再試一次。"
        "剛才送出的內容沒有儲存，回上一頁可再送出；先前儲存的資料不受影響。"
    )


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _whole(receive: Receive) -> Receive:
    """Wait for a body, and return what gives it; one that is too large comes as it is.

    Nothing else may be larger either: see RequestBodyLimitMiddleware.
    """
    taken: list[Message] = []
    size, more = 0, True
    while more and size <= MOST_BODY:
        taken.append(await receive())
        size += len(taken[-1].get("body", b""))
        more = taken[-1].get("more_body", False)
    waiting = iter(taken)

    async def give() -> Message:
        return next(waiting, None) or await receive()

    return give
