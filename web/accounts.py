"""Signing in: the card's sealed answer, then the password; sessions; a new password.

An account is one person at one level in one year. Who is on the county's roster and has
no password yet signs in without one and comes no further than to choosing it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import aiosqlite

from jiepin.web import card
from jiepin.web.access import Actor
from jiepin.web.clock import to_ms
from jiepin.web.passwords import Passwords
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.store import applications, audit, schools
from jiepin.web.store.applications import Application
from jiepin.web.vault import digest

IDLE, ABSOLUTE = timedelta(minutes=30), timedelta(hours=8)
FAILURES, LOCK = 5, timedelta(minutes=15)
ADDRESS_FAILURES, ADDRESS_LOCK = 30, timedelta(minutes=1)
CODE_LIFE, CODE_TRIES = timedelta(minutes=15), 5
CODE_PAUSE = timedelta(minutes=1)  # before another code goes to the same person
RESET_LIFE = timedelta(minutes=10)

Reason = Literal["again", "card", "practice", "unknown", "locked", "slow", "closed"]


class Refused(Exception):
    """Somebody was not let in; `reason` chooses what the page says."""

    def __init__(self, reason: Reason, until: datetime | None = None) -> None:
        self.reason, self.until = reason, until
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody at the door: what the card said, and what was typed."""

    level: str
    password: str
    reading: card.Reading
    address: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in: the actor, his application as stored, and his session."""

    actor: Actor
    application: Application
    session: store.Session


class Presence:
    """Who has been here lately, in memory; the database learns of it now and then.

    Looking at a page writes nothing: when a session was seen last goes to the database
    with the next `flush`.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, datetime] = {}

    def touch(self, token: bytes, now: datetime) -> None:
        self._seen[token] = now

    def last(self, session: store.Session) -> datetime:
        """Return when a session was seen last."""
        return max(session.seen, self._seen.get(session.token, session.seen))

    def forget(self, token: bytes) -> None:
        self._seen.pop(token, None)

    def online(self, now: datetime) -> int:
        """Return how many have been here within the last ten minutes."""
        since = now - timedelta(minutes=10)
        return sum(moment > since for moment in self._seen.values())

    async def flush(self, site: Site) -> None:
        """Write to the database who was seen when, and forget what has ended."""
        now = site.clock.now()
        seen = list(self._seen.items())
        async with site.database.writing() as db:
            await store.saw_sessions(db, seen)
            await store.forget_old(db, now - IDLE, now - ABSOLUTE)
        for token, moment in seen:
            if moment < now - IDLE:
                self.forget(token)


# the card


async def challenge(site: Site, cookie: str | None) -> tuple[str, card.Challenge]:
    """Return a signed challenge, and the cookie of the session it belongs to."""
    now = site.clock.now()
    fresh = secrets.token_urlsafe(32)
    async with site.database.writing() as db:
        known = cookie and await store.is_session(db, digest(cookie))
        token = cookie if cookie and known else fresh
        if token == fresh:
            await store.add_session(db, digest(token), None, None, now)
        made = card.make_challenge(
            site.vault.site_keys,
            site.settings.origin,
            card.to_base64(digest(token)),
            to_ms(now) // 1000,
        )
        await store.add_challenge(db, digest(token), made)
    return token, made


async def read_answer(
    site: Site, cookie: str | None, answer: dict[str, str]
) -> card.Reading:
    """Open the answer to the last challenge of a session; raises Refused."""
    now = site.clock.now()
    async with site.database.writing() as db:
        asked = cookie and await store.use_challenge(db, digest(cookie), now)
    if not asked or to_ms(now) // 1000 >= asked.expires:
        raise Refused("again")
    try:
        reading = card.open_answer(
            site.vault.site_keys, asked, answer, to_ms(now) // 1000
        )
    except card.BadAnswer:
        raise Refused("card") from None
    if reading.source != "pcsc" and not site.settings.practice:
        raise Refused("practice")
    return reading


# signing in and out


async def sign_in(site: Site, passwords: Passwords, attempt: Attempt) -> str:
    """Let somebody in and return the cookie of a new session; raises Refused, Busy."""
    async with site.database.reading() as db:
        year = await _year(db)
    lookup = site.vault.lookup(year, attempt.level, attempt.reading.national_id)
    key = f"account:{lookup.hex()}"
    await _take_attempt(site, key, attempt.address)
    async with site.database.reading() as db:
        account = await store.by_lookup(db, year, attempt.level, lookup)
        county = await store.roster_county(db, year, attempt.level, lookup)
    stored = account.password if account else None
    right = await passwords.matches(stored, attempt.password)
    first = stored is None and county is not None
    if not (right or first):
        await _count_failure(site, attempt.address, account.id if account else "")
        raise Refused("unknown")
    if stored is not None and passwords.outdated(stored):
        stored = await passwords.hash(attempt.password)
    return await _admit(site, attempt, year, lookup, county or "", stored)


