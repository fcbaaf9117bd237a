"""Signing in of staff: card, password and second factor, all of them each time.

The first time a code that was handed over stands for the password: then both are set
up. What is wrong is never told: unknown, wrong and used sound the same.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import aiosqlite

from jiepin.web import accounts
from jiepin.web.accounts import Presence, Refused
from jiepin.web.card import Reading
from jiepin.web.passwords import Passwords
from jiepin.web.site import Site
from jiepin.web.staff import second_factor
from jiepin.web.store import accounts as throttles
from jiepin.web.store import audit
from jiepin.web.store import staff as store
from jiepin.web.store.staff import Credentials, Enrolment, Member, Session
from jiepin.web.vault import Vault, digest

SHORTEST = 12  # characters of a password
SETUP_LIFE = timedelta(minutes=15)  # to take the second factor into a telephone
CODE_LIFE = timedelta(days=7)  # of the code that is handed over
_CODE_BYTES = 10
_READ_FOR: Final = str.maketrans("018", "OIB")  # what base32 has instead


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody at the door of an end; level '' asks for all that he acts for."""

    kind: str
    level: str
    password: str = field(repr=False)
    code: str = field(repr=False)
    reading: Reading = field(repr=False)
    address: str


@dataclass(frozen=True, slots=True)
class FirstAttempt:
    """Somebody with the code that was handed over, and the password he chooses."""

    kind: str
    code: str = field(repr=False)
    password: str = field(repr=False)
    reading: Reading = field(repr=False)
    address: str


def lookup(vault: Vault, kind: str, national_id: str) -> bytes:
    """Return what a member of staff of a county or of the host is found by."""
    return vault.lookup(0, f"staff:{kind}", national_id)


def new_code() -> str:
    """Return a code to be handed over: 80 bits, in groups."""
    text = second_factor.as_base32(secrets.token_bytes(_CODE_BYTES))
    return second_factor.in_groups(text).replace(" ", "-")


def code_digest(typed: str) -> bytes:
    """Return what the database keeps of a code, however it was typed.

    >>> code_digest("abcd-efgh ijk1 mn0p") == code_digest("ABCDEFGHIJKIMNOP")
    True
    """
    letters = "".join(sign for sign in typed.upper() if sign.isalnum())
    return digest(letters.translate(_READ_FOR))


@dataclass(frozen=True, slots=True)
class _Person:
    """Who stands at the door, and under which key his attempts are counted.

    Whoever knows an ID can fail in its name. The computer of the last sign-in is
    counted by itself, so that this locks nobody out of his own.
    """

    lookup: bytes
    found: Credentials | None
    device: bytes

    @property
    def known(self) -> bool:
        return self.found is not None and self.found.device == self.device

    @property
    def key(self) -> str:
        device = f":{self.device.hex()}" if self.known else ""
        return f"staff:{self.lookup.hex()}{device}"

    def slowed(self, address: str) -> str | None:
        """Return the address to be throttled; a neighbour's failures slow no owner."""
        return None if self.known else address


async def _find(site: Site, kind: str, reading: Reading) -> _Person:
    key = lookup(site.vault, kind, reading.national_id)
    async with site.database.reading() as db:
        found = await store.credentials(db, kind, key)
    return _Person(key, found, reading.device)


async def sign_in(site: Site, passwords: Passwords, attempt: Attempt) -> str:
    """Let somebody in and return the cookie of a new session; raises Refused, Busy."""
    person = await _find(site, attempt.kind, attempt.reading)
    await accounts.take_attempt(site, person.key, person.slowed(attempt.address))
    stored, fresh = person.found.password if person.found else None, None
    async with accounts.taken_back_when_busy(site, person.key):
        right = await passwords.matches(stored, attempt.password)
        if right and stored is not None and passwords.outdated(stored):
            fresh = await passwords.hash(attempt.password)
    token = await _admit(site, attempt, person, fresh) if right else None
    if token is None:
        await _count_failure(site, attempt.address, person.found)
        raise Refused("unknown")
    return token


