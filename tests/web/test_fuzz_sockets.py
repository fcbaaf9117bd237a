"""Bytes sent to the real server: whatever they are, one site behind it goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from site_server import SiteServer, site_server

from jiepin.web.settings import Settings

PATIENCE = 5  # seconds until the server has to have said something
# another request hidden in one: it must never be answered as one of its own
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: %s\r\n\r\n"


@pytest.fixture(scope="module", params=["h11", "httptools"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SiteServer]:
    """A site behind each of the two parsers that the server may be installed with."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp("site")

    def settings_at(origin: str) -> Settings:
        return Settings(data=folder, origin=origin, keys=folder / "keys.json")

    with site_server(settings_at, http=request.param) as running:
        yield running


def host_of(server: SiteServer) -> bytes:
    return urlsplit(server.origin).netloc.encode()


def said(
    server: SiteServer, sent: bytes, *, hang_up: bool = False, open_for: float = 0
) -> bytes:
    """Send bytes, and return everything that comes back until the server hangs up.

    What is no whole request would be waited for: `hang_up` then, though a server that
    sees that may keep its answer to itself; or wait for more `open_for` seconds.
    """
    address = urlsplit(server.origin)
    found = b""
    place = (address.hostname, address.port)
    with socket.create_connection(place, PATIENCE) as wire:
        with suppress(OSError):  # it may have hung up already
            wire.sendall(sent)
            if hang_up:
                wire.shutdown(socket.SHUT_WR)
        wire.settimeout(open_for or PATIENCE)
        with suppress(ConnectionError, *[TimeoutError] * bool(open_for)):
            while part := wire.recv(65536):
                found += part
    return found


def statuses(answers: bytes) -> list[int]:
    """Return the status of each answer in what came back."""
    lines = answers.split(b"HTTP/1.1 ")[1:]
    return [int(line[:3]) for line in lines]


def request(server: SiteServer, *lines: bytes, body: bytes = b"") -> bytes:
    host = b"Host: " + host_of(server)
    return b"\r\n".join((*lines[:1], host, *lines[1:], b"", body))


def goes_on(server: SiteServer) -> None:
    asked = request(server, b"GET /teacher/ HTTP/1.1", b"Connection: close")
    assert statuses(said(server, asked)) == [200]


POST = (
    b"POST /language HTTP/1.1",
    b"Sec-Fetch-Site: same-origin",
    b"Content-Type: application/x-www-form-urlencoded",
)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((b"Content-Length: 5", b"Transfer-Encoding: chunked"), b"0\r\n\r\n%s"),
        ((b"Transfer-Encoding: chunked", b"Content-Length: 5"), b"0\r\n\r\n%s"),
        ((b"Content-Length: 5", b"Content-Length: 0"), b"%s"),
        ((b"Content-Length: 0, 5",), b"%s"),
        ((b"Content-Length: +0",), b"%s"),
        ((b"Content-Length: -1",), b"%s"),
        ((b"Content-Length: 0x0",), b"%s"),
        ((b"Transfer-Encoding : chunked",), b"0\r\n\r\n%s"),
        ((b"Transfer-Encoding: xchunked",), b"0\r\n\r\n%s"),
        ((b"Transfer-Encoding: chunked, identity",), b"0\r\n\r\n%s"),
        ((b"Transfer-Encoding: chunked",), b"zz\r\n%s"),
        ((b"Transfer-Encoding: chunked",), b"-1\r\n%s"),
        ((b"Transfer-Encoding: chunked",), b"ffffffffffffffffff\r\n%s"),
        ((b"Transfer-Encoding:\x0bchunked",), b"0\r\n\r\n%s"),
        ((b"Content-Length:\r\n 5",), b"%s"),
    ],
)
def test_no_request_hides_in_another(
    server: SiteServer, headers: tuple[bytes, ...], body: bytes
) -> None:
    """One that says its length in two ways is refused, or read in one way alone."""
    hidden = body.replace(b"%s", HIDDEN % host_of(server))
    whole = request(server, *POST, *headers, body=hidden)
    found = statuses(said(server, whole, open_for=0.5))
    assert not [status for status in found if status >= 500]
    # nothing, one refusal, or an answer and then the refusal of what follows it
    assert found in ([], [400], [303], [501], [303, 400], [400, 400]), found
    goes_on(server)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET http://evil.example/teacher/ HTTP/1.1", {200, 404, 400}),
        (b"GET //evil.example/ HTTP/1.1", {400, 404}),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", {404}),
        (b"GET /static/%2e%2e/app.py HTTP/1.1", {404}),
        (b"GET /static/..%2fapp.py HTTP/1.1", {404}),
        (b"GET /static/../../app.py HTTP/1.1", {404}),
        (b"GET /teacher/reset/%c0%ae%c0%ae HTTP/1.1", {200}),
        (b"GET /teacher/%00 HTTP/1.1", {404}),
        (b"GET /teacher/\xff HTTP/1.1", {400, 404}),
        (b"GET /teacher/ HTTP/9.9", {200, 400, 505}),
        (b"GET /teacher/", {200, 400}),  # as in 1991
        (b"GET * HTTP/1.1", {400, 404}),
        (b"CONNECT evil.example:443 HTTP/1.1", {400, 403, 404, 405}),
        (b"TRACE /teacher/ HTTP/1.1", {403, 405}),
        (b"FOO /teacher/ HTTP/1.1", {400, 403, 405}),
        (b"GET /teacher/?" + b"a" * 200_000 + b" HTTP/1.1", {200, 400, 414, 431}),
    ],
)
def test_odd_addresses(server: SiteServer, line: bytes, expected: set[int]) -> None:
    answer = said(server, request(server, line, b"Connection: close"))
    assert statuses(answer), answer[:300]
    assert set(statuses(answer)) <= expected, answer[:300]
    assert b"root:" not in answer
    assert b"create_app" not in answer
    assert not re.search(rb'(location: |href="|action=")(https?:)?//', answer)
    goes_on(server)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Host: evil.example",),
        (b"Host: %s", b"Host: evil.example"),
        (b"Host: evil.example", b"Host: %s"),
        (b"Host: %s.evil.example",),
        (b"Host: %s/",),
        (b"Host: user@%s",),
        (b"Host:",),
        (),
    ],
)
def test_other_hosts_are_not_served(server: SiteServer, lines: tuple[bytes]) -> None:
    head = [b"GET /teacher/ HTTP/1.1", b"Connection: close", *lines]
    sent = b"\r\n".join((*head, b"", b"")).replace(b"%s", host_of(server))
    answer = said(server, sent)
    assert statuses(answer) in ([400], [421]), answer[:300]
    assert b"<form" not in answer


