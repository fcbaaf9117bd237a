"""Invented applicants of the whole country, written into the database of a site.

Everybody has filed twenty wishes (fewer where the counties have fewer schools), has a
session, a computer that is confirmed, and the same password. The same seed gives the
same people.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jiepin.web import demo
from jiepin.web.clock import to_ms
from jiepin.web.store import audit, schools
from jiepin.web.store.database import Database
from jiepin.web.store.schools import RoundSettings, School, Window
from jiepin.web.vault import Vault, digest

YEAR = 115
PASSWORD = "a quiet morning"
HASH = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
DEVICE = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"load").digest())
COMPUTER = DEVICE.public_key().public_bytes_raw()
SUBJECTS = {
    "elementary": ("E01", "E18"),
    "junior-high": ("J01", "J02", "J03", "J10"),
    "kindergarten": ("K01",),
}
SHARES = {"elementary": 6, "junior-high": 3, "kindergarten": 1}
DIGITS = {"junior-high": "1", "elementary": "2", "kindergarten": "3"}
LETTERS = "ABDEFHJKLMNPQT"
N_WISHES = 20
SAVES = (6, 7, 8)  # versions that are kept of each applicant; the last is the present
AT_ONCE = 5_000  # applicants written in one transaction
STAFF = ("host", "county")
COUNTY = "12"  # of the member of staff of a county


@dataclass(frozen=True, slots=True)
class Applicant:
    """One invented applicant, with the card; `pool` are schools that may be wished."""

    number: int
    name: str
    sex: str
    birth_date: date
    level: str
    county: str
    school: str
    subject: str
    counties: tuple[str, ...]
    pool: tuple[str, ...]
    wishes: tuple[str, ...]

    @property
    def national_id(self) -> str:
        letter = LETTERS[self.number % len(LETTERS)]
        return demo.national_id(letter, self.sex, self.number)

    @property
    def account(self) -> str:
        return f"account-{self.number}"

    @property
    def application(self) -> str:
        return f"application-{self.number}"

    @property
    def token(self) -> str:
        """What the cookie of the session holds."""
        return f"session-{self.number}"

    @property
    def address(self) -> str:
        """The address that the browser asks from."""
        high, low = divmod(self.number, 256)
        return f"10.{high // 256}.{high % 256}.{low}"


class Country:
    """Draws applicants one after the other from the schools that there are."""

    def __init__(self, all_schools: Sequence[School], seed: int) -> None:
        self._dice = random.Random(seed)
        self._pools: dict[tuple[str, str], tuple[str, ...]] = {}
        self._both: dict[tuple[str, ...], tuple[str, ...]] = {}
        for one in all_schools:
            key = (one.level, one.county)
            self._pools[key] = (*self._pools.get(key, ()), one.code)
        self._n = 0

    def next(self, n: int) -> list[Applicant]:
        """Return so many more."""
        numbers = range(self._n, self._n + n)
        self._n += n
        return [self._applicant(number) for number in numbers]

    def _applicant(self, number: int) -> Applicant:
        dice = self._dice
        [level] = dice.choices(list(SHARES), SHARES.values())
        counties = [county for at, county in self._pools if at == level]
        sizes = [len(self._pools[level, county]) for county in counties]
        [home] = dice.choices(counties, sizes)
        wished = tuple(dice.sample([c for c in counties if c != home], 2))
        pool = self._pool(level, wished)
        return Applicant(
            number,
            f"王測試{number}",
            dice.choice("FM"),
            date(1965, 1, 1) + timedelta(days=dice.randrange(12_000)),
            level,
            home,
            dice.choice(self._pools[level, home]),
            dice.choice(SUBJECTS[level]),
            wished,
            pool,
            tuple(dice.sample(pool, min(N_WISHES, len(pool)))),
        )

    def _pool(self, level: str, counties: tuple[str, ...]) -> tuple[str, ...]:
        """Return the schools of two counties, the same tuple for all who wish them."""
        key = (level, *counties)
        if key not in self._both:
            pools = [self._pools[level, county] for county in counties]
            self._both[key] = tuple(code for pool in pools for code in pool)
        return self._both[key]


async def begin(folder: Path, vault: Vault) -> list[School]:
    """Make the database with a round that is open, its schools, seats and staff."""
    # the schools of a practice site, which are those of the whole country
    found = demo._invented_schools()
    database = await Database.open(folder / "jiepin.db")
    try:
        async with database.writing() as db:
            await schools.save_round(db, RoundSettings(YEAR, "", 1, 2, 3, 0, 1))
            await schools.add(db, found)
            taught = [
                (one.code, subject)
                for one in found
                for subject in await schools.subjects(db, one.level)
                if demo._teaches(one.code, subject)
            ]
            await schools.add_taught(db, taught)
            await schools.add_seats(db, demo._seats(taught))
    finally:
        await database.close()
    with closing(sqlite3.connect(folder / "jiepin.db")) as db, db:
        for kind in STAFF:
            _add_staff(db, kind, vault)
    return found


def _add_staff(db: sqlite3.Connection, kind: str, vault: Vault) -> None:
    """Add the head of the host or of a county, signed in with a known cookie."""
    now = to_ms(datetime.now(UTC))
    county = COUNTY if kind == "county" else None
    lookup = vault.lookup(0, kind, kind)
    levels = "|".join(schools.LEVELS)
    db.execute(
        "insert into staff (id, kind, county, levels, role, name, lookup, masked, "
        "created, created_by) values (?, ?, ?, ?, 'head', '', ?, '', ?, '')",
        (kind, kind, county, levels, lookup, now),
    )
    db.execute(
        "insert into staff_session (token, staff, created, seen) values (?, ?, ?, ?)",
        (digest(f"session-{kind}"), kind, now, now),
    )


def add(folder: Path, vault: Vault, people: Sequence[Applicant]) -> None:
    """Write applicants into the database of a site that is not running."""
    with closing(sqlite3.connect(folder / "jiepin.db")) as db:
        db.execute("pragma synchronous = off")
        for start in range(0, len(people), AT_ONCE):
            with db:
                _add(db, vault, people[start : start + AT_ONCE])
        db.execute("pragma wal_checkpoint(truncate)")
        db.execute("analyze")


def _add(db: sqlite3.Connection, vault: Vault, people: Iterable[Applicant]) -> None:
    now = to_ms(datetime.now(UTC))
    last = db.execute("select digest from audit order by id desc limit 1").fetchone()
    link = last[0] if last else bytes(32)
    for one in people:
        _add_account(db, vault, one, now)
        _add_application(db, one, now)
        for version in SAVES:
            entry = _entry(one, version, now)
            link = audit._link(link, entry)
            db.execute(
                "insert into audit (at, actor, action, object, county, detail, digest) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                (*entry, link),
            )


def _add_account(
    db: sqlite3.Connection, vault: Vault, one: Applicant, now: int
) -> None:
    lookup = vault.lookup(YEAR, one.level, one.national_id)
    keys = {
        "id": one.account,
        "year": YEAR,
        "level": one.level,
        "lookup": lookup,
        "county": one.county,
        "national_id": vault.seal(one.national_id, "account.national_id", one.account),
        "birth_date": vault.seal(
            one.birth_date.isoformat(), "account.birth_date", one.account
        ),
        "sex": one.sex,
        "card_name": one.name,
        "card_name_certain": 1,
        "password": HASH,
        "created": now,
        "last_sign_in": now,
    }
    _insert(db, "account", keys)
    roster = (YEAR, one.level, lookup, one.county, one.school)
    db.execute("insert into roster values (?, ?, ?, ?, ?)", roster)
    device = (one.account, COMPUTER, now, now)
    db.execute("insert into device values (?, ?, ?, ?)", device)
    session = (digest(one.token), one.account, now, now, COMPUTER)
    db.execute("insert into session values (?, ?, ?, ?, ?)", session)


def _add_application(db: sqlite3.Connection, one: Applicant, now: int) -> None:
    text = content(one, SAVES[-1])
    keys = {
        "id": one.application,
        "account": one.account,
        "year": YEAR,
        "level": one.level,
        "county": one.county,
        "version": SAVES[-1],
        "step": 6,
        "state": "filed",
        "saved": now,
        "digest": _sha256(text),
        "notices_version": 1,
        "notices_at": now,
        "name": one.name,
        "phone1": "07-1234567",
        "email": f"applicant{one.number}@example.org",
        "email_confirmed": now,
        "indigenous": 0,
        "area": "general",
        "service_years": 8,
        "school": one.school,
        "subject1": one.subject,
        "county1": one.counties[0],
        "county2": one.counties[1],
        "wishes_saved": now,
        "filed": now,
        "number": f"{one.county}{DIGITS[one.level]}{one.number:06d}",
    }
    _insert(db, "application", keys)
    db.executemany(
        "insert into wish values (?, ?, ?)",
        [(one.application, place, code) for place, code in enumerate(one.wishes, 1)],
    )
    for version in SAVES:
        text = content(one, version)
        row = (one.application, version, now, "wishes-saved", _sha256(text), text)
        db.execute("insert into application_version values (?, ?, ?, ?, ?, ?)", row)
    db.executemany(
        "insert into points (application, item, value) values (?, ?, ?)",
        [
            (one.application, "service", 2000 + 37 * (one.number % 97)),
            (one.application, "reason1", 100 * (one.number % 5)),
        ],
    )


def _insert(db: sqlite3.Connection, table: str, keys: dict[str, Any]) -> None:
    names, marks = ", ".join(keys), ", ".join("?" * len(keys))
    db.execute(f"insert into {table} ({names}) values ({marks})", tuple(keys.values()))


def content(one: Applicant, version: int) -> str:
    """Return what a version holds, as the site writes it."""
    return audit.canonical(
        {
            "application": one.application,
            "version": version,
            "year": YEAR,
            "level": one.level,
            "county": one.county,
            "notices_version": 1,
            "name": one.name,
            "phone1": "07-1234567",
            "phone2": "",
            "email": f"applicant{one.number}@example.org",
            "indigenous": False,
            "area": "general",
            "service_years": 8,
            "school": one.school,
            "subjects": [one.subject],
            "counties": list(one.counties),
            "wishes": list(one.wishes),
            "state": "filed",
        }
    )


def _entry(one: Applicant, version: int, now: int) -> tuple[Any, ...]:
    detail = audit.canonical({"version": version})
    what = ("wishes-saved", one.application, one.county, detail)
    return (now, one.account, *what)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def review_is_over(folder: Path) -> None:
    """Let everybody be approved and all times be over, as before a freeze."""
    now = datetime.now(UTC)
    over = Window(now - timedelta(days=9), now - timedelta(minutes=1))
    _schedule(folder, over, "approved")


def filling_in(folder: Path) -> None:
    """Let the time to fill in be on, for everybody; what was frozen stays a snapshot.

    No real round is ever frozen and open at once: here it is, so that the site can
    solve a national round while lists are saved. Sessions begin now.
    """
    now = datetime.now(UTC)
    open_ = Window(now - timedelta(days=9), now + timedelta(days=9))
    _schedule(folder, open_, "filed")


def _schedule(folder: Path, window: Window, state: str) -> None:
    assert window.closes is not None
    opens, closes = to_ms(window.opens), to_ms(window.closes)
    with closing(sqlite3.connect(folder / "jiepin.db")) as db, db:
        db.executemany(
            "insert or replace into window values (?, ?, ?, ?, ?)",
            [
                (YEAR, level, kind, opens, closes)
                for level in schools.LEVELS
                for kind in ("fill", "review")
            ],
        )
        db.execute("update application set state = ?", (state,))
        db.execute("update round set frozen = null")


def sessions_begin(folder: Path) -> None:
    """Let every session begin now: none may run out during a measurement."""
    now = to_ms(datetime.now(UTC))
    with closing(sqlite3.connect(folder / "jiepin.db")) as db, db:
        for table in ("session", "staff_session"):
            db.execute(f"update {table} set created = ?, seen = ?", (now, now))
