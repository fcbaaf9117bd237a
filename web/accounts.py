"""Signing in: the card's sealed answer, then the password; sessions; a new password.

An account is one person at one level in one year. Who is on the county's roster and has
no password yet signs in without one and comes no further than to choosing it.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import aiosqlite

from jiepin.web import card
from jiepin.web.access import Actor
from jiepin.web.clock import STANDS_STILL, to_ms
from jiepin.web.passwords import Busy, Passwords
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.store import applications, audit, schools, staff, uploads
from jiepin.web.store.applications import Application
from jiepin.web.vault import digest

IDLE, ABSOLUTE = timedelta(minutes=30), timedelta(hours=8)
FAILURES, LOCK = 5, timedelta(minutes=15)
ADDRESS_FAILURES, ADDRESS_LOCK = 30, timedelta(minutes=1)
CHALLENGES, CHALLENGE_SPAN = 300, timedelta(minutes=1)  # of one address: a county's
CODE_LIFE, CODE_TRIES = timedelta(minutes=15), 5
CODE_PAUSE = timedelta(minutes=1)  # before another code goes to the same person
CODES = 5  # mailed within the time of a lock
RESET_LIFE = timedelta(minutes=10)

Reason = Literal[
    "again", "card", "practice", "unknown", "locked", "slow", "crowded", "closed"
]


class Refused(Exception):
    """Somebody was not let in; `reason` chooses what the page says."""

    def __init__(self, reason: Reason, until: datetime | None = None) -> None:
        self.reason, self.until = reason, until
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody at the door: what the card said, and what was typed."""

    level: str
    password: str = field(repr=False)
    reading: card.Reading = field(repr=False)
    address: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in: the actor, his application as stored, and his session."""

    actor: Actor
    application: Application
    session: store.Session


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with the right password on a computer still to be confirmed.

    No actor: he may do nothing but enter the code.
    """

    application: Application
    session: store.Session
    device: bytes


class Presence:
    """Who has been here lately, in memory; the database learns of it now and then.

    Looking at a page writes nothing: when a session was seen last goes to the database
    with the next `flush`.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, datetime] = {}

    def touch(self, token: bytes, now: datetime) -> None:
        self._seen[token] = now

    def seen(self, token: bytes, otherwise: datetime) -> datetime:
        """Return when a session was seen here last."""
        return self._seen.get(token, otherwise)

    def last(self, session: store.Session) -> datetime:
        """Return when a session was seen last."""
        return max(session.seen, self.seen(session.token, session.seen))

    def forget(self, token: bytes) -> None:
        self._seen.pop(token, None)

    def online(self, now: datetime) -> int:
        """Return how many have been here within the last ten minutes."""
        since = now - timedelta(minutes=10)
        return sum(moment > since for moment in self._seen.values())

    def taken(self, now: datetime) -> list[tuple[bytes, datetime]]:
        """Return who was seen when, and forget what has ended since."""
        seen = list(self._seen.items())
        for token, moment in seen:
            if moment < now - IDLE:
                self.forget(token)
        return seen


def has_ended(created: datetime, seen: datetime, now: datetime) -> bool:
    """Tell whether a session has ended by itself.

    So has one begun later than now: the clock was set back, and nobody knows how long
    it would last.
    """
    age = now - created
    return now - seen > IDLE or not -STANDS_STILL <= age <= ABSOLUTE


async def flush(site: Site, presence: Presence) -> None:
    """Write to the database who was seen when, and delete what has ended."""
    now = site.clock.now()
    seen = presence.taken(now)
    async with site.database.writing() as db:
        await store.saw_sessions(db, seen)
        await store.forget_old(db, now, now - IDLE, now - ABSOLUTE, now - LOCK)


async def flush_staff(site: Site, presence: Presence) -> None:
    """Write to the database which staff was seen when."""
    now = site.clock.now()
    seen = presence.taken(now)
    async with site.database.writing() as db:
        await staff.saw_sessions(db, seen)
        await staff.forget_old(db, now, now - IDLE, now - ABSOLUTE)
        await uploads.forget_old(db, now)


# the card


async def challenge(
    site: Site, cookie: str | None, address: str
) -> tuple[str, card.Challenge]:
    """Return a signed challenge, and the cookie of the session it belongs to.

    Raises Refused when too many have been asked for from an address.
    """
    now = site.clock.now()
    fresh = secrets.token_urlsafe(32)
    key = f"challenge:{network(address)}"
    # a flood of them writes nothing
    async with site.database.reading(quick=True) as db:
        await _refuse_throttled(db, key, now, "crowded")
    async with site.database.writing(quick=True) as db:
        await _count(db, key, now, CHALLENGES, CHALLENGE_SPAN)
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


def network(address: str) -> str:
    """Return what counts as one address: of IPv6, where a household has many, a /64.

    >>> network("192.0.2.7"), network("2001:db8:1:2:3:4:5:6"), network("testclient")
    ('192.0.2.7', '2001:db8:1:2::/64', 'testclient')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address


