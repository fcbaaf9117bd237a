"""PC/SC with the real pcscd and virtual cards; where those cannot show it, a fake."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from pcsc_daemon import Daemon
from virtual_card import HEALTH_ATR, Insert, VirtualCard

from jiepin.reader import pcsc
from jiepin.reader.errors import (
    CardError,
    CardInUse,
    CardMute,
    NoCard,
    NoReader,
    NoService,
    NotInstalled,
)
from jiepin.reader.pcsc import PcscPort
from jiepin.reader.port import Slot

scard = pytest.importorskip("smartcard.scard", reason="pyscard is not installed")

SELECT = bytes.fromhex("00A4040010D1580000010000000000000000001100")
READ = bytes.fromhex("00CA1100020000")
DONE = bytes.fromhex("9000")
FIRST, SECOND = Daemon.SLOTS
PATIENCE = 5.0  # seconds; pcscd looks at its slots every 0.4


def obedient(command: bytes) -> bytes:
    """Answer 9000, and to READ 57 bytes before it."""
    return bytes(range(57)) + DONE if command == READ else DONE


def silent(_: bytes) -> None:
    """Never answer."""


def first_slot(port: PcscPort) -> Slot:
    return port.wait(None, 0)[0]


def wait_for(port: PcscPort, wanted: Callable[[Slot], bool], slot: int = 0) -> Slot:
    """Return the slot as soon as it is as wanted."""
    end = time.monotonic() + PATIENCE
    slots = port.wait(None, 0)
    while not wanted(slots[slot]):
        assert time.monotonic() < end, slots
        slots = port.wait(slots, PATIENCE)
    return slots[slot]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def present(slot: Slot) -> bool:
    return slot.present


def absent(slot: Slot) -> bool:
    return not slot.present


class Later(threading.Thread):
    """A call in a thread: what it returns or raises, and whether it has ended."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: object = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._call()
        except CardError as error:
            self.result = error

    def outcome(self) -> object:
        self.join(PATIENCE)
        assert not self.is_alive(), "blocked"
        return self.result


class OtherProgram:
    """Another program that is connected to the card in the first slot."""

    def __init__(self, context: int, exclusive: bool) -> None:
        share = scard.SCARD_SHARE_EXCLUSIVE if exclusive else scard.SCARD_SHARE_SHARED
        self._how = (share, scard.SCARD_PROTOCOL_T1)
        code, self._handle, _ = scard.SCardConnect(context, FIRST, *self._how)
        assert code == scard.SCARD_S_SUCCESS

    def transmit(self, command: bytes) -> tuple[int, bytes]:
        told = scard.SCardTransmit(self._handle, scard.SCARD_PCI_T1, list(command))
        return told[0], bytes(told[1])

    def begin(self) -> None:
        assert scard.SCardBeginTransaction(self._handle) == scard.SCARD_S_SUCCESS

    def reset(self) -> None:
        how = (*self._how, scard.SCARD_RESET_CARD)
        assert scard.SCardReconnect(self._handle, *how)[0] == scard.SCARD_S_SUCCESS

    def end(self) -> None:
        scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD)


@contextmanager
def other_program(exclusive: bool = False) -> Iterator[OtherProgram]:
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    assert code == scard.SCARD_S_SUCCESS
    try:
        yield OtherProgram(context, exclusive)
    finally:
        scard.SCardReleaseContext(context)


# slots


def test_without_service(daemon: Daemon) -> None:
    daemon.stop()
    port = PcscPort()
    with pytest.raises(NoService, match="0x8010001D"):
        port.wait(None, 0)
    with pytest.raises(NoService, match="0x8010001D"), port.open(FIRST):
        pass


def test_without_reader(daemon: Daemon) -> None:
    daemon.ensure(readers=False)
    port = PcscPort()
    with pytest.raises(NoReader):
        port.wait(None, 0)
    with pytest.raises(NoReader), port.open(FIRST):
        pass


def test_two_empty_slots(daemon: Daemon) -> None:
    daemon.restart()
    port = PcscPort()
    empty = (Slot(FIRST, present=False), Slot(SECOND, present=False))
    assert port.wait(None, 0) == empty
    assert port.wait(empty, 0.2) == empty
    with pytest.raises(NoCard), port.open(FIRST):
        pass
    with pytest.raises(NoReader), port.open("no such reader"):
        pass


