"""What the service lets through, and what every attack of a page gets instead."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_port import MemoryPort, fixture_card
from starlette.testclient import TestClient

from jiepin.reader import errors
from jiepin.reader.challenge import Gate, to_base64
from jiepin.reader.service import LONGEST_BODY, SECURITY, Desk, create_app
from jiepin.reader.watch import Watch
from jiepin.web import card as site

ORIGIN = "https://tas.test"
KEYS = site.SiteKeys(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())
OURS = {"x-jiepin-reader": "1"}
PAGE = {"origin": ORIGIN, "sec-fetch-site": "cross-site", **OURS}
PERSONAL = ("000012345678", "林小明", "A123456789", "0740309", "1985")


class Bench:
    """A service with one reader in memory, and a page of the site before it."""

    def __init__(self) -> None:
        self.port = MemoryPort()
        self.now = 1_800_000_000.0
        self.desk = Desk(
            watch=Watch(self.port, card_seconds=1.0),
            gate=Gate([KEYS.sign.public_key()]),
            device_key=Ed25519PrivateKey.generate(),
            origins=(ORIGIN,),
            port=8080,
            clock=lambda: self.now,
        )
        self.client = TestClient(
            create_app(self.desk),
            base_url="https://localhost:8080",
            raise_server_exceptions=False,
        )

    def challenge(self, origin: str = ORIGIN) -> site.Challenge:
        return site.make_challenge(KEYS, origin, "session", int(self.now))

    def read(
        self,
        asked: site.Challenge | None = None,
        headers: dict[str, str] = PAGE,
        **changes: Any,
    ) -> Response:
        asked = asked or self.challenge()
        request: dict[str, Any] = {"json": asked.for_page(), **changes}
        return self.client.post("/read", headers=headers, **request)

    def status(self, headers: dict[str, str] = PAGE, after: str = "") -> Response:
        return self.client.get(f"/status?after={after}", headers=headers)

    def wait_for(self, card: str | None) -> dict[str, Any]:
        table: dict[str, Any] = self.status().json()
        end = time.monotonic() + 20
        while table["card"]["reason"] != card and time.monotonic() < end:
            table = self.status(after=table["state"]).json()
        assert table["card"]["reason"] == card
        return table

    def untouched(self) -> bool:
        return self.port.opened == 0


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with made.client:
        yield made


def refused(response: Response, code: str, status: int) -> None:
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert "access-control-allow-origin" not in response.headers


# what is let through


def test_the_page_says_that_the_program_is_ready(bench: Bench) -> None:
    page = bench.client.get("/")
    assert page.status_code == 200
    assert "讀卡機程式已就緒，監聽埠：8080" in page.text
    assert ORIGIN in page.text
    for path in ("/status.js", "/status.css", "/icon.svg"):
        assert bench.client.get(path).status_code == 200


def test_the_three_lines(bench: Bench) -> None:
    bench.wait_for("no-card")
    table = bench.status().json()
    assert table["program"] == {"ok": True, "reason": None}
    assert table["reader"] == {"ok": True, "reason": None}
    assert table["card"]["ok"] is False
    assert "未插入健保卡" in table["card"]["zh"]
    bench.port.insert(fixture_card("health"))
    assert bench.wait_for(None)["card"] == {"ok": True, "reason": None}
    bench.port.fail(errors.NoReader())
    table = bench.wait_for("no-reader")
    assert table["reader"]["reason"] == "no-reader"


def test_status_holds_nothing_personal(bench: Bench) -> None:
    bench.port.insert(fixture_card("health"))
    bench.wait_for(None)
    bench.read()
    status = bench.status()
    assert set(status.json()) == {"state", "source", "program", "reader", "card"}
    for part in PERSONAL:
        assert part not in status.text
        assert part not in bench.client.get("/").text


def test_a_reading_reaches_the_site_alone(bench: Bench) -> None:
    bench.port.insert(fixture_card("health"))
    asked = bench.challenge()
    answer = bench.read(asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    for part in PERSONAL:
        assert part not in answer.text
    reading = site.open_answer(KEYS, asked, answer.json(), int(bench.now))
    assert reading.national_id == "A123456789"
    assert reading.source == "pcsc"
    assert reading.device == bench.desk.device_key.public_key().public_bytes_raw()


def test_status_waits_for_a_change(bench: Bench) -> None:
    state = bench.wait_for("no-card")["state"]
    bench.port.insert(fixture_card("health"))
    assert bench.status(after=str(state)).json()["state"] == state + 1


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30, "٣", "%00"])
def test_a_number_that_is_none_gets_the_state_at_once(bench: Bench, after: str) -> None:
    assert bench.status(after=after).status_code == 200


def test_the_preflight_of_a_registered_site_passes(bench: Bench) -> None:
    answer = bench.client.options(
        "/read",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-jiepin-reader",
            "access-control-request-private-network": "true",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-private-network"] == "true"


def test_our_own_page_may_see_the_status_and_may_not_read(bench: Bench) -> None:
    own = {"sec-fetch-site": "same-origin", **OURS}
    assert "last" in bench.status(own).json()
    refused(bench.read(headers=own), "foreign-origin", 403)
    posted = {"origin": "https://localhost:8080", **own}
    refused(bench.read(headers=posted), "foreign-origin", 403)
    assert bench.untouched()


def test_the_last_event_is_told_to_our_own_page_alone(bench: Bench) -> None:
    bench.wait_for("no-card")
    bench.read()
    own = {"sec-fetch-site": "same-origin", **OURS}
    last = bench.status(own).json()["last"]
    assert (last["origin"], last["code"]) == (ORIGIN, "no-card")
    assert "last" not in bench.status().json()


def test_a_refusal_does_not_hide_the_last_reading(bench: Bench) -> None:
    bench.wait_for("no-card")
    bench.read()
    bench.status({**PAGE, "origin": "https://evil.test"})
    own = bench.status({"sec-fetch-site": "same-origin", **OURS}).json()
    assert own["last"]["origin"] == ORIGIN
    assert own["refused"]["origin"] == "https://evil.test"
    assert "refused" not in bench.status().json()


def test_a_page_cannot_forge_or_flood_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "jiepin.reader")
    bench.wait_for("no-card")
    caplog.clear()
    path = "/%0A2026-01-01 reading sealed for https://tas.test%1b[31m" + "x" * 3000
    probe = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}
    for _ in range(50):
        assert bench.client.get(path, headers=probe).status_code == 403
    assert len(caplog.records) == 1
    told = caplog.records[0].getMessage()
    assert told.isprintable()
    assert len(told) < 400


def test_every_answer_has_the_security_headers(bench: Bench) -> None:
    answers = [
        bench.client.get("/"),
        bench.status(),
        bench.read(),
        bench.client.get("/nothing"),
        bench.client.get("/", headers={"host": "evil.test"}),
        bench.status(headers={}),
    ]
    for answer in answers:
        assert SECURITY.items() <= dict(answer.headers).items()


# attacks


def test_a_foreign_origin_is_refused(bench: Bench) -> None:
    for origin in (
        "https://evil.test",
        "https://tas.test.evil.test",
        "https://sub.tas.test",
        "http://tas.test",
        "https://tas.test:444",
        "https://TAS.test",
        "null",
        "",
    ):
        headers = {**PAGE, "origin": origin}
        refused(bench.status(headers), "foreign-origin", 403)
        refused(bench.read(headers=headers), "foreign-origin", 403)
        preflight = {"origin": origin, "access-control-request-method": "POST"}
        refused(bench.client.options("/read", headers=preflight), "foreign-origin", 403)
    assert bench.untouched()


def test_two_origins_are_refused(bench: Bench) -> None:
    headers = [("origin", ORIGIN), ("origin", "https://evil.test"), *OURS.items()]
    answer = bench.client.get("/status", headers=headers)
    refused(answer, "foreign-origin", 403)


def test_a_simple_post_is_refused(bench: Bench) -> None:
    """What a form or a no-cors fetch can send: no own header, a plain type."""
    body = json.dumps(bench.challenge().for_page())
    plain = {"origin": ORIGIN, "content-type": "text/plain"}
    answer = bench.read(headers=plain, json=None, content=body)
    refused_for_site(answer, "missing-header")
    foreign = {"origin": "https://evil.test", "content-type": "text/plain"}
    refused(bench.read(headers=foreign, json=None, content=body), "foreign-origin", 403)
    typed = {**PAGE, "content-type": "text/plain"}
    refused_for_site(bench.read(headers=typed, json=None, content=body), "not-json")
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = bench.read(
            headers={**PAGE, "content-type": kind}, json=None, content=body
        )
        refused_for_site(answer, "not-json")
    assert bench.untouched()


def refused_for_site(answer: Response, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (403, code)


@pytest.mark.parametrize("destination", ["image", "script", "style", "iframe", "empty"])
@pytest.mark.parametrize("path", ["/", "/status.js", "/icon.svg", "/status"])
def test_a_probe_by_an_element_is_refused(
    bench: Bench, path: str, destination: str
) -> None:
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "no-cors",
        "sec-fetch-dest": destination,
    }
    assert bench.client.get(path, headers=headers).status_code == 403


def test_a_link_to_the_page_may_be_followed(bench: Bench) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert bench.client.get("/", headers=headers).status_code == 200


def test_another_host_name_is_refused(bench: Bench) -> None:
    for host in (
        "evil.test",
        "evil.test:8080",
        "localhost",
        "localhost:8081",
        "localhost.evil.test:8080",
        "[::1]:8080",
        "127.0.0.2:8080",
        "LOCALHOST:8080",
        "",
    ):
        headers = {**PAGE, "host": host}
        refused(bench.status(headers), "bad-host", 421)
        refused(bench.client.get("/", headers=headers), "bad-host", 421)
        refused(bench.read(headers=headers), "bad-host", 421)
    two = [("host", "localhost:8080"), ("host", "evil.test"), *PAGE.items()]
    refused(bench.client.get("/status", headers=two), "bad-host", 421)
    assert bench.untouched()


def test_a_status_request_without_an_origin_is_refused(bench: Bench) -> None:
    refused(bench.status(OURS), "foreign-origin", 403)
    refused(bench.status({}), "missing-header", 403)


def test_a_body_too_large_is_refused(bench: Bench) -> None:
    answer = bench.read(
        headers={**PAGE, "content-type": "application/json"},
        json=None,
        content=b" " * (LONGEST_BODY + 1),
    )
    assert answer.status_code == 413
    assert bench.untouched()


def test_a_body_too_large_in_parts_is_refused(bench: Bench) -> None:
    answer = bench.read(
        headers={**PAGE, "content-type": "application/json"},
        json=None,
        content=iter([b" " * 1024] * 64),
    )
    assert answer.status_code == 413
    assert bench.untouched()


def test_a_replayed_challenge_is_refused(bench: Bench) -> None:
    bench.port.insert(fixture_card("health"))
    asked = bench.challenge()
    assert bench.read(asked).status_code == 200
    again = bench.read(asked)
    assert (again.status_code, again.json()["error"]) == (409, "used-before")


def test_a_challenge_without_a_card_is_used_up_all_the_same(bench: Bench) -> None:
    bench.wait_for("no-card")
    asked = bench.challenge()
    assert bench.read(asked).json()["error"] == "no-card"
    bench.port.insert(fixture_card("health"))
    bench.wait_for(None)
    assert bench.read(asked).json()["error"] == "used-before"


def test_an_expired_challenge_is_refused(bench: Bench) -> None:
    asked = bench.challenge()
    bench.now += 121
    answer = bench.read(asked)
    assert (answer.status_code, answer.json()["error"]) == (409, "expired")
    bench.now -= 300
    answer = bench.read(asked)
    assert (answer.status_code, answer.json()["error"]) == (409, "not-yet-valid")
    assert bench.untouched()


def test_a_challenge_for_another_site_is_refused(bench: Bench) -> None:
    answer = bench.read(bench.challenge("https://evil.test"))
    refused_for_site(answer, "wrong-audience")
    assert bench.untouched()


def test_a_tampered_signature_is_refused(bench: Bench) -> None:
    asked = bench.challenge()
    table = asked.for_page()
    table["signature"] = to_base64(bytes(64))
    refused_for_site(bench.read(json=table), "bad-signature")
    stranger = Ed25519PrivateKey.generate().sign(asked.raw)
    table["signature"] = to_base64(stranger)
    refused_for_site(bench.read(json=table), "bad-signature")
    assert bench.untouched()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"challenge": 1, "signature": 2}',
        b'{"challenge": "AAA", "signature": "A"}',
        b'{"challenge": "AAA", "signature": "AAA", "more": 1}',
        b"[" * 4000,
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_none_is_refused(bench: Bench, body: bytes) -> None:
    headers = {**PAGE, "content-type": "application/json"}
    answer = bench.read(headers=headers, json=None, content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad-request")
    assert bench.untouched()


def test_other_methods_and_paths_are_refused(bench: Bench) -> None:
    typed = {**PAGE, "content-type": "application/json"}
    assert bench.client.get("/read", headers=typed).status_code == 405
    assert bench.client.put("/read", headers=typed).status_code == 405
    assert bench.client.post("/status", headers=PAGE).status_code == 405
    assert bench.client.get("/nothing").status_code == 404
    assert bench.client.get("/../service.py").status_code == 404


# cards that do not play along


@pytest.mark.parametrize(
    ("card", "code", "status"),
    [("citizen", "not-a-health-card", 424), ("silent", "timeout", 504)],
)
def test_a_card_that_cannot_be_read(
    bench: Bench, card: str, code: str, status: int
) -> None:
    bench.port.insert(fixture_card(card))
    answer = bench.read()
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert bench.wait_for(code)["reader"]["ok"]


def test_an_unforeseen_error_tells_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Watch) -> None:
        raise KeyError("A123456789")

    monkeypatch.setattr(Watch, "read", fail)
    caplog.set_level(logging.DEBUG, "jiepin.reader")
    answer = bench.read()
    assert (answer.status_code, answer.json()) == (500, {"error": "unforeseen"})
    assert "unforeseen KeyError in fail" in caplog.text
    assert "A123456789" not in caplog.text


# anything at all

NAMES = st.sampled_from(
    ["host", "origin", "content-type", "x-jiepin-reader", "sec-fetch-site", "cookie"]
)
VALUES = st.one_of(
    st.sampled_from([ORIGIN, "localhost:8080", "1", "application/json", "same-origin"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE"]),
    path=st.one_of(
        st.sampled_from(["/", "/read", "/status", "/status.js"]),
        st.text(st.characters(codec="ascii", exclude_characters="?#\\"), max_size=12)
        .filter(str.isprintable)
        .map(lambda text: "/" + text.replace("/", "")),
    ),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    body=st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["challenge", "signature", "x"]),
            st.one_of(st.text(max_size=20), st.integers(), st.none()),
        ).map(lambda table: json.dumps(table).encode()),
    ),
)
def test_any_request_gets_a_clean_answer_and_no_card(
    bench: Bench,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    answer = bench.client.request(method, path, headers=headers, content=body)
    assert answer.status_code in (200, 400, 403, 404, 405, 413, 421)
    if answer.headers.get("access-control-allow-origin", ORIGIN) != ORIGIN:
        raise AssertionError("another origin was let in")
    assert bench.untouched()
