"""Tables that were tried and wait to be put in: sealed, for half an hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import aiosqlite

from jiepin.web.clock import from_ms, to_ms
from jiepin.web.vault import Vault

LIFE: Final = timedelta(minutes=30)
_COLUMN: Final = "upload.content"


@dataclass(frozen=True, slots=True)
class Upload:
    """One such table: its kind, what was read from it, and until when it waits."""

    kind: str
    content: str
    expires: datetime


async def keep(
    db: aiosqlite.Connection,
    vault: Vault,
    token: str,
    staff: str,
    upload: Upload,
) -> None:
    """Keep a table under the digest of a token; one that waits already is dropped."""
    await db.execute("delete from upload where staff = :staff", {"staff": staff})
    await db.execute(
        "insert into upload (token, staff, kind, content, expires) "
        "values (:token, :staff, :kind, :content, :expires)",
        {
            "token": token,
            "staff": staff,
            "kind": upload.kind,
            "content": vault.seal(upload.content, _COLUMN, token),
            "expires": to_ms(upload.expires),
        },
    )


async def find(
    db: aiosqlite.Connection, vault: Vault, token: str, staff: str, now: datetime
) -> Upload | None:
    """Return a table that waits, to who has tried it."""
    rows = await db.execute_fetchall(
        "select kind, content, expires from upload "
        "where token = :token and staff = :staff and expires > :now",
        {"token": token, "staff": staff, "now": to_ms(now)},
    )
    return next(
        (
            Upload(kind, vault.open(content, _COLUMN, token), from_ms(expires))
            for kind, content, expires in rows
        ),
        None,
    )


async def forget(db: aiosqlite.Connection, token: str) -> None:
    """Drop a table that has been put in."""
    await db.execute("delete from upload where token = :token", {"token": token})


async def forget_old(db: aiosqlite.Connection, now: datetime) -> None:
    """Drop the tables that nobody can put in any more."""
    await db.execute("delete from upload where expires <= :now", {"now": to_ms(now)})
