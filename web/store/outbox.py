"""What is to be sent: written with what it tells of, sent afterwards, once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import aiosqlite

from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.site import Site
from jiepin.web.vault import Vault

Channel = Literal["mail", "line"]
CLAIM_LIFE = timedelta(minutes=5)  # after it, what a dead worker held is due again
# no message waits longer; one that would was written before the clock was set back
FARTHEST = timedelta(hours=12)
_COLUMN = "outbox.payload"


@dataclass(frozen=True, slots=True)
class Message:
    """Something to send. Event, application, version and channel make it unique."""

    channel: Channel
    event: str
    application: str
    county: str
    version: int
    payload: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.event}:{self.application}:{self.version}:{self.channel}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker is to send now; `tries` counts earlier ones.

    What is in it stays sealed until `opened`.
    """

    id: int
    key: str
    channel: Channel
    event: str
    application: str
    payload: bytes
    tries: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a message is, without what is in it."""

    channel: Channel
    event: str
    created: datetime
    state: str
    tries: int
    finished: datetime | None
    error: str


async def add(
    db: aiosqlite.Connection, vault: Vault, message: Message, now: datetime
) -> bool:
    """Add a message in the transaction of what it tells of.

    False when the same message is there already: it is not sent twice.
    """
    text = json.dumps(message.payload, ensure_ascii=False)
    done = await db.execute(
        """insert into outbox (key, channel, event, application, county, payload,
        created, next_try) values (:key, :channel, :event, :application, :county,
        :payload, :now, :now) on conflict (key) do nothing""",
        {
            "key": message.key,
            "channel": message.channel,
            "event": message.event,
            "application": message.application,
            "county": message.county,
            "payload": vault.seal(text, _COLUMN, message.key),
            "now": to_ms(now),
        },
    )
    return done.rowcount == 1


async def claim(site: Site, limit: int = 20) -> list[Claimed]:
    """Take the messages that are due, oldest first; nobody else gets them."""
    now = site.clock.now()
    async with site.database.writing(quick=True) as db:
        rows = await db.execute_fetchall(
            """update outbox set state = 'claimed', next_try = :again
            where id in (select id from outbox where state in ('waiting', 'claimed')
            and (next_try <= :now or next_try > :latest)
            order by next_try, id limit :limit)
            returning id, key, channel, event, application, payload, tries""",
            {
                "now": to_ms(now),
                "again": to_ms(now + CLAIM_LIFE),
                "latest": to_ms(now + FARTHEST),
                "limit": limit,
            },
        )
    return sorted((Claimed(**row) for row in rows), key=lambda message: message.id)


def opened(vault: Vault, message: Claimed) -> dict[str, Any]:
    """Return what is in a message; raises NotSealedHere."""
    text = vault.open(message.payload, _COLUMN, message.key)
    payload: dict[str, Any] = json.loads(text)
    return payload


async def is_due(db: aiosqlite.Connection, now: datetime) -> bool:
    """Tell whether `claim` would find anything, without writing."""
    rows = await db.execute_fetchall(
        "select 1 from outbox where state in ('waiting', 'claimed') "
        "and (next_try <= :now or next_try > :latest) limit 1",
        {"now": to_ms(now), "latest": to_ms(now + FARTHEST)},
    )
    return bool(rows)


async def done(site: Site, id_: int) -> None:
    """Note that a message has been sent; what was in it is emptied."""
    await _finish(site, id_, "done", "", None)


async def failed(site: Site, id_: int, error: str, retry_at: datetime | None) -> None:
    """Note that a message could not be sent; without `retry_at` it is given up."""
    state = "failed" if retry_at is None else "waiting"
    await _finish(site, id_, state, error, retry_at)


async def _finish(
    site: Site, id_: int, state: str, error: str, retry_at: datetime | None
) -> None:
    now = to_ms(site.clock.now())
    async with site.database.writing(quick=True) as db:
        await db.execute(
            """update outbox set state = :state, error = :error, tries = tries + 1,
            next_try = :next_try,
            payload = case when :waits then payload end,
            finished = case when :waits then null else :now end where id = :id""",
            {
                "state": state,
                "error": error,
                "next_try": now if retry_at is None else to_ms(retry_at),
                "waits": retry_at is not None,
                "now": now,
                "id": id_,
            },
        )


async def log(db: aiosqlite.Connection, application: str) -> list[Delivery]:
    """Return how far the messages about an application are, newest first."""
    rows = await db.execute_fetchall(
        "select channel, event, created, state, tries, finished, error from outbox "
        "where application = :application order by id desc",
        {"application": application},
    )
    return [
        Delivery(
            **{
                **dict(row),
                "created": from_ms(row["created"]),
                "finished": maybe_from_ms(row["finished"]),
            }
        )
        for row in rows
    ]
