"""Answers of a reader that lies, and all that opens a door: refused, never a fault."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, date, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice_round import LIN, ORIGIN, Client

from jiepin.web import card
from jiepin.web.notify.line import Linking
from jiepin.web.settings import Line
from jiepin.web.vault import Vault

NOW = 1_776_646_800
KEYS = Vault.new().site_keys
CHALLENGE = card.make_challenge(KEYS, ORIGIN, "of a session", NOW)
DEVICE = Ed25519PrivateKey.from_private_bytes(bytes(32))
TRUE: dict[str, Any] = {
    "nonce": CHALLENGE.nonce,
    "read_at": NOW,
    "source": "pcsc",
    "device": card.to_base64(DEVICE.public_key().public_bytes_raw()),
    "card": {
        "card_number": "000000000000",
        "name": "黃𡍼生",
        "name_certain": True,
        "national_id": "A123456789",
        "id_kind": "national",
        "birth_date": "1979-01-30",
        "sex": "M",
        "issued": "2020-02-29",
    },
}
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=50)
    | st.sampled_from(
        ["", "M", "A12345678９", "2026-02-30", "\ud800", "\x00", "x" * 99]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PLACES = [(name,) for name in TRUE] + [("card", name) for name in TRUE["card"]]
QUICK = settings(max_examples=150, derandomize=True, database=None)


def sealed(text: bytes, challenge: card.Challenge = CHALLENGE) -> dict[str, str]:
    """Seal anything as a reader would; whoever has one of his own can."""
    digest = hashlib.sha256(challenge.raw).digest()
    key = X25519PublicKey.from_public_bytes(
        card.from_base64(json.loads(challenge.raw)["seal"])
    )
    box = card.SUITE.encrypt(text, key, card.SEAL_CONTEXT + digest)
    signature = DEVICE.sign(card.SIGN_CONTEXT + digest + box)
    return {"sealed": card.to_base64(box), "signature": card.to_base64(signature)}


def opened(answer: dict[str, str]) -> card.Reading | None:
    """Open an answer; None where it is refused as answers may be."""
    try:
        return card.open_answer(KEYS, CHALLENGE, answer, NOW)
    except card.BadAnswer:
        return None


def changed(place: tuple[str, ...], value: object) -> dict[str, Any]:
    table = TRUE | {"card": dict(TRUE["card"])}
    inner = table["card"] if len(place) > 1 else table
    inner[place[-1]] = value
    return table


def test_the_true_answer_is_read() -> None:
    found = opened(sealed(json.dumps(TRUE).encode()))
    assert found is not None
    assert found.name == "黃𡍼生"


@QUICK
@given(st.sampled_from(PLACES), ANY)
def test_any_value_is_read_or_refused(place: tuple[str, ...], value: object) -> None:
    found = opened(sealed(json.dumps(changed(place, value)).encode()))
    if found is not None:
        holds(found)


def holds(found: card.Reading) -> None:
    """Say what the site relies on, whoever sealed it."""
    texts = (found.card_number, found.name, found.national_id, found.id_kind)
    assert all(isinstance(text, str) for text in (*texts, found.source))
    assert all(text.isprintable() for text in found.name.split("\u3000"))
    assert found.national_id.isascii()
    assert type(found.birth_date) is date
    assert found.issued is None or type(found.issued) is date
    assert type(found.read_at) is int
    assert len(found.device) == 32


@QUICK
@given(st.binary(max_size=200) | ANY.map(lambda value: json.dumps(value).encode()))
def test_anything_sealed_is_refused(text: bytes) -> None:
    assert opened(sealed(text)) is None


@QUICK
@given(
    st.fixed_dictionaries(
        {},
        optional={"sealed": st.text(st.characters()), "signature": st.text()},
    )
)
def test_anything_at_all_is_refused(answer: dict[str, str]) -> None:
    assert opened(answer) is None


@pytest.mark.parametrize("n", [0, 1, 31, 48, 64])
def test_a_torn_answer_is_refused(n: int) -> None:
    whole = sealed(json.dumps(TRUE).encode())
    box = card.from_base64(whole["sealed"])
    assert opened(whole | {"sealed": card.to_base64(box[:n])}) is None
    assert opened(whole | {"signature": card.to_base64(box[:n])}) is None


def test_nested_without_end_is_refused() -> None:
    assert opened(sealed(b"[" * 100_000)) is None
    assert opened(sealed(b'{"device": ' + b"9" * 5000 + b"}")) is None


def test_the_doors_refuse_what_a_lying_reader_seals(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """With a true challenge, over the pages of all three ends."""
    doors = ("/teacher/sign-in", "/city/sign-in", "/host/sign-in", "/teacher/forgot")
    for number, path in enumerate([*doors, "/city/enrol"] * 3):
        place = PLACES[number % len(PLACES)]
        client.post("/teacher/challenge")
        fields = {"level": LIN.level, "password": "x" * 20, "code": "123456"}
        more = {"enrol": "x", "again": "x" * 20, "confirmed": "yes"}
        wrong = sealed(json.dumps(changed(place, ["\x00"])).encode())
        answer = client.post(path, **fields, **more, **wrong)
        assert answer.status_code in (422, 303), (path, answer.status_code)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("token", ["x", "%00", "%ED%A0%80", "a" * 5000, "%F0%A1%8D%BC"])
def test_links_that_nobody_was_sent_open_nothing(client: Client, token: str) -> None:
    before = client.digest()
    assert client.get(f"/teacher/reset/{token}").status_code == 200
    password = {"password": "a quiet morning", "again": "a quiet morning"}
    assert client.post(f"/teacher/reset/{token}", **password).status_code == 422
    assert client.digest() == before


@settings(QUICK, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80), st.integers(0, 79), st.sampled_from("0fgé\x00٣"))
def test_no_state_but_ours_links(text: str, at: int, sign: str) -> None:
    linking = Linking(Line(), ORIGIN + "/teacher/line", bytes(32), "who")
    now = datetime.fromtimestamp(NOW, UTC)
    assert not linking.expects(text, now)
    ours = linking._state(now)
    put = ours[:at] + sign + ours[at + 1 :]
    assert not linking.expects(put, now)