async def _year(db: aiosqlite.Connection) -> int:
    settings = await schools.round(db)
    if settings is None:
        raise Refused("closed")
    return settings.year


async def _take_attempt(site: Site, key: str, address: str) -> None:
    """Count an attempt before it is made, so that many at once are counted too."""
    now = site.clock.now()
    async with site.database.writing() as db:
        until = await store.throttled_until(db, [key, f"address:{address}"])
        if until.get(key, now) > now:
            raise Refused("locked", until[key])
        if until.get(f"address:{address}", now) > now:
            raise Refused("slow", until[f"address:{address}"])
        if await store.count_failure(db, key, now, now - LOCK) >= FAILURES:
            await store.refuse_until(db, key, now + LOCK)


async def _count_failure(site: Site, address: str, account: str) -> None:
    now = site.clock.now()
    key = f"address:{address}"
    async with site.database.writing() as db:
        if await store.count_failure(db, key, now, now - LOCK) >= ADDRESS_FAILURES:
            await store.refuse_until(db, key, now + ADDRESS_LOCK)
        await audit.add(db, now, account, "sign-in-refused", account)


async def _admit(
    site: Site,
    attempt: Attempt,
    year: int,
    lookup: bytes,
    county: str,
    password: str | None,
) -> str:
    """Begin a session, with a new account at the first time."""
    now = site.clock.now()
    token = secrets.token_urlsafe(32)
    async with site.database.writing() as db:
        account = await store.by_lookup(db, year, attempt.level, lookup)
        if account is None:
            id_ = await _create(site, db, attempt, year, lookup, county)
        else:
            id_, county = account.id, account.county
            if password is not None and password != account.password:
                await store.set_password(db, id_, password)
        first = account is None or account.password is None
        new_device = await store.add_device(db, id_, attempt.reading.device, now)
        await store.add_session(db, digest(token), id_, attempt.reading.device, now)
        await store.signed_in(db, id_, now)
        await store.forget_failures(db, f"account:{lookup.hex()}")
        action = "first-sign-in" if first else "sign-in"
        await audit.add(db, now, id_, action, id_, county, {"new_device": new_device})
    return token


async def _create(
    site: Site,
    db: aiosqlite.Connection,
    attempt: Attempt,
    year: int,
    lookup: bytes,
    county: str,
) -> str:
    """Make the account and the empty application of somebody on the roster."""
    now, reading = site.clock.now(), attempt.reading
    window = await schools.window(db, year, attempt.level, "fill")
    if (
        window is None
        or window.closes is None
        or not (window.opens <= now < window.closes)
    ):
        raise Refused("closed")
    id_ = secrets.token_urlsafe(16)
    birth = reading.birth_date.isoformat()
    account = store.NewAccount(
        id=id_,
        year=year,
        level=attempt.level,
        lookup=lookup,
        county=county,
        national_id=site.vault.seal(reading.national_id, "account.national_id", id_),
        birth_date=site.vault.seal(birth, "account.birth_date", id_),
        sex=reading.sex,
        card_name=reading.name,
        card_name_certain=reading.name_certain,
    )
    await store.create(db, account, now)
    await applications.create(db, secrets.token_urlsafe(16), id_, now)
    return id_


async def visitor(site: Site, presence: Presence, cookie: str | None) -> Visitor | None:
    """Return who a cookie belongs to, None when its session has ended."""
    if not cookie:
        return None
    async with site.database.reading() as db:
        found = await store.session(db, digest(cookie))
    if found is None:
        return None
    session, application = found
    now = site.clock.now()
    ended = now - presence.last(session) > IDLE or now - session.created > ABSOLUTE
    if ended:
        return None
    presence.touch(session.token, now)
    actor = Actor(
        "teacher",
        application.account,
        application.year,
        application.level,
        application.county,
    )
    return Visitor(actor, application, session)


async def sign_out(site: Site, presence: Presence, cookie: str) -> None:
    """End the session of a cookie."""
    async with site.database.writing() as db:
        await store.end_session(db, digest(cookie))
    presence.forget(digest(cookie))


async def renew(site: Site, account: str) -> str:
    """End all sessions of an account and begin a new one; returns its cookie."""
    token = secrets.token_urlsafe(32)
    async with site.database.writing() as db:
        await store.end_sessions(db, account)
        await store.add_session(db, digest(token), account, None, site.clock.now())
    return token


