"""Where bad input reaches the card reader service: see core_surfaces for the form."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from memory_port import MemoryPort, fixture_card
from mutations import mutated_bytes, mutated_text, mutated_value
from starlette.types import Message, Scope

from jiepin.reader import apdu, challenge
from jiepin.reader.challenge import Gate, to_base64
from jiepin.reader.errors import BadCardFile, NotHealthCard, Refused
from jiepin.reader.replay import DONE, PracticeCard, read_card
from jiepin.reader.service import Desk, create_app
from jiepin.reader.watch import Watch
from jiepin.web import card as site

Surface = Callable[[random.Random, Path], str]

ROOT = Path(__file__).resolve().parents[1]
CARDS = sorted((ROOT / "fixtures" / "cards").glob("*.toml"))
ORIGIN = "https://tas.test"
NOW = 1_800_000_000
PERSON = ("000012345678", "林小明", "A123456789", "0740309", "M", "1130101")
RECORD = apdu.pack_record(*PERSON)
SECRETS = [text.encode() for text in (*PERSON[:4], "1985-03-09")]
REFUSED = "refused"
DEVICE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = site.SiteKeys(
    Ed25519PrivateKey.from_private_bytes(bytes(32)),
    X25519PrivateKey.from_private_bytes(bytes(range(32))),
)
# points of X25519 with which every key agrees on the same secret: 0, 1, p - 1, p, p + 1
LOW_ORDER = tuple(
    number.to_bytes(32, "little")
    for number in (0, 1, *(2**255 - 19 + more for more in (-1, 0, 1)))
)


# ---- Cards


def card_answers(rng: random.Random, _scratch: Path) -> str:
    """Whatever a card answers, of any length: a record, or not a health card."""
    asked: list[bytes] = []

    def transmit(command: bytes) -> bytes:
        asked.append(command)
        return any_answer(rng)

    try:
        apdu.read(transmit)
    except NotHealthCard as refused:
        check_told(refused)
        return REFUSED
    finally:
        assert len(asked) <= 2 * (apdu.MOST_ROUNDS + 1)
    return "read"


def any_answer(rng: random.Random) -> bytes:
    """Return data and two status bytes, or less."""
    status = rng.choice(
        (DONE, DONE, b"\x61", b"\x6c", b"\x67\x00", b"\x6a\x82", rng.randbytes(2))
    )
    if len(status) == 1:
        status += rng.randbytes(1)
    data = rng.choice(
        (
            b"",
            RECORD,
            RECORD[: rng.randrange(58)],
            mutated_bytes(rng, RECORD),
            rng.randbytes(57),
            rng.randbytes(rng.choice((1, 56, 58, 256, 65_536))),
        )
    )
    return rng.choice((data + status,) * 9 + (rng.randbytes(rng.randrange(3)),))


def check_told(refused: NotHealthCard) -> None:
    assert no_secret(str(refused).encode())


def card_records(rng: random.Random, _scratch: Path) -> str:
    """The 57 bytes with some of them changed: what is read can be sealed."""
    data = bytearray(RECORD)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.choice((rng.randrange(57), rng.randrange(12, 32)))
        data[at] = rng.randrange(256)
    try:
        record = apdu.parse_record(bytes(data))
    except NotHealthCard as refused:
        check_told(refused)
        return REFUSED
    assert record.name.isprintable() or apdu.FULL_SPACE in record.name
    asked = challenge.parse(site.make_challenge(KEYS, ORIGIN, "s", NOW).raw)
    assert challenge.seal(asked, record, DEVICE, NOW, "pcsc")
    return "read"


def card_files(rng: random.Random, scratch: Path) -> str:
    """Card files for practice: their text changed; a card that is one can be asked."""
    file = scratch / "card.toml"
    content = rng.choice(CARDS).read_bytes()
    change = rng.choice((mutated_bytes, mutated_bytes, mutated_text))
    content = change(rng, content)
    if rng.random() < 0.1:
        content += b"\nx = " + b"[" * 90_000
    file.write_bytes(content)
    try:
        card = read_card(file)
    except BadCardFile:
        return REFUSED
    ask(card)
    return "read"


def ask(card: PracticeCard) -> None:
    def transmit(command: bytes) -> bytes:
        answer = card.answer(command)
        if answer is None:
            raise NotHealthCard("silent")
        return answer

    with suppress(NotHealthCard):
        apdu.read(transmit)


# ---- Challenges


def challenges(rng: random.Random, _scratch: Path) -> str:
    """Challenges with a bit changed, and odd ones that the site itself signed."""
    gate = Gate([KEYS.sign.public_key()])
    asked = site.make_challenge(KEYS, ORIGIN, "session", NOW)
    raw, signature = asked.raw, asked.signature
    how = rng.randrange(4)
    if how == 0:
        raw = mutated_bytes(rng, raw)
    elif how == 1:
        signature = mutated_bytes(rng, signature)
    else:
        raw = odd_challenge(rng, json.loads(raw))
        signature = KEYS.sign.sign(raw)
    try:
        admitted = gate.admit(raw, signature, ORIGIN, NOW)
    except Refused:
        return REFUSED
    assert how > 1 or (raw, signature) == (asked.raw, asked.signature)
    record = apdu.parse_record(RECORD)
    sealed, _ = challenge.seal(admitted, record, DEVICE, NOW, "pcsc")
    assert no_secret(sealed)
    return "admitted"


def odd_challenge(rng: random.Random, table: Any) -> bytes:
    how = rng.randrange(6)
    if how == 0:
        return b"[" * rng.choice((10, 100_000))
    if how == 1:
        table["seal"] = to_base64(rng.choice(LOW_ORDER))
    else:
        table = mutated_value(rng, table)
    return json.dumps(table).encode()


def no_secret(data: bytes) -> bool:
    """Say that nothing personal stands in an answer."""
    return not any(secret in data for secret in SECRETS)


# ---- Requests

HOSTS = (
    *(b"localhost:8080", b"localhost:8080", b"127.0.0.1:8080", b"localhost", b""),
    *(b"evil.test:8080", b"localhost:8080.evil.test", b"LOCALHOST:8080", b"[::1]:8080"),
    *(b"localhost:8080\t", b"\xff\xfe", b"localhost:8080, evil.test", b"a" * 9_000),
)
ORIGINS = (
    *(ORIGIN.encode(), ORIGIN.encode(), b"https://localhost:8080", b"null", b""),
    *(b"https://tas.test.evil.test", b"https://tas.test:443", b"http://tas.test"),
    *(b"https://TAS.test", b"https://tas.test/", b"\xff", b"https://tas.test, x"),
)
PATHS = (
    *("/", "/status", "/read", "/read", "/read/", "//read", "/READ", "/status.js"),
    *(
        "/../read",
        "/%72ead",
        "/read\0",
        "/static/status.html",
        "/\ud83d",
        "/" + "a" * 9_000,
    ),
)
METHODS = (
    "GET",
    "POST",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "get",
    "",
)
TYPES = (b"application/json", b"application/json", b"text/plain", b"", b"\xff")


GOOD_HEADERS = {
    b"host": b"localhost:8080",
    b"origin": ORIGIN.encode(),
    b"x-jiepin-reader": b"1",
    b"content-type": b"application/json",
    b"sec-fetch-site": b"cross-site",
}


def _desk() -> Desk:
    """Return a desk with a health card in its reader."""
    port = MemoryPort()
    port.insert(fixture_card("health"))
    return Desk(
        watch=Watch(port, card_seconds=1.0),
        gate=Gate([KEYS.sign.public_key()]),
        device_key=DEVICE,
        origins=(ORIGIN,),
        port=8080,
        clock=lambda: float(NOW),
    )


def requests(rng: random.Random, _scratch: Path) -> str:
    """Requests of any method, path, host, origin, header and body."""
    asked = site.make_challenge(KEYS, ORIGIN, "session", NOW).for_page()
    request = any_request(rng, json.dumps(asked).encode())
    status, answer = asyncio.run(_answer(request))
    assert status < 500, (status, request)
    assert no_secret(answer)
    assert is_of_our_page(request, asked) == (b'"sealed"' in answer)
    return f"{status}"


class Sent(NamedTuple):
    """A request as it is sent."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes


