"""LINE against a real server that speaks the protocol: link and push (N01–N03)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from line_server import (
    CALLBACK,
    CHANNEL_TOKEN,
    LOGIN_ID,
    LOGIN_SECRET,
    LineServer,
    line_server,
)

from jiepin.web.notify.delivery import NeverSent, NotSent
from jiepin.web.notify.line import LIFE, Linking, NotLinked, Push, _trusting
from jiepin.web.settings import Line

NOW = datetime(2026, 4, 20, 1, 2, 3, tzinfo=UTC)
KEY = "passed:p1:4:line"


@pytest.fixture(scope="module")
def running() -> Iterator[LineServer]:
    with line_server() as server:
        yield server


@pytest.fixture
def server(running: LineServer) -> LineServer:
    """The platform as if nothing had happened yet."""
    fresh = LineServer(running.address)
    for name in ("failures", "delivered", "pushes", "revoked", "asked", "tokens"):
        getattr(running, name).clear()
    running.taken.clear()
    running.user = fresh.user
    return running


def channel(server: LineServer) -> Line:
    return Line(
        channel_token=CHANNEL_TOKEN,
        login_id=LOGIN_ID,
        login_secret=LOGIN_SECRET,
        api=server.address,
        access=server.address,
    )


def linking(server: LineServer, who: str = "session|p1", key: bytes = b"k") -> Linking:
    return Linking(channel(server), CALLBACK, key, who)


def agreed(address: str) -> tuple[str, str]:
    """Follow the address as a browser that agrees; returns code and state."""
    answer = httpx2.get(address)
    assert answer.status_code == 307
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == CALLBACK
    found = parse_qs(back.query)
    return found["code"][0], found["state"][0]


def finish(one: Linking, code: str, state: str, now: datetime = NOW) -> str:
    return asyncio.run(one.finish(code, state, now))


# linking


def test_n01_linking_finds_the_user(server: LineServer) -> None:
    one = linking(server)
    code, state = agreed(one.address(NOW, "zh-Hant"))
    assert finish(one, code, state) == server.user


def test_n03_nothing_of_the_profile_is_asked_and_the_token_given_back(
    server: LineServer,
) -> None:
    one = linking(server)
    address = one.address(NOW, "zh-Hant")
    assert parse_qs(urlsplit(address).query)["scope"] == ["openid"]
    finish(one, *agreed(address))
    assert len(server.revoked) == 1


def test_address_speaks_the_language_and_asks_to_add_the_account(
    server: LineServer,
) -> None:
    for language, expected in (("zh-Hant", "zh-TW"), ("en", "en-US")):
        asked = parse_qs(urlsplit(linking(server).address(NOW, language)).query)
        assert asked["ui_locales"] == [expected]
        assert asked["bot_prompt"] == ["aggressive"]


def test_every_linking_is_another(server: LineServer) -> None:
    one, two = (
        parse_qs(urlsplit(linking(server).address(NOW, "en")).query) for _ in range(2)
    )
    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != two[name]


@pytest.mark.parametrize(
    "other", [{"who": "another session|p1"}, {"who": "session|p2"}, {"key": b"other"}]
)
def test_state_of_another_session_is_refused(
    server: LineServer, other: dict[str, str]
) -> None:
    """Nobody can make somebody else's browser link to his LINE."""
    code, state = agreed(linking(server).address(NOW, "en"))
    with pytest.raises(NotLinked, match="not of this session"):
        finish(linking(server, **other), code, state)
    assert code in server.asked  # LINE was not even asked


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1] + "x", lambda s: s[1:], lambda _: ""]
)
def test_changed_state_is_refused(
    server: LineServer, change: Callable[[str], str]
) -> None:
    one = linking(server)
    code, state = agreed(one.address(NOW, "en"))
    with pytest.raises(NotLinked, match="not of this session"):
        finish(one, code, change(state))


def test_state_ends(server: LineServer) -> None:
    one = linking(server)
    code, state = agreed(one.address(NOW, "en"))
    assert one.expects(state, NOW + LIFE - timedelta(seconds=1))
    with pytest.raises(NotLinked, match="took too long"):
        finish(one, code, state, NOW + LIFE)


