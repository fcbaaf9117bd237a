"""The local HTTPS service: which requests are let through, and what they get.

| request | who | what |
|---|---|---|
| `GET /` | the person at this computer | the status page |
| `GET /status?after=N` | registered sites, the status page | program, reader, card |
| `POST /read` | registered sites | a sealed reading for a signed challenge |

`Guard` stands before everything: a request under another host name, from a page of
another site, or without this service's own header is refused before any card is
touched. See docs/reader.md for the protocol in full.
"""

from __future__ import annotations

import html
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from string import Template

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jiepin.reader import challenge, errors
from jiepin.reader.errors import CardError, ReaderError, Refused
from jiepin.reader.watch import State, Watch

log = logging.getLogger("jiepin.reader")

HEADER = "x-jiepin-reader"  # a page of another site cannot send it unasked
API = ("/status", "/read")
LONGEST_BODY = 4096  # bytes
LONGEST_WAIT = 20.0  # seconds that a status request waits for a change
LONGEST_SHOWN = 100  # characters of a foreign origin that the page repeats

READY = "讀卡機程式已就緒，監聽埠："
SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
STATIC = {
    "/icon.svg": "image/svg+xml",
    "/status.js": "text/javascript; charset=utf-8",
    "/status.css": "text/css; charset=utf-8",
}


@dataclass(slots=True)
class Desk:
    """What the service works with: one for each running program."""

    watch: Watch
    gate: challenge.Gate
    device_key: Ed25519PrivateKey
    origins: Sequence[str]
    port: int
    clock: Callable[[], float] = time.time
    last: dict[str, str] = field(default_factory=dict)  # for the status page alone
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        return f"localhost:{self.port}", f"127.0.0.1:{self.port}"

    @property
    def own_origins(self) -> tuple[str, ...]:
        return tuple(f"https://{host}" for host in self.hosts)

    def note(self, origin: str, error: ReaderError | None) -> None:
        """Remember the last reading or try, for the person at this computer."""
        self.last = self._event(origin, error)

    def note_refused(self, path: str, origin: str, refusal: Refused) -> None:
        """Remember the last refusal; a page that goes on and on does not fill the log.

        What a page sends is written down cut short and escaped.
        """
        event = self._event(origin, refusal)
        if event["at"] != self.refused.get("at"):  # one line a second
            shown = path[:LONGEST_SHOWN], event["origin"]
            log.warning("refused: %s, %r %r", refusal.code, *shown)
        self.refused = event

    def _event(self, origin: str, error: ReaderError | None) -> dict[str, str]:
        return {
            "at": time.strftime("%H:%M:%S", time.localtime(self.clock())),
            "origin": origin[:LONGEST_SHOWN],
            "code": "" if error is None else error.code,
            "zh": "已讀取健保卡。" if error is None else error.zh,
            "en": "The card was read." if error is None else error.en,
        }


def create_app(desk: Desk) -> Starlette:
    """Return the service around one desk, which it starts and stops."""

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        app.state.desk = desk
        async with desk.watch:
            yield

    return Starlette(
        routes=[
            Route("/", home),
            Route("/status", status),
            Route("/read", read, methods=["POST"]),
            *(Route(path, static) for path in STATIC),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Guard, desk=desk),
            Middleware(
                CORSMiddleware,
                allow_origins=tuple(desk.origins),
                allow_methods=("GET", "POST"),
                allow_headers=(HEADER, "content-type"),
                allow_private_network=True,  # asked by some older browsers
            ),
            Middleware(RequestBodyLimitMiddleware, max_body_size=LONGEST_BODY),
        ],
        exception_handlers={
            ReaderError: told,
            HTTPException: plain,
            Exception: unforeseen,
        },
        lifespan=running,
    )


class Guard:
    """Refuses what no registered page would send; docs/reader.md lists the attacks."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self.app, self.desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                self.check(scope["method"], scope["path"], headers)
            except Refused as refusal:
                origin = headers.get("origin", "?")
                self.desk.note_refused(scope["path"], origin, refusal)
                await as_json(refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Raise the Refused that stands in the way of a request."""
        if headers.getlist("host") not in [[host] for host in self.desk.hosts]:
            raise errors.BadHost
        origins = headers.getlist("origin")
        own = is_own_page(headers, self.desk)
        if len(origins) > 1 or (
            origins and not own and origins[0] not in self.desk.origins
        ):
            raise errors.ForeignOrigin
        if path not in API:
            if not own and not is_navigation(method, headers):
                raise errors.ForeignOrigin
            return
        if method == "OPTIONS":  # the browser asks before it sends our header
            if not origins:
                raise errors.ForeignOrigin
            return
        if headers.get(HEADER) != "1":
            raise errors.MissingHeader(f"{HEADER}: 1")
        if path == "/read":
            if own or not origins:
                raise errors.ForeignOrigin
            if headers.get("content-type", "").partition(";")[0] != "application/json":
                raise errors.NotJson
        elif not own and not origins:
            raise errors.ForeignOrigin