def test_insertion_and_removal_are_seen(
    insert: Insert, capsys: pytest.CaptureFixture[str]
) -> None:
    port = PcscPort()
    empty = port.wait(None, 0)
    waiting = Later(lambda: port.wait(empty, 2 * PATIENCE))
    time.sleep(0.3)
    start = time.monotonic()
    card = insert(obedient)
    full = waiting.outcome()
    seen = time.monotonic() - start
    changes = empty[0].changes + 1
    assert full == (Slot(FIRST, True, False, HEALTH_ATR, changes), empty[1])

    waiting = Later(lambda: port.wait(full, 2 * PATIENCE))
    time.sleep(0.3)
    start = time.monotonic()
    card.remove()
    again = waiting.outcome()
    missed = time.monotonic() - start
    assert again == (Slot(FIRST, False, changes=changes + 1), empty[1])
    with capsys.disabled():
        print(f"\ninsertion seen after {seen:.3f} s, removal after {missed:.3f} s")


def test_nothing_new_is_no_news(insert: Insert) -> None:
    insert(obedient)
    port = PcscPort()
    wait_for(port, present)
    slots = port.wait(None, 0)
    waiting = Later(lambda: port.wait(slots, 1.0))
    with other_program():  # wakes the wait: the card is in use
        time.sleep(0.3)
    assert waiting.outcome() == slots


def test_a_card_pulled_and_put_back_at_once_is_seen(insert: Insert) -> None:
    card = insert(obedient)
    port = PcscPort()
    before = wait_for(port, present)
    wait_until(lambda: not card.powered)  # vpcd takes a swap before that for none
    card.insert()
    after = wait_for(port, lambda slot: slot.changes == before.changes + 2)
    assert after == Slot(FIRST, True, False, HEALTH_ATR, before.changes + 2)


def test_wait_without_notice_of_new_readers(
    insert: Insert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc, "PLUG", ())  # as on macOS
    port = PcscPort()
    empty = port.wait(None, 0)
    waiting = Later(lambda: port.wait(empty, 2 * PATIENCE))
    insert(obedient)
    assert waiting.outcome() != empty


def test_a_service_restarted_between_calls(daemon: Daemon, insert: Insert) -> None:
    card = insert(obedient)
    port = PcscPort()
    wait_for(port, present)
    daemon.restart()
    assert not first_slot(port).present
    card.insert()
    wait_for(port, present)
    with port.open(FIRST) as opened:
        assert opened.transmit(SELECT) == DONE


def test_a_service_that_crashed_is_started_anew(daemon: Daemon) -> None:
    daemon.stop(force=True)  # leaves its socket behind
    port = PcscPort()
    with pytest.raises(NoService):
        port.wait(None, 0)
    daemon.start()
    assert [slot.name for slot in port.wait(None, 0)] == [FIRST, SECOND]


def test_a_service_that_stops_while_somebody_waits(daemon: Daemon) -> None:
    port = PcscPort()
    slots = port.wait(None, 0)
    waiting = Later(lambda: port.wait(slots, 2 * PATIENCE))
    time.sleep(0.3)
    daemon.stop()
    assert isinstance(waiting.outcome(), NoService)


# cards


def test_commands_and_answers_pass_unchanged(insert: Insert) -> None:
    port = PcscPort()
    long_answer = bytes(range(256)) + DONE
    first = insert(obedient)
    second = insert(lambda _: long_answer, slot=1)
    wait_for(port, present)
    wait_for(port, present, slot=1)
    with port.open(FIRST) as opened, port.open(SECOND) as other:
        assert opened.transmit(SELECT) == DONE
        assert other.transmit(READ) == long_answer
        assert opened.transmit(READ) == bytes(range(57)) + DONE
    assert first.commands == [SELECT, READ]
    assert second.commands == [READ]


def test_how_long_a_reading_takes(
    insert: Insert, capsys: pytest.CaptureFixture[str]
) -> None:
    insert(obedient)
    port = PcscPort()
    wait_for(port, present)
    seconds = []
    for _ in range(5):
        start = time.monotonic()
        with port.open(FIRST) as opened:
            opened.transmit(SELECT)
            opened.transmit(READ)
        seconds.append(time.monotonic() - start)
    with capsys.disabled():
        print("\nreadings took", *(f"{second * 1000:.1f} ms" for second in seconds))


