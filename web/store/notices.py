"""Whom LINE tells, and which notices are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import aiosqlite

from jiepin.web.clock import from_ms, to_ms
from jiepin.web.vault import Vault

Channel = Literal["mail", "line"]
Choice = tuple[str, str]  # a channel and a kind of notice

# The kinds that a person may turn off. What is not here always goes out by mail.
MAIL_KINDS: Final = ("receipt", "filed", "review", "result", "schools")
LINE_KINDS: Final = ("reset", "review", "result")
KIND_OF: Final = {
    "wishes-saved": "receipt",
    "passed": "review",
    "returned": "review",
    "rejected": "review",
    "reopened": "review",
}

_COLUMN: Final = "line_link.user"


async def channels(
    db: aiosqlite.Connection, application: str, event: str
) -> tuple[Channel, ...]:
    """Return the ways in which an applicant is told of an event."""
    kind = KIND_OF.get(event, event)
    off = await unwanted(db, application)
    found: list[Channel] = []
    if kind not in MAIL_KINDS or ("mail", kind) not in off:
        found.append("mail")
    wanted = kind in LINE_KINDS and ("line", kind) not in off
    if wanted and await line_linked(db, application):
        found.append("line")
    return tuple(found)


async def link_line(
    db: aiosqlite.Connection, vault: Vault, application: str, user: str, now: datetime
) -> None:
    """Note the LINE user that notices of an application go to."""
    await db.execute(
        "insert or replace into line_link (application, user, linked) "
        "values (:application, :user, :now)",
        {
            "application": application,
            "user": vault.seal(user, _COLUMN, application),
            "now": to_ms(now),
        },
    )


async def unlink_line(db: aiosqlite.Connection, application: str) -> bool:
    """Forget the LINE user; false when there was none."""
    done = await db.execute(
        "delete from line_link where application = :application",
        {"application": application},
    )
    return done.rowcount == 1


async def line_user(
    db: aiosqlite.Connection, vault: Vault, application: str
) -> str | None:
    """Return the LINE user of an application, None when it is not linked."""
    rows = await db.execute_fetchall(
        "select user from line_link where application = :application",
        {"application": application},
    )
    for (user,) in rows:
        return vault.open(user, _COLUMN, application)
    return None


async def line_linked(db: aiosqlite.Connection, application: str) -> datetime | None:
    """Return since when LINE is linked, None when it is not."""
    rows = await db.execute_fetchall(
        "select linked from line_link where application = :application",
        {"application": application},
    )
    return next((from_ms(row[0]) for row in rows), None)


async def unwanted(db: aiosqlite.Connection, application: str) -> frozenset[Choice]:
    """Return the kinds of notices that were turned off, each with its channel."""
    rows = await db.execute_fetchall(
        "select channel, event from notify_choice "
        "where application = :application and wanted = 0",
        {"application": application},
    )
    return frozenset((channel, kind) for channel, kind in rows)


async def save_unwanted(
    db: aiosqlite.Connection, application: str, choices: Iterable[Choice]
) -> None:
    """Turn off these kinds of notices, and all others on."""
    await db.execute(
        "delete from notify_choice where application = :application",
        {"application": application},
    )
    await db.executemany(
        "insert into notify_choice (application, channel, event, wanted) "
        "values (?, ?, ?, 0)",
        [(application, channel, kind) for channel, kind in sorted(set(choices))],
    )