async def _refuse_throttled(
    db: aiosqlite.Connection, key: str, now: datetime, reason: Reason
) -> None:
    until = await _throttled_until(db, key, now)
    if until > now:
        raise Refused(reason, until)


async def _throttled_until(
    db: aiosqlite.Connection, key: str, now: datetime
) -> datetime:
    """Return until when a key is refused, `now` when it is not.

    A refusal longer than any was written before the clock was set back.
    """
    until = (await store.throttled_until(db, [key])).get(key, now)
    return until if until <= now + LOCK else now


async def _count(
    db: aiosqlite.Connection, key: str, now: datetime, most: int, span: timedelta
) -> None:
    """Count one more; with as many as `most` within a span, refuse for such a span."""
    if await store.count_failure(db, key, now, now - span) >= most:
        await store.refuse_until(db, key, now + span)


async def read_answer(
    site: Site, cookie: str | None, answer: dict[str, str]
) -> card.Reading:
    """Open the answer to the last challenge of a session; raises Refused."""
    now = site.clock.now()
    async with site.database.writing(quick=True) as db:
        asked = cookie and await store.use_challenge(db, digest(cookie))
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
    """Let somebody in and return the cookie of a new session; raises Refused, Busy.

    From a new computer he comes no further than to the code that is mailed for it.
    """
    async with site.database.reading(quick=True) as db:
        person = await _find(site, db, attempt.level, attempt.reading)
        county = await store.roster_county(
            db, person.year, attempt.level, person.lookup
        )
    key = person.throttle("account")
    await take_attempt(site, key, person.slowed(attempt.address))
    stored = person.account.password if person.account else None
    fresh = None
    async with taken_back_when_busy(site, key):
        right = await passwords.matches(stored, attempt.password)
        if right and stored is not None and passwords.outdated(stored):
            fresh = await passwords.hash(attempt.password)
    first = stored is None and county is not None
    if not (right or first) or person.other_birthday:
        await count_failure(
            site, attempt.address, person.id, other_birthday=person.other_birthday
        )
        raise Refused("unknown")
    token, asked = await _admit(site, attempt, person, county or "", fresh)
    if asked is not None:
        await send_code(site, asked, asked.email, attempt.reading.device)
    return token


@dataclass(frozen=True, slots=True)
class _Person:
    """Who stands at the door; `confirmed`: at a computer known to be his.

    `other_birthday`: the card tells of another one than that of whoever has set the
    password of the account.
    """

    year: int
    lookup: bytes
    account: store.Account | None
    device: bytes
    confirmed: bool
    other_birthday: bool

    @property
    def id(self) -> str:
        return self.account.id if self.account else ""

    def throttle(self, what: str) -> str:
        """Return the key under which attempts at something are counted.

        Whoever knows an ID can fail in its name, with a reader of his own. Confirmed
        computers are counted by themselves, so that this locks nobody out of his own.
        """
        device = f":{self.device.hex()}" if self.confirmed else ""
        return f"{what}:{self.lookup.hex()}{device}"

    def slowed(self, address: str) -> str | None:
        """Return the address to be throttled; a neighbour's failures slow no owner."""
        return None if self.confirmed else address