async def _count_failure(site: Site, address: str, found: Credentials | None) -> None:
    id_, county = (found.id, found.county or "") if found else ("", "")
    await accounts.count_failure(site, address, id_, county)


async def _admit(
    site: Site, attempt: Attempt, person: _Person, fresh: str | None
) -> str | None:
    """Begin a session with the second factor; None when that is wrong or used."""
    found, now, token = person.found, site.clock.now(), secrets.token_urlsafe(32)
    if found is None or (attempt.level and attempt.level not in found.levels):
        return None
    step = _step(site, found, attempt.code, now)
    async with site.database.writing() as db:
        if step is None or not await _use_step(db, found, step):
            return None
        if fresh is not None:
            await store.set_password(db, found.id, fresh)
        await store.signed_in(db, found.id, attempt.reading.device, now)
        await store.add_session(db, digest(token), found.id, now, attempt.level)
        await throttles.forget_failures(db, person.key)
        await audit.add(
            db, now, found.id, "staff-sign-in", found.id, found.county or ""
        )
    return token


def _step(site: Site, found: Credentials, code: str, now: datetime) -> int | None:
    if found.totp is None:
        return None
    secret = site.vault.open(found.totp, "staff.totp", found.id)
    return second_factor.step_of(secret, code, now, found.totp_step)


async def _use_step(db: aiosqlite.Connection, found: Credentials, step: int) -> bool:
    return found.password is not None and await store.use_step(
        db, found.id, found.password, step
    )


async def sign_out(site: Site, presence: Presence, cookie: str) -> None:
    """End the session of a cookie."""
    async with site.database.writing() as db:
        await store.end_session(db, digest(cookie))
    presence.forget(digest(cookie))


# the first time


async def begin(site: Site, passwords: Passwords, attempt: FirstAttempt) -> str:
    """Begin to set up an account; returns a cookie. Raises Refused, Busy."""
    person = await _find(site, attempt.kind, attempt.reading)
    await accounts.take_attempt(site, person.key, person.slowed(attempt.address))
    async with accounts.taken_back_when_busy(site, person.key):
        hashed = await passwords.hash(attempt.password)
    token = await _keep(site, attempt, person, hashed)
    if token is None:
        await _count_failure(site, attempt.address, person.found)
        raise Refused("unknown")
    return token


async def _keep(
    site: Site, attempt: FirstAttempt, person: _Person, hashed: str
) -> str | None:
    """Keep password and a fresh second factor if the code is right."""
    now, token = site.clock.now(), secrets.token_urlsafe(32)
    secret = second_factor.new_secret()
    async with site.database.writing() as db:
        found = await store.credentials(db, attempt.kind, person.lookup)
        if found is None or not _opens(found, attempt.code, now):
            return None
        begun = Enrolment(
            staff=found.id,
            token=digest(token),
            password=hashed,
            totp=site.vault.seal(secret, "staff_enrolment.totp", found.id),
            device=attempt.reading.device,
            expires=now + SETUP_LIFE,
        )
        await store.begin_enrolment(db, begun)
        await throttles.forget_failures(db, person.key)
    return token


def _opens(found: Credentials, code: str, now: datetime) -> bool:
    """Tell whether a code is the one that was handed over, and in time."""
    if found.disabled or found.enrol is None or found.enrol_expires is None:
        return False
    right = secrets.compare_digest(found.enrol, code_digest(code))
    return right and now < found.enrol_expires


@dataclass(frozen=True, slots=True)
class SettingUp:
    """Somebody who is taking the second factor into his telephone."""

    enrolment: Enrolment
    member: Member
    secret: str = field(repr=False)


