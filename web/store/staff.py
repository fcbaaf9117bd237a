"""The staff of counties and of the host, and their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    `masked` is empty once the card has gone to an account of another county.
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
    created_by: str
    disabled: datetime | None
    last_sign_in: datetime | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signing in needs of an account; `totp` is sealed."""

    id: str
    county: str | None
    levels: tuple[str, ...]
    password: str | None
    totp: bytes | None
    totp_step: int
    device: bytes | None
    enrol: bytes | None
    enrol_expires: datetime | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a member of staff who gave password and second factor."""

    token: bytes
    created: datetime
    seen: datetime
    level: str


_MEMBER = """select staff.id, staff.kind, staff.county, staff.levels, staff.role,
    staff.name, staff.email, staff.masked, staff.password is not null as enrolled,
    staff.enrol_expires, staff.version, staff.created as made,
    staff.created_by, staff.disabled, staff.last_sign_in, staff_session.token,
    staff_session.created as begun, staff_session.seen, staff_session.level
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


async def heads(db: aiosqlite.Connection) -> Sequence[Member]:
    """Return the heads of all counties, county by county."""
    rows = await db.execute_fetchall(
        _MEMBER + "where staff.kind = 'county' and staff.role = 'head' "
        "order by staff.county, staff.disabled is not null, staff.name, staff.id",
        {"token": None},
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
        created_by=row["created_by"],
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


@dataclass(frozen=True, slots=True)
class Changes:
    """What the one who looks after an account may change of it."""

    role: Role
    levels: tuple[str, ...]
    name: str
    email: str


async def change(
    db: aiosqlite.Connection, id_: str, version: int, changes: Changes
) -> bool:
    """Write changes; False when another version than `version` is there."""
    done = await db.execute(
        "update staff set role = :role, levels = :levels, name = :name, "
        "email = :email, version = version + 1 where id = :id and version = :version",
        {
            "id": id_,
            "version": version,
            "role": changes.role,
            "levels": SEPARATOR.join(changes.levels),
            "name": changes.name,
            "email": changes.email,
        },
    )
    return done.rowcount == 1


async def set_access(
    db: aiosqlite.Connection, id_: str, version: int, disabled: datetime | None
) -> bool:
    """Take access away, or give it back; False when the version is another."""
    moment = None if disabled is None else to_ms(disabled)
    done = await db.execute(
        "update staff set disabled = :disabled, version = version + 1 "
        "where id = :id and version = :version",
        {"id": id_, "version": version, "disabled": moment},
    )
    return done.rowcount == 1


async def renew(
    db: aiosqlite.Connection, id_: str, version: int, enrol: bytes, expires: datetime
) -> bool:
    """Forget password and second factor, and wait for a new code instead.

    False when another version than `version` is there.
    """
    done = await db.execute(
        "update staff set password = null, totp = null, totp_step = 0, device = null, "
        "enrol = :enrol, enrol_expires = :expires, version = version + 1 "
        "where id = :id and version = :version",
        {"id": id_, "version": version, "enrol": enrol, "expires": to_ms(expires)},
    )
    await forget_enrolment(db, id_)
    return done.rowcount == 1


async def give_up_card(db: aiosqlite.Connection, id_: str) -> None:
    """Let the card of an account without access go to an account elsewhere."""
    await db.execute(
        "update staff set lookup = randomblob(32), masked = '' "
        "where id = :id and disabled is not null",
        {"id": id_},
    )


# signing in


async def credentials(
    db: aiosqlite.Connection, kind: str, lookup: bytes
) -> Credentials | None:
    """Return what signing in needs of the account that a card belongs to."""
    where = "where kind = :kind and lookup = :lookup"
    return await _credentials(db, where, {"kind": kind, "lookup": lookup})


async def credentials_of(db: aiosqlite.Connection, id_: str) -> Credentials | None:
    """Return what is asked for again before something grave."""
    return await _credentials(db, "where id = :id", {"id": id_})


async def _credentials(
    db: aiosqlite.Connection, where: str, keys: dict[str, Any]
) -> Credentials | None:
    rows = await db.execute_fetchall(
        "select id, county, levels, password, totp, totp_step, device, enrol, "
        "enrol_expires, disabled is not null as disabled from staff " + where,
        keys,
    )
    for row in rows:
        fields = dict(row)
        expires = maybe_from_ms(fields.pop("enrol_expires"))
        disabled = bool(fields.pop("disabled"))
        fields["levels"] = tuple(fields["levels"].split(SEPARATOR))
        return Credentials(**fields, enrol_expires=expires, disabled=disabled)
    return None


async def use_step(
    db: aiosqlite.Connection, id_: str, password: str, step: int
) -> bool:
    """Use up a step of the second factor.

    False where it or a later one was used, or the password is another by now, or
    access was taken away.
    """
    done = await db.execute(
        "update staff set totp_step = :step where id = :id and password = :password "
        "and totp_step < :step and disabled is null",
        {"id": id_, "password": password, "step": step},
    )
    return done.rowcount == 1


async def signed_in(
    db: aiosqlite.Connection, id_: str, device: bytes, now: datetime
) -> None:
    """Note time and computer of a sign-in."""
    await db.execute(
        "update staff set last_sign_in = :now, device = :device where id = :id",
        {"now": to_ms(now), "device": device, "id": id_},
    )


async def set_password(db: aiosqlite.Connection, id_: str, password: str) -> None:
    """Replace the hash of a password."""
    await db.execute(
        "update staff set password = :password where id = :id",
        {"password": password, "id": id_},
    )


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A first sign-in that waits for the first code of the second factor."""

    staff: str
    token: bytes
    password: str
    totp: bytes  # sealed
    device: bytes
    expires: datetime


async def begin_enrolment(db: aiosqlite.Connection, enrolment: Enrolment) -> None:
    """Keep a first sign-in; an earlier one of the same account ends."""
    await db.execute(
        "insert or replace into staff_enrolment "
        "(staff, token, password, totp, device, expires) "
        "values (:staff, :token, :password, :totp, :device, :expires)",
        {name: getattr(enrolment, name) for name in Enrolment.__slots__}
        | {"expires": to_ms(enrolment.expires)},
    )


async def enrolment(
    db: aiosqlite.Connection, token: bytes, now: datetime
) -> tuple[Enrolment, Member] | None:
    """Return a first sign-in that is under way, and whose it is."""
    rows = await db.execute_fetchall(
        "select staff, token, password, totp, device, expires from staff_enrolment "
        "where token = :token and expires > :now",
        {"token": token, "now": to_ms(now)},
    )
    for row in rows:
        fields = dict(row)
        found = Enrolment(**fields | {"expires": from_ms(fields["expires"])})
        member = await by_id(db, found.staff)
        if member is not None and member.disabled is None:
            return found, member
    return None


async def enrol(
    db: aiosqlite.Connection, enrolment: Enrolment, totp: bytes, step: int
) -> None:
    """Settle password and second factor; the code for it counts no more."""
    await db.execute(
        "update staff set password = :password, totp = :totp, totp_step = :step, "
        "enrol = null, enrol_expires = null where id = :staff",
        {
            "staff": enrolment.staff,
            "password": enrolment.password,
            "totp": totp,
            "step": step,
        },
    )
    await forget_enrolment(db, enrolment.staff)


async def forget_enrolment(db: aiosqlite.Connection, staff: str) -> None:
    """Forget a first sign-in that is under way."""
    await db.execute(
        "delete from staff_enrolment where staff = :staff", {"staff": staff}
    )


# sessions


async def add_session(
    db: aiosqlite.Connection, token: bytes, staff: str, now: datetime, level: str = ""
) -> None:
    """Begin a session; `token` is the digest of what the cookie holds.

    With a level he acts for that one alone, and else for all of his.
    """
    await db.execute(
        "insert into staff_session (token, staff, level, created, seen) "
        "values (:token, :staff, :level, :now, :now)",
        {"token": token, "staff": staff, "level": level, "now": to_ms(now)},
    )


async def session(
    db: aiosqlite.Connection, token: bytes
) -> tuple[Session, Member] | None:
    """Return a session and whose it is; None for who has no access any more.

    Of the levels those are told that the session is for.
    """
    rows = await db.execute_fetchall(
        _MEMBER + "where staff.id = (select staff from staff_session "
        "where token = :token) and staff.disabled is null",
        {"token": token},
    )
    for row in rows:
        member, level = _member(row), row["level"]
        begun = Session(
            row["token"], from_ms(row["begun"]), from_ms(row["seen"]), level
        )
        if not level:
            return begun, member
        if level in member.levels:
            return begun, replace(member, levels=(level,))
    return None


async def sessions_of(db: aiosqlite.Connection, staff: str) -> Sequence[Session]:
    """Return the sessions of a member of staff, the newest first."""
    rows = await db.execute_fetchall(
        "select token, created, seen, level from staff_session where staff = :staff "
        "order by created desc, token",
        {"staff": staff},
    )
    return tuple(
        Session(token, from_ms(created), from_ms(seen), level)
        for token, created, seen, level in rows
    )


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


async def end_other_sessions(
    db: aiosqlite.Connection, staff: str, token: bytes
) -> None:
    """End every session of a member of staff but one."""
    await db.execute(
        "delete from staff_session where staff = :staff and token != :token",
        {"staff": staff, "token": token},
    )


async def forget_old(
    db: aiosqlite.Connection,
    now: datetime,
    seen_before: datetime,
    created_before: datetime,
) -> None:
    """Delete sessions and first sign-ins that have ended by themselves."""
    await db.execute(
        "delete from staff_session where seen < :seen or created < :created",
        {"seen": to_ms(seen_before), "created": to_ms(created_before)},
    )
    await db.execute(
        "delete from staff_enrolment where expires <= :now", {"now": to_ms(now)}
    )
