"""Challenges: one to a session, so many to an address, and none that stay behind."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from practice_round import LIN, Client

from jiepin.web import accounts, card, demo
from jiepin.web.site import Site

CHALLENGE = "/teacher/challenge"


def count(client: Client, table: str) -> int:
    async def read(site: Site) -> int:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(f'select count(*) from "{table}"')
        return int(rows[0][0])

    return client.call(read)


def test_a_session_has_one_open_challenge(client: Client) -> None:
    first = client.answer(LIN)
    last = client.answer(LIN)
    assert (count(client, "challenge"), count(client, "session")) == (1, 1)
    assert client.post("/teacher/sign-in", level=LIN.level, **first).status_code == 422
    again = client.post("/teacher/sign-in", level=LIN.level, **last)
    assert "已逾時" in again.text  # the wrong answer has used it up


def test_so_many_to_an_address(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "CHALLENGES", 5)
    for _ in range(5):
        assert client.another().post(CHALLENGE).status_code == 200
    before = client.digest()
    refused = client.post(CHALLENGE)
    assert refused.status_code == 429
    assert (
        "登入次數過多，請於 115年4月20日 09:01:00 後再試" in refused.json()["problem"]
    )
    assert "set-cookie" not in refused.headers
    assert client.digest() == before
    client.post("/language", language="en", back="/")
    assert client.post(CHALLENGE).json()["problem"].startswith("Too many sign-ins")
    client.clock.move(minutes=1)
    assert client.sign_in(LIN).status_code == 303


def test_a_household_of_ipv6_is_one_address() -> None:
    assert accounts.network("2001:db8::1") == accounts.network("2001:db8::ffff:1")
    assert accounts.network("2001:db8:0:1::1") != accounts.network("2001:db8::1")
    assert accounts.network("::ffff:192.0.2.7") != accounts.network("::ffff:192.0.2.8")


def test_what_nobody_can_use_is_swept(client: Client) -> None:
    for _ in range(3):
        client.another().post(CHALLENGE)
    client.sign_in(LIN)
    client.post(CHALLENGE)
    client.clock.move(seconds=card.LIFE)
    tend(client)
    assert (count(client, "challenge"), count(client, "session")) == (0, 1)
    client.clock.move(minutes=20)
    tend(client)
    assert count(client, "throttle") == 0
    assert client.get("/teacher/notices").status_code == 200


def test_an_open_challenge_is_not_swept(client: Client) -> None:
    answer = client.answer(LIN)
    client.clock.move(seconds=30)
    tend(client)
    done = client.post("/teacher/sign-in", level=LIN.level, **answer)
    assert done.status_code == 303


def tend(client: Client) -> None:
    async def flush(site: Site) -> None:
        await accounts.flush(site, client.app.state.presence)

    client.call(flush)


# a reader of one's own may say what it likes


def lying(client: Client, **changes: object) -> dict[str, str]:
    """Answer a challenge with a record that no card can hold."""
    honest = demo._card

    def record(person: demo.Person) -> dict[str, object]:
        return honest(person) | changes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_card", record)
        return client.answer(LIN)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "林\r\nBcc: x@example.org"},
        {"name": "林" * 41},
        {"name": {"a": 1}},
        {"name": None},
        {"national_id": "' or 1=1 --"},
        {"national_id": "a123456789"},
        {"national_id": ["A123456789"]},
        {"sex": "<b>"},
        {"birth_date": 5},
        {"issued": 5},
    ],
)
def test_a_lying_reader_is_refused(client: Client, changes: dict[str, object]) -> None:
    answer = lying(client, **changes)
    refused = client.post("/teacher/sign-in", level=LIN.level, **answer)
    assert refused.status_code == 422
    assert "健保卡讀取結果無法辨識" in refused.text
    assert count(client, "account") == 0


def test_a_deep_or_long_answer_is_refused(client: Client) -> None:
    for text in (b"[" * 2900, b"x" * 9000):
        asked = client.post(CHALLENGE).json()
        raw = card.from_base64(asked["challenge"])
        answer = {"sealed": card.to_base64(sealed(client, raw, text))}
        done = client.post(
            "/teacher/sign-in", level=LIN.level, **answer, signature="AA"
        )
        assert done.status_code == 422


def sealed(client: Client, raw: bytes, text: bytes) -> bytes:
    public = client.site.vault.site_keys.open.public_key().public_bytes_raw()
    context = card.SEAL_CONTEXT + hashlib.sha256(raw).digest()
    box: bytes = card.SUITE.encrypt(
        text, X25519PublicKey.from_public_bytes(public), context
    )
    return box


def test_the_table_holds_no_second_one(client: Client) -> None:
    client.post(CHALLENGE)

    async def twice(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(
                "insert into challenge select session, 'n', raw, signature, expires "
                "from challenge"
            )

    with pytest.raises(sqlite3.IntegrityError):
        client.call(twice)
