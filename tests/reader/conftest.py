"""A card reader for the tests: the real pcscd with virtual slots and cards."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pcsc_daemon import Daemon, Unavailable
from virtual_card import HEALTH_ATR, Answer, Insert, VirtualCard

from jiepin.reader.errors import NotInstalled
from jiepin.reader.pcsc import PcscPort

EMPTY_SECONDS = 5.0


@pytest.fixture(scope="session")
def pcscd() -> Iterator[Daemon]:
    """One pcscd for all tests; they are skipped where it cannot run."""
    try:
        PcscPort()
        with Daemon() as daemon:
            yield daemon
    except (NotInstalled, Unavailable) as error:
        pytest.skip(f"no card reader to test with: {error}")


@pytest.fixture
def daemon(pcscd: Daemon) -> Daemon:
    """A pcscd that runs with two empty slots, `daemon.SLOTS`."""
    pcscd.ensure()
    wait_until_empty()
    return pcscd


@pytest.fixture
def insert(daemon: Daemon) -> Iterator[Insert]:
    """insert(answer, slot=0, atr=HEALTH_ATR) gives a card; all go at the end."""
    cards: list[VirtualCard] = []

    def insert_card(
        answer: Answer, slot: int = 0, atr: bytes = HEALTH_ATR
    ) -> VirtualCard:
        card = VirtualCard(atr, answer, daemon.ports[slot])
        card.insert()
        cards.append(card)
        return card

    yield insert_card
    for card in cards:
        card.remove()


def wait_until_empty() -> None:
    """Wait until the card of the test before is seen to be gone."""
    port = PcscPort()
    end = time.monotonic() + EMPTY_SECONDS
    slots = port.wait(None, 0)
    while any(slot.present for slot in slots if slot.name in Daemon.SLOTS):
        assert time.monotonic() < end, slots
        slots = port.wait(slots, EMPTY_SECONDS)
