"""The worker: one task that sends what lies in the outbox, until the site stops.

A message is claimed (written to disk), sent, and noted as done. After a crash between
sending and noting, the claim runs out and the message is sent again under the same
name: LINE then answers that it has it (retry key), a mail program shows one mail
(Message-ID). Nothing is lost, and nothing arrives twice as far as the protocols allow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol

from jiepin.web.clock import to_ms
from jiepin.web.logs import wordless
from jiepin.web.notify import texts
from jiepin.web.notify.delivery import NeverSent, NotSent
from jiepin.web.notify.line import Push
from jiepin.web.notify.mail import Post
from jiepin.web.site import Site
from jiepin.web.store import notices, outbox, schools
from jiepin.web.vault import NotSealedHere

MOST_TRIES: Final = 14
FIRST_WAIT: Final = timedelta(seconds=30)
# 14 tries span less than a day, for which LINE knows a retry key
LONGEST_WAIT: Final = timedelta(hours=2)
LOOK_EVERY: Final = 1.0  # seconds
AFTER_A_FAULT: Final = 10.0  # a full disk is not to be filled with our log as well
STOP_WITHIN: Final = 10.0  # seconds
AT_ONCE: Final = 8
PAUSE: Final = 0.2  # seconds after as many as that: at most forty a second

log = logging.getLogger(__name__)


class Way(Protocol):
    """How messages of one channel leave."""

    async def send(self, key: str, payload: dict[str, Any], now: datetime) -> None:
        """Send one message; raises NotSent or NeverSent."""
        ...


@dataclass(frozen=True, slots=True)
class Worker:
    """Sends for one site. `random` spreads the tries of many messages."""

    site: Site
    ways: Mapping[str, Way]
    random: Random = field(default_factory=Random)

    @classmethod
    def of(cls, site: Site) -> Worker:
        """Return the worker of a site as its settings say."""
        settings = site.settings
        return cls(site, {"mail": Post(settings.mail), "line": Push(settings.line)})

    async def run(self) -> None:
        """Send until cancelled; what is under way then is brought to its end."""
        while True:
            step = asyncio.ensure_future(self._outlived_step())
            try:
                sent = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait([step], timeout=STOP_WITHIN)
                raise
            if not sent:
                await asyncio.sleep(AFTER_A_FAULT if sent is None else LOOK_EVERY)
            elif sent == AT_ONCE:  # once a result is out thousands wait, and look at it
                await asyncio.sleep(PAUSE)

    async def _outlived_step(self) -> int | None:
        """Return how many messages were tried, None after a fault."""
        try:
            return await self.step()
        except Exception as fault:
            log.error("the outbox: %s", type(fault).__name__, exc_info=wordless(fault))
            return None

    async def step(self) -> int:
        """Send what is due now and return how many messages were tried."""
        async with self.site.database.reading(quick=True) as db:
            if not await outbox.is_due(db, self.site.clock.now()):
                return 0
        claimed = await outbox.claim(self.site, AT_ONCE)
        ends = await asyncio.gather(
            *(self._deliver(message) for message in claimed), return_exceptions=True
        )
        for fault in ends:
            if isinstance(fault, BaseException):
                raise fault
        return len(claimed)

    async def _deliver(self, message: outbox.Claimed) -> None:
        try:
            await self._send(message)
        except NotSent as fault:
            retry_at = self._retry_at(message.tries + 1, fault.after)
            await outbox.failed(self.site, message.id, str(fault), retry_at)
        except (NeverSent, texts.NoText, NotSealedHere) as fault:
            await outbox.failed(self.site, message.id, str(fault), None)
        except Exception as fault:
            # a fault of ours must neither stop the others nor repeat without end
            name = type(fault).__name__
            log.error("message %d: %s", message.id, name, exc_info=wordless(fault))
            retry_at = self._retry_at(message.tries + 1, None)
            await outbox.failed(self.site, message.id, name, retry_at)
        else:
            await outbox.done(self.site, message.id)

    async def _send(self, message: outbox.Claimed) -> None:
        now = self.site.clock.now()
        facts = outbox.opened(self.site.vault, message)
        if "until" in facts and to_ms(now) >= facts["until"]:
            raise NeverSent("no longer of use")
        if message.channel not in self.ways:
            raise NeverSent(f"this site sends nothing by {message.channel}")
        write = {"mail": self._letter, "line": self._line}[message.channel]
        payload = await write(message, facts)
        await self.ways[message.channel].send(message.key, payload, now)

    async def _letter(
        self, message: outbox.Claimed, facts: texts.Facts
    ) -> dict[str, Any]:
        async with self.site.database.reading(quick=True) as db:
            round_ = await schools.round(db)
        organiser = "" if round_ is None else round_.organiser
        sender = texts.Sender(self.site.settings.origin, organiser)
        letter = texts.letter(message.event, facts, sender)
        return {"to": facts["to"], "subject": letter.subject, "body": letter.body}

    async def _line(
        self, message: outbox.Claimed, facts: texts.Facts
    ) -> dict[str, Any]:
        async with self.site.database.reading(quick=True) as db:
            user = await notices.line_user(db, self.site.vault, message.application)
        if user is None:
            raise NeverSent("no longer linked with LINE")
        return {"to": user, "text": texts.line(message.event, facts["language"])}

    def _retry_at(self, tries: int, after: timedelta | None) -> datetime | None:
        """Return when to try again after so many tries, None to give up."""
        if tries >= MOST_TRIES:
            return None
        wait = max(self._wait_after(tries), min(after or timedelta(), outbox.FARTHEST))
        return self.site.clock.now() + wait

    def _wait_after(self, tries: int) -> timedelta:
        """Double from try to try, and spread by a half up or down."""
        wait = min(FIRST_WAIT * 2.0 ** (tries - 1), LONGEST_WAIT)
        return wait * self.random.uniform(0.5, 1.5)