def test_code_of_another_linking_fails_on_pkce(server: LineServer) -> None:
    """A code that leaked is of no use in another linking, even one of one's own."""
    one = linking(server)
    stolen, _ = agreed(one.address(NOW, "en"))
    _, own_state = agreed(one.address(NOW, "en"))
    with pytest.raises(NotLinked, match=r"refused with 400 \(/oauth2/v2.1/token\)"):
        finish(one, stolen, own_state)


def test_code_counts_once(server: LineServer) -> None:
    one = linking(server)
    code, state = agreed(one.address(NOW, "en"))
    finish(one, code, state)
    with pytest.raises(NotLinked, match="refused with 400"):
        finish(one, code, state)


def test_answer_with_another_nonce_is_refused(server: LineServer) -> None:
    one = linking(server)
    code, state = agreed(one.address(NOW, "en"))
    server.asked[code]["nonce"] = "another"
    with pytest.raises(NotLinked, match=r"/oauth2/v2.1/verify"):
        finish(one, code, state)


def test_wrong_secret(server: LineServer) -> None:
    one = replace(linking(server), settings=replace(channel(server), login_secret="no"))
    code, state = agreed(one.address(NOW, "en"))
    with pytest.raises(NotLinked, match="refused with 400"):
        finish(one, code, state)


def test_line_cannot_be_reached(server: LineServer) -> None:
    one = linking(server)
    code, state = agreed(one.address(NOW, "en"))
    away = replace(one, settings=replace(channel(server), api=nobody()))
    with pytest.raises(NotLinked, match="cannot be reached"):
        finish(away, code, state)


def nobody() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


# pushing


def push(line: Line, key: str = KEY) -> None:
    payload = {"to": "U1", "text": "審核通過"}
    asyncio.run(Push(line).send(key, payload, NOW))


def test_push_arrives(server: LineServer) -> None:
    push(channel(server))
    message = {"type": "text", "text": "審核通過"}
    assert server.delivered == [{"to": "U1", "messages": [message]}]


def test_same_message_arrives_once(server: LineServer) -> None:
    """LINE answers 409 to the second; for us that is success."""
    push(channel(server))
    push(channel(server))
    assert len(server.pushes) == 2
    assert len(set(server.pushes)) == 1
    assert len(server.delivered) == 1


def test_certificates_are_read_once_for_many_pushes(
    server: LineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them takes a while, in which no page is answered."""
    read, create = [], httpx2.create_ssl_context

    def counted() -> ssl.SSLContext:
        read.append(1)
        return create()

    monkeypatch.setattr(httpx2, "create_ssl_context", counted)
    _trusting.cache_clear()
    for key in ("a", "b", "c"):
        push(channel(server), key)
    assert len(server.delivered) == 3
    assert len(read) == 1


def test_other_messages_have_other_keys(server: LineServer) -> None:
    for version in range(3):
        push(channel(server), f"passed:p1:{version}:line")
    assert len(server.delivered) == 3


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (400, NeverSent),
        (401, NotSent),
        (403, NotSent),
        (404, NeverSent),
        (429, NotSent),
        (500, NotSent),
        (503, NotSent),
    ],
)
def test_refusals(server: LineServer, status: int, ending: type[Exception]) -> None:
    server.failures.append((status, {}))
    with pytest.raises(ending, match=f"LINE answered {status}"):
        push(channel(server))
    assert server.delivered == []


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("90", timedelta(seconds=90)),
        (
            format_datetime(NOW + timedelta(minutes=3), usegmt=True),
            timedelta(minutes=3),
        ),
        ("soon", None),
    ],
)
def test_retry_after(server: LineServer, header: str, after: timedelta | None) -> None:
    server.failures.append((429, {"Retry-After": header}))
    with pytest.raises(NotSent) as caught:
        push(channel(server))
    assert caught.value.after == after


def test_wrong_token_is_mended_by_people(server: LineServer) -> None:
    with pytest.raises(NotSent, match="401"):
        push(replace(channel(server), channel_token="no"))


def test_asvs_16_5_2_push_cannot_reach_line(server: LineServer) -> None:
    with pytest.raises(NotSent, match="ConnectError"):
        push(replace(channel(server), api=nobody()))


def test_line_not_set() -> None:
    with pytest.raises(NotSent, match="LINE is not set"):
        push(Line())
