"""Practice cards come from files, and a card is in as long as its file is there."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from jiepin.reader import apdu
from jiepin.reader.errors import BadCardFile, CardMute, NoCard
from jiepin.reader.replay import SLOT, ReplayPort, read_card

ROOT = Path(__file__).resolve().parents[2]
CARDS = sorted((ROOT / "fixtures" / "cards").glob("*.toml"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_every_card_of_the_fixtures_can_be_read(path: Path) -> None:
    card = read_card(path)
    assert card.atr.startswith(b"\x3b")
    assert apdu.SELECT in card.answers


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("atr = ", "Invalid value"),
        ('atr = "3B"\npin = 1', "unknown key 'pin'"),
        ('atr = "XY"', "'XY' is not hexadecimal"),
        ("answers = {}\natr = true", "True is not hexadecimal"),
        ('atr = "3B"\nanswers = 1', r"write \[answers\]"),
        ('atr = "3B"\nrecord = 1', r"write \[record\]"),
        ('atr = "3B"\n[record]\nname = "林"', "missing 5 required"),
        ('atr = "3B"\n[answers]\n"00" = "zz"', "'zz' is not hexadecimal"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "card.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(BadCardFile, match=told):
        read_card(path)


def test_a_record_of_a_wrong_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    text = (ROOT / "fixtures/cards/health.toml").read_text("utf-8")
    path.write_text(text.replace("0740309", "740309"), "utf-8")
    with pytest.raises(BadCardFile, match="a part of 6 bytes; expected 7"):
        read_card(path)


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCardFile, match="No such file"):
        read_card(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_bytes(b'atr = "\xff"')
    with pytest.raises(BadCardFile, match="utf-8"):
        read_card(tmp_path / "broken.toml")


def insert(path: Path, card: str) -> None:
    path.write_bytes((ROOT / "fixtures" / "cards" / f"{card}.toml").read_bytes())


def test_the_card_is_in_as_long_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    port = ReplayPort(path)
    empty = port.wait(None, 0)
    assert [slot.present for slot in empty] == [False]
    insert(path, "health")
    full = port.wait(empty, 0)
    assert full[0].present
    assert full[0].atr == read_card(path).atr
    with port.open(SLOT) as card:
        assert apdu.read(card.transmit).name == "林小明"
        path.unlink()
        with pytest.raises(NoCard):
            card.transmit(apdu.SELECT)
    with pytest.raises(NoCard), port.open(SLOT):
        pass
    assert port.wait(full, 0) == empty


def test_a_change_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    port = ReplayPort(path)
    empty = port.wait(None, 0)
    hand = threading.Timer(0.2, insert, (path, "health"))
    hand.start()
    start = time.monotonic()
    assert port.wait(empty, 30)[0].present
    hand.join()
    assert time.monotonic() - start < 20


def test_a_card_put_back_is_another_insertion(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    port = ReplayPort(path)
    insert(path, "health")
    first = port.wait(None, 0)
    path.unlink()
    time.sleep(0.02)
    insert(path, "health")
    assert port.wait(first, 0) != first


def test_a_broken_file_is_a_card_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text("broken", "utf-8")
    port = ReplayPort(path)
    assert port.wait(None, 0)[0].mute
    with pytest.raises(CardMute), port.open(SLOT):
        pass


def test_a_silent_card_answers_nobody_until_it_is_pulled(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    insert(path, "silent")
    hand = threading.Timer(0.3, path.unlink)
    with ReplayPort(path).open(SLOT) as card:
        hand.start()
        with pytest.raises(NoCard):
            card.transmit(apdu.SELECT)
    hand.join()
