"""What reader and card are doing now, and the only place that touches a card.

Two kinds of threads stand behind one asyncio object. The look-out waits for slots to
change and never touches a card. Whatever talks to a card runs in a thread of its own,
since a card that never answers blocks its thread until it is pulled: nobody waits for
it longer than a few seconds, and its slot is left alone until that thread is free.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jiepin.reader import apdu
from jiepin.reader.errors import (
    CardError,
    CardInUse,
    CardMute,
    CardTimeout,
    NoCard,
    NoReader,
    NoService,
    NotHealthCard,
)
from jiepin.reader.port import Card, Port, Slot

log = logging.getLogger("jiepin.reader")
Found = TypeVar("Found")

LOOK_SECONDS = 0.5  # look anew after this long, where no change is told
RETRY_SECONDS = 0.25  # without a service or reader
CARD_SECONDS = 5.0  # the longest that anybody waits for a card
BUSY_SECONDS = 0.2  # before a card that another program holds is asked again

_NO_READER_YET = (NoService, NoReader)
# others hold a card but shortly, and contacts bounce while it goes in
_TRIED_AGAIN = (CardInUse, CardMute, NotHealthCard)
_LASTING = (CardMute, CardTimeout, NotHealthCard)  # until the card is pulled


@dataclass(frozen=True, slots=True)
class State:
    """What is known now. `reader` and `card` are None when all is well.

    `number` grows with every change, so that one who waits knows what it has seen.
    """

    number: int
    reader: CardError | None
    card: CardError | None


@dataclass(slots=True)
class _Insertion:
    """One card from its insertion to its removal."""

    slot: Slot
    healthy: bool = False  # it answered as a health card does
    trouble: CardError | None = None  # why it cannot be read
    stuck: bool = False  # a thread waits for its answer still
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def judged(self) -> bool:
        return self.healthy or self.trouble is not None


class Watch:
    """Looks at the readers as long as it runs; use as an async context manager.

    All methods belong to the event loop it was started in.
    """

    def __init__(self, port: Port, card_seconds: float = CARD_SECONDS) -> None:
        self.source = port.source
        # no number of an earlier start: a page may still hold one
        self.state = State(secrets.randbelow(2**31), NoReader(), NoReader())
        self._port = port
        self._card_seconds = card_seconds
        self._cards: dict[Slot, _Insertion] = {}
        self._reader: CardError | None = NoReader()
        self._looked = False
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Watch:
        self._start(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def after(self, number: int, seconds: float) -> State:
        """Return the state once it is no longer `number`, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.state.number == number:
                    await self._changed.wait()
        return self.state

    async def read(self) -> apdu.CardRecord:
        """Read the first health card; raises the CardError that stands in the way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._card_seconds):
                await self._all_judged()
        for card in self._cards.values():
            if card.healthy:
                return await self._read(card)
        raise self._card_trouble() or NoCard()

    async def _all_judged(self) -> None:
        while not self._looked or not all(c.judged for c in self._cards.values()):
            await self._changed.wait()

    async def _read(self, card: _Insertion) -> apdu.CardRecord:
        try:
            return await self._touch(card, lambda opened: apdu.read(opened.transmit))
        except _LASTING as error:
            card.healthy, card.trouble = False, error
            self._tell()
            raise

    # the look-out

    async def _look(self) -> None:
        known: tuple[Slot, ...] | None = None
        while True:
            try:
                known = await in_thread(self._port.wait, known, LOOK_SECONDS)
                self._reader = None
            except _NO_READER_YET as error:
                known, self._reader = None, error
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:  # whatever it was, the next look may do
                log.warning("slots: %s", type(error).__name__)
                known, self._reader = None, NoService()
                await asyncio.sleep(RETRY_SECONDS)
            self._looked = True
            self._sort(known or ())
            self._tell()

    def _sort(self, slots: tuple[Slot, ...]) -> None:
        """Keep the cards that are still in, and begin to judge those that are new."""
        before, self._cards = self._cards, {}
        for slot in slots:
            if not slot.present:
                continue
            card = before.get(slot)
            if card is None:
                card = _Insertion(slot)
                log.info(
                    "card in: %s, answer to reset %s", slot.name, slot.atr.hex(" ")
                )
                self._start(self._identify(card))
            self._cards[slot] = card
        for slot in before.keys() - self._cards.keys():
            log.info("card out: %s", slot.name)

    # cards

    async def _identify(self, card: _Insertion) -> None:
        """Find out whether a card is a health card, reading no more than that takes."""
        while self._still_in(card):
            try:
                await self._touch(card, _be_health_card)
            except CardError as error:
                card.trouble = error
                log.info("%s: %s %s", card.slot.name, error.code, error.detail)
            else:
                card.healthy, card.trouble = True, None
            self._tell()
            if card.healthy or isinstance(card.trouble, _LASTING):
                return
            await asyncio.sleep(BUSY_SECONDS)

    async def _touch(self, card: _Insertion, talk: Callable[[Card], Found]) -> Found:
        """Talk to a card in a thread of its own; raises the CardError that it meets."""
        async with card.busy:
            if card.slot.mute:
                raise CardMute
            if card.stuck:
                raise CardTimeout
            try:
                return await self._within(card, talk)
            except _TRIED_AGAIN:
                await asyncio.sleep(BUSY_SECONDS)
                return await self._within(card, talk)

    async def _within(self, card: _Insertion, talk: Callable[[Card], Found]) -> Found:
        def work() -> Found:
            with self._port.open(card.slot.name) as opened:
                return talk(opened)

        answer = in_thread(work)
        await asyncio.wait([answer], timeout=self._card_seconds)
        if not answer.done():
            card.stuck = True
            answer.add_done_callback(lambda _: self._unstick(card))
            raise CardTimeout
        try:
            return answer.result()
        except CardError:
            if not self._still_in(card):
                raise NoCard from None
            raise
        except Exception as error:
            raise CardMute(type(error).__name__) from None

    def _unstick(self, card: _Insertion) -> None:
        """Ask a card anew that answered late: another program had kept it busy."""
        card.stuck = False
        if self._still_in(card):
            self._start(self._identify(card))

    def _still_in(self, card: _Insertion) -> bool:
        return self._cards.get(card.slot) is card

    # telling

    def _card_trouble(self) -> CardError | None:
        """Return why no card can be read: None as soon as one of them can."""
        if self._reader is not None:
            return self._reader
        cards = self._cards.values()
        if any(card.healthy for card in cards):
            return None
        troubles = [card.trouble for card in cards if card.trouble is not None]
        return troubles[0] if troubles else NoCard()

    def _tell(self) -> None:
        reader, card = self._reader, self._card_trouble()
        if (_code(reader), _code(card)) != (
            _code(self.state.reader),
            _code(self.state.card),
        ):
            self.state = State(self.state.number + 1, reader, card)
            log.info("reader %s, card %s", _code(reader) or "ok", _code(card) or "ok")
        self._changed.set()
        self._changed = asyncio.Event()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _be_health_card(card: Card) -> None:
    if not apdu.select(card.transmit):
        apdu.read(card.transmit)  # a newer card; what it says is dropped at once


def _code(error: CardError | None) -> str | None:
    return None if error is None else error.code


def in_thread(call: Callable[..., Found], *arguments: object) -> asyncio.Future[Found]:
    """Run a blocking call in a daemon thread: one that never ends stops nobody."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Found] = loop.create_future()

    def tell(set_it: Callable[[Any], None], value: object) -> None:
        def unless_given_up() -> None:
            if not done.done():
                set_it(value)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(unless_given_up)

    def work() -> None:
        try:
            found = call(*arguments)
        except BaseException as error:
            tell(done.set_exception, error)
        else:
            tell(done.set_result, found)

    threading.Thread(target=work, daemon=True).start()
    return done