def any_request(rng: random.Random, good_body: bytes) -> Sent:
    """Return the request of the site's own page, most often with changes."""
    request = Sent("POST", "/read", dict(GOOD_HEADERS), good_body)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        headers, how = request.headers, rng.randrange(8)
        if how == 0:
            headers[b"host"] = rng.choice(HOSTS)
        elif how == 1:
            headers[b"origin"] = rng.choice(ORIGINS)
        elif how == 2:
            request = request._replace(method=rng.choice(METHODS))
        elif how == 3:
            request = request._replace(path=rng.choice(PATHS))
        elif how == 4:
            headers[b"content-type"] = rng.choice(TYPES)
        elif how == 5:
            headers.pop(rng.choice(sorted(GOOD_HEADERS)), None)
        elif how == 6:
            name = rng.choice((b"cookie", b"x", *sorted(GOOD_HEADERS)))
            headers[name] = rng.randbytes(rng.choice((1, 20, 60_000)))
        else:
            request = request._replace(body=any_body(rng, good_body))
    return request


def is_of_our_page(request: Sent, asked: dict[str, str]) -> bool:
    """Say whether a request is one that is to be answered with a reading."""
    headers = request.headers
    kind = headers.get(b"content-type", b"").partition(b";")[0]
    if (request.method, request.path) != ("POST", "/read"):
        return False
    if headers.get(b"host") not in (b"localhost:8080", b"127.0.0.1:8080"):
        return False
    if headers.get(b"origin") != ORIGIN.encode():
        return False
    if (headers.get(b"x-jiepin-reader"), kind) != (b"1", b"application/json"):
        return False
    try:
        return bool(json.loads(request.body) == asked)
    except (ValueError, RecursionError):
        return False


def any_body(rng: random.Random, good: bytes) -> bytes:
    return rng.choice(
        (
            b"",
            b"[" * rng.choice((10, 4_000, 100_000)),
            b"9" * 4_096,
            b"{}" + b" " * 100_000,
            mutated_bytes(rng, good),
            json.dumps(mutated_value(rng, json.loads(good))).encode(),
            good.decode().encode("utf-16"),
        )
    )


async def _answer(request: Sent) -> tuple[int, bytes]:
    """Return status and body of the answer of a service started for one request."""
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    desk = _desk()
    app = create_app(desk)
    app.state.desk = desk
    async with desk.watch, asyncio.timeout(30):
        await app(_scope(request), receive, send)
    start = next(part for part in sent if part["type"] == "http.response.start")
    parts = [part.get("body", b"") for part in sent if part is not start]
    return start["status"], b"".join(parts)


def _scope(request: Sent) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "https",
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "replace"),
        "query_string": b"after=" + request.path[:9].encode("utf-8", "replace"),
        "headers": list(request.headers.items()),
        "server": ("localhost", 8080),
        "client": ("127.0.0.1", 50_000),
        "root_path": "",
    }


SURFACES: Final[dict[str, Surface]] = {
    "card answers": card_answers,
    "card records": card_records,
    "card files": card_files,
    "challenges": challenges,
    "reader requests": requests,
}