def test_other_programs_keep_their_card(insert: Insert) -> None:
    insert(obedient)
    port = PcscPort()
    wait_for(port, present)
    with other_program() as other:
        with port.open(FIRST) as opened:
            assert opened.transmit(SELECT) == DONE
        # a reset in between would be told to the other program
        assert other.transmit(SELECT) == (0, DONE)


def test_a_card_held_by_another_program(insert: Insert) -> None:
    insert(obedient)
    port = PcscPort()
    wait_for(port, present)
    with (
        other_program(exclusive=True),
        pytest.raises(CardInUse, match="0x8010000B"),
        port.open(FIRST),
    ):
        pass
    with port.open(FIRST) as opened:
        assert opened.transmit(SELECT) == DONE


def test_the_turn_comes_after_another_transaction(insert: Insert) -> None:
    card = insert(obedient)
    port = PcscPort()
    wait_for(port, present)

    def select() -> bytes:
        with port.open(FIRST) as opened:
            return opened.transmit(SELECT)

    with other_program() as other:
        other.begin()
        waiting = Later(select)
        time.sleep(0.5)
        assert waiting.is_alive()
        assert card.commands == []
        other.reset()
        other.end()
        assert waiting.outcome() == DONE


def test_a_card_pulled_between_two_commands(insert: Insert) -> None:
    card = insert(obedient)
    port = PcscPort()
    wait_for(port, present)
    with port.open(FIRST) as opened:
        assert opened.transmit(SELECT) == DONE
        card.remove()
        with pytest.raises(NoCard):
            opened.transmit(READ)


def test_a_card_put_back_between_two_commands(insert: Insert) -> None:
    card = insert(obedient)
    port = PcscPort()
    before = wait_for(port, present)
    with port.open(FIRST) as opened:
        card.insert()
        wait_for(port, lambda slot: slot.present and slot != before)
        with pytest.raises(NoCard, match="0x80100069"):
            opened.transmit(READ)


def test_a_card_pulled_before_it_answers(insert: Insert) -> None:
    def flee(_: bytes) -> bytes:
        card.remove()
        return DONE

    card: VirtualCard = insert(flee)
    port = PcscPort()
    wait_for(port, present)
    with port.open(FIRST) as opened, pytest.raises(NoCard):
        opened.transmit(SELECT)


def test_a_silent_card_blocks_until_it_is_pulled(insert: Insert) -> None:
    card = insert(silent)
    insert(obedient, slot=1)
    port = PcscPort()
    before = wait_for(port, present)
    wait_for(port, present, slot=1)

    def select() -> bytes:
        with port.open(FIRST) as opened:
            return opened.transmit(SELECT)

    waiting = Later(select)
    time.sleep(0.5)
    assert waiting.is_alive()
    assert first_slot(port) == before
    with port.open(SECOND) as opened:
        assert opened.transmit(SELECT) == DONE
    card.remove()
    assert isinstance(waiting.outcome(), NoCard)
    wait_for(port, absent)


def test_a_service_that_stops_while_a_card_is_silent(
    daemon: Daemon, insert: Insert
) -> None:
    insert(silent)
    port = PcscPort()
    wait_for(port, present)

    def select() -> bytes:
        with port.open(FIRST) as opened:
            return opened.transmit(SELECT)

    waiting = Later(select)
    time.sleep(0.3)
    daemon.stop()
    assert isinstance(waiting.outcome(), NoService)


def test_an_answer_too_short(insert: Insert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc, "SETTLE_SECONDS", 0.5)
    insert(lambda _: DONE[:1])
    port = PcscPort()
    wait_for(port, present)
    with port.open(FIRST) as opened, pytest.raises(CardMute, match="PC/SC"):
        opened.transmit(SELECT)


def test_a_mute_card(insert: Insert) -> None:
    insert(obedient, atr=bytes(40))  # too long for an answer to reset
    port = PcscPort()
    slot = wait_for(port, present)
    assert slot == Slot(FIRST, present=True, mute=True, changes=slot.changes)
    with pytest.raises(CardMute, match="0x80100067"), port.open(FIRST):
        pass


# what the virtual reader cannot show


