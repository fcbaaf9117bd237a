"""Every place where sealed values lie, in one list: sealed again, or tried to open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite

from jiepin.web.store.database import Database
from jiepin.web.vault import NotSealedHere, Vault


@dataclass(frozen=True, slots=True)
class _Place:
    """A column with sealed values, how to read it with its rows, how to write it."""

    column: str
    read: str
    write: str


_PLACES: Sequence[_Place] = (
    _Place(
        "account.national_id",
        "select id, national_id from account",
        "update account set national_id = :sealed where id = :row",
    ),
    _Place(
        "account.birth_date",
        "select id, birth_date from account",
        "update account set birth_date = :sealed where id = :row",
    ),
    _Place(
        "account.hint",
        "select id, hint from account where hint is not null",
        "update account set hint = :sealed where id = :row",
    ),
    _Place(
        "staff.totp",
        "select id, totp from staff where totp is not null",
        "update staff set totp = :sealed where id = :row",
    ),
    _Place(
        "staff_enrolment.totp",
        "select staff, totp from staff_enrolment",
        "update staff_enrolment set totp = :sealed where staff = :row",
    ),
    _Place(
        "upload.content",
        "select token, content from upload",
        "update upload set content = :sealed where token = :row",
    ),
    _Place(
        "line_link.user",
        "select application, user from line_link",
        "update line_link set user = :sealed where application = :row",
    ),
    _Place(
        "snapshot.seed",
        "select cast(id as text), seed from snapshot",
        "update snapshot set seed = :sealed where id = :row",
    ),
    _Place(
        "outbox.payload",
        "select key, payload from outbox where payload is not null",
        "update outbox set payload = :sealed where key = :row",
    ),
)


async def seal_again(database: Database, vault: Vault) -> int:
    """Seal with the newest key what another one sealed, all in one transaction."""
    count = 0
    async with database.writing() as db:
        for place in _PLACES:
            for row, sealed in await db.execute_fetchall(place.read):
                if vault.sealed_with_newest(sealed):
                    continue
                text = vault.open(sealed, place.column, row)
                fresh = vault.seal(text, place.column, row)
                await db.execute(place.write, {"sealed": fresh, "row": row})
                count += 1
    return count


async def unopened(db: aiosqlite.Connection, vault: Vault) -> list[str]:
    """Return the columns whose values these keys do not open; one of each is tried."""
    return [place.column for place in _PLACES if not await _opens(db, vault, place)]


async def _opens(db: aiosqlite.Connection, vault: Vault, place: _Place) -> bool:
    for row, sealed in await db.execute_fetchall(place.read + " limit 1"):
        try:
            vault.open(sealed, place.column, row)
        except NotSealedHere:
            return False
    return True
