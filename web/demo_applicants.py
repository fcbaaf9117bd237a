"""Invented applicants of a practice site, who have filed: something to review.

One of them has a card and a password, which the page of the practice site gives away,
so that a visitor sees what becomes of an application. The others have neither; the
people of `demo.PEOPLE` are there to begin one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from jiepin.web.access import Actor
from jiepin.web.passwords import Passwords
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, notices, schools
from jiepin.web.store.applications import Appointment, Person
from jiepin.web.store.schools import School

LEVEL: Final = "elementary"
# so many of each county; those with staff on a practice site, see demo_staff
HOW_MANY: Final = {"12": 12, "13": 6, "14": 6}
WITH_CARD: Final = 0  # the number of the applicant who can sign in
PASSWORD: Final = "one card to look on"
_SURNAMES = "陳林黃張李王吳劉蔡楊許鄭"
_GIVEN = "怡君志明淑芬家豪雅婷俊傑美玲建宏心怡冠宇佩珊柏翰"
_SUBJECTS = ("E01", "E01", "E01", "E02", "E03", "E18")
_N_WISHES = 6
_FIRST_BIRTHDAY = date(1970, 1, 17)
_DAYS_BETWEEN = 211


@dataclass(frozen=True, slots=True)
class Applicant:
    """One invented applicant; `number` counts them all."""

    number: int
    county: str

    @property
    def name(self) -> str:
        given = self.number * 2 % len(_GIVEN)
        surname = _SURNAMES[self.number * 5 % len(_SURNAMES)]
        return surname + _GIVEN[given : given + 2]

    @property
    def sex(self) -> str:
        return "FM"[self.number % 2]

    @property
    def birth_date(self) -> date:
        return _FIRST_BIRTHDAY + timedelta(days=_DAYS_BETWEEN * self.number)

    @property
    def subject(self) -> str:
        return _SUBJECTS[self.number % len(_SUBJECTS)]

    @property
    def counties(self) -> tuple[str, ...]:
        """The wish counties: the others of those with invented applicants."""
        return tuple(county for county in HOW_MANY if county != self.county)


def everybody() -> tuple[Applicant, ...]:
    """Return the invented applicants.

    >>> [(one.name, one.county) for one in everybody()[:2]]
    [('陳怡君', '12'), ('王志明', '12')]
    """
    counties = [county for county, n in HOW_MANY.items() for _ in range(n)]
    return tuple(Applicant(at, county) for at, county in enumerate(counties))


async def fill(
    site: Site, year: int, national_ids: Sequence[str], device: bytes
) -> None:
    """Let the invented applicants file, each save as a teacher would make it.

    `device` is the computer at which the one with a card signs in.
    """
    async with site.database.reading() as db:
        pools = {county: await schools.pool(db, county, LEVEL) for county in HOW_MANY}
    for one, national_id in zip(everybody(), national_ids, strict=True):
        actor = await _begin(site, year, one, national_id, pools)
        hashed = "no password"  # matches none
        if one.number == WITH_CARD:
            hashed = await Passwords().hash(PASSWORD)
            async with site.database.writing() as db:
                now = site.clock.now()
                await accounts.confirm_device(db, actor.account, device, now)
        await _file(site, actor, one, pools, hashed)


def _home(one: Applicant, pools: Mapping[str, Sequence[School]]) -> str:
    pool = pools[one.county]
    return pool[one.number * 7 % len(pool)].code


async def _begin(
    site: Site,
    year: int,
    one: Applicant,
    national_id: str,
    pools: Mapping[str, Sequence[School]],
) -> Actor:
    """Put somebody on the roster, with an account and an empty application."""
    now, id_ = site.clock.now(), secrets.token_urlsafe(16)
    lookup = site.vault.lookup(year, LEVEL, national_id)
    birth = one.birth_date.isoformat()
    account = accounts.NewAccount(
        id=id_,
        year=year,
        level=LEVEL,
        lookup=lookup,
        county=one.county,
        national_id=site.vault.seal(national_id, "account.national_id", id_),
        birth_date=site.vault.seal(birth, "account.birth_date", id_),
        sex=one.sex,
        card_name=one.name,
        card_name_certain=True,
    )
    application = secrets.token_urlsafe(16)
    silent = [("mail", "receipt"), ("mail", "filed")]  # nobody reads them
    async with site.database.writing() as db:
        home = _home(one, pools)
        await accounts.add_to_roster(db, year, LEVEL, lookup, one.county, home)
        await accounts.create(db, account, now)
        await applications.create(db, application, id_, now)
        await notices.save_unwanted(db, application, silent)
    return Actor("teacher", id_, year, LEVEL, one.county)


async def _file(
    site: Site,
    actor: Actor,
    one: Applicant,
    pools: Mapping[str, Sequence[School]],
    hashed: str,
) -> None:
    """Go through the steps; `hashed` is the password."""
    saved = await applications.agree_to_notices(site, actor, 1, 1)
    person = Person(one.name, f"07-{2000000 + one.number * 137}", "")
    saved = await applications.save_password(site, actor, saved.version, hashed, "")
    saved = await applications.save_person(site, actor, saved.version, person)
    address = f"applicant{one.number}@example.org"
    saved = await applications.confirm_email(site, actor, saved.version, address)
    appointment = Appointment(
        indigenous=one.number % 9 == 4,
        area="general",
        service_years=3 + one.number % 17,
        school=_home(one, pools),
        subjects=(one.subject,),
    )
    saved = await applications.save_appointment(site, actor, saved.version, appointment)
    saved, _ = await applications.change_counties(
        site, actor, saved.version, one.counties
    )
    wishes = _wishes(one, pools)
    saved = await applications.save_wishes(site, actor, saved.version, wishes)
    await applications.file(site, actor, saved.version)


def _wishes(one: Applicant, pools: Mapping[str, Sequence[School]]) -> Sequence[str]:
    """Wish the schools of other applicants first, so that they can swap."""
    others = [
        _home(other, pools) for other in everybody() if other.county in one.counties
    ]
    start = one.number % len(others)
    turned = others[start:] + others[:start]
    return tuple(dict.fromkeys(turned))[:_N_WISHES]
