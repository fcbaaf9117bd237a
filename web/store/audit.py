"""What happened, in a chain that shows when somebody has changed a link of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.clock import from_ms, to_ms

_START = bytes(32)  # stands for the digest before the first entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: datetime
    actor: str
    action: str
    detail: dict[str, object]


async def add(
    db: aiosqlite.Connection,
    now: datetime,
    actor: str,
    action: str,
    object_: str = "",
    county: str = "",
    detail: Mapping[str, object] | None = None,
) -> None:
    """Add an entry, in the transaction of what it tells of.

    `detail` holds versions, counts, codes: never what a person wrote or is.
    """
    last = await db.execute_fetchall(
        "select digest from audit order by id desc limit 1"
    )
    before = next((bytes(row[0]) for row in last), _START)
    text = canonical(detail or {})
    entry = (to_ms(now), actor, action, object_, county, text)
    await db.execute(
        "insert into audit (at, actor, action, object, county, detail, digest) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (*entry, _link(before, entry)),
    )


async def of_object(db: aiosqlite.Connection, *objects: str) -> list[Entry]:
    """Return what happened to these objects, in order."""
    rows = await db.execute_fetchall(
        "select at, actor, action, detail from audit "
        "where object in (select value from json_each(:objects)) order by id",
        {"objects": json.dumps(objects)},
    )
    return [
        Entry(from_ms(at), actor, action, json.loads(detail))
        for at, actor, action, detail in rows
    ]


async def first_broken(db: aiosqlite.Connection) -> int | None:
    """Return the id of the first entry that does not follow from those before it."""
    before, expected = _START, 1
    rows = await db.execute(
        "select id, at, actor, action, object, county, detail, digest "
        "from audit order by id"
    )
    async with rows:
        async for id_, *entry, digest in rows:
            if id_ != expected or bytes(digest) != _link(before, tuple(entry)):
                return int(id_)
            before, expected = bytes(digest), expected + 1
    return None


def canonical(value: object) -> str:
    """Write a value as JSON that is the same for the same value.

    >>> canonical({"b": 1, "a": "林"})
    '{"a":"林","b":1}'
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _link(before: bytes, entry: tuple[object, ...]) -> bytes:
    return hashlib.sha256(before + canonical(entry).encode("utf-8")).digest()
