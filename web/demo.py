"""The practice site: an invented round, a roster, practice cards and a mailbox.

A practice card is sealed as the reader seals a real one, and then goes the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

import aiosqlite
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jiepin.web import demo_applicants, demo_staff
from jiepin.web.accounts import Refused
from jiepin.web.card import (
    SEAL_CONTEXT,
    SIGN_CONTEXT,
    SUITE,
    Challenge,
    from_base64,
    to_base64,
)
from jiepin.web.clock import moment_text, roc_year
from jiepin.web.demo_applicants import Applicant
from jiepin.web.demo_staff import Officials
from jiepin.web.language import current
from jiepin.web.national_id import LETTER_VALUES
from jiepin.web.notify.mail import message
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.store import schools
from jiepin.web.store.schools import LEVELS, RoundSettings, School, Seats, Window
from jiepin.web.teacher.door import PracticeCard
from jiepin.web.teacher.steps import find_visitor

MARKER = "practice-site"  # a file that says what kind of data a folder holds
SENDER = "practice@example.org"
ORGANISER = "高雄市政府教育局"
MOST_LETTERS = 50
_SEED = 115
_APPLICANTS = 5_000_000  # where the numbers in their invented IDs begin


class NotAPracticeFolder(Exception):
    """The folder holds something else; a practice site must not touch it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder}: holds something that is no practice site; choose an empty "
            "folder with --data"
        )


class Holder(Protocol):
    """Whoever has a card: an invented teacher or member of staff."""

    @property
    def name(self) -> str: ...
    @property
    def sex(self) -> str: ...
    @property
    def birth_date(self) -> date: ...
    @property
    def national_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Person:
    """An invented teacher with a card; `county` and `place` say which school."""

    name: str
    sex: str
    birth_date: date
    level: str
    county: str
    place: int  # which of the county's schools

    @property
    def national_id(self) -> str:
        """An ID with a right check digit, made from the name."""
        number = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")
        return national_id("ABDEFHJKLMNPQT"[number % 14], self.sex, number % 10**7)


PEOPLE = (
    Person("林小明", "M", date(1985, 3, 9), "elementary", "12", 3),
    Person("陳美華", "F", date(1990, 11, 23), "elementary", "01", 8),
    Person("潘阿妹", "F", date(1988, 7, 1), "elementary", "13", 20),
    Person("黃𡍼生", "M", date(1979, 1, 30), "elementary", "14", 5),
    Person("王大同", "M", date(1982, 5, 17), "junior-high", "06", 2),
    Person("李佩珊", "F", date(1993, 9, 5), "junior-high", "15", 4),
    Person("張瑞堃", "M", date(1975, 12, 12), "junior-high", "09", 1),
    Person("吳怡君", "F", date(1991, 4, 4), "kindergarten", "11", 6),
    Person("蔡宜庭", "F", date(1987, 8, 28), "kindergarten", "16", 0),
)


@dataclass(frozen=True, slots=True)
class FiledCard:
    """The card of an invented applicant, who has filed."""

    one: Applicant

    @property
    def name(self) -> str:
        return self.one.name

    @property
    def sex(self) -> str:
        return self.one.sex

    @property
    def birth_date(self) -> date:
        return self.one.birth_date

    @property
    def national_id(self) -> str:
        number = self.one.number
        letter = "ABDEFHJKLMNP"[number % 12]
        return national_id(letter, self.sex, _APPLICANTS + number)


def national_id(letter: str, sex: str, number: int) -> str:
    """Return an invented national ID whose check digit is right.

    >>> national_id("A", "M", 2345678)
    'A123456789'
    """
    digits = f"{1 if sex == 'M' else 2}{number:07d}"
    tens, ones = divmod(LETTER_VALUES[letter], 10)
    total = tens + 9 * ones
    total += sum(int(d) * w for d, w in zip(digits, range(8, 0, -1), strict=True))
    return f"{letter}{digits}{-total % 10}"


