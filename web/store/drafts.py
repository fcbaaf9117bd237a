"""The unsaved list of wishes of an application: kept, but without effect."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.clock import from_ms, to_ms
from jiepin.web.store.applications import Application


@dataclass(frozen=True, slots=True)
class Draft:
    """A list under way, and the version of the application it grew from."""

    base: int
    changed: datetime
    schools: tuple[str, ...]

    @property
    def stamp(self) -> str:
        """What a page gives back to say that it knows this draft and no newer one."""
        text = json.dumps([self.base, to_ms(self.changed), self.schools])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


async def draft(db: aiosqlite.Connection, application: str) -> Draft | None:
    """Return what is under way, None when nothing is."""
    rows = await db.execute_fetchall(
        "select base, changed, schools from wish_draft where application = :id",
        {"id": application},
    )
    for base, changed, schools in rows:
        return Draft(base, from_ms(changed), tuple(json.loads(schools)))
    return None


async def keep(db: aiosqlite.Connection, application: str, draft: Draft) -> None:
    """Keep a list under way in place of the one before."""
    await db.execute(
        "insert or replace into wish_draft values (:id, :base, :changed, :schools)",
        {
            "id": application,
            "base": draft.base,
            "changed": to_ms(draft.changed),
            "schools": json.dumps(draft.schools),
        },
    )


async def drop(db: aiosqlite.Connection, application: str) -> None:
    """Forget what is under way."""
    await db.execute(
        "delete from wish_draft where application = :id", {"id": application}
    )


async def untouched_since(
    db: aiosqlite.Connection, application: Application, base: int
) -> bool:
    """Tell whether the saved list and its counties are still those of a version.

    The version also grows with the other steps, and those are no conflict here.
    """
    if base == application.version:
        return True
    rows = await db.execute_fetchall(
        "select content from application_version "
        "where application = :id and version = :base",
        {"id": application.id, "base": base},
    )
    return any(
        tuple(then["wishes"]) == application.wishes
        and tuple(then["counties"]) == application.counties
        for then in (json.loads(row[0]) for row in rows)
    )
