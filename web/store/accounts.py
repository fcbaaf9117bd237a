"""Accounts, the roster, sessions, challenges, throttles and one-time codes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.card import Challenge
from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.store.applications import Application, from_row

ADDRESS = b""  # stands for a device in `mail_code`: the code is for a new address

# An outer join would build the whole view for one row of it. Once an account has a
# confirmed address, it is open on computers alone that were confirmed through it.
SIGNED_IN = """select session.token, session.created, session.seen, session.device,
    application_whole.email_confirmed is null or device.confirmed is not null
    as let_in, application_whole.*
    from session
    join application_whole on application_whole.account = session.account
    left join device
    on device.account = session.account and device.device = session.device
    where session.token = :token"""


@dataclass(frozen=True, slots=True)
class Account:
    """What signing in needs of an account."""

    id: str
    year: int
    level: str
    county: str
    password: str | None
    hint: bytes | None


@dataclass(frozen=True, slots=True)
class Session:
    """The session of somebody who gave the right password.

    `let_in` is False as long as its computer has to be confirmed by a code.
    """

    token: bytes
    account: str
    created: datetime
    seen: datetime
    device: bytes | None
    let_in: bool


@dataclass(frozen=True, slots=True)
class MailCode:
    """A code that is on its way to an address."""

    email: str
    code: bytes
    created: datetime
    expires: datetime
    tries: int


# the roster


async def add_to_roster(
    db: aiosqlite.Connection,
    year: int,
    level: str,
    lookup: bytes,
    county: str,
    school: str | None,
) -> None:
    """Put a teacher on the county's list of those who may sign in."""
    await db.execute(
        "insert or replace into roster "
        "values (:year, :level, :lookup, :county, :school)",
        {
            "year": year,
            "level": level,
            "lookup": lookup,
            "county": county,
            "school": school,
        },
    )


async def roster_county(
    db: aiosqlite.Connection, year: int, level: str, lookup: bytes
) -> str | None:
    """Return the county on whose roster somebody is."""
    rows = await db.execute_fetchall(
        "select county from roster "
        "where year = :year and level = :level and lookup = :lookup",
        {"year": year, "level": level, "lookup": lookup},
    )
    return next((row[0] for row in rows), None)


async def roster_school(db: aiosqlite.Connection, account: str) -> str | None:
    """Return the school that the roster knows for an account."""
    rows = await db.execute_fetchall(
        "select roster.school from roster join account using (year, level, lookup) "
        "where account.id = :account",
        {"account": account},
    )
    return next((row[0] for row in rows), None)


# accounts


async def by_lookup(
    db: aiosqlite.Connection, year: int, level: str, lookup: bytes
) -> Account | None:
    """Return the account of a person, if there is one."""
    rows = await db.execute_fetchall(
        "select id, year, level, county, password, hint from account "
        "where year = :year and level = :level and lookup = :lookup",
        {"year": year, "level": level, "lookup": lookup},
    )
    return next((Account(**row) for row in rows), None)