async def setting_up(site: Site, cookie: str | None) -> SettingUp | None:
    """Return who is setting up his account, by the cookie that `begin` gave."""
    if not cookie:
        return None
    async with site.database.reading() as db:
        return await _setting_up(site, db, cookie)


async def _setting_up(
    site: Site, db: aiosqlite.Connection, cookie: str
) -> SettingUp | None:
    found = await store.enrolment(db, digest(cookie), site.clock.now())
    if found is None:
        return None
    begun, member = found
    secret = site.vault.open(begun.totp, "staff_enrolment.totp", begun.staff)
    return SettingUp(begun, member, secret)


async def finish(site: Site, cookie: str, code: str) -> str | None:
    """Settle the account with its first code; returns the cookie of a session.

    None when the code is wrong. Raises Refused when there is nothing to settle.
    """
    now, token = site.clock.now(), secrets.token_urlsafe(32)
    async with site.database.writing() as db:
        found = await _setting_up(site, db, cookie)
        if found is None:
            raise Refused("again")
        step = second_factor.step_of(found.secret, code, now, 0)
        if step is None:
            return None
        id_, county = found.member.id, found.member.county or ""
        sealed = site.vault.seal(found.secret, "staff.totp", id_)
        await store.enrol(db, found.enrolment, sealed, step)
        await store.signed_in(db, id_, found.enrolment.device, now)
        await store.add_session(db, digest(token), id_, now)
        await audit.add(db, now, id_, "staff-enrolled", id_, county)
    return token


# one's own account


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A new password, with the present one and a code beside it."""

    present: str = field(repr=False)
    code: str = field(repr=False)
    password: str = field(repr=False)


async def change_password(
    site: Site, passwords: Passwords, member: Member, session: Session, new: NewPassword
) -> str | None:
    """Replace the password and end all sessions; returns the cookie of a new one.

    None when the present password or the code is wrong. Raises Refused, Busy.
    """
    key = f"staff-present:{member.id}"
    await accounts.take_attempt(site, key, None)
    async with site.database.reading() as db:
        found = await store.credentials_of(db, member.id)
    assert found is not None  # he is signed in
    async with accounts.taken_back_when_busy(site, key):
        right = await passwords.matches(found.password, new.present)
        hashed = await passwords.hash(new.password)
    if not right:
        return None
    return await _replace(site, found, session, new.code, hashed)


async def _replace(
    site: Site, found: Credentials, session: Session, code: str, hashed: str
) -> str | None:
    now, token, id_ = site.clock.now(), secrets.token_urlsafe(32), found.id
    step = _step(site, found, code, now)
    async with site.database.writing() as db:
        if step is None or not await _use_step(db, found, step):
            return None
        await store.set_password(db, id_, hashed)
        await store.end_sessions(db, id_)
        await store.add_session(db, digest(token), id_, now, session.level)
        await throttles.forget_failures(db, f"staff-present:{id_}")
        await audit.add(db, now, id_, "staff-password", id_, found.county or "")
    return token


async def end_others(site: Site, member: Member, session: Session) -> None:
    """End the other sessions of a member of staff."""
    now, county = site.clock.now(), member.county or ""
    async with site.database.writing() as db:
        await store.end_other_sessions(db, member.id, session.token)
        await audit.add(db, now, member.id, "staff-sessions", member.id, county)


async def words_about(site: Site, member: Member, password: str) -> Sequence[str]:
    """Return what an acquaintance would try: name, address, ID.

    The ID is not stored: every one that a password holds is looked up.
    """
    shaped = re.findall("(?=([A-Z][A-Z0-9][0-9]{8}))", password.upper())
    keys = {id_: lookup(site.vault, member.kind, id_) for id_ in shaped}
    async with site.database.reading() as db:
        found = {id_: await store.by_lookup(db, member.kind, keys[id_]) for id_ in keys}
    own = [id_ for id_, owner in found.items() if owner and owner.id == member.id]
    return (*own, member.name, member.email.partition("@")[0])