def test_many_requests_at_once_are_answered_in_order(server: SiteServer) -> None:
    one = request(server, b"GET /teacher/help HTTP/1.1")
    last = request(server, b"GET /nowhere HTTP/1.1", b"Connection: close")
    assert statuses(said(server, one * 5 + last)) == [200] * 5 + [404]


def test_slow_ones_keep_nobody_waiting(server: SiteServer) -> None:
    """A hundred connections that say half a request, and those who came to work."""
    address = urlsplit(server.origin)
    half = request(server, *POST, b"Content-Length: 1000")[:-2]
    wires = []
    try:
        for _ in range(100):
            wire = socket.create_connection((address.hostname, address.port))
            wires.append(wire)
            wire.sendall(half)
        goes_on(server)
    finally:
        for wire in wires:
            wire.close()
    goes_on(server)


def test_a_body_too_large_gets_its_answer(server: SiteServer) -> None:
    """And is not cut off before the browser has read why."""
    body = b"a=" + b"x" * (3 * 1024 * 1024)
    length = b"Content-Length: %d" % len(body)
    sent = request(server, *POST, length, b"Connection: close", body=body)
    answer = said(server, sent)
    assert statuses(answer) == [413]
    assert "內容超過 2 MB".encode() in answer
    chunk = b"%x\r\n%s\r\n" % (len(body), body)
    chunked = (b"Transfer-Encoding: chunked", b"Connection: close")
    sent = request(server, *POST, *chunked, body=chunk + b"0\r\n\r\n")
    # one field of 1 MiB is too large a field, before it is too large a body
    assert statuses(said(server, sent)) in ([400], [413])


LINES = st.sampled_from(
    (
        b"GET / HTTP/1.1",
        b"POST /language HTTP/1.1",
        b"Host: ",
        b"Content-Length: 10",
        b"Transfer-Encoding: chunked",
        b"Sec-Fetch-Site: same-origin",
        b"Connection: keep-alive, close",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Expect: 100-continue",
        b"Cookie: %long",
        b"\x00: \x00",
        b" folded",
        b"0",
        b"",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody speaks TLS
    )
)
ENDS = st.sampled_from((b"\r\n", b"\r\n", b"\n", b"\r", b"\x00\r\n"))

ANY_LINES = st.lists(st.tuples(LINES | st.binary(max_size=50), ENDS), max_size=12)
Lines = list[tuple[bytes, bytes]]


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(ANY_LINES)
def test_any_bytes(server: SiteServer, lines: Lines) -> None:
    answer = said(server, sent(server, lines), hang_up=True)
    assert not [status for status in statuses(answer) if status >= 500], answer[:500]
    goes_on(server)


def sent(server: SiteServer, lines: Lines) -> bytes:
    whole = b"".join(line + end for line, end in lines)
    whole = whole.replace(b"%long", b"a" * 70_000)
    return whole.replace(b"Host: ", b"Host: " + host_of(server))
