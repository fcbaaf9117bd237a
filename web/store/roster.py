"""The county's list of those who may sign in for the first time, found by HMAC alone.

National IDs are never kept: whoever is on the list is named by his own sign-in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.clock import maybe_from_ms
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import accounts, audit, schools
from jiepin.web.store.applications import Refused
from jiepin.web.store.school_changes import refuse

PAGE: Final = 100  # rows of one page

Added = Literal["added", "changed", "same"]
Removed = Literal["removed", "kept", "absent"]
Key = tuple[str, bytes]  # level and HMAC


@dataclass(frozen=True, slots=True)
class Listed:
    """One teacher on the list; named once he has signed in for the first time."""

    level: str
    school: str
    name: str
    first_sign_in: datetime | None
    last_sign_in: datetime | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which part of the list is looked at; what is empty does not narrow it."""

    levels: tuple[str, ...]
    school: str = ""  # part of its name, or its code
    signed_in: str = ""  # yes, no


@dataclass(frozen=True, slots=True)
class Counts:
    """How many are on the list, and how many of them have signed in."""

    listed: int
    signed_in: int


_FROM: Final = """from roster
    left join school on school.code = roster.school
    left join account on account.year = roster.year
        and account.level = roster.level and account.lookup = roster.lookup
    left join application on application.account = account.id
    where roster.year = :year and roster.county = :county
    and roster.level in (select value from json_each(:levels))
    and (:school = '' or roster.school = :school or instr(school.name, :school) > 0)
    and (:signed_in = '' or (:signed_in = 'yes') = (account.id is not null)) """


async def counts(
    db: aiosqlite.Connection, year: int, county: str, narrowed: Narrowed
) -> Counts:
    """Count those on the list of a county, and those of them who have signed in."""
    rows = await db.execute_fetchall(
        "select count(*), count(account.id) " + _FROM, _keys(year, county, narrowed)
    )
    return next(Counts(*row) for row in rows)


async def page(
    db: aiosqlite.Connection, year: int, county: str, narrowed: Narrowed, number: int
) -> list[Listed]:
    """Return one page of the list, those who signed in last for the first time first.

    Pages begin at 1.
    """
    rows = await db.execute_fetchall(
        """select roster.level, coalesce(school.township || school.name, '') as school,
        coalesce(nullif(application.name, ''), account.card_name, '') as name,
        account.created, account.last_sign_in, application.state """
        + _FROM
        + """order by account.created is null, account.created desc, roster.level,
        roster.school, roster.lookup limit :limit offset :offset""",
        _keys(year, county, narrowed) | {"limit": PAGE, "offset": PAGE * (number - 1)},
    )
    return [
        Listed(
            row["level"],
            row["school"],
            row["name"],
            maybe_from_ms(row["created"]),
            maybe_from_ms(row["last_sign_in"]),
            row["state"],
        )
        for row in rows
    ]


def _keys(year: int, county: str, narrowed: Narrowed) -> dict[str, Any]:
    return {
        "year": year,
        "county": county,
        "levels": json.dumps(narrowed.levels),
        "school": narrowed.school,
        "signed_in": narrowed.signed_in,
    }


# one teacher


async def add(
    site: Site, actor: Actor, level: str, national_id: str, school: str | None
) -> Added:
    """Put a teacher on the list of the actor's county, or correct his school.

    Raises Refused for somebody who is on the list of another county.
    """
    async with site.database.writing() as db:
        settings = await schools.the_round(db)
        now = site.clock.now()
        scope = access.Scope(actor.county, level, settings.frozen)
        refuse(actor, "roster", scope, now)
        lookup = site.vault.lookup(settings.year, level, national_id)
        if await elsewhere(db, settings.year, actor.county, [(level, lookup)]):
            raise Refused(Problem("national_id", elsewhere_text()))
        known = await schools_of(db, settings.year, actor.county, [level])
        if known.get((level, lookup), "") == school:
            return "same"
        done: Added = "changed" if (level, lookup) in known else "added"
        await accounts.add_to_roster(
            db, settings.year, level, lookup, actor.county, school
        )
        account = await accounts.by_lookup(db, settings.year, level, lookup)
        object_ = account.id if account else ""
        detail = {"level": level, "school": school or ""}
        event = f"roster-{done}"
        await audit.add(db, now, actor.account, event, object_, actor.county, detail)
    return done


async def remove(site: Site, actor: Actor, level: str, national_id: str) -> Removed:
    """Take a teacher off the list; who has signed in keeps account and application."""
    async with site.database.writing() as db:
        settings = await schools.the_round(db)
        now = site.clock.now()
        scope = access.Scope(actor.county, level, settings.frozen)
        refuse(actor, "roster", scope, now)
        lookup = site.vault.lookup(settings.year, level, national_id)
        known = await schools_of(db, settings.year, actor.county, [level])
        if (level, lookup) not in known:
            return "absent"
        account = await accounts.by_lookup(db, settings.year, level, lookup)
        await take_off(db, settings.year, [(level, lookup)])
        object_ = account.id if account else ""
        event, detail = "roster-removed", {"level": level}
        await audit.add(db, now, actor.account, event, object_, actor.county, detail)
    return "kept" if account else "removed"


def elsewhere_text() -> str:
    return _("此人已列於其他縣市的名冊；請先洽該縣市或承辦縣市")


# many teachers


async def schools_of(
    db: aiosqlite.Connection, year: int, county: str, levels: Iterable[str]
) -> dict[Key, str | None]:
    """Return who is on the list of a county at these levels, with the school."""
    rows = await db.execute_fetchall(
        "select level, lookup, school from roster "
        "where year = :year and county = :county "
        "and level in (select value from json_each(:levels))",
        {"year": year, "county": county, "levels": json.dumps(sorted(levels))},
    )
    return {(level, bytes(lookup)): school for level, lookup, school in rows}


async def elsewhere(
    db: aiosqlite.Connection, year: int, county: str, keys: Iterable[Key]
) -> set[Key]:
    """Return those of these who are on the list of another county."""
    asked = set(keys)
    rows = await db.execute_fetchall(
        """select level, lookup from roster where year = :year and county != :county
        and hex(lookup) in (select value from json_each(:lookups))""",
        {
            "year": year,
            "county": county,
            "lookups": json.dumps([lookup.hex().upper() for _level, lookup in asked]),
        },
    )
    return {(level, bytes(lookup)) for level, lookup in rows} & asked


async def signed_in(db: aiosqlite.Connection, year: int, county: str) -> set[Key]:
    """Return those of a county who have signed in for the first time."""
    rows = await db.execute_fetchall(
        "select level, lookup from account where year = :year and county = :county",
        {"year": year, "county": county},
    )
    return {(level, bytes(lookup)) for level, lookup in rows}


async def put_on(
    db: aiosqlite.Connection, year: int, county: str, new: Mapping[Key, str | None]
) -> None:
    """Put many teachers on the list of a county, or correct their schools."""
    await db.executemany(
        """insert into roster (year, level, lookup, county, school)
        values (?, ?, ?, ?, ?) on conflict (year, level, lookup)
        do update set school = excluded.school where county = excluded.county""",
        [(year, *key, county, school) for key, school in new.items()],
    )


async def take_off(db: aiosqlite.Connection, year: int, keys: Iterable[Key]) -> None:
    """Take many teachers off the list."""
    await db.executemany(
        "delete from roster where year = ? and level = ? and lookup = ?",
        [(year, *key) for key in keys],
    )
