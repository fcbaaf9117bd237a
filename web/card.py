"""The site's side of a card reading: make a challenge, open the sealed answer.

The reader service (docs/reader.md) reads a card only for a challenge that the site
signed, and seals what it read to the site's key. What comes out of `open_answer` is
still one weak factor: whoever writes a reader of his own can seal what he likes, so the
nonce must be the one given to this session and count once, and a password follows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from datetime import date
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

LIFE = 60  # seconds that a challenge is good for
LONGEST_ANSWER = 4096  # characters; one of the reader has about 600
LONGEST_NAME = 40  # a card holds 20 bytes
_ID = re.compile(r"[A-Z][A-Z0-9][0-9]{8}")
VERSION = 1
SEAL_CONTEXT = b"jiepin card reading 1 "
SIGN_CONTEXT = b"jiepin card answer 1 "
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class BadAnswer(Exception):
    """The answer was not sealed for this challenge, or was changed on its way."""


@dataclass(frozen=True, slots=True)
class SiteKeys:
    """The keys of one site: one signs challenges, one opens answers."""

    sign: Ed25519PrivateKey
    open: X25519PrivateKey

    def public_pem(self) -> str:
        """Return the public key that reader services pin (`--server-key`)."""
        public = self.sign.public_key()
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return public.public_bytes(*form).decode("ascii")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge for one session; keep it on the server until its answer comes.

    `raw` is what was signed. The nonce is for the store of those used: whoever opens
    an answer must have found the nonce unused there in the same transaction.
    """

    raw: bytes
    signature: bytes
    nonce: str
    expires: int

    def for_page(self) -> dict[str, str]:
        """Return what the page hands to the reader service."""
        return {
            "challenge": to_base64(self.raw),
            "signature": to_base64(self.signature),
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """What a card said; see `CardRecord` of the reader for the parts of the card.

    `device` is the public key of the installation that read it, `source` is `pcsc` or
    `replay`; a site that is no practice site refuses `replay`.
    """

    card_number: str
    name: str
    name_certain: bool
    national_id: str
    id_kind: str
    birth_date: date
    sex: str
    issued: date | None
    read_at: int
    source: str
    device: bytes


def make_challenge(keys: SiteKeys, origin: str, session: str, now: int) -> Challenge:
    """Return a signed challenge for the page `origin` of one session at second `now`.

    `session` is a digest of the session's secret, never the secret itself.
    """
    nonce = secrets.token_urlsafe(32)
    table = {
        "v": VERSION,
        "nonce": nonce,
        "aud": origin,
        "session": session,
        "iat": now,
        "exp": now + LIFE,
        "seal": to_base64(keys.open.public_key().public_bytes_raw()),
    }
    raw = json.dumps(table, separators=(",", ":")).encode("ascii")
    return Challenge(raw, keys.sign.sign(raw), nonce, now + LIFE)


def open_answer(
    keys: SiteKeys, challenge: Challenge, answer: dict[str, str], now: int
) -> Reading:
    """Open the reader's answer to a challenge; raises BadAnswer.

    The caller has used up the challenge's nonce before, once and for all.
    """
    if now >= challenge.expires:
        raise BadAnswer("the challenge has expired")
    if any(len(str(part)) > LONGEST_ANSWER for part in answer.values()):
        raise BadAnswer("the answer is too long")
    digest = hashlib.sha256(challenge.raw).digest()
    try:
        sealed = from_base64(answer["sealed"])
        signature = from_base64(answer["signature"])
        text = SUITE.decrypt(sealed, keys.open, SEAL_CONTEXT + digest)
        table: dict[str, Any] = json.loads(text)
        device = from_base64(table["device"])
        Ed25519PublicKey.from_public_bytes(device).verify(
            signature, SIGN_CONTEXT + digest + sealed
        )
        if table["nonce"] != challenge.nonce:
            raise BadAnswer("the answer is to another challenge")
        return _reading(table, device)
    except (InvalidTag, InvalidSignature):
        raise BadAnswer("the answer was not sealed for this challenge") from None
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise BadAnswer("the answer is not written as expected") from None


def _reading(table: dict[str, Any], device: bytes) -> Reading:
    """Read what was sealed; who sealed it may have a reader of his own that lies."""
    card = table["card"]
    name, id_, sex = card["name"], card["national_id"], card["sex"]
    if not _ID.fullmatch(id_) or sex not in ("M", "F"):
        raise ValueError("no ID or sex that a card can hold")
    if len(name) > LONGEST_NAME or not name.replace("\u3000", "").isprintable():
        raise ValueError("no name that a card can hold")
    texts = (card["card_number"], card["id_kind"], table["source"])
    known = all(isinstance(text, str) for text in texts)
    if not known or type(table["read_at"]) is not int:
        raise ValueError("no words or no time that a reader tells")
    return Reading(
        card_number=card["card_number"],
        name=card["name"],
        name_certain=bool(card["name_certain"]),
        national_id=card["national_id"],
        id_kind=card["id_kind"],
        birth_date=date.fromisoformat(card["birth_date"]),
        sex=card["sex"],
        issued=None if card["issued"] is None else date.fromisoformat(card["issued"]),
        read_at=table["read_at"],
        source=table["source"],
        device=device,
    )


def to_base64(data: bytes) -> str:
    """Write bytes as base64url without padding.

    >>> to_base64(bytes(2)), from_base64("AAA") == bytes(2)
    ('AAA', True)
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64(text: str) -> bytes:
    """Read base64url without padding; raises ValueError for anything else."""
    padded = (text + "=" * (-len(text) % 4)).encode("ascii")
    return base64.b64decode(padded, altchars=b"-_", validate=True)
