"""What every request passes through and every answer carries."""

from __future__ import annotations

import logging

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jiepin.web.settings import Settings

log = logging.getLogger(__name__)

MOST_BODY = 2 * 1024 * 1024  # bytes of one request
READER = "https://localhost:8080"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
FILES = "/city/tables"  # where files are sent to, and nowhere else
STATIC = "/static/"  # files whose address changes with their content
KEEP, DO_NOT_KEEP = "public, max-age=31536000, immutable", "no-store"

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        f"connect-src 'self' {READER}",
        "object-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with none at all, Origin would be "null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
HSTS = "max-age=31536000; includeSubDomains"
TWO_LENGTHS = (
    "請求的長度有兩種寫法，未予處理。"
    "This request tells its length in two ways and was refused."
)
OF_ANOTHER_SITE = (
    "此請求來自其他網站，未予處理。This request came from another site and was refused."
)
OF_NO_FORM = (
    "表單須由本站網頁以 UTF-8 送出，檔案只能於資料表頁面上傳。"
    "Forms are sent by our pages, in UTF-8; files by the page of tables."
)


class Guard:
    """Refuses other sites' requests and wrong hosts; puts the headers on answers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = message["status"] in (200, 304)
                headers = MutableHeaders(scope=message)
                self._add_headers(headers, scope["path"], found)
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if headers.getlist("host") != [self._settings.host]:
            log.info("refused: meant for another host")
            return PlainTextResponse(
                f"This site is {self._settings.origin}", status_code=421
            )
        if "content-length" in headers and "transfer-encoding" in headers:
            # a proxy before us may have read another end than we do
            return PlainTextResponse(TWO_LENGTHS, 400, {"connection": "close"})
        if scope["method"] not in SAFE_METHODS and not same_origin(
            headers, self._settings.origin
        ):
            log.info("refused: made by another site")
            return PlainTextResponse(OF_ANOTHER_SITE, 403)
        if not is_of_ours(headers, scope["path"]):
            return PlainTextResponse(OF_NO_FORM, 415)
        return None

    def _add_headers(self, headers: MutableHeaders, path: str, found: bool) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self._settings.secure:
            headers["strict-transport-security"] = HSTS
        keep = path.startswith(STATIC) and found
        headers.setdefault("cache-control", KEEP if keep else DO_NOT_KEEP)


def same_origin(headers: Headers, origin: str) -> bool:
    """Tell whether a request that may change something was made by our own pages.

    Browsers say so in Sec-Fetch-Site; old ones in Origin. One that says neither is
    refused.

    >>> ours = "https://tas.example"
    >>> same_origin(Headers({"sec-fetch-site": "same-origin"}), ours)
    True
    >>> same_origin(Headers({"sec-fetch-site": "same-site", "origin": ours}), ours)
    False
    >>> same_origin(Headers({"origin": ours}), ours), same_origin(Headers({}), ours)
    (True, False)
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return headers.get("origin") == origin


def is_of_ours(headers: Headers, path: str) -> bool:
    """Tell whether a body is written as forms of our pages are: in UTF-8, one file.

    Of the alphabets that Python knows, some make half characters, which no database
    and no page can hold, and some cannot be read at all. And who sends files where
    none are asked for shall have nothing read.

    >>> form = "multipart/form-data; boundary=a"
    >>> is_of_ours(Headers({"content-type": form + "; charset=UTF-8"}), FILES)
    True
    >>> is_of_ours(Headers({"content-type": form + "; charset=utf-7"}), FILES)
    False
    >>> is_of_ours(Headers({"content-type": form}), "/language")
    False
    """
    kind, options = parse_options_header(headers.get("content-type"))
    if kind == b"multipart/form-data" and path != FILES:
        return False
    return options.get(b"charset", b"utf-8").lower() == b"utf-8"


def address_of(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else ""
