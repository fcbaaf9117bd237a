"""The first year of a site, and each next one as a copy of the last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import aiosqlite

from jiepin.web.access import Actor
from jiepin.web.clock import TAIPEI
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import results, schedule, schools
from jiepin.web.store.applications import ChangedElsewhere, Refused
from jiepin.web.store.rounds import Save, saving
from jiepin.web.store.schools import RoundSettings, Window


@dataclass(frozen=True, slots=True)
class Carried:
    """What a new year does with the one before it."""

    applications: int  # their counties and the host still read them, until the purge
    vacancies: int  # are emptied: seats are those of one year
    published: bool


async def first(site: Site, actor: Actor, year: int, organiser: str) -> None:
    """Begin the first year; everything else may be set afterwards."""
    async with saving(site, actor, "begin") as save:
        if save.settings is not None:
            raise ChangedElsewhere(0, save.settings.year)
        settings = RoundSettings(year, organiser, 1, 2, 3, 0, schools_revision=1)
        await schools.save_round(save.db, settings)
        await save.note("year-begun", year=year)


async def carried(db: aiosqlite.Connection, year: int, now: datetime) -> Carried:
    """Return what beginning the year after this one would find."""
    rows = await db.execute_fetchall(
        "select (select count(*) from application where year = :year), "
        "(select count(*) from vacancy)",
        {"year": year},
    )
    [(applications, vacancies)] = rows
    published = await results.published(db, year, now)
    return Carried(applications, vacancies, published is not None)


async def next_(site: Site, actor: Actor, year: int, confirmed: bool) -> None:
    """Begin the year after `year` with its settings, the schedule a year later.

    Schools and staff stay. Rosters, accounts and applications belong to one year, so
    teachers begin anew; open seats are emptied and sessions of the old year end.
    Raises Refused as long as the old year is not published.
    """
    async with saving(site, actor, "begin") as save:
        old = save.round
        if old.year != year:
            raise ChangedElsewhere(year, old.year)
        _refuse_too_early(await carried(save.db, year, save.now), confirmed)
        newer = replace(old, year=year + 1, version=1, frozen=None, purged=None)
        await schools.save_round(save.db, newer)
        await _copy_schedule(save)
        await _copy_tables(save)
        await save.note("year-begun", year=year + 1, copied=year)


def _refuse_too_early(carried: Carried, confirmed: bool) -> None:
    if carried.applications and not carried.published:
        text = _("本年度已有申請而結果尚未公告，不能開始新年度")
        raise Refused(Problem("next", text))
    if not confirmed:
        raise Refused(Problem("next", _("請勾選確認後再開始新年度")))


async def _copy_schedule(save: Save) -> None:
    year = save.round.year
    found = await schedule.of_year(save.db, year)
    for level, windows in found.items():
        for kind in schedule.TYPED:
            if window := windows.get(kind):
                later = a_year_later(window)
                await schools.save_window(save.db, year + 1, level, kind, later)


def a_year_later(window: Window) -> Window:
    """Return a window at the same local time of the same day, a year later.

    >>> from datetime import UTC
    >>> leap = datetime(2028, 2, 29, 1, 0, tzinfo=UTC)
    >>> a_year_later(Window(leap, None)).opens.isoformat()
    '2029-02-28T01:00:00+00:00'
    """
    opens, closes = window.opens, window.closes
    return Window(_later(opens), None if closes is None else _later(closes))


def _later(moment: datetime) -> datetime:
    there = moment.astimezone(TAIPEI)
    leap_day = (there.month, there.day) == (2, 29)
    day = there.replace(day=28) if leap_day else there
    return day.replace(year=there.year + 1).astimezone(moment.tzinfo)


async def _copy_tables(save: Save) -> None:
    keys = {"year": save.round.year, "next": save.round.year + 1}
    await save.db.execute(
        "insert into round_county (year, county) "
        "select :next, county from round_county where year = :year",
        keys,
    )
    await save.db.execute(
        "insert into points_limit (year, item, most) "
        "select :next, item, most from points_limit where year = :year",
        keys,
    )
    await save.db.execute("delete from vacancy")
    await save.db.execute(
        "delete from session where account in "
        "(select id from account where year <= :year)",
        keys,
    )
