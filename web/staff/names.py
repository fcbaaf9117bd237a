"""What to call those who did something, where the audit knows only a number."""

from __future__ import annotations

from collections.abc import Iterable

import aiosqlite

from jiepin.web.language import ENGLISH, _, current, said
from jiepin.web.staff.menu import ROLE_NAMES
from jiepin.web.store import schools, staff
from jiepin.web.store.staff import Member


async def offices(db: aiosqlite.Connection, actors: Iterable[str]) -> dict[str, str]:
    """Return county and role of those actors who are staff: 高雄市 審核人."""
    counties = await schools.counties(db)
    found = await _members(db, actors)
    return {id_: office(member, counties) for id_, member in found.items()}


async def colleagues(db: aiosqlite.Connection, actors: Iterable[str]) -> dict[str, str]:
    """Return name and role of those actors who are staff, as colleagues see them."""
    found = await _members(db, actors)
    return {
        id_: _("%(name)s（%(role)s）", name=one.name, role=said(ROLE_NAMES[one.role]))
        for id_, one in found.items()
    }


def office(member: Member, counties: dict[str, schools.County]) -> str:
    """Say for whom somebody acts, and as what; not who he is."""
    if member.county is None:
        where = _("承辦縣市")
    else:
        county = counties[member.county]
        where = county.name_en if current() == ENGLISH else county.name
    return f"{where} {said(ROLE_NAMES[member.role])}"


async def _members(
    db: aiosqlite.Connection, actors: Iterable[str]
) -> dict[str, Member]:
    found = {id_: await staff.by_id(db, id_) for id_ in sorted(set(actors))}
    return {id_: member for id_, member in found.items() if member is not None}
