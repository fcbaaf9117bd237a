"""How things stand, in numbers: what is watched from outside, and about nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.clock import maybe_from_ms
from jiepin.web.store.database import migrations

OUTBOX_STATES = ("waiting", "claimed", "failed")  # of those that are not done
RUN_STATES = ("waiting", "running", "done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Condition:
    """Messages by state, since when the oldest waits, runs by state."""

    outbox: Mapping[str, int]
    waits_since: datetime | None
    runs: Mapping[str, int]


async def condition(db: aiosqlite.Connection) -> Condition:
    """Count what lies in the outbox, and the runs."""
    outbox = await db.execute_fetchall(
        "select state, count(*) from outbox "
        "where state in ('waiting', 'claimed', 'failed') group by state"
    )
    [[oldest]] = await db.execute_fetchall(
        "select min(created) from outbox where state in ('waiting', 'claimed')"
    )
    runs = await db.execute_fetchall("select state, count(*) from run group by state")
    return Condition(
        dict.fromkeys(OUTBOX_STATES, 0) | dict(map(tuple, outbox)),
        maybe_from_ms(oldest),
        dict.fromkeys(RUN_STATES, 0) | dict(map(tuple, runs)),
    )


async def is_newest(db: aiosqlite.Connection) -> bool:
    """Tell whether the database has the shape that this program works with."""
    [[shape]] = await db.execute_fetchall("pragma user_version")
    return bool(shape == len(migrations()))
