"""What is told of reader and card, and that nothing waits for a card for ever."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from memory_port import MemoryPort, fixture_card

from jiepin.reader import apdu, errors
from jiepin.reader.errors import CardError
from jiepin.reader.replay import PracticeCard
from jiepin.reader.watch import State, Watch

PATIENCE = 20.0  # seconds; the tests wait for what happens, never for a time


def run(
    port: MemoryPort,
    story: Callable[[Watch], Awaitable[Any]],
    card_seconds: float = PATIENCE,
) -> None:
    async def tell() -> None:
        async with Watch(port, card_seconds) as watch:
            await story(watch)

    asyncio.run(tell())


async def until(watch: Watch, reader: str | None, card: str | None) -> State:
    """Wait until reader and card are told as expected."""

    async def seen() -> State:
        state = watch.state
        while (code(state.reader), code(state.card)) != (reader, card):
            state = await watch.after(state.number, PATIENCE)
        return state

    async with asyncio.timeout(PATIENCE):
        return await seen()


def code(error: CardError | None) -> str | None:
    return None if error is None else error.code


def test_the_three_lines_go_green_one_after_the_other() -> None:
    port = MemoryPort(trouble=errors.NoService())

    async def story(watch: Watch) -> None:
        await until(watch, "no-service", "no-service")
        port.fail(errors.NoReader())
        await until(watch, "no-reader", "no-reader")
        port.fail(None)
        await until(watch, None, "no-card")
        port.insert(fixture_card("health"))
        await until(watch, None, None)
        port.pull()
        await until(watch, None, "no-card")
        port.fail(errors.NoService())
        await until(watch, "no-service", "no-service")

    run(port, story)


def test_a_card_is_read() -> None:
    port = MemoryPort()

    async def story(watch: Watch) -> None:
        await until(watch, None, "no-card")
        with pytest.raises(errors.NoCard):
            await watch.read()
        port.insert(fixture_card("health"))
        await until(watch, None, None)
        assert (await watch.read()).national_id == "A123456789"
        assert (await watch.read()).national_id == "A123456789"

    run(port, story)


def test_nothing_personal_is_read_before_a_reading_is_asked_for() -> None:
    port = MemoryPort()
    port.insert(fixture_card("health"))

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        assert port.commands == [apdu.SELECT]
        await watch.read()
        assert apdu.READ in port.commands

    run(port, story)


def test_a_newer_card_that_refuses_select_is_a_health_card() -> None:
    port = MemoryPort()
    port.insert(fixture_card("newer"))

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        assert (await watch.read()).name == "陳喆堃"

    run(port, story)


def test_another_card_is_told_apart_and_not_asked_again() -> None:
    port = MemoryPort()
    port.insert(fixture_card("citizen"))

    async def story(watch: Watch) -> None:
        await until(watch, None, "not-a-health-card")
        opened = port.opened
        with pytest.raises(errors.NotHealthCard):
            await watch.read()
        await asyncio.sleep(1)
        assert port.opened == opened

    run(port, story)


def test_garbage_passes_select_and_fails_when_read() -> None:
    port = MemoryPort()
    port.insert(fixture_card("garbage"))

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        with pytest.raises(errors.NotHealthCard, match="the card number"):
            await watch.read()
        await until(watch, None, "not-a-health-card")
        await asyncio.sleep(0.5)  # and it is not found healthy again
        assert code(watch.state.card) == "not-a-health-card"
        port.pull()
        port.insert(fixture_card("health"))
        await until(watch, None, None)

    run(port, story)


def test_the_health_card_among_several_is_found() -> None:
    port = MemoryPort(names=("A", "B"))
    port.insert(fixture_card("citizen"), "A")
    port.insert(fixture_card("health"), "B")

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        assert (await watch.read()).name == "林小明"
        port.pull("B")
        await until(watch, None, "not-a-health-card")

    run(port, story)


def test_a_card_that_never_answers_ends_in_timeout_and_stops_nothing() -> None:
    port = MemoryPort(names=("A", "B"))
    port.insert(fixture_card("silent"))

    async def story(watch: Watch) -> None:
        await until(watch, None, "timeout")
        opened = port.opened
        with pytest.raises(errors.CardTimeout):
            await watch.read()
        assert port.opened == opened  # nobody asks it again
        port.insert(fixture_card("health"), "B")
        await until(watch, None, None)
        assert (await watch.read()).name == "林小明"
        port.pull("B")
        await until(watch, None, "timeout")
        port.pull("A")
        port.insert(fixture_card("health"), "A")
        await until(watch, None, None)

    run(port, story, card_seconds=0.5)


def test_a_card_that_falls_silent_while_it_is_read() -> None:
    port = MemoryPort()
    health = fixture_card("health")
    port.insert(type(health)(health.atr, {apdu.SELECT: b"\x90\x00", apdu.READ: None}))

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        with pytest.raises(errors.CardTimeout):
            await watch.read()
        await until(watch, None, "timeout")
        port.pull()
        await until(watch, None, "no-card")

    run(port, story, card_seconds=0.5)


def test_a_card_that_answers_late_is_asked_anew() -> None:
    """Another program kept it busy for longer than anybody waits."""
    port = MemoryPort()
    free = threading.Event()
    health = fixture_card("health")

    class Busy(PracticeCard):
        def answer(self, command: bytes) -> bytes | None:
            free.wait(PATIENCE)
            return health.answer(command)

    port.insert(Busy(health.atr, health.answers))

    async def story(watch: Watch) -> None:
        await until(watch, None, "timeout")
        free.set()
        await until(watch, None, None)
        assert (await watch.read()).name == "林小明"

    run(port, story, card_seconds=0.5)


def test_a_card_pulled_while_it_is_read() -> None:
    port = MemoryPort()
    health = fixture_card("health")
    port.insert(type(health)(health.atr, {apdu.SELECT: b"\x90\x00", apdu.READ: None}))

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        reading = asyncio.create_task(watch.read())
        while apdu.READ not in port.commands:
            await asyncio.sleep(0.01)
        port.pull()
        with pytest.raises(errors.NoCard):
            await reading
        await until(watch, None, "no-card")

    run(port, story)


def test_a_mute_card_is_not_touched() -> None:
    port = MemoryPort(mute=True)
    port.insert(fixture_card("health"))

    async def story(watch: Watch) -> None:
        await until(watch, None, "card-mute")
        with pytest.raises(errors.CardMute):
            await watch.read()
        assert port.opened == 0

    run(port, story)


def test_a_card_that_another_program_holds_is_asked_again() -> None:
    port = MemoryPort(on_open=errors.CardInUse())
    port.insert(fixture_card("health"))

    async def story(watch: Watch) -> None:
        await until(watch, None, "card-in-use")
        with pytest.raises(errors.CardInUse):
            await watch.read()
        port.on_open = None
        await until(watch, None, None)
        assert (await watch.read()).name == "林小明"

    run(port, story)


def test_contacts_that_bounce_at_insertion_are_forgiven() -> None:
    port = MemoryPort(on_open=errors.CardMute())
    port.insert(fixture_card("health"))

    async def story(watch: Watch) -> None:
        while port.opened < 1:
            await asyncio.sleep(0.01)
        port.on_open = None
        await until(watch, None, None)

    run(port, story)


def test_nothing_unforeseen_stops_the_look_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = MemoryPort()
    port.insert(fixture_card("health"))
    wait = MemoryPort.wait

    def odd(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"A123456789", 0, 1, "odd")

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        monkeypatch.setattr(MemoryPort, "wait", odd)
        await until(watch, "no-service", "no-service")
        monkeypatch.setattr(MemoryPort, "wait", wait)
        await until(watch, None, None)

    run(port, story)
    assert "A123456789" not in caplog.text


def test_what_is_unforeseen_of_a_card_makes_it_mute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = MemoryPort()
    health = fixture_card("health")

    def odd(*_: object) -> None:
        raise OSError("odd")

    async def story(watch: Watch) -> None:
        await until(watch, None, "no-card")
        monkeypatch.setattr(MemoryPort, "open", odd)
        port.insert(health)
        await until(watch, None, "card-mute")

    run(port, story)


def test_a_card_put_back_at_once_is_judged_again() -> None:
    port = MemoryPort()
    port.insert(fixture_card("citizen"))

    async def story(watch: Watch) -> None:
        await until(watch, None, "not-a-health-card")
        port.insert(fixture_card("health"))  # between two looks
        await until(watch, None, None)

    run(port, story)


def test_readings_at_the_same_time_take_turns() -> None:
    port = MemoryPort()
    health = fixture_card("health")

    class Slow(PracticeCard):
        def answer(self, command: bytes) -> bytes | None:
            time.sleep(0.02)
            return health.answer(command)

    port.insert(Slow(health.atr, health.answers))

    async def story(watch: Watch) -> None:
        records = await asyncio.gather(*(watch.read() for _ in range(5)))
        assert {record.name for record in records} == {"林小明"}
        assert port.commands[1:] == [apdu.SELECT, apdu.READ] * 5

    run(port, story)


def test_who_waits_behind_a_silent_reading_does_not_begin_another() -> None:
    port = MemoryPort()
    health = fixture_card("health")
    port.insert(type(health)(health.atr, {apdu.SELECT: b"\x90\x00", apdu.READ: None}))

    async def story(watch: Watch) -> None:
        await until(watch, None, None)
        two = await asyncio.gather(watch.read(), watch.read(), return_exceptions=True)
        assert [type(error) for error in two] == [errors.CardTimeout] * 2
        assert port.commands.count(apdu.READ) == 1

    run(port, story, card_seconds=0.5)


def test_who_waits_is_told_and_who_is_up_to_date_waits() -> None:
    port = MemoryPort()

    async def story(watch: Watch) -> None:
        state = await until(watch, None, "no-card")
        assert await watch.after(state.number, 0.05) == state
        assert await watch.after(state.number - 1, PATIENCE) == state
        waiting = [
            asyncio.create_task(watch.after(state.number, PATIENCE)) for _ in range(3)
        ]
        await asyncio.sleep(0)
        port.insert(fixture_card("health"))
        for later in await asyncio.gather(*waiting):
            assert later.number == state.number + 1
            assert later.card is None

    run(port, story)


def test_the_log_holds_status_words_and_answers_to_reset_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    port = MemoryPort()
    port.insert(fixture_card("citizen"))

    async def story(watch: Watch) -> None:
        await until(watch, None, "not-a-health-card")
        port.pull()
        port.insert(fixture_card("health"))
        await until(watch, None, None)
        await watch.read()

    run(port, story)
    assert "GET DATA answered 6A86" in caplog.text
    assert fixture_card("health").atr.hex(" ") in caplog.text
    for part in ("000012345678", "林", "A123456789", "0740309", "1985"):
        assert part not in caplog.text
