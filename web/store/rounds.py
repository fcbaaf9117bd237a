"""The year's settings as the host writes them: limits, counties, texts, rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Action, Actor
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import audit, schools
from jiepin.web.store.applications import Absent, ChangedElsewhere, Closed, Refused
from jiepin.web.store.schools import RoundSettings

if TYPE_CHECKING:
    from jiepin.core import Rules

USUAL_RULES: Final = "taiwan-110"
POINT_ITEMS: Final = (
    "appraisal",
    "service",
    "awards",
    "special",
    "studies",
    "reason1",
    "reason2",
)


@dataclass(frozen=True, slots=True)
class YearSettings:
    """What is set for a year besides its texts, its schedule and its rules.

    `counties` are those that take part; `points` the most that an item may give,
    hundredths, an item without one has no limit.
    """

    levels: tuple[str, ...]
    counties: frozenset[str]
    max_counties: int
    max_subjects: int
    max_choices: int
    retention_days: int
    points: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Texts:
    """What the public and the teachers read; of the notices one item a line."""

    organiser: str
    notices: str
    notices_en: str


@dataclass(frozen=True, slots=True)
class Save:
    """A change of the host that is under way in its transaction."""

    db: aiosqlite.Connection
    now: datetime
    actor: Actor
    settings: RoundSettings | None

    @property
    def round(self) -> RoundSettings:
        """The round; who changes something of a year that is not there is lost."""
        if self.settings is None:
            raise Absent
        return self.settings

    def check_version(self, seen: int) -> None:
        """Raise ChangedElsewhere when somebody else has saved since."""
        if self.round.version != seen:
            raise ChangedElsewhere(seen, self.round.version)

    async def write(self, settings: RoundSettings) -> None:
        """Write the settings as the next version."""
        newer = replace(settings, version=self.round.version + 1)
        await schools.save_round(self.db, newer)

    async def note(self, action: str, **detail: object) -> None:
        """Note in the audit what was done to this year's round."""
        year = {"year": self.settings.year} if self.settings else {}
        await audit.add(
            self.db, self.now, self.actor.account, action, detail=year | detail
        )


