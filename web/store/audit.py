"""What happened, in a chain that shows when somebody has changed a link of it.

Each digest is SHA-256 of the digest before it (32 zero bytes before the first) and of
the entry, written as the canonical JSON list [at, actor, action, object, county,
detail]; `detail` is JSON itself, as a string. An export holds all of that, so whoever
has it can follow the chain without the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiosqlite

from jiepin.web.clock import from_ms, maybe_from_ms, to_ms

SYSTEM: Final = "system"  # who acts when nobody does
_START = bytes(32)  # stands for the digest before the first entry
_WHAT: Final = ("at", "actor", "action", "object", "county", "detail")
_COLUMNS: Final = "select id, at, actor, action, object, county, detail, digest "


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: datetime
    actor: str
    action: str
    detail: dict[str, object]


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it stands in the chain; `at` in milliseconds, `detail` as JSON."""

    id: int
    at: int
    actor: str
    action: str
    object: str
    county: str
    detail: str
    digest: bytes

    def follows(self, before: bytes) -> bool:
        """Tell whether the digest is that of this entry after the one before."""
        entry = tuple(getattr(self, name) for name in _WHAT)
        return self.digest == _link(before, entry)


@dataclass(frozen=True, slots=True)
class Chain:
    """How far a chain holds: `whole` entries, then the first broken one, if any.

    `broken` is that entry as it stands there now; `head` the digest of the last whole
    one, which proves all those before it to whoever has kept it.
    """

    whole: int
    head: bytes
    broken: Link | None


@dataclass(frozen=True, slots=True)
class Search:
    """Which entries are looked for; what is empty does not narrow them.

    `county` is that of the object; `since` and `until` are moments, the second not
    included.
    """

    action: str = ""
    actor: str = ""
    objects: tuple[str, ...] = ()
    county: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Applicant:
    """Whose application or account an entry is about; '' before he has a number."""

    number: str
    level: str


class NotAnExport(Exception):
    """A file is no export of the audit; the text says where and what is expected."""


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


_FOUND: Final = """ from audit where (:action = '' or action = :action)
    and (:actor = '' or actor = :actor)
    and (:objects = '[]' or object in (select value from json_each(:objects)))
    and (:county = '' or county = :county)
    and (:since is null or at >= :since) and (:until is null or at < :until) """


async def found(
    db: aiosqlite.Connection, search: Search, offset: int = 0, limit: int = -1
) -> list[Link]:
    """Return the entries looked for, newest first; -1 is without limit."""
    rows = await db.execute_fetchall(
        _COLUMNS + _FOUND + "order by id desc limit :limit offset :offset",
        _keys(search) | {"limit": limit, "offset": offset},
    )
    return [_row(row) for row in rows]


async def count(db: aiosqlite.Connection, search: Search) -> int:
    """Return how many entries are looked for."""
    [[n]] = await db.execute_fetchall("select count(*)" + _FOUND, _keys(search))
    return int(n)


async def latest(db: aiosqlite.Connection) -> datetime | None:
    """Return the latest moment that any entry is of."""
    [[at]] = await db.execute_fetchall("select max(at) from audit")
    return maybe_from_ms(at)


async def actions(db: aiosqlite.Connection, county: str = "") -> list[str]:
    """Return the kinds of things that happened, in a county or anywhere."""
    rows = await db.execute_fetchall(
        "select distinct action from audit where :county = '' or county = :county "
        "order by action",
        {"county": county},
    )
    return [action for (action,) in rows]


async def applicants(
    db: aiosqlite.Connection, objects: Iterable[str]
) -> dict[str, Applicant]:
    """Return who is behind objects of the audit, as far as they are known still."""
    rows = await db.execute_fetchall(
        """select object.value, coalesce(application.number, ''), application.level
        from json_each(:objects) as object
        -- not `in`, for which every application is looked at for every object
        join application on application.id = object.value
            or application.account = object.value""",
        {"objects": json.dumps(list(objects))},
    )
    return {object_: Applicant(number, level) for object_, number, level in rows}


async def objects_of(db: aiosqlite.Connection, number: str) -> tuple[str, ...]:
    """Return applications and accounts that have a number (電腦編號), of any year."""
    rows = await db.execute_fetchall(
        "select id, account from application where number = :number",
        {"number": number},
    )
    return tuple(object_ for row in rows for object_ in row)


def _keys(search: Search) -> dict[str, Any]:
    moments = {"since": search.since, "until": search.until}
    return {
        "action": search.action,
        "actor": search.actor,
        "objects": json.dumps(search.objects),
        "county": search.county,
        **{name: None if at is None else to_ms(at) for name, at in moments.items()},
    }


async def digest_at(db: aiosqlite.Connection, id_: int) -> bytes | None:
    """Return the digest of one entry, None where there is none."""
    rows = await db.execute_fetchall(
        "select digest from audit where id = :id", {"id": id_}
    )
    return next((bytes(digest) for (digest,) in rows), None)


async def chain(db: aiosqlite.Connection) -> Chain:
    """Follow the chain of the database to its end, or to the first broken entry."""
    return await follow(_links(db))


async def follow(links: AsyncIterable[Link]) -> Chain:
    """Follow a chain to its end, or to the first entry that is not as it was written.

    An entry taken out shows at the one after it. Entries taken off the end do not show
    in the chain itself: an earlier export, or its digest in a snapshot, shows them.
    """
    head, whole = _START, 0
    async for link in links:
        if link.id != whole + 1 or not link.follows(head):
            return Chain(whole, head, link)
        head, whole = link.digest, whole + 1
    return Chain(whole, head, None)


async def export_lines(
    db: aiosqlite.Connection, after: int = 0, limit: int = -1
) -> AsyncIterator[str]:
    """Yield the audit, one JSON object a line; the whole of it proves itself.

    In parts: so many entries after that of an id.
    """
    async for link in _links(db, after, limit):
        entry = {name: getattr(link, name) for name in ("id", *_WHAT)}
        yield canonical(entry | {"digest": link.digest.hex()}) + "\n"


def read_line(number: int, line: str) -> Link:
    """Read a line of an export; raises NotAnExport."""
    try:
        entry = json.loads(line)
        digest = bytes.fromhex(entry.pop("digest"))
        link = Link(**entry, digest=digest)
        if not (isinstance(link.id, int) and isinstance(link.at, int)):
            raise ValueError
        return link
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NotAnExport(
            f"line {number}: no entry of the audit; expected a JSON object with "
            f"id, {', '.join(_WHAT)}, digest, as `jiepin-web audit export` writes"
        ) from None


async def _links(
    db: aiosqlite.Connection, after: int = 0, limit: int = -1
) -> AsyncIterator[Link]:
    rows = await db.execute(
        _COLUMNS + "from audit where id > :after order by id limit :limit",
        {"after": after, "limit": limit},
    )
    async with rows:
        async for row in rows:
            yield _row(row)


def _row(row: aiosqlite.Row) -> Link:
    fields: dict[str, Any] = dict(row)
    return Link(**fields | {"digest": bytes(row["digest"])})


def canonical(value: object) -> str:
    """Write a value as JSON that is the same for the same value.

    >>> canonical({"b": 1, "a": "林"})
    '{"a":"林","b":1}'
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _link(before: bytes, entry: tuple[object, ...]) -> bytes:
    return hashlib.sha256(before + canonical(entry).encode("utf-8")).digest()
