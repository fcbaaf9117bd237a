"""A card from a file instead of a reader: to practise and to test without hardware.

The card is inserted as long as its file exists: create, rename or delete the file to
insert and pull the card. A card file (TOML) holds an invented person and, where a card
should behave otherwise, answers by command; the answer "silent" never comes:

    atr = "3B FF 18 00 FF …"

    [record]
    card_number = "000012345678"
    name = "林小明"
    national_id = "A123456789"
    birth = "0740309"
    sex = "M"
    issued = "1130101"

    [answers]
    "00A4040010D1580000010000000000000000001100" = "6D00"
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jiepin.reader import apdu
from jiepin.reader.errors import BadCardFile, CardMute, NoCard
from jiepin.reader.port import Card, Slot

SLOT = "練習讀卡機 practice reader"
SILENT = "silent"
UNKNOWN_COMMAND = bytes.fromhex("6D00")
DONE = bytes.fromhex("9000")
LOOK_SECONDS = 0.1  # how often the file is looked at
KEYS = {"atr", "record", "answers"}


@dataclass(frozen=True, slots=True)
class PracticeCard:
    """A card that answers from memory.

    >>> card = PracticeCard(bytes.fromhex("3B00"), {apdu.SELECT: DONE})
    >>> card.answer(apdu.SELECT).hex(), card.answer(apdu.READ).hex()
    ('9000', '6d00')
    """

    atr: bytes
    answers: Mapping[bytes, bytes | None]

    def answer(self, command: bytes) -> bytes | None:
        """Return the answer to a command; None when the card stays silent."""
        return self.answers.get(command, UNKNOWN_COMMAND)


def read_card(path: Path) -> PracticeCard:
    """Read a card file; raises BadCardFile, which says what is wrong with it."""
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadCardFile(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # broken TOML or broken UTF-8
        raise BadCardFile(f"{path}: {error}") from None
    if unknown := sorted(table.keys() - KEYS):
        raise BadCardFile(f"{path}: unknown key {unknown[0]!r}; expected {KEYS}")
    answers: dict[bytes, bytes | None] = {}
    if "record" in table:
        answers = {apdu.SELECT: DONE, apdu.READ: _record(path, table["record"]) + DONE}
    for command, answer in _table(path, "answers", table.get("answers", {})).items():
        silent = answer == SILENT
        answers[_hex(path, command)] = None if silent else _hex(path, answer)
    return PracticeCard(_hex(path, table.get("atr")), answers)


def _record(path: Path, table: object) -> bytes:
    try:
        return apdu.pack_record(**_table(path, "record", table))
    except (TypeError, AttributeError, ValueError) as error:
        raise BadCardFile(f"{path}, [record]: {error}") from None


def _table(path: Path, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadCardFile(f"{path}: {name} is no table; write [{name}]")
    return value


def _hex(path: Path, value: object) -> bytes:
    try:
        return bytes.fromhex(str(value))
    except ValueError:
        raise BadCardFile(f"{path}: {value!r} is not hexadecimal") from None


class ReplayPort:
    """One slot whose card is a file; see the head of this module."""

    source = "replay"

    def __init__(self, path: Path) -> None:
        self.path = path

    def wait(self, known: tuple[Slot, ...] | None, seconds: float) -> tuple[Slot, ...]:
        """Return the one slot, at once if it differs from `known`."""
        end = time.monotonic() + seconds
        while (slots := (self._slot(),)) == known and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        return slots

    def _slot(self) -> Slot:
        try:
            changes = self.path.stat().st_mtime_ns
            card = read_card(self.path)
        except OSError:
            return Slot(SLOT, present=False)
        except BadCardFile:
            return Slot(SLOT, present=True, mute=True, changes=changes)
        return Slot(SLOT, present=True, atr=card.atr, changes=changes)

    @contextmanager
    def open(self, name: str) -> Iterator[Card]:
        """Give the card of the file as it is now."""
        if name != SLOT or not self.path.exists():
            raise NoCard
        try:
            yield _ReplayCard(self.path, read_card(self.path))
        except BadCardFile:
            raise CardMute from None


class _ReplayCard:
    def __init__(self, path: Path, card: PracticeCard) -> None:
        self.path, self.card = path, card

    def transmit(self, command: bytes) -> bytes:
        """Answer as the card does; a silent one waits until it is pulled."""
        answer = self.card.answer(command)
        while answer is None and self.path.exists():
            time.sleep(LOOK_SECONDS)
        if answer is None or not self.path.exists():
            raise NoCard
        return answer
