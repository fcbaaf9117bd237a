"""Only a fresh challenge of a registered site counts, once; answers open there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from jiepin.reader import apdu, challenge, errors
from jiepin.web import card as site

ORIGIN = "https://tas.test"
NOW = 1_800_000_000
KEYS = site.SiteKeys(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())
DEVICE = Ed25519PrivateKey.generate()
PERSON = ("000012345678", "林小明", "A123456789", "0740309", "M", "1130101")
RECORD = apdu.parse_record(apdu.pack_record(*PERSON))


def gate() -> challenge.Gate:
    return challenge.Gate([KEYS.sign.public_key()])


def made(now: int = NOW, origin: str = ORIGIN) -> site.Challenge:
    return site.make_challenge(KEYS, origin, "session-digest", now)


def signed(change: Callable[[dict[str, object]], None]) -> site.Challenge:
    """A challenge that the site signed with something changed in it."""
    table = json.loads(made().raw)
    change(table)
    raw = json.dumps(table).encode()
    return dataclasses.replace(made(), raw=raw, signature=KEYS.sign.sign(raw))


def admit(
    asked: site.Challenge, origin: str = ORIGIN, now: float = NOW
) -> challenge.Challenge:
    return gate().admit(asked.raw, asked.signature, origin, now)


def answered(asked: site.Challenge) -> dict[str, str]:
    sealed, signature = challenge.seal(admit(asked), RECORD, DEVICE, NOW + 1, "pcsc")
    return {
        "sealed": challenge.to_base64(sealed),
        "signature": challenge.to_base64(signature),
    }


def test_the_site_opens_what_the_reader_sealed() -> None:
    asked = made()
    reading = site.open_answer(KEYS, asked, answered(asked), NOW + 2)
    assert reading == site.Reading(
        card_number=RECORD.card_number,
        name=RECORD.name,
        name_certain=True,
        national_id=RECORD.national_id,
        id_kind="national",
        birth_date=RECORD.birth_date,
        sex="M",
        issued=RECORD.issued,
        read_at=NOW + 1,
        source="pcsc",
        device=DEVICE.public_key().public_bytes_raw(),
    )


def test_a_page_sees_nothing_of_the_card() -> None:
    asked = made()
    answer = answered(asked)
    sealed = challenge.from_base64(answer["sealed"])
    for part in (RECORD.national_id, RECORD.name, RECORD.card_number, "1985"):
        assert part.encode() not in sealed
    assert answered(made())["sealed"] != answer["sealed"]


def test_a_challenge_counts_once() -> None:
    asked, doors = made(), gate()
    doors.admit(asked.raw, asked.signature, ORIGIN, NOW)
    with pytest.raises(errors.UsedBefore):
        doors.admit(asked.raw, asked.signature, ORIGIN, NOW + 1)
    other = made()
    doors.admit(other.raw, other.signature, ORIGIN, NOW + 1)


def test_a_nonce_is_forgotten_only_when_it_has_expired() -> None:
    asked, doors = made(), gate()
    doors.admit(asked.raw, asked.signature, ORIGIN, NOW)
    end = NOW + site.LIFE + challenge.CLOCK_LEEWAY
    with pytest.raises(errors.UsedBefore):
        doors.admit(asked.raw, asked.signature, ORIGIN, end - 1)
    with pytest.raises(errors.Expired):
        doors.admit(asked.raw, asked.signature, ORIGIN, end)
    late = made(end)
    doors.admit(late.raw, late.signature, ORIGIN, end)
    assert list(doors._used) == [late.nonce]


def test_memory_of_nonces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge, "MOST_REMEMBERED", 2)
    doors = gate()
    for _ in range(2):
        asked = made()
        doors.admit(asked.raw, asked.signature, ORIGIN, NOW)
    asked = made()
    with pytest.raises(errors.UsedBefore):
        doors.admit(asked.raw, asked.signature, ORIGIN, NOW)


@pytest.mark.parametrize(
    ("shift", "refusal"),
    [
        (-challenge.CLOCK_LEEWAY - 1, errors.NotYetValid),
        (site.LIFE + challenge.CLOCK_LEEWAY, errors.Expired),
        (3600, errors.Expired),
    ],
)
def test_a_challenge_counts_while_it_is_fresh(
    shift: int, refusal: type[errors.Refused]
) -> None:
    with pytest.raises(refusal):
        admit(made(), now=NOW + shift)


@pytest.mark.parametrize("shift", [-challenge.CLOCK_LEEWAY, 0, site.LIFE])
def test_clocks_may_differ_a_little(shift: int) -> None:
    assert admit(made(), now=NOW + shift).issued == NOW


def test_a_challenge_of_another_site_is_refused() -> None:
    with pytest.raises(errors.WrongAudience):
        admit(made(origin="https://evil.test"))
    with pytest.raises(errors.WrongAudience):
        admit(made(), origin="https://sub.tas.test")


def test_a_signature_of_another_key_is_refused() -> None:
    asked = made()
    stranger = Ed25519PrivateKey.generate().sign(asked.raw)
    with pytest.raises(errors.BadSignature):
        gate().admit(asked.raw, stranger, ORIGIN, NOW)


def test_no_registered_key_admits_nothing() -> None:
    asked = made()
    with pytest.raises(errors.BadSignature):
        challenge.Gate([]).admit(asked.raw, asked.signature, ORIGIN, NOW)


def test_any_of_several_keys_counts() -> None:
    keys = [Ed25519PrivateKey.generate().public_key(), KEYS.sign.public_key()]
    asked = made()
    challenge.Gate(keys).admit(asked.raw, asked.signature, ORIGIN, NOW)


@given(st.data())
def test_a_changed_challenge_is_refused(data: st.DataObject) -> None:
    asked = made()
    at = data.draw(st.integers(0, len(asked.raw) - 1))
    raw = bytearray(asked.raw)
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(errors.BadSignature):
        gate().admit(bytes(raw), asked.signature, ORIGIN, NOW)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("session"), "has the keys"),
        (lambda t: t.update(extra=1), "has the keys"),
        (lambda t: t.update(v=2), "version 2"),
        (lambda t: t.update(v=True), "v is no whole number"),
        (lambda t: t.update(iat=1.5), "iat is no whole number"),
        (lambda t: t.update(exp="1"), "exp is no whole number"),
        (lambda t: t.update(exp=10**400), "exp is no whole number"),
        (lambda t: t.update(exp=NOW + 3600), "lives 120 s at most"),
        (lambda t: t.update(exp=NOW), "lives 120 s at most"),
        (lambda t: t.update(nonce="short"), "nonce is not written"),
        (lambda t: t.update(nonce=None), "nonce is not written"),
        (lambda t: t.update(aud="https://tas.test\n"), "aud is not written"),
        (lambda t: t.update(seal="AAA"), "no X25519"),
        (lambda t: t.update(seal="!!!"), "no X25519"),
    ],
)
def test_a_challenge_that_is_none_is_refused(
    change: Callable[[dict[str, object]], None], told: str
) -> None:
    with pytest.raises(errors.BadRequest, match=told):
        admit(signed(change))


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b"\xff", b"[" * 2000, b'{"v": NaN}', b"1" * 5000]
)
def test_signed_nonsense_is_refused(raw: bytes) -> None:
    with pytest.raises(errors.BadRequest):
        gate().admit(raw, KEYS.sign.sign(raw), ORIGIN, NOW)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_challenge_or_a_clean_refusal(raw: bytes) -> None:
    with pytest.raises(errors.BadRequest):
        challenge.parse(raw)


def test_an_answer_to_another_challenge_is_refused() -> None:
    first, second = made(), made()
    with pytest.raises(site.BadAnswer, match="not sealed for this challenge"):
        site.open_answer(KEYS, second, answered(first), NOW)


def test_an_answer_that_comes_late_is_refused() -> None:
    asked = made()
    with pytest.raises(site.BadAnswer, match="expired"):
        site.open_answer(KEYS, asked, answered(asked), NOW + site.LIFE)


@pytest.mark.parametrize("part", ["sealed", "signature"])
@given(data=st.data())
def test_a_changed_answer_is_refused(part: str, data: st.DataObject) -> None:
    asked = made()
    answer = answered(asked)
    content = bytearray(challenge.from_base64(answer[part]))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    answer[part] = challenge.to_base64(bytes(content))
    with pytest.raises(site.BadAnswer):
        site.open_answer(KEYS, asked, answer, NOW)


@pytest.mark.parametrize(
    "answer",
    [{}, {"sealed": "AAA"}, {"sealed": "!", "signature": "AAA"}, {"sealed": None}],
)
def test_an_answer_that_is_none_is_refused(answer: dict[str, str]) -> None:
    with pytest.raises(site.BadAnswer):
        site.open_answer(KEYS, made(), answer, NOW)


def test_an_answer_for_another_site_cannot_be_opened() -> None:
    asked = made()
    others = site.SiteKeys(KEYS.sign, X25519PrivateKey.generate())
    with pytest.raises(site.BadAnswer):
        site.open_answer(others, asked, answered(asked), NOW)


@given(st.binary(max_size=100))
def test_base64_comes_back(data: bytes) -> None:
    text = challenge.to_base64(data)
    assert challenge.from_base64(text) == data == site.from_base64(text)


@pytest.mark.parametrize("text", ["AAA=", "AAB", "A", "A+/A", "AA A", "林"])
def test_base64_is_written_one_way(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)base64|padding|ascii|multiple of 4"):
        challenge.from_base64(text)
