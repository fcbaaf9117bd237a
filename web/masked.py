"""Names for everybody's eyes: enough to know oneself by, no more."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_HIDDEN = "○"
_JOINERS = ("\u200c", "\u200d")


def masked(name: str) -> str:
    """Hide a name but for its first and its last character.

    Of two characters the second is hidden. What divides a name stays, as do marks that
    belong to a character: a rare one counts as one, however it is written.

    >>> masked("林小明"), masked("林明"), masked("歐陽小明"), masked("林")
    ('林○明', '林○', '歐○○明', '○')
    >>> masked("谷辣斯·尤達卡"), masked("Lin Ming-Hua")
    ('谷○○·○○卡', 'L○○ ○○○○-○○a')
    """
    parts = list(_characters(unicodedata.normalize("NFC", name)))
    letters = [at for at, part in enumerate(parts) if not _divides(part[0])]
    shown = set(letters[:1] if len(letters) > 1 else ())
    if len(letters) > 2:
        shown.add(letters[-1])
    hidden = set(letters) - shown
    return "".join(_HIDDEN if at in hidden else part for at, part in enumerate(parts))


def _divides(character: str) -> bool:
    """Tell spaces, dots and hyphens; all else is hidden, whatever Unicode calls it.

    Rare characters of names may be private ones, or newer than our tables.
    """
    return unicodedata.category(character)[0] in "ZP"


def _characters(text: str) -> Iterator[str]:
    """Yield each character with the marks and variation selectors that follow it."""
    whole = ""
    for character in text:
        if whole and not _belongs(character, whole):
            yield whole
            whole = ""
        whole += character
    if whole:
        yield whole


def _belongs(character: str, before: str) -> bool:
    return (
        character in _JOINERS
        or before.endswith(_JOINERS[1])
        or unicodedata.category(character) in ("Mn", "Mc", "Me")
    )
