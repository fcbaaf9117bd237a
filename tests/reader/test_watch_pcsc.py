"""The watch over the real smart card service, with cards that misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from memory_port import fixture_card
from pcsc_daemon import Daemon
from virtual_card import Insert, VirtualCard

from jiepin.reader import apdu, errors
from jiepin.reader.pcsc import PcscPort
from jiepin.reader.watch import Watch

PATIENCE = 30.0  # seconds; the tests wait for what happens, never for a time
HEALTH = fixture_card("health")
CITIZEN = fixture_card("citizen")
SILENT = fixture_card("silent")


def run(story: Callable[[Watch], Awaitable[Any]], card_seconds: float = 5.0) -> None:
    async def tell() -> None:
        async with Watch(PcscPort(), card_seconds) as watch:
            await story(watch)

    asyncio.run(tell())


async def until(watch: Watch, reader: str | None, card: str | None) -> float:
    """Wait until reader and card are told as expected; return the seconds it took."""
    start = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        state = watch.state
        while (code(state.reader), code(state.card)) != (reader, card):
            state = await watch.after(state.number, PATIENCE)
    return time.monotonic() - start


def code(error: errors.CardError | None) -> str | None:
    return None if error is None else error.code


def test_insert_read_remove(insert: Insert) -> None:
    async def story(watch: Watch) -> None:
        await until(watch, None, "no-card")
        card: VirtualCard = insert(HEALTH.answer, atr=HEALTH.atr)
        seen = await until(watch, None, None)
        start = time.monotonic()
        assert (await watch.read()).national_id == "A123456789"
        read = time.monotonic() - start
        card.remove()
        gone = await until(watch, None, "no-card")
        print(f"seen {seen:.3f} s, read {read:.4f} s, gone {gone:.3f} s")

    run(story)


def test_a_wrong_card(insert: Insert) -> None:
    insert(CITIZEN.answer, atr=CITIZEN.atr)

    async def story(watch: Watch) -> None:
        await until(watch, None, "not-a-health-card")
        with pytest.raises(errors.NotHealthCard):
            await watch.read()

    run(story)


def test_a_mute_card(insert: Insert) -> None:
    insert(HEALTH.answer, atr=bytes(40))

    async def story(watch: Watch) -> None:
        await until(watch, None, "card-mute")

    run(story)


@pytest.mark.usefixtures("daemon")
def test_a_card_pulled_between_select_and_get_data(insert: Insert) -> None:
    pulling = False

    def answer(command: bytes) -> bytes | None:
        if pulling and command == apdu.READ:
            card.remove()
            return None
        return HEALTH.answer(command)

    card: VirtualCard = insert(answer, atr=HEALTH.atr)

    async def story(watch: Watch) -> None:
        nonlocal pulling
        await until(watch, None, None)
        pulling = True
        with pytest.raises(errors.CardError) as caught:
            await watch.read()
        # a card whose absence the reader has not noticed yet is a mute one
        assert caught.value.code in ("no-card", "card-mute")
        await until(watch, None, "no-card")

    run(story)


def test_a_silent_card_ends_in_timeout_and_is_freed_by_pulling(insert: Insert) -> None:
    card: VirtualCard = insert(SILENT.answer, atr=SILENT.atr)

    async def story(watch: Watch) -> None:
        await until(watch, None, "timeout")
        with pytest.raises(errors.CardTimeout):
            await watch.read()
        insert(HEALTH.answer, slot=1, atr=HEALTH.atr)
        await until(watch, None, None)
        assert (await watch.read()).name == "林小明"
        card.remove()

    run(story, card_seconds=1.0)


def test_the_health_card_in_the_second_slot(insert: Insert) -> None:
    insert(CITIZEN.answer, atr=CITIZEN.atr)
    insert(HEALTH.answer, slot=1, atr=HEALTH.atr)

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        assert (await watch.read()).name == "林小明"

    run(story)


def test_no_reader_no_service_and_back(daemon: Daemon) -> None:
    async def story(watch: Watch) -> None:
        await until(watch, None, "no-card")
        await asyncio.to_thread(daemon.stop)
        await until(watch, "no-service", "no-service")
        await asyncio.to_thread(daemon.start, readers=False)
        await until(watch, "no-reader", "no-reader")
        await asyncio.to_thread(daemon.restart)
        await until(watch, None, "no-card")
        with VirtualCard(HEALTH.atr, HEALTH.answer, daemon.ports[0]):
            await until(watch, None, None)
            assert (await watch.read()).name == "林小明"
        await until(watch, None, "no-card")

    run(story)
