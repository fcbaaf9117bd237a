"""The staff of a practice site: invented officials, already enrolled, with cards.

All of them have one password and one second factor, which the page of the practice
site gives away.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import aiosqlite

from jiepin.web.access import Kind, Role
from jiepin.web.passwords import Passwords
from jiepin.web.site import Site
from jiepin.web.staff import second_factor, sign_in
from jiepin.web.store import staff as store
from jiepin.web.store.schools import LEVELS
from jiepin.web.store.staff import COMMAND_LINE, Enrolment, Member, NewMember
from jiepin.web.vault import mask_id

PASSWORD: Final = "every seat in order"
_SECRET_BYTES = 20


@dataclass(frozen=True, slots=True)
class Official:
    """An invented member of staff with a card."""

    name: str
    sex: str
    birth_date: date
    national_id: str
    kind: Kind
    county: str | None
    role: Role


@dataclass(frozen=True, slots=True)
class Officials:
    """The officials of one practice site, by the number of their cards."""

    cards: Mapping[str, Official]
    members: Mapping[str, Member]
    secret: str


_BORN = date(1980, 6, 15)
OFFICIALS: Final = (
    Official("周書安", "F", _BORN, "A227364515", "county", "12", "clerk"),
    Official("鄭可晴", "F", _BORN, "B218273646", "county", "12", "reviewer"),
    Official("何承恩", "M", _BORN, "D119283744", "county", "12", "head"),
    Official("許雅文", "F", _BORN, "T223344559", "county", "13", "reviewer"),
    Official("方志遠", "M", _BORN, "T112233445", "county", "13", "head"),
    Official("江品蓉", "F", _BORN, "V212121211", "county", "14", "reviewer"),
    Official("石立新", "M", _BORN, "V134343433", "county", "14", "head"),
    Official("葉思齊", "M", _BORN, "F156565654", "county", "01", "reviewer"),
    Official("簡如玉", "F", _BORN, "F278787870", "county", "01", "head"),
    Official("田育誠", "M", _BORN, "E190909091", "host", None, "clerk"),
    Official("柯以安", "F", _BORN, "E213131315", "host", None, "reviewer"),
    Official("施文傑", "M", _BORN, "E157575751", "host", None, "head"),
)


def secret_of(site: Site) -> str:
    """Return the second factor of all practice staff, always the same of one site."""
    drawn = hmac.digest(site.vault.lookup_key, b"practice second factor", "sha256")
    return second_factor.as_base32(drawn[:_SECRET_BYTES])


async def fill(site: Site) -> Officials:
    """Make the accounts that are not there yet, enrolled with the practice secret."""
    now, secret = site.clock.now(), secret_of(site)
    hashed = await Passwords().hash(PASSWORD)
    cards = {f"staff-{at}": official for at, official in enumerate(OFFICIALS)}
    members = {}
    async with site.database.writing() as db:
        for number, official in cards.items():
            key = sign_in.lookup(site.vault, official.kind, official.national_id)
            if await store.by_lookup(db, official.kind, key) is None:
                await _enrol(site, db, number, official, key, hashed, secret, now)
            found = await store.by_lookup(db, official.kind, key)
            assert found is not None
            members[number] = found
    return Officials(cards, members, secret)


async def _enrol(
    site: Site,
    db: aiosqlite.Connection,
    id_: str,
    official: Official,
    key: bytes,
    hashed: str,
    secret: str,
    now: datetime,
) -> None:
    new = NewMember(
        id=id_,
        kind=official.kind,
        county=official.county,
        levels=LEVELS,
        role=official.role,
        name=official.name,
        email="",
        lookup=key,
        masked=mask_id(official.national_id),
        enrol=b"",
        enrol_expires=now,
        created_by=COMMAND_LINE,
    )
    await store.create(db, new, now)
    set_up = Enrolment(id_, b"", hashed, b"", b"", now)
    await store.enrol(db, set_up, site.vault.seal(secret, "staff.totp", id_), 0)
