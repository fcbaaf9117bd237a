"""What a backup asks of the database, and what becomes of a database restored."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import aiosqlite

from jiepin.web.clock import to_ms
from jiepin.web.store import audit

HELD_BACK = "held back at a restore; it may have been sent before"
# whoever was signed in or on the way in: sign-outs since the backup are not in it
_AT_THE_DOOR = (
    "challenge",
    "session",
    "staff_session",
    "staff_enrolment",
    "mail_code",
    "reset",
    "upload",
)


async def shape(db: aiosqlite.Connection) -> int:
    """Return which shape the database is in, as `schema/` counts."""
    [[version]] = await db.execute_fetchall("pragma user_version")
    return int(version)


async def counts(db: aiosqlite.Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    tables = await db.execute_fetchall(
        "select name from sqlite_master where type = 'table' and "
        "name not like 'sqlite_%' order by name"
    )
    found = {}
    for (name,) in tables:
        [[n]] = await db.execute_fetchall('select count(*) from "' + name + '"')
        found[name] = int(n)
    return found


async def faults(db: aiosqlite.Connection) -> list[str]:
    """Return what SQLite finds wrong with the file, nothing where it is whole."""
    try:
        whole = await db.execute_fetchall("pragma integrity_check(20)")
        orphans = await db.execute_fetchall("pragma foreign_key_check")
    except sqlite3.DatabaseError as fault:
        return [str(fault)]
    told = [text for (text,) in whole if text != "ok"]
    return told + sorted({f"{row[0]}: a row without its {row[2]}" for row in orphans})


async def taken_up(
    db: aiosqlite.Connection, now: datetime, made: str, hold_mail: bool
) -> int:
    """Make a restored database fit to go on; returns how many messages are held back.

    All sessions end. With `hold_mail` nothing is sent that was due before: the site
    that made the backup may have sent it since.
    """
    for table in _AT_THE_DOOR:
        await db.execute("delete from " + table)
    held = await _hold_back(db, now) if hold_mail else 0
    detail = {"backup": made, "held": held}
    await audit.add(db, now, audit.SYSTEM, "restored", detail=detail)
    return held


async def _hold_back(db: aiosqlite.Connection, now: datetime) -> int:
    keys = {"now": to_ms(now), "why": HELD_BACK}
    done = await db.execute(
        """update outbox set state = 'failed', error = :why, payload = null,
        finished = :now where state in ('waiting', 'claimed')""",
        keys,
    )
    await db.execute(
        "update publication set told = :now where told is null and retracted is null "
        "and publish_at <= :now",
        keys,
    )
    return done.rowcount