async def _find(
    site: Site, db: aiosqlite.Connection, level: str, reading: card.Reading
) -> _Person:
    year = await _year(db, level)
    lookup = site.vault.lookup(year, level, reading.national_id)
    account = await store.by_lookup(db, year, level, lookup)
    confirmed = account is not None and await store.is_confirmed(
        db, account.id, reading.device
    )
    other = account is not None and await _has_other_birthday(
        site, db, account, reading
    )
    return _Person(year, lookup, account, reading.device, confirmed, other)


async def _has_other_birthday(
    site: Site,
    db: aiosqlite.Connection,
    account: store.Account,
    reading: card.Reading,
) -> bool:
    """Tell whether a card is not the one of whoever has set an account's password."""
    if account.password is None:
        return False  # not settled yet: the newest reading counts
    _, sealed = await store.sealed_identity(db, account.id)
    known = site.vault.open(sealed, "account.birth_date", account.id)
    return known != reading.birth_date.isoformat()


async def _year(db: aiosqlite.Connection, level: str) -> int:
    settings = await schools.round(db)
    if settings is None or level not in settings.levels:
        raise Refused("closed")
    return settings.year


async def take_attempt(site: Site, key: str, address: str | None) -> None:
    """Count an attempt before it is made, so that many at once are counted too."""
    now = site.clock.now()
    async with site.database.writing(quick=True) as db:
        await _refuse_throttled(db, key, now, "locked")
        if address is not None:
            await _refuse_throttled(db, _address_key(address), now, "slow")
        await _count(db, key, now, FAILURES, LOCK)


@asynccontextmanager
async def taken_back_when_busy(site: Site, key: str) -> AsyncIterator[None]:
    """Take a counted attempt back when there was no time to check the password."""
    try:
        yield
    except Busy:
        async with site.database.writing(quick=True) as db:
            await store.take_back(db, key, FAILURES, site.clock.now())
        raise


def _address_key(address: str) -> str:
    return f"address:{network(address)}"


async def count_failure(
    site: Site,
    address: str,
    account: str,
    county: str = "",
    *,
    other_birthday: bool = False,
) -> None:
    """Count and note a failure; who it was is not known, so that nobody is named."""
    now = site.clock.now()
    detail = {"other_birthday": True} if other_birthday else None
    async with site.database.writing(quick=True) as db:
        await _count_address(db, address, now)
        await audit.add(db, now, "", "sign-in-refused", account, county, detail)


async def _count_address(db: aiosqlite.Connection, address: str, now: datetime) -> None:
    key = _address_key(address)
    if await store.count_failure(db, key, now, now - LOCK) >= ADDRESS_FAILURES:
        await store.refuse_until(db, key, now + ADDRESS_LOCK)


async def _admit(
    site: Site, attempt: Attempt, person: _Person, county: str, fresh: str | None
) -> tuple[str, Application | None]:
    """Begin a session, with a new account at the first time.

    Returns its cookie, and the application when a code has to be asked for.
    """
    now, device = site.clock.now(), attempt.reading.device
    token = secrets.token_urlsafe(32)
    async with site.database.writing(quick=True) as db:
        account = await store.by_lookup(db, person.year, attempt.level, person.lookup)
        if account != person.account:
            raise Refused("again")  # a password was set while this one was checked
        if account is None:
            id_ = await _create(site, db, attempt, person.year, person.lookup, county)
        else:
            id_, county = account.id, account.county
            if account.password is None:  # the newest reading counts, and it alone
                await store.set_identity(db, id_, _identity(site, id_, attempt.reading))
                await store.end_sessions(db, id_)
            if fresh is not None:
                await store.set_password(db, id_, fresh)
        first = account is None or account.password is None
        new_device = await store.add_device(db, id_, device, now)
        await store.add_session(db, digest(token), id_, device, now)
        asked = await _to_confirm(db, id_, device)
        await store.signed_in(db, id_, now)
        await store.forget_failures(db, person.throttle("account"))
        action = "first-sign-in" if first else "sign-in"
        detail = {"new_device": new_device, "code_asked": asked is not None}
        await audit.add(db, now, id_, action, id_, county, detail)
    return token, asked