def fake_scard(monkeypatch: pytest.MonkeyPatch, **functions: object) -> PcscPort:
    """Return a port on a pyscard that does as told."""
    fake = SimpleNamespace(
        SCARD_SCOPE_USER=0,
        SCARD_STATE_UNAWARE=0,
        SCARD_STATE_IGNORE=1,
        SCARD_STATE_CHANGED=2,
        SCARD_STATE_UNKNOWN=4,
        SCARD_STATE_UNAVAILABLE=8,
        SCARD_STATE_EMPTY=16,
        SCARD_STATE_PRESENT=32,
        SCARD_STATE_MUTE=512,
        SCARD_SHARE_SHARED=2,
        SCARD_PROTOCOL_T0=1,
        SCARD_PROTOCOL_T1=2,
        SCARD_PCI_T0="T0",
        SCARD_PCI_T1="T1",
        SCARD_LEAVE_CARD=0,
        SCardEstablishContext=lambda _: (0, 1),
        SCardReleaseContext=lambda _: 0,
        **functions,
    )
    monkeypatch.setitem(sys.modules, "smartcard.scard", fake)
    return PcscPort()


def test_without_pyscard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    with pytest.raises(NotInstalled, match="apt-get install libpcsclite-dev gcc"):
        PcscPort()


@pytest.mark.parametrize("signed", [False, True], ids=["linux", "windows"])
@pytest.mark.parametrize("code", [*pcsc.MEANING, 0x80100001, 0x8010FFFF])
def test_every_code_has_a_meaning(
    monkeypatch: pytest.MonkeyPatch, code: int, signed: bool
) -> None:
    told = code - 2**32 if signed else code
    port = fake_scard(monkeypatch, SCardListReaders=lambda *_: (told, []))
    expected = pcsc.MEANING.get(code, NoService)
    with pytest.raises(expected, match=f"PC/SC 0x{code:08X}"):
        port.wait(None, 0)


def test_a_reader_plugged_in_and_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [["B"], ["B", "A"], ["A"], []]
    asked = []

    def status(_: int, milliseconds: int, states: list[tuple[str, int]]) -> object:
        if not milliseconds:
            return 0, [(name, 0x0003_0012, []) for name, _ in states]
        asked.append(states)
        plan.pop(0)
        return 0, []

    port = fake_scard(
        monkeypatch,
        SCardListReaders=lambda *_: (0, plan[0]),
        SCardGetStatusChange=status,
    )
    only_b = port.wait(None, 0)
    assert only_b == (Slot("B", present=False, changes=3),)
    both = port.wait(only_b, PATIENCE)
    assert [slot.name for slot in both] == ["A", "B"]
    only_a = port.wait(both, PATIENCE)
    assert only_a == (Slot("A", present=False, changes=3),)
    with pytest.raises(NoReader):
        port.wait(only_a, PATIENCE)
    assert asked[0] == [("B", 0x0003_0010), *((plug, 1 << 16) for plug in pcsc.PLUG)]


def test_a_card_reset_before_the_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = [pcsc.RESET_CARD, 0]
    calls = []

    def reconnect(*how: int) -> tuple[int, int]:
        calls.append(("reconnect", *how))
        return 0, 1

    def transmit(*command: object) -> tuple[int, list[int]]:
        calls.append(("transmit", *command))
        return 0, [0x90, 0x00]

    port = fake_scard(
        monkeypatch,
        SCardListReaders=lambda *_: (0, ["A"]),
        SCardGetStatusChange=lambda *_: (0, [("A", 0x22, [0x3B, 0])]),
        SCardConnect=lambda *_: (0, 7, 2),
        SCardBeginTransaction=lambda _: begun.pop(0),
        SCardReconnect=reconnect,
        SCardTransmit=transmit,
        SCardEndTransaction=lambda *_: 0,
        SCardDisconnect=lambda *_: 0,
    )
    with port.open("A") as opened:
        assert opened.transmit(SELECT) == DONE
    assert calls == [("reconnect", 7, 2, 3, 0), ("transmit", 7, "T0", list(SELECT))]


def test_a_reader_that_goes_while_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = fake_scard(
        monkeypatch,
        SCardListReaders=lambda *_: (0, ["A"]),
        SCardGetStatusChange=lambda *_: (0, [("A", 0x0E, [])]),
    )
    with pytest.raises(NoReader):
        port.wait(None, 0)
