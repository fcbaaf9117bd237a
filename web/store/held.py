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
class Reviewed:
    """What the review wrote beside the points: answers, notes, a place not taken up."""

    checks: tuple[tuple[str, str, str], ...]  # item, answer, note
    notes: tuple[tuple[str, str], ...]  # item of the points, note
    note: str
    decisions: tuple[tuple[str, str], ...]  # what was done, and why
    numbers: tuple[str, ...]  # in frozen rounds
    dropped_out: tuple[str, ...]  # reasons
    corrections: tuple[str, ...]  # why it was opened after the freeze
    barred_until: datetime | None


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
    reviewed: Reviewed


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
        reviewed=await _reviewed(db, account),
    )


async def _reviewed(db: aiosqlite.Connection, account: str) -> Reviewed:
    [row] = await db.execute_fetchall(
        "select id, review_note, (select max(until) from bar "
        "where bar.application = application.id) as until "
        "from application where account = :account",
        {"account": account},
    )
    keys = {"id": row["id"]}
    checks = await db.execute_fetchall(
        "select item, answer, note from review_check where application = :id "
        "order by item",
        keys,
    )
    notes = await db.execute_fetchall(
        "select item, note from points where application = :id and note != '' "
        "order by item",
        keys,
    )
    decisions = await db.execute_fetchall(
        "select event, reason from review_event where application = :id order by id",
        keys,
    )
    numbers = await db.execute_fetchall(
        "select distinct number from snapshot_teacher where application = :id "
        "order by number",
        keys,
    )
    reasons = await db.execute_fetchall(
        "select reason from dropout where application = :id and undone is null "
        "order by id",
        keys,
    )
    opened = await db.execute_fetchall(
        "select reason from correction where application = :id order by id", keys
    )
    return Reviewed(
        checks=tuple((item, answer, note) for item, answer, note in checks),
        notes=tuple((item, note) for item, note in notes),
        note=row["review_note"],
        decisions=tuple((event, reason) for event, reason in decisions),
        numbers=tuple(number for (number,) in numbers),
        dropped_out=tuple(reason for (reason,) in reasons),
        corrections=tuple(reason for (reason,) in opened),
        barred_until=maybe_from_ms(row["until"]),
    )