@asynccontextmanager
async def saving(
    site: Site, actor: Actor, action: Action = "set-up"
) -> AsyncIterator[Save]:
    """Open a transaction in which the host may change what belongs to the round.

    Raises Absent for those who may never, Closed once the round is frozen.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        settings = await schools.round(db)
        year = settings.year if settings else 0
        if not access.can(actor, action, access.Round(year), now):
            raise Absent
        frozen = settings.frozen if settings else None
        if not access.can(actor, action, access.Round(year, frozen), now):
            raise Closed
        yield Save(db, now, actor, settings)


# settings


async def limits(db: aiosqlite.Connection, year: int) -> dict[str, int]:
    """Return the most points that items may give in a year, hundredths."""
    rows = await db.execute_fetchall(
        "select item, most from points_limit where year = :year", {"year": year}
    )
    return {row["item"]: row["most"] for row in rows}


async def save_settings(site: Site, actor: Actor, seen: int, new: YearSettings) -> None:
    """Save the settings of the year.

    Raises Refused where an application already goes beyond what would be allowed.
    """
    async with saving(site, actor) as save:
        save.check_version(seen)
        await _refuse_overtaken(save, new)
        await save.write(
            replace(
                save.round,
                levels=new.levels,
                max_counties=new.max_counties,
                max_subjects=new.max_subjects,
                max_choices=new.max_choices,
                retention_days=new.retention_days,
            )
        )
        await _write_counties(save.db, save.round.year, new.counties)
        await _write_limits(save.db, save.round.year, new.points)
        await save.note("settings-changed", version=seen + 1)


async def _write_counties(
    db: aiosqlite.Connection, year: int, counties: frozenset[str]
) -> None:
    """Write who takes part; all of them is written as none, and holds for new ones."""
    await db.execute("delete from round_county where year = :year", {"year": year})
    if counties != (await schools.counties(db)).keys():
        await db.executemany(
            "insert into round_county (year, county) values (?, ?)",
            [(year, county) for county in sorted(counties)],
        )


async def _write_limits(
    db: aiosqlite.Connection, year: int, points: Mapping[str, int]
) -> None:
    await db.execute("delete from points_limit where year = :year", {"year": year})
    await db.executemany(
        "insert into points_limit (year, item, most) values (?, ?, ?)",
        [(year, item, most) for item, most in sorted(points.items())],
    )


async def _refuse_overtaken(save: Save, new: YearSettings) -> None:
    """Refuse settings that applications already go beyond: nobody is cut short."""
    if not new.counties <= (await schools.counties(save.db)).keys():
        raise Refused(Problem("counties", _("請自清單選擇參加的縣市")))
    rows = await save.db.execute_fetchall(
        """select sum(level not in (select value from json_each(:levels))) as levels,
        sum(county not in (select value from json_each(:counties))
            or ifnull(county1, county) not in (select value from json_each(:counties))
            or ifnull(county2, county) not in (select value from json_each(:counties))
        ) as counties,
        sum(:max_counties and (county1 is not null) + (county2 is not null)
            > :max_counties) as max_counties,
        sum(:max_subjects and (subject1 is not null) + (subject2 is not null)
            + (subject3 is not null) > :max_subjects) as max_subjects,
        sum(:max_choices and (select count(*) from wish where application = id)
            > :max_choices) as max_choices
        from application where year = :year""",
        {
            "year": save.round.year,
            "levels": json.dumps(new.levels),
            "counties": json.dumps(sorted(new.counties)),
            "max_counties": new.max_counties,
            "max_subjects": new.max_subjects,
            "max_choices": new.max_choices,
        },
    )
    [row] = rows
    found = {name: row[name] for name in row.keys() if row[name]}  # noqa: SIM118
    over = await _over_points(save.db, save.round.year, new.points)
    found |= {f"points-{item}": n for item, n in over.items()}
    if found:
        raise Refused(*(Problem(at, _overtaken(at, n)) for at, n in found.items()))


def _overtaken(field: str, n: int) -> str:
    if field == "levels":
        return _("不能取消：已有 %(n)s 件申請屬於要取消的階段別", n=str(n))
    if field == "counties":
        return _("不能取消：已有 %(n)s 件申請的現職或志願在要取消的縣市", n=str(n))
    return _("上限不能這麼低：已有 %(n)s 件申請超過", n=str(n))


async def _over_points(
    db: aiosqlite.Connection, year: int, points: Mapping[str, int]
) -> dict[str, int]:
    """Count, by item, the points already given that are more than a new limit."""
    rows = await db.execute_fetchall(
        """select item, count(*) as n from points
        join application on application.id = points.application
        join json_each(:points) as most on most.key = item
        where year = :year and points.value > most.value group by item""",
        {"year": year, "points": json.dumps(dict(points))},
    )
    return {row["item"]: row["n"] for row in rows}


# texts


async def save_texts(site: Site, actor: Actor, seen: int, new: Texts) -> None:
    """Save organiser and notices, also after the freeze.

    Another text of the notices is another version of them: who has agreed to the one
    before is asked again.
    """
    async with saving(site, actor, "texts") as save:
        save.check_version(seen)
        before = save.round
        same = (new.notices, new.notices_en) == (before.notices, before.notices_en)
        version = before.notices_version + (not same)
        await save.write(
            replace(
                before,
                organiser=new.organiser,
                notices=new.notices,
                notices_en=new.notices_en,
                notices_version=version,
            )
        )
        await save.note("texts-changed", version=seen + 1, notices=version)


async def agreed(db: aiosqlite.Connection, settings: RoundSettings) -> int:
    """Return how many have agreed to the notices as they are."""
    rows = await db.execute_fetchall(
        "select count(*) from application "
        "where year = :year and notices_version = :version",
        {"year": settings.year, "version": settings.notices_version},
    )
    [(n,)] = rows
    return int(n)


# rules


async def save_rules(site: Site, actor: Actor, seen: int, text: str) -> None:
    """Save the rules of the year as TOML; raises Refused for a text that is none."""
    async with saving(site, actor) as save:
        save.check_version(seen)
        newer = replace(save.round, rules=text)
        refuse_bad_rules(newer)
        await save.write(newer)
        await save.note("rules-changed", version=seen + 1)


def refuse_bad_rules(settings: RoundSettings) -> Rules:
    """Return the rules of a year, read; raises Refused with what is wrong in them."""
    from jiepin.core import BadRules  # slow to load, and few pages need it

    try:
        return rules(settings)
    except BadRules as error:
        raise Refused(Problem("rules", str(error))) from error


def rules(settings: RoundSettings) -> Rules:
    """Return the rules of a year; raises BadRules.

    How much may be wished is set with the year and is the truth for the rules too;
    the own county is never wished here.
    """
    from jiepin.core import Limits, Rules

    read = Rules.from_toml(settings.rules) if settings.rules else usual_rules()
    counts = (settings.max_counties, settings.max_subjects, settings.max_choices)
    return replace(read, limits=Limits(*counts, home_county=False))


def usual_rules() -> Rules:
    """Return the rules of a year that has chosen none."""
    from jiepin.core import Rules

    return Rules.load(USUAL_RULES)


def rules_text(settings: RoundSettings) -> str:
    """Return the rules of a year as TOML, with the limits of the year; raises BadRules.

    >>> settings = RoundSettings(115, "", 1, 2, 3, 30, 1)
    >>> "choices = 30" in rules_text(settings)
    True
    """
    return rules(settings).to_toml()
