"""The keys, and what they do: seal what identifies a person, and find it again.

The key file lies outside the database, readable by its owner alone. Sealed values are
AES-256-GCM, bound to the place they stand at, so that one moved to another row does
not open. A person is found by HMAC of year, level and national ID.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jiepin.web.card import SiteKeys, from_base64, to_base64

KEY_BYTES = 32
_ID_BYTES, _NONCE_BYTES = 4, 12


class BadKeys(Exception):
    """The key file is missing, open to others, or not written as expected."""


class NotSealedHere(Exception):
    """A sealed value does not open: moved, changed, or its key is gone."""


@dataclass(frozen=True, slots=True)
class Vault:
    """The secret keys of one site. The last of `seal` seals; all of them open.

    >>> vault = Vault.new()
    >>> sealed = vault.seal("A123456789", "account.national_id", "a1")
    >>> vault.open(sealed, "account.national_id", "a1")
    'A123456789'
    >>> vault.open(sealed, "account.national_id", "a2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    jiepin.web.vault.NotSealedHere: account.national_id of 'a2' does not open; ...
    """

    sealing: tuple[bytes, ...] = field(repr=False)
    lookup_key: bytes = field(repr=False)
    site_keys: SiteKeys = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return a vault with fresh keys."""
        return cls(
            (secrets.token_bytes(KEY_BYTES),),
            secrets.token_bytes(KEY_BYTES),
            SiteKeys(Ed25519PrivateKey.generate(), X25519PrivateKey.generate()),
        )

    def rotated(self) -> Vault:
        """Return a vault that seals with a fresh key and still opens what is there."""
        fresh = secrets.token_bytes(KEY_BYTES)
        return Vault((*self.sealing, fresh), self.lookup_key, self.site_keys)

    def only_newest(self) -> Vault:
        """Return the vault without the keys that nothing is sealed with any more."""
        return Vault(self.sealing[-1:], self.lookup_key, self.site_keys)

    def seal(self, text: str, column: str, row: str) -> bytes:
        """Seal a text for one place of the database."""
        key = self.sealing[-1]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, text.encode("utf-8"), _place(column, row))
        return _key_id(key) + nonce + sealed

    def open(self, sealed: bytes, column: str, row: str) -> str:
        """Open what was sealed for this place; raises NotSealedHere."""
        key_id, rest = sealed[:_ID_BYTES], sealed[_ID_BYTES:]
        nonce, text = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        for key in self.sealing:
            if _key_id(key) == key_id:
                try:
                    opened = AESGCM(key).decrypt(nonce, text, _place(column, row))
                except (InvalidTag, ValueError):
                    break
                return opened.decode("utf-8")
        raise NotSealedHere(
            f"{column} of {row!r} does not open; use the key file that goes with "
            "this database"
        )

    def sealed_with_newest(self, sealed: bytes) -> bool:
        """Tell whether a value needs no sealing again."""
        return sealed[:_ID_BYTES] == _key_id(self.sealing[-1])

    def lookup(self, year: int, level: str, national_id: str) -> bytes:
        """Return what a person of one year and level is found by."""
        text = f"{year}|{level}|{national_id}".encode()
        return hmac.digest(self.lookup_key, text, "sha256")

    def write(self, file: Path) -> None:
        """Write the key file whole or not at all, readable by its owner alone."""
        table = {
            "seal": [to_base64(key) for key in self.sealing],
            "lookup": to_base64(self.lookup_key),
            "sign": to_base64(self.site_keys.sign.private_bytes_raw()),
            "open": to_base64(self.site_keys.open.private_bytes_raw()),
        }
        beside = file.with_name(file.name + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(descriptor, 0o600)  # one that a crash left may be open to others
        with os.fdopen(descriptor, "w", encoding="ascii") as content:
            json.dump(table, content, indent=1)
            content.flush()
            os.fsync(content.fileno())
        os.replace(beside, file)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a key file; raises BadKeys."""
        try:
            mode = file.stat().st_mode
            text = file.read_text("ascii")
        except FileNotFoundError:
            raise BadKeys(
                f"{file}: no key file; `jiepin-web keys create` makes one"
            ) from None
        if mode & 0o077:
            raise BadKeys(f"{file}: others may read it; chmod 600 {file}")
        try:
            return cls._of(json.loads(text))
        except (KeyError, TypeError, ValueError):
            raise BadKeys(f"{file}: not a key file of this site") from None

    @classmethod
    def _of(cls, table: dict[str, str | list[str]]) -> Self:
        def key(name: str) -> bytes:
            return _key_bytes(str(table[name]))

        sealing = tuple(_key_bytes(text) for text in table["seal"])
        if not sealing:
            raise ValueError
        return cls(
            sealing,
            key("lookup"),
            SiteKeys(
                Ed25519PrivateKey.from_private_bytes(key("sign")),
                X25519PrivateKey.from_private_bytes(key("open")),
            ),
        )


def mask_id(national_id: str) -> str:
    """Return a national ID as lists show it.

    >>> mask_id("A123456789")
    'A12****789'
    """
    return f"{national_id[:3]}****{national_id[7:]}"


def mask_email(email: str) -> str:
    """Return an address that its owner knows again and nobody else can write to.

    >>> mask_email("lin@example.org")
    'l***@example.org'
    """
    name, _, host = email.partition("@")
    return f"{name[:1]}***@{host}"


def digest(secret: str) -> bytes:
    """Return what the database keeps of a random secret."""
    return hashlib.sha256(secret.encode("utf-8")).digest()


def _place(column: str, row: str) -> bytes:
    return f"{column}|{row}".encode()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"jiepin seal key " + key).digest()[:_ID_BYTES]


def _key_bytes(text: str) -> bytes:
    key = from_base64(text)
    if len(key) != KEY_BYTES:
        raise ValueError
    return key