async def by_id(db: aiosqlite.Connection, account: str) -> Account | None:
    """Return an account."""
    rows = await db.execute_fetchall(
        "select id, year, level, county, password, hint from account where id = :id",
        {"id": account},
    )
    return next((Account(**row) for row in rows), None)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made, what identifies the person sealed."""

    id: str
    year: int
    level: str
    lookup: bytes
    county: str
    national_id: bytes
    birth_date: bytes
    sex: str
    card_name: str
    card_name_certain: bool


async def create(db: aiosqlite.Connection, account: NewAccount, now: datetime) -> None:
    """Make an account for somebody on the roster."""
    await db.execute(
        """insert into account (id, year, level, lookup, county, national_id,
        birth_date, sex, card_name, card_name_certain, created) values (:id, :year,
        :level, :lookup, :county, :national_id, :birth_date, :sex, :card_name,
        :card_name_certain, :now)""",
        {name: getattr(account, name) for name in NewAccount.__slots__}
        | {"now": to_ms(now)},
    )


async def sealed_identity(
    db: aiosqlite.Connection, account: str
) -> tuple[bytes, bytes]:
    """Return national ID and birthday of an account, sealed as they lie there."""
    rows = await db.execute_fetchall(
        "select national_id, birth_date from account where id = :id", {"id": account}
    )
    [(national_id, birth_date)] = rows
    return national_id, birth_date


@dataclass(frozen=True, slots=True)
class Identity:
    """What the card says of a person besides the national ID; the birthday sealed."""

    birth_date: bytes
    sex: str
    card_name: str
    card_name_certain: bool


async def set_identity(
    db: aiosqlite.Connection, account: str, identity: Identity
) -> None:
    """Replace what the card says of a person."""
    await db.execute(
        "update account set birth_date = :birth_date, sex = :sex, "
        "card_name = :card_name, card_name_certain = :card_name_certain "
        "where id = :id",
        {name: getattr(identity, name) for name in Identity.__slots__}
        | {"id": account},
    )


async def change_password(
    db: aiosqlite.Connection,
    account: str,
    present: str,
    password: str,
    hint: bytes | None,
) -> bool:
    """Replace hash and hint; False when another hash than `present` is there."""
    done = await db.execute(
        "update account set password = :password, hint = :hint "
        "where id = :id and password = :present",
        {"password": password, "hint": hint, "id": account, "present": present},
    )
    return done.rowcount == 1


async def set_password(db: aiosqlite.Connection, account: str, password: str) -> None:
    """Replace the hash of a password."""
    await db.execute(
        "update account set password = :password where id = :id",
        {"password": password, "id": account},
    )


async def set_hint(db: aiosqlite.Connection, account: str, hint: bytes | None) -> None:
    """Replace the sealed hint."""
    await db.execute(
        "update account set hint = :hint where id = :id", {"hint": hint, "id": account}
    )


async def signed_in(db: aiosqlite.Connection, account: str, now: datetime) -> None:
    """Note the time of a sign-in."""
    await db.execute(
        "update account set last_sign_in = :now where id = :id",
        {"now": to_ms(now), "id": account},
    )


async def add_device(
    db: aiosqlite.Connection, account: str, device: bytes, now: datetime
) -> bool:
    """Note the computer of a sign-in; true when it was not seen before."""
    done = await db.execute(
        "insert or ignore into device (account, device, first_seen) "
        "values (:account, :device, :now)",
        {"account": account, "device": device, "now": to_ms(now)},
    )
    return done.rowcount == 1


async def is_confirmed(db: aiosqlite.Connection, account: str, device: bytes) -> bool:
    """Tell whether a computer was confirmed through the address of an account."""
    rows = await db.execute_fetchall(
        "select 1 from device where account = :account and device = :device "
        "and confirmed is not null",
        {"account": account, "device": device},
    )
    return bool(rows)


async def confirm_device(
    db: aiosqlite.Connection, account: str, device: bytes, now: datetime
) -> None:
    """Note that whoever sits at a computer reads the account's mail."""
    await db.execute(
        "insert into device (account, device, first_seen, confirmed) "
        "values (:account, :device, :now, :now) "
        "on conflict (account, device) do update set confirmed = :now",
        {"account": account, "device": device, "now": to_ms(now)},
    )


# sessions


async def add_session(
    db: aiosqlite.Connection,
    token: bytes,
    account: str | None,
    device: bytes | None,
    now: datetime,
) -> None:
    """Begin a session; `token` is the digest of what the cookie holds."""
    await db.execute(
        "insert into session (token, account, created, seen, device) "
        "values (:token, :account, :now, :now, :device)",
        {"token": token, "account": account, "now": to_ms(now), "device": device},
    )


async def is_session(db: aiosqlite.Connection, token: bytes) -> bool:
    """Tell whether there is such a session, with or without an account."""
    rows = await db.execute_fetchall(
        "select 1 from session where token = :token", {"token": token}
    )
    return bool(rows)


async def session(
    db: aiosqlite.Connection, token: bytes
) -> tuple[Session, Application] | None:
    """Return a session after the password, and the application, in one query."""
    rows = await db.execute_fetchall(SIGNED_IN, {"token": token})
    for row in rows:
        found = Session(
            row["token"],
            row["account"],
            from_ms(row["created"]),
            from_ms(row["seen"]),
            row["device"],
            bool(row["let_in"]),
        )
        return found, from_row(row)
    return None


async def saw_sessions(
    db: aiosqlite.Connection, seen: list[tuple[bytes, datetime]]
) -> None:
    """Note when sessions were used last."""
    await db.executemany(
        "update session set seen = max(seen, ?) where token = ?",
        [(to_ms(moment), token) for token, moment in seen],
    )


