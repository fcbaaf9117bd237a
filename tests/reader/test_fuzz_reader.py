"""Bad input to the card reader: some of each kind here, long runs in bench/fuzz.py."""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import reader_process
from cryptography.hazmat.primitives import serialization as how
from mutations import mutated_bytes
from reader_surfaces import KEYS, LOW_ORDER, NOW, ORIGIN, SURFACES, any_answer
from virtual_card import Insert

from jiepin.reader import apdu, challenge, errors
from jiepin.reader.challenge import Gate, to_base64
from jiepin.reader.errors import BadCardFile, BadRequest, CardError
from jiepin.reader.pcsc import PcscPort
from jiepin.reader.replay import read_card
from jiepin.web import card as site

ROOT = Path(__file__).resolve().parents[2]
HEALTH = ROOT / "fixtures" / "cards" / "health.toml"
INPUTS = 150  # of each kind


@pytest.mark.parametrize("surface", SURFACES)
def test_bad_input_is_refused_or_made_use_of(surface: str, tmp_path: Path) -> None:
    came = Counter(SURFACES[surface](random.Random(n), tmp_path) for n in range(INPUTS))
    assert came.total() == INPUTS
    assert len(came) > 1, "all the same: such inputs try nothing"


# ---- What was found


def test_a_card_file_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text("x = " + "[" * 100_000)
    with pytest.raises(BadCardFile, match="recursion"):
        read_card(tmp_path / "card.toml")


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_key_to_which_nothing_can_be_sealed(point: bytes) -> None:
    """Only the site signs challenges; a wrong key there is told, not a crash here."""
    raw = site.make_challenge(KEYS, ORIGIN, "session", NOW).raw
    good = to_base64(KEYS.open.public_key().public_bytes_raw())
    bad = raw.replace(good.encode(), to_base64(point).encode())
    assert bad != raw
    with pytest.raises(BadRequest, match="seal is no X25519 public key"):
        Gate([KEYS.sign.public_key()]).admit(bad, KEYS.sign.sign(bad), ORIGIN, NOW)
    assert challenge.parse(raw)


# ---- Real parts


def test_any_answers_of_a_real_card(insert: Insert) -> None:
    """Through pcscd: whatever comes, a record or an error that is told."""
    rng = random.Random(1)
    insert(lambda _command: any_answer(rng)[-258:].rjust(2))  # an empty one never comes
    port = PcscPort()
    slots, end = port.wait(None, 0), time.monotonic() + 10
    while not any(slot.present for slot in slots) and time.monotonic() < end:
        slots = port.wait(slots, 1)
    slot = next(slot for slot in slots if slot.present)
    came: Counter[str] = Counter()
    for _ in range(60):
        try:
            with port.open(slot.name) as card:
                apdu.read(card.transmit)
            came["read"] += 1
        except CardError as error:
            came[error.code] += 1
    assert came[errors.NotHealthCard.code] > 10, came


GOOD = (
    b"GET /status HTTP/1.1\r\nHost: localhost:%d\r\nX-Jiepin-Reader: 1\r\n"
    b"Origin: https://tas.test\r\nConnection: close\r\n\r\n"
)
LINES = (
    *(b"", b"\0" * 5_000, b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 500),
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: " + b"a" * 300_000,
    b"POST /read HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /read HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


def test_the_running_program_outlives_what_is_sent_to_it(tmp_path: Path) -> None:
    """Broken requests inside TLS, and bytes that are no TLS at all."""
    rng = random.Random(2)
    key = tmp_path / "server.pub"
    key.write_bytes(site_key())
    words = (*reader_process.words_for(ORIGIN, key), "--replay", HEALTH)
    with reader_process.service(tmp_path, *words) as running:
        context = ssl.create_default_context(cafile=running.authority)
        good = GOOD % running.port
        assert b"200 OK" in exchange(running.port, context, good, patience=20)
        for line in (*LINES, *(mutated_bytes(rng, good) for _ in range(40))):
            told = exchange(running.port, context, line)
            assert not told.startswith(b"HTTP/1.1 5"), (line[:200], told[:200])
        for _ in range(20):
            exchange(running.port, None, rng.randbytes(rng.choice((1, 300, 20_000))))
        assert b"200 OK" in exchange(running.port, context, good, patience=20)
        assert running.process.poll() is None
    assert not [line for line in running.lines if "Traceback" in line]
    assert not [line for line in running.lines if "unforeseen" in line]


def site_key() -> bytes:
    return KEYS.sign.public_key().public_bytes(
        how.Encoding.PEM, how.PublicFormat.SubjectPublicKeyInfo
    )


def exchange(
    port: int, context: ssl.SSLContext | None, data: bytes, patience: float = 0.1
) -> bytes:
    """Send bytes over a connection of their own; return what came back, if anything.

    Nothing more is waited for after a pause: half a request has no answer.
    """
    told = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as plain:
        opened = plain
        if context is not None:
            opened = context.wrap_socket(plain, server_hostname="localhost")
        with opened:
            opened.sendall(data)
            opened.settimeout(patience)
            while part := opened.recv(65_536):
                told += part
    return told