def _identity(site: Site, account: str, reading: card.Reading) -> store.Identity:
    birth = reading.birth_date.isoformat()
    return store.Identity(
        birth_date=site.vault.seal(birth, "account.birth_date", account),
        sex=reading.sex,
        card_name=reading.name,
        card_name_certain=reading.name_certain,
    )


async def _to_confirm(
    db: aiosqlite.Connection, account: str, device: bytes
) -> Application | None:
    """Return the application of an account that a computer is new to."""
    application = await applications.of_account(db, account)
    if application is None or application.email_confirmed is None:
        return None
    known = await store.is_confirmed(db, account, device)
    return None if known else application


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
    of_card = _identity(site, id_, reading)
    account = store.NewAccount(
        id=id_,
        year=year,
        level=attempt.level,
        lookup=lookup,
        county=county,
        national_id=site.vault.seal(reading.national_id, "account.national_id", id_),
        birth_date=of_card.birth_date,
        sex=of_card.sex,
        card_name=of_card.card_name,
        card_name_certain=of_card.card_name_certain,
    )
    await store.create(db, account, now)
    await applications.create(db, secrets.token_urlsafe(16), id_, now)
    return id_


async def visitor(site: Site, presence: Presence, cookie: str | None) -> Visitor | None:
    """Return who a cookie belongs to, None when its session has ended.

    Who has still to confirm his computer is nobody yet: see `newcomer`.
    """
    found = await _session(site, presence, cookie)
    if found is None or not found[0].let_in:
        return None
    session, application = found
    presence.touch(session.token, site.clock.now())
    actor = Actor(
        "teacher",
        application.account,
        application.year,
        application.level,
        application.county,
    )
    return Visitor(actor, application, session)


async def newcomer(
    site: Site, presence: Presence, cookie: str | None
) -> Newcomer | None:
    """Return who has to confirm his computer before he is a visitor."""
    found = await _session(site, presence, cookie)
    if found is None or found[0].let_in:
        return None
    session, application = found
    if session.device is None:
        return None
    return Newcomer(application, session, session.device)


async def _session(
    site: Site, presence: Presence, cookie: str | None
) -> tuple[store.Session, Application] | None:
    """Return the session of a cookie unless it has ended."""
    if not cookie:
        return None
    async with site.database.reading(quick=True) as db:
        found = await store.session(db, digest(cookie))
    if found is None:
        return None
    now, session = site.clock.now(), found[0]
    if has_ended(session.created, presence.last(session), now):
        return None
    return found


async def sign_out(site: Site, presence: Presence, cookie: str) -> None:
    """End the session of a cookie."""
    async with site.database.writing(quick=True) as db:
        await store.end_session(db, digest(cookie))
    presence.forget(digest(cookie))


async def renew(site: Site, session: store.Session) -> str:
    """End all sessions of an account and begin a new one; returns its cookie."""
    token, now = secrets.token_urlsafe(32), site.clock.now()
    async with site.database.writing(quick=True) as db:
        await store.end_sessions(db, session.account)
        await store.add_session(db, digest(token), session.account, session.device, now)
    return token


async def identity(site: Site, account: str) -> tuple[str, str]:
    """Return the national ID and the birthday (ISO) of an account."""
    async with site.database.reading(quick=True) as db:
        national_id, birth_date = await store.sealed_identity(db, account)
    return (
        site.vault.open(national_id, "account.national_id", account),
        site.vault.open(birth_date, "account.birth_date", account),
    )


# the present password, asked for again before something grave