@dataclass(slots=True)
class Practice:
    """The practice cards of one site, and the mailbox that nothing leaves."""

    cards: Sequence[PracticeCard]
    officials: Officials
    device: Ed25519PrivateKey
    letters: list[EmailMessage] = field(default_factory=list)

    def answer(self, number: str, challenge: Challenge) -> dict[str, str]:
        """Answer a challenge with the card of that number; raises Refused."""
        everybody: tuple[Holder, ...] = (*PEOPLE, with_card())
        teachers = {card.number: everybody[int(card.number)] for card in self.cards}
        holders: dict[str, Holder] = {**teachers, **self.officials.cards}
        if number not in holders:
            raise Refused("card")
        return sealed(holders[number], challenge.raw, self.device)

    async def send(self, key: str, payload: dict[str, Any], now: datetime) -> None:
        """Take a mail instead of sending it (a Way of the outbox's worker)."""
        letter = message(key, payload, SENDER, now)
        self.letters = [*self.letters, letter][-MOST_LETTERS:]


def sealed(
    person: Holder, raw: bytes, device: Ed25519PrivateKey, source: str = "replay"
) -> dict[str, str]:
    """Seal what a person's card says to a challenge, as the reader does."""
    asked: dict[str, Any] = json.loads(raw)
    digest = hashlib.sha256(raw).digest()
    reading = {
        "nonce": asked["nonce"],
        "read_at": asked["iat"],
        "source": source,
        "device": to_base64(device.public_key().public_bytes_raw()),
        "card": _card(person),
    }
    key = X25519PublicKey.from_public_bytes(from_base64(asked["seal"]))
    text = json.dumps(reading, ensure_ascii=False).encode("utf-8")
    box = SUITE.encrypt(text, key, SEAL_CONTEXT + digest)
    signature = device.sign(SIGN_CONTEXT + digest + box)
    return {"sealed": to_base64(box), "signature": to_base64(signature)}


def _card(person: Holder) -> dict[str, Any]:
    return {
        "card_number": "000000000000",
        "name": person.name,
        "name_certain": person.name.isascii() or max(person.name) <= "\uffff",
        "national_id": person.national_id,
        "id_kind": "national",
        "birth_date": person.birth_date.isoformat(),
        "sex": person.sex,
        "issued": None,
    }


