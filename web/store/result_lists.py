"""Who goes where by a run: the lists of the county, of the host and of everybody."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

from jiepin.web.store.schools import LEVELS


@dataclass(frozen=True, slots=True)
class Place:
    """A position by its names; `address` is for letters."""

    county: str
    school: str
    name: str
    township: str
    address: str
    subject: str
    subject_en: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where somebody comes from and where he goes; None: he stays."""

    home: Place
    there: Place | None
    application: str
    number: str
    name: str
    level: str
    stage: str
    choice: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Search:
    """Which results are looked for; what is empty does not narrow them.

    `way` is in or out of the county, stay for those of it who are not placed, or empty
    for whoever is placed, from or to the county. `who` is a number or part of a name.
    """

    county: str = ""
    levels: tuple[str, ...] = LEVELS
    way: str = ""
    who: str = ""


_FROM = """ from result
    join application on application.id = result.application
    left join school as home on home.code = application.school
    left join subject as held on held.code = application.subject1
    left join school as there on there.code = result.school
    left join subject as taught on taught.code = result.subject
    where result.run = :run
    and application.level in (select value from json_each(:levels))
    and (:who = '' or application.number = :who or instr(application.name, :who))
    and case :way
        when 'in' then there.county = :county
        when 'out' then application.county = :county and result.school is not null
        when 'stay' then application.county = :county and result.school is null
        else result.school is not null
            and (:county = '' or :county in (application.county, there.county)) end """
_COLUMNS = """select application.id, number, application.name, application.level,
    result.stage, result.choice, result.note,
    application.county, home.code, home.name, home.township, home.address, held.name,
    held.name_en,
    there.county, there.code, there.name, there.township, there.address, taught.name,
    taught.name_en"""


async def found(
    db: aiosqlite.Connection, run: int, search: Search, offset: int = 0, limit: int = -1
) -> tuple[Placed, ...]:
    """Return results of a run by level, then where they lead; -1 is without limit."""
    rows = await db.execute_fetchall(
        _COLUMNS + _FROM + "order by application.level, there.code, home.code, number "
        "limit :limit offset :offset",
        _keys(run, search) | {"limit": limit, "offset": offset},
    )
    return tuple(_placed(tuple(row)) for row in rows)


async def count(db: aiosqlite.Connection, run: int, search: Search) -> int:
    """Return how many results are looked for."""
    [[n]] = await db.execute_fetchall("select count(*)" + _FROM, _keys(run, search))
    return int(n)


def _keys(run: int, search: Search) -> dict[str, Any]:
    return {
        "run": run,
        "county": search.county,
        "levels": json.dumps(search.levels),
        "way": search.way,
        "who": search.who,
    }


def _placed(row: Sequence[Any]) -> Placed:
    own, home, there = row[:7], row[7:14], row[14:]
    known = (cell or "" for cell in home)  # who was purged has no home any more
    place = Place(*there) if there[1] else None
    return Placed(Place(*known), place, *own)


@dataclass(frozen=True, slots=True)
class Balance:
    """How many of a county applied, left it and came into it."""

    county: str
    applied: int
    out: int
    into: int


async def balances(
    db: aiosqlite.Connection, run: int, levels: Sequence[str] = LEVELS
) -> tuple[Balance, ...]:
    """Return the balance of each county that has applicants or gets some."""
    rows = await db.execute_fetchall(
        """select county, sum(applied) as applied, sum(out) as out, sum(into_) as into_
        from (select application.county, 1 as applied,
                result.school is not null as out, 0 as into_
            from result join application on application.id = result.application
            where run = :run and level in (select value from json_each(:levels))
            union all
            select school.county, 0, 0, 1
            from result join school on school.code = result.school
            where run = :run and level in (select value from json_each(:levels)))
        group by county order by county""",
        {"run": run, "levels": json.dumps(levels)},
    )
    return tuple(Balance(*row) for row in rows)