async def check_present(
    site: Site, passwords: Passwords, account: str, password: str
) -> str | None:
    """Return the hash of the present password, None for a wrong one; raises Refused.

    Counted as signing in is: who finds a computer left alone may not try for long.
    """
    now, key = site.clock.now(), f"present:{account}"
    async with site.database.writing(quick=True) as db:
        await _refuse_throttled(db, key, now, "locked")
        await _count(db, key, now, FAILURES, LOCK)
        found = await store.by_id(db, account)
    stored = found.password if found else None
    async with taken_back_when_busy(site, key):
        if not await passwords.matches(stored, password):
            return None
    async with site.database.writing(quick=True) as db:
        await store.forget_failures(db, key)
    return stored


async def change_password(
    site: Site, session: store.Session, password: str, hint: str, present: str
) -> str | None:
    """Replace hash and hint, end all sessions; returns the cookie of a new one.

    At any time: the password is no part of the application once there is one.
    `present` is the hash against which the present password was checked; None where
    a reset has replaced it since, and that one stays.
    """
    token, now, id_ = secrets.token_urlsafe(32), site.clock.now(), session.account
    sealed = site.vault.seal(hint, "account.hint", id_) if hint else None
    async with site.database.writing(quick=True) as db:
        if not await store.change_password(db, id_, present, password, sealed):
            return None
        await store.end_sessions(db, id_)
        await store.add_session(db, digest(token), id_, session.device, now)
        await _tell_of_new_password(site, db, id_, "password-changed", now)
    return token


async def _tell_of_new_password(
    site: Site, db: aiosqlite.Connection, account: str, action: str, now: datetime
) -> None:
    """Tell the address and the audit."""
    application = await applications.of_account(db, account)
    assert application is not None  # made together with the account
    at, county = to_ms(now), application.county
    await applications.tell(db, site, application, "password-changed", at, {}, now)
    await audit.add(db, now, account, action, account, county)


# the e-mail address and new computers


async def send_code(
    site: Site, application: Application, email: str, device: bytes = store.ADDRESS
) -> datetime | None:
    """Mail a code to an address: to confirm it, or with it a computer.

    Returns the moment from which another one may go out when none went now.
    """
    now = site.clock.now()
    event = "device-code" if device else "mail-code"
    code, key = f"{secrets.randbelow(10**8):08d}", f"{event}:{application.account}"
    async with site.database.writing(quick=True) as db:
        last = await store.mail_code(db, application.account, device)
        until = await _throttled_until(db, key, now)
        if last and last.email == email and last.created <= now:
            until = max(until, last.created + CODE_PAUSE)
        if until > now:
            return until
        await _count(db, key, now, CODES, LOCK)
        await store.save_mail_code(
            db, application.account, device, email, digest(code), now, now + CODE_LIFE
        )
        facts = {"to": email, "code": code, "until": to_ms(now + CODE_LIFE)}
        mail = secrets.randbits(48)  # not the moment: two may go out in one
        await applications.tell(db, site, application, event, mail, facts, now)
    return None


async def check_code(site: Site, account: str, code: str) -> str | None:
    """Return the address that a code proves, None when it is wrong or over."""
    async with site.database.writing(quick=True) as db:
        found = await _proved(db, account, store.ADDRESS, code, site.clock.now())
    return found.email if found else None


async def _proved(
    db: aiosqlite.Connection, account: str, device: bytes, code: str, now: datetime
) -> store.MailCode | None:
    waiting = await store.mail_code(db, account, device)
    if waiting is None or now >= waiting.expires or waiting.tries >= CODE_TRIES:
        return None
    if secrets.compare_digest(waiting.code, digest(code)):
        return waiting
    await store.count_try(db, account, device)
    return None


