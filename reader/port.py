"""What a card reader can do: the protocol that real and replayed readers share.

`Port` tells which slots there are and waits for a change without touching a card;
`Port.open` powers a card and gives a `Card` that answers commands. All calls block:
`watch` runs them in threads of their own.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a card reader as it is now.

    `changes` grows with every insertion and removal, so that a card pulled and put
    back between two looks is seen. `atr` is the answer to reset, empty without a card.
    """

    name: str
    present: bool
    mute: bool = False
    atr: bytes = b""
    changes: int = 0


class Card(Protocol):
    """A powered card."""

    def transmit(self, command: bytes) -> bytes:
        """Return the answer to one command: data, then the two status bytes.

        May block for ever with a card that never answers. Raises CardError.
        """
        ...


class Port(Protocol):
    """A way to the card readers of this computer."""

    source: str  # "pcsc" or "replay", told with every reading

    def wait(self, known: tuple[Slot, ...] | None, seconds: float) -> tuple[Slot, ...]:
        """Return the slots, at once if they differ from `known`, else after a while.

        Never empty: raises NoService without a smart card service and NoReader
        without a reader. Slots come in the order of their names.
        """
        ...

    def open(self, name: str) -> AbstractContextManager[Card]:
        """Power the card in a slot, shared with other programs, and leave it as it is.

        Raises CardError: NoReader, NoCard, CardMute or CardInUse.
        """
        ...
