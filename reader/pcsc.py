"""The card readers of this computer, through PC/SC; no other module imports pyscard.

Every call makes a context of its own, so that a smart card service which was restarted
in between is simply used anew. Cards are shared with other programs and left powered
as they were; a transaction keeps the others out while a card is read.

Return codes have the same numbers everywhere (Windows gives them signed). Where a code
does not tell what happened, the slots are looked at again and tell it.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jiepin.reader.errors import (
    CardError,
    CardInUse,
    CardMute,
    NoCard,
    NoReader,
    NoService,
    NotInstalled,
)
from jiepin.reader.port import Card, Slot

INSTALL_HINT = (
    "On Debian and Ubuntu first: apt-get install libpcsclite-dev gcc, since pyscard is "
    "compiled there."
)
IDLE_SECONDS = 0.05  # between looks when a wait ends again and again without a change
SETTLE_SECONDS = 1.0  # a removed card is noticed within this; pcscd looks each 0.4 s

# a pseudo reader that changes when a reader is plugged in or out; macOS has none
PLUG = () if sys.platform == "darwin" else (r"\\?PnP?\Notification",)

OK = 0
TIMEOUT = 0x8010000A
RESET_CARD = 0x80100068

MEANING: dict[int, type[CardError]] = {
    0x80100003: NoService,  # INVALID_HANDLE: the service was restarted meanwhile
    0x80100012: NoService,  # SYSTEM_CANCELLED: the session of the user ends
    0x80100013: NoService,  # COMM_ERROR: the service stopped in the middle of a call
    0x80100018: NoService,  # SHUTDOWN
    0x8010001D: NoService,  # NO_SERVICE
    0x8010001E: NoService,  # SERVICE_STOPPED
    0x80100027: NoService,  # NO_ACCESS
    0x8010006A: NoService,  # SECURITY_VIOLATION: polkit refuses this user
    0x80100009: NoReader,  # UNKNOWN_READER
    0x80100017: NoReader,  # READER_UNAVAILABLE
    0x8010002E: NoReader,  # NO_READERS_AVAILABLE
    0x8010000C: NoCard,  # NO_SMARTCARD
    0x80100069: NoCard,  # REMOVED_CARD
    0x8010000B: CardInUse,  # SHARING_VIOLATION
    RESET_CARD: CardInUse,  # by another program, in the middle of ours
    0x8010000F: CardMute,  # PROTO_MISMATCH: neither T=0 nor T=1
    0x80100015: CardMute,  # INVALID_ATR
    0x8010001C: CardMute,  # CARD_UNSUPPORTED
    0x80100065: CardMute,  # UNSUPPORTED_CARD
    0x80100066: CardMute,  # UNRESPONSIVE_CARD
    0x80100067: CardMute,  # UNPOWERED_CARD
}

States = list[tuple[str, int, list[int]]]  # name, event state, answer to reset


class PcscPort:
    """The slots of all card readers; raises NotInstalled without pyscard."""

    source = "pcsc"

    def __init__(self) -> None:
        try:
            self._scard: Any = importlib.import_module("smartcard.scard")
        except ImportError:
            raise NotInstalled(INSTALL_HINT) from None

    def wait(self, known: tuple[Slot, ...] | None, seconds: float) -> tuple[Slot, ...]:
        """Return the slots, at once if they differ from `known`, else after a while."""
        end = time.monotonic() + seconds
        woken = False
        with self._context() as context:
            while True:
                states = self._look(context)
                slots = tuple(self._slot(*state) for state in states)
                left = end - time.monotonic()
                if slots != known or left <= 0:
                    return slots
                if woken:  # another program came or went, or nothing is told here
                    time.sleep(min(IDLE_SECONDS, left))
                self._sleep(context, states, left)
                woken = True

    @contextmanager
    def open(self, name: str) -> Iterator[Card]:
        """Power the card in a slot, shared with other programs, and leave it as it is.

        Commands run in one transaction. Blocks as long as another program has one;
        CardInUse tells of a program that keeps the card for itself.
        """
        scard = self._scard
        with self._context() as context:
            slot = self._slot_named(context, name)
            shared = (scard.SCARD_SHARE_SHARED, self._protocols)
            code, handle, protocol = scard.SCardConnect(context, name, *shared)
            self._check(code, slot)
            try:
                code = scard.SCardBeginTransaction(handle)
                if code & 0xFFFFFFFF == RESET_CARD:  # by another, before it was ours
                    again = (*shared, scard.SCARD_LEAVE_CARD)
                    code, protocol = scard.SCardReconnect(handle, *again)
                    self._check(code, slot)
                    code = scard.SCardBeginTransaction(handle)
                self._check(code, slot)
                try:
                    yield _PcscCard(self, slot, handle, protocol)
                finally:
                    scard.SCardEndTransaction(handle, scard.SCARD_LEAVE_CARD)
            finally:
                scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def _transmit(
        self, slot: Slot, handle: int, protocol: int, command: bytes
    ) -> bytes:
        """Return the answer of the card that was found in a slot."""
        scard = self._scard
        t0 = protocol == scard.SCARD_PROTOCOL_T0
        header = scard.SCARD_PCI_T0 if t0 else scard.SCARD_PCI_T1
        code, answer = scard.SCardTransmit(handle, header, list(command))
        self._check(code, slot)
        if len(answer) < 2:  # a driver may tell so of a card pulled while it was asked
            raise self._told_by(slot, f"PC/SC: an answer of {len(answer)} bytes")
        return bytes(answer)

    @property
    def _protocols(self) -> int:
        return int(self._scard.SCARD_PROTOCOL_T0 | self._scard.SCARD_PROTOCOL_T1)

    @contextmanager
    def _context(self) -> Iterator[int]:
        scard = self._scard
        code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        self._check(code)
        try:
            yield context
        finally:
            scard.SCardReleaseContext(context)

    def _look(self, context: int) -> States:
        """Return the state of every slot as it is now, in the order of their names."""
        scard = self._scard
        code, names = scard.SCardListReaders(context, [])
        self._check(code)
        asked = [(name, scard.SCARD_STATE_UNAWARE) for name in sorted(names)]
        if not asked:
            raise NoReader
        code, states = scard.SCardGetStatusChange(context, 0, asked)
        if code & 0xFFFFFFFF != TIMEOUT:
            self._check(code)
        gone = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE
        there = [state for state in states if not state[1] & gone]
        if not there:
            raise NoReader
        return there

    def _slot(self, name: str, event: int, atr: list[int]) -> Slot:
        present = bool(event & self._scard.SCARD_STATE_PRESENT)
        return Slot(
            name,
            present,
            mute=present and bool(event & self._scard.SCARD_STATE_MUTE),
            atr=bytes(atr) if present else b"",
            changes=event >> 16 & 0xFFFF,
        )

    def _slot_named(self, context: int, name: str) -> Slot:
        for state in self._look(context):
            if state[0] == name:
                return self._slot(*state)
        raise NoReader

    def _sleep(self, context: int, states: States, seconds: float) -> None:
        """Sleep until a state changes or a reader comes; the next look says which."""
        scard = self._scard
        told = scard.SCARD_STATE_CHANGED | scard.SCARD_STATE_IGNORE
        known = [(name, event & ~told) for name, event, _ in states]
        known += [(plug, len(states) << 16) for plug in PLUG]
        scard.SCardGetStatusChange(context, max(1, round(seconds * 1000)), known)

    def _check(self, code: int, slot: Slot | None = None) -> None:
        """Raise what a return code means; an unclear one is told by the slot."""
        code &= 0xFFFFFFFF
        if code == OK:
            return
        detail = f"PC/SC 0x{code:08X}"
        if meaning := MEANING.get(code):
            raise meaning(detail)
        raise NoService(detail) if slot is None else self._told_by(slot, detail)

    def _told_by(self, before: Slot, detail: str) -> CardError:
        """Return what a failure means, from how the slot differs from before."""
        try:
            slots = self.wait(None, 0)
            if before in slots:
                slots = self.wait(slots, SETTLE_SECONDS)
        except CardError as error:
            return error
        if before in slots:
            return CardMute(detail)
        there = any(slot.name == before.name for slot in slots)
        return NoCard(detail) if there else NoReader(detail)


@dataclass(frozen=True, slots=True)
class _PcscCard:
    port: PcscPort
    slot: Slot
    handle: int
    protocol: int

    def transmit(self, command: bytes) -> bytes:
        """Return the answer to one command: data, then the two status bytes."""
        return self.port._transmit(self.slot, self.handle, self.protocol, command)