async def end_session(db: aiosqlite.Connection, token: bytes) -> None:
    """End one session."""
    await db.execute("delete from session where token = :token", {"token": token})


async def end_sessions(db: aiosqlite.Connection, account: str) -> None:
    """End every session of an account."""
    await db.execute(
        "delete from session where account = :account", {"account": account}
    )


async def forget_old(
    db: aiosqlite.Connection,
    now: datetime,
    seen_before: datetime,
    created_before: datetime,
    counted_before: datetime,
) -> None:
    """Delete sessions that have ended by themselves, and what nobody can use now.

    A session without an account is there for its challenge alone.
    """
    keys = {
        "now": to_ms(now),
        "seen": to_ms(seen_before),
        "created": to_ms(created_before),
        "counted": to_ms(counted_before),
    }
    await db.execute("delete from challenge where expires <= :now", keys)
    await db.execute(
        "delete from session where seen < :seen or created < :created or "
        "account is null and token not in (select session from challenge)",
        keys,
    )
    await db.execute(
        "delete from throttle where until <= :now and since <= :counted", keys
    )
    await db.execute("delete from reset where expires < :created", keys)
    await db.execute(
        "delete from mail_code where device != x'' and expires <= :now", keys
    )


# challenges


async def add_challenge(
    db: aiosqlite.Connection, session: bytes, challenge: Challenge
) -> None:
    """Keep a challenge until its answer comes; an older one of the session ends."""
    await db.execute(
        "insert or replace into challenge (nonce, session, raw, signature, expires) "
        "values (:nonce, :session, :raw, :signature, :expires)",
        {
            "nonce": challenge.nonce,
            "session": session,
            "raw": challenge.raw,
            "signature": challenge.signature,
            "expires": challenge.expires * 1000,
        },
    )