def is_own_page(headers: Headers, desk: Desk) -> bool:
    """Say whether a request comes from the status page, which sends no Origin."""
    origin = headers.get("origin")
    if origin is not None:
        return origin in desk.own_origins
    return headers.get("sec-fetch-site") == "same-origin"


def is_navigation(method: str, headers: Headers) -> bool:
    """Say whether a person opened the address, by hand or by a link.

    Programs other than browsers send no Sec-Fetch headers; they may read the page.
    """
    if method not in ("GET", "HEAD") or "origin" in headers:
        return False
    site = headers.get("sec-fetch-site", "none")
    destination = headers.get("sec-fetch-dest", "document")
    return site == "none" or destination == "document"


class SecurityHeaders:
    """Puts the same headers on every answer, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY)
            await send(message)

        await self.app(scope, receive, send_with_headers)


async def home(request: Request) -> Response:
    """The status page: three ticks, the last thing that happened, how to go on."""
    desk: Desk = request.app.state.desk
    page = (files("jiepin.reader") / "static/status.html").read_text("utf-8")
    values = {
        "ready": f"{READY}{desk.port}",
        "origins": "、".join(desk.origins) or "（尚未登記 none registered）",
        "state": json.dumps(answer(desk, desk.watch.state, own=True)),
        "version": version("jiepin"),
    }
    escaped = {key: html.escape(value) for key, value in values.items()}
    return Response(
        Template(page).substitute(escaped), media_type="text/html; charset=utf-8"
    )


async def static(request: Request) -> Response:
    """The script and the style of the status page."""
    path = request.url.path
    content = (files("jiepin.reader") / "static" / path[1:]).read_bytes()
    return Response(content, media_type=STATIC[path])


async def status(request: Request) -> Response:
    """Program, reader and card as they are; with `after`, as soon as they change."""
    desk: Desk = request.app.state.desk
    after = request.query_params.get("after", "")
    state = desk.watch.state
    if after.isascii() and after.isdecimal() and len(after) < 20:
        state = await desk.watch.after(int(after), LONGEST_WAIT)
    own = is_own_page(request.headers, desk)
    return JSONResponse(answer(desk, state, own))


def answer(desk: Desk, state: State, own: bool) -> dict[str, object]:
    """Return the status answer, without personal data; `last` is for our own page."""
    ticks = {"program": None, "reader": state.reader, "card": state.card}
    last = {"last": desk.last, "refused": desk.refused} if own else {}
    return {
        "state": state.number,
        "source": desk.watch.source,
        **{name: tick(error) for name, error in ticks.items()},
        **last,
    }


def tick(error: CardError | None) -> dict[str, object]:
    """Return one of the three lines: well or not, and why not.

    >>> tick(None)
    {'ok': True, 'reason': None}
    >>> tick(errors.NoReader())["reason"]
    'no-reader'
    """
    if error is None:
        return {"ok": True, "reason": None}
    return {"ok": False, "reason": error.code, "zh": error.zh, "en": error.en}


async def read(request: Request) -> Response:
    """Read the card once for a challenge that a registered site signed."""
    desk: Desk = request.app.state.desk
    origin = request.headers["origin"]
    try:
        raw, signature = take_apart(await request.body())
        admitted = desk.gate.admit(raw, signature, origin, desk.clock())
        record = await desk.watch.read()
    except ReaderError as error:
        log.info("no reading for %s: %s %s", origin, error.code, error.detail)
        desk.note(origin, error)
        raise
    sealed, device_signature = challenge.seal(
        admitted, record, desk.device_key, int(desk.clock()), desk.watch.source
    )
    log.info("reading sealed for %s", origin)
    desk.note(origin, None)
    return JSONResponse(
        {
            "sealed": challenge.to_base64(sealed),
            "signature": challenge.to_base64(device_signature),
        }
    )


def take_apart(body: bytes) -> tuple[bytes, bytes]:
    """Return the challenge and its signature; raises BadRequest."""
    try:
        table = json.loads(body)
        if table.keys() != {"challenge", "signature"}:
            raise ValueError
        return (
            challenge.from_base64(table["challenge"]),
            challenge.from_base64(table["signature"]),
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise errors.BadRequest(
            'expected {"challenge": …, "signature": …} in base64url'
        ) from None


def as_json(error: ReaderError) -> JSONResponse:
    """Write an error as every answer that is one."""
    code = error.status if isinstance(error, Refused) else card_status(error)
    content = {"error": error.code, "zh": error.zh, "en": error.en}
    return JSONResponse(content, code)


def card_status(error: ReaderError) -> int:
    """Return the HTTP status of a card that could not be read.

    >>> card_status(errors.CardTimeout()), card_status(errors.NoCard())
    (504, 424)
    """
    return 504 if isinstance(error, errors.CardTimeout) else 424


async def told(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, ReaderError)
    return as_json(error)


async def plain(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def unforeseen(request: Request, error: Exception) -> Response:
    """Tell that something is wrong here, and log where, never with what values."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}" if place else "?"
    log.error("unforeseen %s in %s", type(error).__name__, where)
    request.app.state.desk.note("", ReaderError())
    return JSONResponse({"error": "unforeseen"}, 500)
