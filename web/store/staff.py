"""The staff of counties and of the host, and their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiosqlite

from jiepin.web.access import Kind, Role
from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.store.schools import SEPARATOR

COMMAND_LINE = "command line"  # who made the first account of the host


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who acts for a county (`county`) or for the host (no county).

    `enrolled` is False until the first sign-in has set password and second factor.
    """

    id: str
    kind: Kind
    county: str | None
    levels: tuple[str, ...]
    role: Role
    name: str
    email: str
    masked: str
    enrolled: bool
    enrol_expires: datetime | None
    version: int
    created: datetime
    disabled: datetime | None
    last_sign_in: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a member of staff who gave password and second factor."""

    token: bytes
    created: datetime
    seen: datetime


_MEMBER = """select staff.id, staff.kind, staff.county, staff.levels, staff.role,
    staff.name, staff.email, staff.masked, staff.password is not null as enrolled,
    staff.enrol_expires, staff.version, staff.created as made, staff.disabled,
    staff.last_sign_in, staff_session.token, staff_session.created as begun,
    staff_session.seen
    from staff left join staff_session on staff_session.staff = staff.id
    and staff_session.token is :token """


async def by_id(db: aiosqlite.Connection, id_: str) -> Member | None:
    """Return a member of staff."""
    return await _one(db, "where staff.id = :id", {"id": id_})


async def by_lookup(
    db: aiosqlite.Connection, kind: str, lookup: bytes
) -> Member | None:
    """Return who a card belongs to at one end."""
    where = "where staff.kind = :kind and staff.lookup = :lookup"
    return await _one(db, where, {"kind": kind, "lookup": lookup})


async def _one(
    db: aiosqlite.Connection, where: str, keys: dict[str, Any]
) -> Member | None:
    rows = await db.execute_fetchall(_MEMBER + where, {"token": None} | keys)
    return next((_member(row) for row in rows), None)


async def of_end(
    db: aiosqlite.Connection, kind: str, county: str | None
) -> Sequence[Member]:
    """Return the staff of a county, or of the host, those without access last."""
    rows = await db.execute_fetchall(
        _MEMBER + "where staff.kind = :kind and staff.county is :county "
        "order by staff.disabled is not null, staff.role, staff.name, staff.id",
        {"token": None, "kind": kind, "county": county},
    )
    return tuple(_member(row) for row in rows)


def _member(row: aiosqlite.Row) -> Member:
    return Member(
        id=row["id"],
        kind=row["kind"],
        county=row["county"],
        levels=tuple(row["levels"].split(SEPARATOR)),
        role=row["role"],
        name=row["name"],
        email=row["email"],
        masked=row["masked"],
        enrolled=bool(row["enrolled"]),
        enrol_expires=maybe_from_ms(row["enrol_expires"]),
        version=row["version"],
        created=from_ms(row["made"]),
        disabled=maybe_from_ms(row["disabled"]),
        last_sign_in=maybe_from_ms(row["last_sign_in"]),
    )


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member of staff to be made; `enrol` is the digest of the code handed over."""

    id: str
    kind: str
    county: str | None
    levels: tuple[str, ...]
    role: str
    name: str
    email: str
    lookup: bytes
    masked: str
    enrol: bytes
    enrol_expires: datetime
    created_by: str


async def create(db: aiosqlite.Connection, new: NewMember, now: datetime) -> None:
    """Make an account; its owner chooses the password at the first sign-in."""
    await db.execute(
        """insert into staff (id, kind, county, levels, role, name, email, lookup,
        masked, enrol, enrol_expires, created, created_by) values (:id, :kind, :county,
        :levels, :role, :name, :email, :lookup, :masked, :enrol, :enrol_expires, :now,
        :created_by)""",
        {name: getattr(new, name) for name in NewMember.__slots__}
        | {
            "levels": SEPARATOR.join(new.levels),
            "enrol_expires": to_ms(new.enrol_expires),
            "now": to_ms(now),
        },
    )


# sessions


async def add_session(
    db: aiosqlite.Connection, token: bytes, staff: str, now: datetime
) -> None:
    """Begin a session; `token` is the digest of what the cookie holds."""
    await db.execute(
        "insert into staff_session (token, staff, created, seen) "
        "values (:token, :staff, :now, :now)",
        {"token": token, "staff": staff, "now": to_ms(now)},
    )


async def session(
    db: aiosqlite.Connection, token: bytes
) -> tuple[Session, Member] | None:
    """Return a session and whose it is; None for who has no access any more."""
    rows = await db.execute_fetchall(
        _MEMBER + "where staff.id = (select staff from staff_session "
        "where token = :token) and staff.disabled is null",
        {"token": token},
    )
    for row in rows:
        begun = Session(row["token"], from_ms(row["begun"]), from_ms(row["seen"]))
        return begun, _member(row)
    return None


async def saw_sessions(
    db: aiosqlite.Connection, seen: list[tuple[bytes, datetime]]
) -> None:
    """Note when sessions were used last."""
    await db.executemany(
        "update staff_session set seen = max(seen, ?) where token = ?",
        [(to_ms(moment), token) for token, moment in seen],
    )


async def end_session(db: aiosqlite.Connection, token: bytes) -> None:
    """End one session."""
    await db.execute("delete from staff_session where token = :token", {"token": token})


async def end_sessions(db: aiosqlite.Connection, staff: str) -> None:
    """End every session of a member of staff."""
    await db.execute("delete from staff_session where staff = :staff", {"staff": staff})


async def forget_old_sessions(
    db: aiosqlite.Connection, seen_before: datetime, created_before: datetime
) -> None:
    """Delete sessions that have ended by themselves."""
    await db.execute(
        "delete from staff_session where seen < :seen or created < :created",
        {"seen": to_ms(seen_before), "created": to_ms(created_before)},
    )
