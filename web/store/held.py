"""What is held about somebody beside the application: sign-ins, computers, links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from jiepin.web.clock import from_ms, maybe_from_ms


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has not ended."""

    created: datetime
    seen: datetime


@dataclass(frozen=True, slots=True)
class Computer:
    """A computer of sign-ins, known by the key of its reader service."""

    key: bytes
    first_seen: datetime
    confirmed: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of an account. Secrets are told of, not told: there or not."""

    created: datetime
    last_sign_in: datetime | None
    password: bool
    hint: bool
    roster_county: str | None
    roster_school: str | None
    email_to_prove: str | None
    sessions: tuple[SignedIn, ...]
    computers: tuple[Computer, ...]


async def of_account(db: aiosqlite.Connection, account: str) -> Held:
    """Return what is held of an account beside its application."""
    keys = {"account": account}
    [row] = await db.execute_fetchall(
        """select account.created, last_sign_in, password is not null as password,
        hint is not null as hint, roster.county as roster_county, roster.school,
        mail_code.email from account
        left join roster using (year, level, lookup)
        left join mail_code
        on mail_code.account = account.id and mail_code.device = x''
        where account.id = :account""",
        keys,
    )
    sessions = await db.execute_fetchall(
        "select created, seen from session where account = :account order by created",
        keys,
    )
    computers = await db.execute_fetchall(
        "select device, first_seen, confirmed from device where account = :account "
        "order by first_seen",
        keys,
    )
    return Held(
        created=from_ms(row["created"]),
        last_sign_in=maybe_from_ms(row["last_sign_in"]),
        password=bool(row["password"]),
        hint=bool(row["hint"]),
        roster_county=row["roster_county"],
        roster_school=row["school"],
        email_to_prove=row["email"],
        sessions=tuple(SignedIn(from_ms(a), from_ms(b)) for a, b in sessions),
        computers=tuple(
            Computer(key, from_ms(at), maybe_from_ms(confirmed))
            for key, at, confirmed in computers
        ),
    )
