"""A card for vpcd, the virtual card reader of vsmartcard: plugs into the real pcscd.

vpcd listens on one TCP port for each of its two slots; who connects is the card, and
who hangs up is pulled. Every message has its length in front, two bytes, high byte
first. One byte is an order: 0 power off, 1 power on, 2 reset, 4 tell the answer to
reset, and only the last is answered; longer ones are commands to the card.

    python tests/virtual_card.py fixtures/cards/health.toml

inserts a card until Ctrl-C. vpcd listens to the whole network: for test machines only.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

HOST = "127.0.0.1"
PORT = 35963  # of the first slot; the second is one higher
OFF, ON, TELL_ATR = b"\x00", b"\x01", b"\x04"
HEALTH_ATR = bytes.fromhex("3BFF1800FF8131FE455448434331305445434F4744484E3224")

Answer = Callable[[bytes], bytes | None]


class VirtualCard:
    """A card to insert and pull, again and again; in a `with` block it is inserted.

    `answer` gets every command and returns the answer, or None to stay silent until
    the card is pulled; it may pull the card itself. `commands` are those it got.
    An answer to reset longer than 33 bytes makes the card mute. pcscd powers a card
    on as soon as it sees it, and off again unless somebody connects.
    """

    def __init__(self, atr: bytes, answer: Answer, port: int = PORT) -> None:
        self.atr = atr
        self.answer = answer
        self.port = port
        self.commands: list[bytes] = []
        self.powered = False
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def inserted(self) -> bool:
        """Whether the card reader holds the line; false too when pcscd was ended."""
        return self._thread is not None and self._thread.is_alive()

    def insert(self) -> None:
        """Put the card in; raises ConnectionRefusedError without a card reader."""
        self.remove()
        line = socket.create_connection((HOST, self.port))
        self.powered = False
        self._socket = line
        self._thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Pull the card; nothing happens if it is not in."""
        line, thread = self._socket, self._thread
        if line is None or thread is None:
            return
        with suppress(OSError):  # the reader has hung up
            line.shutdown(socket.SHUT_RDWR)  # close alone does not wake the thread
        if thread is not threading.current_thread():
            thread.join()
            self._socket = self._thread = None

    def _serve(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as messages, suppress(OSError):  # once pulled
            while message := _receive(line, messages):
                self._react(line, message)

    def _react(self, line: socket.socket, message: bytes) -> None:
        if message == TELL_ATR:
            _send(line, self.atr)
        elif message in (OFF, ON):
            self.powered = message == ON
        elif len(message) > 1:
            self.commands.append(message)
            answer = self.answer(message)
            if answer is not None:
                _send(line, answer)

    def __enter__(self) -> VirtualCard:
        self.insert()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


Insert = Callable[..., VirtualCard]  # the fixture of tests/reader/conftest.py


def _receive(line: socket.socket, messages: BinaryIO) -> bytes:
    """Return the next message, empty at the end."""
    size = int.from_bytes(messages.read(2), "big")
    if sys.platform == "linux":  # else vpcd waits 40 ms before it sends the rest
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return messages.read(size)


def _send(line: socket.socket, message: bytes) -> None:
    line.sendall(len(message).to_bytes(2, "big") + message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Insert the card of a file until Ctrl-C."""
    from jiepin.reader.errors import ReaderError
    from jiepin.reader.replay import read_card

    parser = argparse.ArgumentParser(description="Insert a practice card until Ctrl-C.")
    parser.add_argument("card", type=Path, metavar="CARD.toml")
    parser.add_argument("--port", type=int, default=PORT, help=f"{PORT} or {PORT + 1}")
    asked = parser.parse_args(arguments)
    try:
        file = read_card(asked.card)
        card = VirtualCard(file.atr, file.answer, asked.port)
        card.insert()
    except ReaderError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"No virtual card reader at {HOST}:{asked.port} ({error.strerror}): "
            "start pcscd with vsmartcard-vpcd installed.",
            file=sys.stderr,
        )
        return 1
    print(f"已插入 inserted: {asked.card}, Ctrl-C 拔卡 pulls it", flush=True)
    try:
        while card.inserted:
            time.sleep(0.2)
    except KeyboardInterrupt:
        card.remove()
        print("\n已拔出 pulled")
        return 0
    print("The card reader has hung up.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
