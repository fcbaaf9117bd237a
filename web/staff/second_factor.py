"""The second factor: six digits of an authenticator (TOTP), each used once."""

from __future__ import annotations

import base64
import io
from datetime import datetime
from typing import Final

import pyotp
import segno

ISSUER: Final = "教師介聘"
WINDOW = 1  # steps of half a minute that clocks may differ by


def new_secret() -> str:
    """Return a fresh secret of 160 bits, as authenticators take it by hand."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, now: datetime, used: int) -> int | None:
    """Return the step that a code is of; None when it is wrong, old, or was used.

    `used` is the last step that was used: neither it nor one before counts again.

    >>> from datetime import UTC
    >>> now = datetime(2026, 4, 20, tzinfo=UTC)
    >>> secret = 2 * "JBSWY3DPEHPK3PXP"
    >>> code = code_at(secret, now)
    >>> step = step_of(secret, code, now, 0)
    >>> step == 1776643200 // 30, step_of(secret, code, now, step)
    (True, None)
    """
    totp = pyotp.TOTP(secret)
    present = totp.timecode(now)
    for step in range(present - WINDOW, present + WINDOW + 1):
        right = pyotp.utils.strings_equal(totp.generate_otp(step), code)
        if right and step > used:
            return step
    return None


def code_at(secret: str, now: datetime) -> str:
    """Return the code that an authenticator shows at a moment."""
    return pyotp.TOTP(secret).at(now)


def as_base32(data: bytes) -> str:
    """Write bytes in letters and digits that are not taken for one another."""
    return base64.b32encode(data).decode("ascii").rstrip("=")


def in_groups(text: str) -> str:
    """Write a secret in groups of four, to be read aloud and typed.

    >>> in_groups("JBSWY3DPEHPK3PXP")
    'JBSW Y3DP EHPK 3PXP'
    """
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def picture(secret: str, name: str) -> bytes:
    """Return the QR code that authenticators take the secret from, as SVG."""
    address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
    drawn = io.BytesIO()
    code = segno.make(address, error="m", micro=False)
    code.save(drawn, kind="svg", scale=5, border=4, light="#fff")
    return drawn.getvalue()