async def identity(site: Site, account: str) -> tuple[str, str]:
    """Return the national ID and the birthday (ISO) of an account."""
    async with site.database.reading() as db:
        national_id, birth_date = await store.sealed_identity(db, account)
    return (
        site.vault.open(national_id, "account.national_id", account),
        site.vault.open(birth_date, "account.birth_date", account),
    )


# the e-mail address


async def send_code(site: Site, application: Application, email: str) -> bool:
    """Mail a code to an address; false when one went out a moment ago."""
    now = site.clock.now()
    code = f"{secrets.randbelow(10**8):08d}"
    async with site.database.writing() as db:
        last = await store.mail_code(db, application.account)
        if last and last.email == email and now - last.created < CODE_PAUSE:
            return False
        await store.save_mail_code(
            db, application.account, email, digest(code), now, now + CODE_LIFE
        )
        until = to_ms(now + CODE_LIFE)
        payload = {"to": email, "code": code, "until": until}
        await applications.tell(
            db, site, application, "mail-code", to_ms(now), payload, now
        )
    return True


async def check_code(site: Site, account: str, code: str) -> str | None:
    """Return the address that a code proves, None when it is wrong or over."""
    now = site.clock.now()
    async with site.database.writing() as db:
        waiting = await store.mail_code(db, account)
        if waiting is None or now >= waiting.expires or waiting.tries >= CODE_TRIES:
            return None
        if not secrets.compare_digest(waiting.code, digest(code)):
            await store.count_try(db, account)
            return None
    return waiting.email


async def forget_code(site: Site, account: str) -> None:
    """Forget a code that is under way: its address was taken back."""
    async with site.database.reading() as db:
        waiting = await store.mail_code(db, account)
    if waiting is not None:
        async with site.database.writing() as db:
            await store.forget_mail_code(db, account)


# a new password


async def ask_reset(
    site: Site, level: str, reading: card.Reading, address: str
) -> None:
    """Mail a one-time link, if there is such an account with a confirmed address.

    Nothing tells the one who asks whether there was one.
    """
    now = site.clock.now()
    token = secrets.token_urlsafe(16)
    async with site.database.reading() as db:
        year = await _year(db)
    lookup = site.vault.lookup(year, level, reading.national_id)
    await _take_attempt(site, f"reset:{lookup.hex()}", address)
    async with site.database.writing() as db:
        account = await store.by_lookup(db, year, level, lookup)
        if account is None or account.password is None:
            return
        application = await applications.of_account(db, account.id)
        if application is None or application.email_confirmed is None:
            return
        await store.add_reset(db, digest(token), account.id, now, now + RESET_LIFE)
        payload = {
            "link": f"{site.settings.origin}/teacher/reset/{token}",
            "hint": _hint(site, account),
            "until": to_ms(now + RESET_LIFE),
        }
        await applications.tell(
            db, site, application, "reset", to_ms(now), payload, now
        )
        await audit.add(db, now, account.id, "reset-asked", account.id, account.county)


def _hint(site: Site, account: store.Account) -> str:
    if account.hint is None:
        return ""
    return site.vault.open(account.hint, "account.hint", account.id)


async def reset(
    site: Site, passwords: Passwords, token: str, reading: card.Reading, password: str
) -> bool:
    """Set a new password with a link and the card; ends every session of the account.

    False when the link is used, over, unknown, or not for the person of this card.
    """
    hashed = await passwords.hash(password)
    now = site.clock.now()
    async with site.database.writing() as db:
        id_ = await store.reset_account(db, digest(token), now)
        account = id_ and await store.by_id(db, id_)
        if not account or not await _is_of(site, db, account, reading):
            return False
        await store.use_reset(db, digest(token), now)
        await store.set_password(db, account.id, hashed)
        await store.set_hint(db, account.id, None)
        await store.end_sessions(db, account.id)
        application = await applications.of_account(db, account.id)
        assert application is not None  # made together with the account
        await applications.tell(
            db, site, application, "password-changed", to_ms(now), {}, now
        )
        await audit.add(
            db, now, account.id, "password-reset", account.id, account.county
        )
    return True


async def _is_of(
    site: Site,
    db: aiosqlite.Connection,
    account: store.Account,
    reading: card.Reading,
) -> bool:
    lookup = site.vault.lookup(account.year, account.level, reading.national_id)
    found = await store.by_lookup(db, account.year, account.level, lookup)
    return found is not None and found.id == account.id