async def use_challenge(db: aiosqlite.Connection, session: bytes) -> Challenge | None:
    """Use up the challenge of a session; None when there is no unused one."""
    rows = await db.execute_fetchall(
        "delete from challenge where session = :session "
        "returning raw, signature, nonce, expires",
        {"session": session},
    )
    for raw, signature, nonce, expires in rows:
        return Challenge(raw, signature, nonce, expires // 1000)
    return None


# throttles


async def throttled_until(
    db: aiosqlite.Connection, keys: list[str]
) -> dict[str, datetime]:
    """Return until when each of these keys is refused."""
    rows = await db.execute_fetchall(
        "select key, until from throttle "
        "where key in (select value from json_each(:keys))",
        {"keys": json.dumps(keys)},
    )
    return {key: from_ms(until) for key, until in rows}


async def count_failure(
    db: aiosqlite.Connection, key: str, now: datetime, since: datetime
) -> int:
    """Count a failure and return how many there were since `since`."""
    rows = await db.execute_fetchall(
        """insert into throttle (key, failures, since, until)
        values (:key, 1, :now, 0) on conflict (key) do update set
        failures = case when since <= :start then 1 else failures + 1 end,
        since = case when since <= :start then :now else since end
        returning failures""",
        {"key": key, "now": to_ms(now), "start": to_ms(since)},
    )
    [(failures,)] = rows
    return int(failures)


async def take_back(
    db: aiosqlite.Connection, key: str, most: int, now: datetime
) -> None:
    """Take one counted failure back; a refusal for as many as `most` ends with it."""
    await db.execute(
        "update throttle set until = 0, failures = "
        "max(0, case when until > :now then :most else failures end - 1) "
        "where key = :key",
        {"key": key, "most": most, "now": to_ms(now)},
    )


async def refuse_until(db: aiosqlite.Connection, key: str, until: datetime) -> None:
    """Refuse a key for a while, and count afresh afterwards."""
    await db.execute(
        "update throttle set until = :until, failures = 0 where key = :key",
        {"key": key, "until": to_ms(until)},
    )


async def forget_failures(db: aiosqlite.Connection, key: str) -> None:
    """Forget the failures of a key."""
    await db.execute("delete from throttle where key = :key", {"key": key})


async def locked_until(
    db: aiosqlite.Connection, account: str, now: datetime
) -> datetime | None:
    """Return until when signing in to an account is refused, None when it is not."""
    rows = await db.execute_fetchall(
        "select max(until) from throttle, account where account.id = :account "
        "and until > :now and " + _OF_ACCOUNT,
        {"account": account, "now": to_ms(now)},
    )
    return next((maybe_from_ms(row[0]) for row in rows), None)


async def lift_locks(db: aiosqlite.Connection, account: str) -> None:
    """Forget all failures to sign in to an account, at any computer."""
    await db.execute(
        "delete from throttle where key in (select throttle.key from throttle, account "
        "where account.id = :account and " + _OF_ACCOUNT + ")",
        {"account": account},
    )


# The keys of what an owner does: by the person, some with a computer, or by account.
_OF_ACCOUNT = """(throttle.key = 'present:' || account.id
    or throttle.key in ('mail-code:' || account.id, 'device-code:' || account.id)
    or substr(throttle.key, 1, instr(throttle.key, ':') + 64) in (
    'account:' || lower(hex(account.lookup)), 'reset:' || lower(hex(account.lookup))))
"""


async def forget_device(db: aiosqlite.Connection, account: str, device: bytes) -> bool:
    """Forget a computer: a code is asked for there again; its sessions end."""
    keys = {"account": account, "device": device}
    await db.execute(
        "delete from session where account = :account and device = :device", keys
    )
    done = await db.execute(
        "delete from device where account = :account and device = :device", keys
    )
    return done.rowcount == 1


# codes and links that are mailed


async def save_mail_code(
    db: aiosqlite.Connection,
    account: str,
    device: bytes,
    email: str,
    code: bytes,
    now: datetime,
    expires: datetime,
) -> None:
    """Keep the digest of a code; an earlier one for the same no longer counts."""
    await db.execute(
        "insert or replace into mail_code "
        "(account, device, email, code, created, expires) "
        "values (:account, :device, :email, :code, :now, :expires)",
        {
            "account": account,
            "device": device,
            "email": email,
            "code": code,
            "now": to_ms(now),
            "expires": to_ms(expires),
        },
    )


async def mail_code(
    db: aiosqlite.Connection, account: str, device: bytes = ADDRESS
) -> MailCode | None:
    """Return the code that is on its way, for a new address or for a computer."""
    rows = await db.execute_fetchall(
        "select email, code, created, expires, tries from mail_code "
        "where account = :account and device = :device",
        {"account": account, "device": device},
    )
    for row in rows:
        moments = {name: from_ms(row[name]) for name in ("created", "expires")}
        return MailCode(row["email"], row["code"], tries=row["tries"], **moments)
    return None


async def count_try(db: aiosqlite.Connection, account: str, device: bytes) -> None:
    """Count a wrong code."""
    await db.execute(
        "update mail_code set tries = tries + 1 "
        "where account = :account and device = :device",
        {"account": account, "device": device},
    )


async def forget_mail_code(
    db: aiosqlite.Connection, account: str, device: bytes = ADDRESS
) -> None:
    """Forget the code that is on its way."""
    await db.execute(
        "delete from mail_code where account = :account and device = :device",
        {"account": account, "device": device},
    )


async def add_reset(
    db: aiosqlite.Connection,
    token: bytes,
    account: str,
    now: datetime,
    expires: datetime,
) -> None:
    """Keep the digest of a one-time link; earlier ones of the account end."""
    await db.execute(
        "update reset set used = :now where account = :account and used is null",
        {"account": account, "now": to_ms(now)},
    )
    await db.execute(
        "insert into reset (token, account, created, expires) "
        "values (:token, :account, :now, :expires)",
        {
            "token": token,
            "account": account,
            "now": to_ms(now),
            "expires": to_ms(expires),
        },
    )


async def reset_account(
    db: aiosqlite.Connection, token: bytes, now: datetime
) -> str | None:
    """Return whose link it is, None when it is used, over or unknown."""
    rows = await db.execute_fetchall(
        "select account from reset "
        "where token = :token and used is null and expires > :now",
        {"token": token, "now": to_ms(now)},
    )
    return next((row[0] for row in rows), None)


async def use_reset(db: aiosqlite.Connection, token: bytes, now: datetime) -> None:
    """Use a link up."""
    await db.execute(
        "update reset set used = :now where token = :token",
        {"token": token, "now": to_ms(now)},
    )