async def confirm_device(site: Site, who: Newcomer, code: str) -> str | None:
    """Let a newcomer in with the code; returns the cookie of a new session.

    None when the code is wrong, over, or went to an address that has changed since.
    """
    token, now = secrets.token_urlsafe(32), site.clock.now()
    account, device = who.session.account, who.device
    async with site.database.writing(quick=True) as db:
        here = await store.session(db, who.session.token)
        if here is None:
            return None
        application = here[1]
        county = application.county
        found = await _proved(db, account, device, code, now)
        if found is None or found.email != application.email:
            await audit.add(db, now, "", "device-refused", account, county)
            return None
        await store.forget_mail_code(db, account, device)
        await store.confirm_device(db, account, device, now)
        await store.end_session(db, who.session.token)
        await store.add_session(db, digest(token), account, device, now)
        await audit.add(db, now, account, "device-confirmed", account, county)
    return token


async def forget_code(site: Site, account: str) -> None:
    """Forget a code that is under way: its address was taken back."""
    async with site.database.reading(quick=True) as db:
        waiting = await store.mail_code(db, account)
    if waiting is not None:
        async with site.database.writing(quick=True) as db:
            await store.forget_mail_code(db, account)


# a new password


async def ask_reset(
    site: Site, level: str, reading: card.Reading, address: str
) -> None:
    """Mail a one-time link, if there is such an account with a confirmed address.

    Nothing tells the one who asks whether there was one: both ways end in a write.
    """
    now = site.clock.now()
    async with site.database.reading(quick=True) as db:
        person = await _find(site, db, level, reading)
    await take_attempt(site, person.throttle("reset"), person.slowed(address))
    async with site.database.writing(quick=True) as db:
        await _count_address(db, address, now)
        account = await store.by_lookup(db, person.year, level, person.lookup)
        county = account.county if account else ""
        await audit.add(db, now, "", "reset-asked", person.id, county)
        if account is None or person.other_birthday:
            return
        if account.password is not None:
            await mail_link(site, db, account, now)


async def mail_link(
    site: Site,
    db: aiosqlite.Connection,
    account: store.Account,
    now: datetime,
    *,
    by_staff: bool = False,
) -> bool:
    """Mail a one-time link for a new password; False without a confirmed address."""
    application = await applications.of_account(db, account.id)
    if application is None or application.email_confirmed is None:
        return False
    token = secrets.token_urlsafe(16)
    await store.add_reset(db, digest(token), account.id, now, now + RESET_LIFE)
    payload = {
        "link": f"{site.settings.origin}/teacher/reset/{token}",
        "hint": _hint(site, account),
        "until": to_ms(now + RESET_LIFE),
    }
    at = to_ms(now)
    await applications.tell(
        db, site, application, "reset", at, payload, now, by_staff=by_staff
    )
    return True


def _hint(site: Site, account: store.Account) -> str:
    if account.hint is None:
        return ""
    return site.vault.open(account.hint, "account.hint", account.id)


async def reset(
    site: Site, passwords: Passwords, token: str, reading: card.Reading, password: str
) -> bool:
    """Set a new password with a link and the card; ends every session of the account.

    The link proves the address, so the computer is confirmed as well.
    False when the link is used, over, unknown, or not for the person of this card.
    """
    hashed = await passwords.hash(password)
    now = site.clock.now()
    async with site.database.writing(quick=True) as db:
        id_ = await store.reset_account(db, digest(token), now)
        account = id_ and await store.by_id(db, id_)
        if not account or not await _is_of(site, db, account, reading):
            return False
        await store.use_reset(db, digest(token), now)
        await store.set_password(db, account.id, hashed)
        await store.set_hint(db, account.id, None)
        await store.end_sessions(db, account.id)
        await store.confirm_device(db, account.id, reading.device, now)
        await _tell_of_new_password(site, db, account.id, "password-reset", now)
    return True


async def _is_of(
    site: Site,
    db: aiosqlite.Connection,
    account: store.Account,
    reading: card.Reading,
) -> bool:
    lookup = site.vault.lookup(account.year, account.level, reading.national_id)
    found = await store.by_lookup(db, account.year, account.level, lookup)
    if found is None or found.id != account.id:
        return False
    return not await _has_other_birthday(site, db, account, reading)
