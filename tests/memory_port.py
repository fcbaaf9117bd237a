"""A card reader in memory, for what a real one cannot be made to do on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jiepin.reader.errors import CardError, NoCard, NoReader
from jiepin.reader.port import Card, Slot
from jiepin.reader.replay import PracticeCard, read_card

ROOT = Path(__file__).resolve().parents[1]


def fixture_card(name: str) -> PracticeCard:
    return read_card(ROOT / "fixtures" / "cards" / f"{name}.toml")


@dataclass
class MemoryPort:
    """Slots by name; `trouble` is raised by wait, `on_open` by open, both once set."""

    names: tuple[str, ...] = ("A",)
    source: str = "pcsc"
    trouble: CardError | None = None
    on_open: CardError | None = None
    mute: bool = False
    opened: int = 0
    commands: list[bytes] = field(default_factory=list)
    _cards: dict[str, PracticeCard] = field(default_factory=dict)
    _changes: dict[str, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def insert(self, card: PracticeCard, name: str = "A") -> None:
        with self._changed:
            self._cards[name] = card
            self._changes[name] = self._changes.get(name, 0) + 1
            self._changed.notify_all()

    def pull(self, name: str = "A") -> None:
        with self._changed:
            del self._cards[name]
            self._changes[name] = self._changes.get(name, 0) + 1
            self._changed.notify_all()

    def fail(self, trouble: CardError | None) -> None:
        with self._changed:
            self.trouble = trouble
            self._changed.notify_all()

    def slots(self) -> tuple[Slot, ...]:
        if self.trouble is not None:
            raise self.trouble
        if not self.names:
            raise NoReader
        return tuple(self._slot(name) for name in self.names)

    def _slot(self, name: str) -> Slot:
        card = self._cards.get(name)
        changes = self._changes.get(name, 0)
        if card is None:
            return Slot(name, present=False, changes=changes)
        return Slot(name, True, self.mute, card.atr, changes)

    def wait(self, known: tuple[Slot, ...] | None, seconds: float) -> tuple[Slot, ...]:
        with self._changed:
            self._changed.wait_for(
                lambda: self.trouble is not None or self.slots() != known, seconds
            )
            return self.slots()

    @contextmanager
    def open(self, name: str) -> Iterator[Card]:
        self.opened += 1
        if self.on_open is not None:
            raise self.on_open
        with self._changed:
            card, changes = self._cards.get(name), self._changes.get(name)
        if card is None:
            raise NoCard
        yield _OpenCard(self, name, card, changes)

    def gone(self, name: str, changes: int | None) -> bool:
        return self._changes.get(name) != changes


@dataclass
class _OpenCard:
    port: MemoryPort
    name: str
    card: PracticeCard
    changes: int | None

    def transmit(self, command: bytes) -> bytes:
        self.port.commands.append(command)
        answer = self.card.answer(command)
        if answer is None:
            with self.port._changed:
                self.port._changed.wait_for(
                    lambda: self.port.gone(self.name, self.changes)
                )
        if answer is None or self.port.gone(self.name, self.changes):
            raise NoCard
        return answer
