"""The challenge of the site and the sealed answer to it.

A challenge is JSON in UTF-8, signed by the site with Ed25519:

| key | value |
|---|---|
| `v` | 1 |
| `nonce` | 22 to 86 characters of base64url, never used before |
| `aud` | the origin of the site's page, `https://host` |
| `session` | a digest of the session at the site; only bound, never looked at |
| `iat`, `exp` | seconds since 1970: made, and no longer good |
| `seal` | the site's X25519 public key, base64url |

The answer is sealed to that key with HPKE (RFC 9180: X25519, HKDF-SHA256,
AES-256-GCM), so that the page that carries it cannot read or change it, and signed with
the device key of this installation, so that the site knows a computer it has seen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from jiepin.reader import errors
from jiepin.reader.apdu import CardRecord

VERSION = 1
LONGEST_LIFE = 120  # seconds between iat and exp; the site uses 60
CLOCK_LEEWAY = 60  # seconds that the clocks of site and computer may differ
MOST_REMEMBERED = 10_000  # nonces; a site cannot sign so many in their short life

SEAL_CONTEXT = b"jiepin card reading 1 "
SIGN_CONTEXT = b"jiepin card answer 1 "
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

_NONCE = re.compile("[A-Za-z0-9_-]{22,86}")
_TEXT = re.compile("[!-~]{1,256}")
_NUMBERS = ("v", "iat", "exp")
_TEXTS = {"nonce": _NONCE, "aud": _TEXT, "session": _TEXT, "seal": _TEXT}


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that was read; `digest` is the SHA-256 of its bytes as signed."""

    nonce: str
    audience: str
    issued: int
    expires: int
    seal: X25519PublicKey
    digest: bytes


def parse(raw: bytes) -> Challenge:
    """Read a challenge; raises BadRequest for anything that is none."""
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError):
        raise errors.BadRequest("the challenge is no JSON") from None
    keys = {*_NUMBERS, *_TEXTS}
    if not isinstance(table, dict) or table.keys() != keys:
        raise errors.BadRequest(f"a challenge has the keys {', '.join(sorted(keys))}")
    for key in _NUMBERS:
        if type(table[key]) is not int or abs(table[key]) > 2**53:
            raise errors.BadRequest(f"{key} is no whole number")
    for key, shape in _TEXTS.items():
        if not isinstance(table[key], str) or not shape.fullmatch(table[key]):
            raise errors.BadRequest(f"{key} is not written as expected")
    if table["v"] != VERSION:
        raise errors.BadRequest(f"version {table['v']}; this program knows {VERSION}")
    return Challenge(
        nonce=table["nonce"],
        audience=table["aud"],
        issued=table["iat"],
        expires=table["exp"],
        seal=_seal_key(table["seal"]),
        digest=hashlib.sha256(raw).digest(),
    )


def _seal_key(text: str) -> X25519PublicKey:
    try:
        key = X25519PublicKey.from_public_bytes(from_base64(text))
        # with a few points everybody agrees on the same secret: nothing can be sealed
        X25519PrivateKey.generate().exchange(key)
        return key
    except ValueError:
        raise errors.BadRequest("seal is no X25519 public key") from None


class Gate:
    """Lets each challenge of a registered site through once, while it is fresh."""

    def __init__(self, server_keys: Sequence[Ed25519PublicKey]) -> None:
        self._server_keys = tuple(server_keys)
        self._used: dict[str, int] = {}  # nonce: when it may be forgotten

    def admit(self, raw: bytes, signature: bytes, origin: str, now: float) -> Challenge:
        """Return the challenge, used up now, or raise the reason to refuse it.

        `origin` is what the browser says of the page; `now` is seconds since 1970.
        """
        if not self._signed(raw, signature):
            raise errors.BadSignature
        challenge = parse(raw)
        if challenge.audience != origin:
            raise errors.WrongAudience
        if not 0 < challenge.expires - challenge.issued <= LONGEST_LIFE:
            raise errors.BadRequest(f"a challenge lives {LONGEST_LIFE} s at most")
        if now < challenge.issued - CLOCK_LEEWAY:
            raise errors.NotYetValid
        if now >= challenge.expires + CLOCK_LEEWAY:
            raise errors.Expired
        self._use(challenge, now)
        return challenge

    def _signed(self, raw: bytes, signature: bytes) -> bool:
        for key in self._server_keys:
            try:
                key.verify(signature, raw)
            except InvalidSignature:
                continue
            return True
        return False

    def _use(self, challenge: Challenge, now: float) -> None:
        for nonce in [n for n, until in self._used.items() if until <= now]:
            del self._used[nonce]
        if challenge.nonce in self._used or len(self._used) >= MOST_REMEMBERED:
            raise errors.UsedBefore
        self._used[challenge.nonce] = challenge.expires + CLOCK_LEEWAY


def seal(
    challenge: Challenge,
    record: CardRecord,
    device_key: Ed25519PrivateKey,
    read_at: int,
    source: str,
) -> tuple[bytes, bytes]:
    """Return what the card says, sealed to the site, and the device's signature.

    Both are bound to the whole challenge: neither can serve for another one. `source`
    is `pcsc` for a card in a reader and `replay` for a practice card.
    """
    device = device_key.public_key().public_bytes_raw()
    reading = {
        "nonce": challenge.nonce,
        "read_at": read_at,
        "source": source,
        "device": to_base64(device),
        "card": {
            "card_number": record.card_number,
            "name": record.name,
            "name_certain": record.name_certain,
            "national_id": record.national_id,
            "id_kind": record.id_kind.value,
            "birth_date": record.birth_date.isoformat(),
            "sex": record.sex,
            "issued": record.issued and record.issued.isoformat(),
        },
    }
    text = json.dumps(reading, ensure_ascii=False, separators=(",", ":")).encode()
    sealed = SUITE.encrypt(text, challenge.seal, SEAL_CONTEXT + challenge.digest)
    signature = device_key.sign(SIGN_CONTEXT + challenge.digest + sealed)
    return sealed, signature


def to_base64(data: bytes) -> str:
    """Write bytes as base64url without padding.

    >>> to_base64(bytes(2)), from_base64("AAA") == bytes(2)
    ('AAA', True)
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64(text: str) -> bytes:
    """Read base64url without padding; raises ValueError for anything else."""
    padded = text + "=" * (-len(text) % 4)
    data = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    if to_base64(data) != text:  # other characters or bits that say nothing
        raise binascii.Error("not base64url without padding")
    return data