def check_folder(folder: Path) -> None:
    """Claim an empty folder for practice; raises NotAPracticeFolder for another."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if not marker.exists():
        if any(folder.iterdir()):
            raise NotAPracticeFolder(folder)
        marker.write_text("practice site of jiepin; may be deleted at any time\n")


async def fill(site: Site) -> Practice:
    """Invent the round, once, and return the practice cards.

    At a later start the times that are over begin anew; all else stays as it was.
    """
    async with site.database.reading() as db:
        there = await schools.round(db)
    if there is None:
        await _invent(site)
        await _let_file(site)
    else:
        await _open_again(site, there.year)
    return Practice(await _cards(site), await demo_staff.fill(site), device(site))


def device(site: Site) -> Ed25519PrivateKey:
    """Return the key of the computer that practice cards are read on, always the same.

    A practice site is not to ask for a code whenever it was started again.
    """
    seed = hmac.digest(site.vault.lookup_key, b"practice device", "sha256")
    return Ed25519PrivateKey.from_private_bytes(seed)


def with_card() -> FiledCard:
    """Return the card of the one applicant who has filed and can sign in."""
    return FiledCard(demo_applicants.everybody()[demo_applicants.WITH_CARD])


async def _cards(site: Site) -> list[PracticeCard]:
    filed, level = with_card(), demo_applicants.LEVEL
    async with site.database.reading() as db:
        counties = await schools.counties(db)
        settings = await schools.round(db)
        year = settings.year if settings else 0
        lookup = site.vault.lookup(year, level, filed.national_id)
        there = await store.by_lookup(db, year, level, lookup)
    cards = [
        PracticeCard(
            str(number),
            f"{person.name}（{counties[person.county].name}）",
            person.level,
        )
        for number, person in enumerate(PEOPLE)
    ]
    if there is not None:
        label = f"{filed.name}（{counties[filed.one.county].name}）"
        password = demo_applicants.PASSWORD
        cards.append(PracticeCard(str(len(PEOPLE)), label, level, password))
    return cards


async def _invent(site: Site) -> None:
    now = site.clock.now()
    year = roc_year(now)
    found = _invented_schools()
    async with site.database.writing() as db:
        await schools.save_round(
            db, RoundSettings(year, ORGANISER, 1, 2, 3, 0, schools_revision=1)
        )
        for level in LEVELS:
            await _schedule(db, year, level, now)
        await schools.add(db, found)
        subjects = {level: await schools.subjects(db, level) for level in LEVELS}
        taught = [
            (school.code, subject)
            for school in found
            for subject in subjects[school.level]
            if _teaches(school.code, subject)
        ]
        await schools.add_taught(db, taught)
        swap_only = {one.code for one in found if "swap-only" in one.tags}
        offer = [pair for pair in taught if pair[0] not in swap_only]
        await schools.add_seats(db, _seats(offer))
        for person in PEOPLE:
            lookup = site.vault.lookup(year, person.level, person.national_id)
            pool = await schools.pool(db, person.county, person.level)
            home = pool[person.place % len(pool)].code
            await store.add_to_roster(
                db, year, person.level, lookup, person.county, home
            )


async def _let_file(site: Site) -> None:
    """Let invented applicants file, so that counties have something to review."""
    ids = [FiledCard(one).national_id for one in demo_applicants.everybody()]
    computer = device(site).public_key().public_bytes_raw()
    await demo_applicants.fill(site, roc_year(site.clock.now()), ids, computer)


async def _schedule(
    db: aiosqlite.Connection, year: int, level: str, now: datetime
) -> None:
    """Open the time to fill in at once, for three weeks, and the review with it.

    A real round reviews afterwards; here one person plays all parts on one day.
    """
    opens, closes = now - timedelta(days=1), now + timedelta(days=21)
    closes = closes.replace(hour=16, minute=0, second=0, microsecond=0)
    review = Window(opens, closes + timedelta(days=7))
    await schools.save_window(db, year, level, "fill", Window(opens, closes))
    await schools.save_window(db, year, level, "review", review)


async def _open_again(site: Site, year: int) -> None:
    """Schedule those levels anew whose time to fill in is over."""
    now = site.clock.now()
    async with site.database.writing() as db:
        for level in LEVELS:
            window = await schools.window(db, year, level, "fill")
            if window is None or window.closes is None or window.closes <= now:
                await _schedule(db, year, level, now)


def _teaches(school: str, subject: str) -> bool:
    """Tell whether an invented school teaches a subject; all teach general ones."""
    if subject in ("E01", "E18", "J01", "J02", "J03", "J10", "K01"):
        return True
    lot = hashlib.sha256(f"{school} {subject}".encode()).digest()[0]
    return lot < 150


def _seats(taught: Sequence[tuple[str, str]]) -> list[tuple[str, str, Seats]]:
    """Invent free seats for some of these subjects of schools, half for others."""
    found = []
    for school, subject in taught:
        lot = hashlib.sha256(f"{school} {subject} seats".encode()).digest()[0]
        if lot < 100:
            total = 1 + lot % 4
            found.append((school, subject, Seats(total, schools.half(total))))
    return found


def _invented_schools() -> list[School]:
    """Return the schools of an invented round of the whole country."""
    # the engine is slow to load and the site does not need it otherwise
    from jiepin.core import Round
    from jiepin.core.simulation.population import generate

    with tempfile.TemporaryDirectory() as folder:
        generate(folder, teachers=10, seed=_SEED)
        rows = Round.read(folder).schools.to_dicts()
    return [_school(row) for row in rows]


def _school(row: dict[str, Any]) -> School:
    code = str(row["school"])
    lot = hashlib.sha256(code.encode()).digest()[1]
    return School(
        code=code,
        name=row["name"],
        short_name=row.get("short_name") or row["name"],
        county=row["county"],
        township=row["township"],
        level=row["level"],
        tags=tuple(row["tags"]),
        address=row.get("address") or "",
        notice="實驗教育學校，介聘前請先參閱學校網頁" if lot == 0 else "",
        open=True,
    )


# the mailbox


@dataclass(frozen=True, slots=True)
class Letter:
    to: str
    subject: str
    at: str
    text: str


@dataclass(frozen=True, slots=True)
class MailPage:
    letters: Sequence[Letter]


async def mail_page(request: Request) -> Response:
    """Show the mails that would have been sent, newest first."""
    await find_visitor(request)
    await request.app.state.worker.step()
    practice: Practice = request.app.state.practice
    letters = [_letter(mail) for mail in reversed(practice.letters)]
    return await render(request, "practice_mail.html", MailPage(letters))


def _letter(mail: EmailMessage) -> Letter:
    at = moment_text(mail["Date"].datetime, current(), seconds=True)
    return Letter(str(mail["To"]), str(mail["Subject"]), at, mail.get_content())


ROUTES = (Route("/practice/mail", mail_page),)
