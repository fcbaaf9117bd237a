"""How far the counties are, how far the notices are, and what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import aiosqlite

from jiepin.web.clock import maybe_from_ms


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the applications are: of a county and level, or the sum of several.

    The five states add up to `signed_in`; `began` are those who agreed to the notices.

    >>> Progress(began=9, filling=4, filed=1, returned=1, approved=3).submitted
    5
    >>> Progress(filed=1, rejected=1, approved=2).reviewed_percent
    75
    """

    roster: int = 0
    signed_in: int = 0
    began: int = 0
    filling: int = 0
    filed: int = 0
    returned: int = 0
    rejected: int = 0
    approved: int = 0
    changed: int = 0  # since somebody had reviewed them

    def __add__(self, other: Progress) -> Progress:
        names = [field.name for field in fields(self)]
        return Progress(**{n: getattr(self, n) + getattr(other, n) for n in names})

    @property
    def submitted(self) -> int:
        """How many have been filed at least once."""
        return self.filed + self.returned + self.rejected + self.approved

    @property
    def reviewed(self) -> int:
        """How many are decided."""
        return self.rejected + self.approved

    @property
    def reviewed_percent(self) -> int:
        """How much of what was filed is decided; nothing filed: 0."""
        return 100 * self.reviewed // self.submitted if self.submitted else 0


Board = Mapping[tuple[str, str], Progress]  # by level and county

_BOARD = """
select level, county, sum(roster) as roster, sum(signed_in) as signed_in,
    sum(began) as began, sum(filling) as filling, sum(filed) as filed,
    sum(returned) as returned, sum(rejected) as rejected, sum(approved) as approved,
    sum(changed) as changed
from (
    select level, county, count(*) as roster, 0 as signed_in, 0 as began,
        0 as filling, 0 as filed, 0 as returned, 0 as rejected, 0 as approved,
        0 as changed
    from roster where year = :year group by level, county
    union all
    select level, county, 0, count(*), sum(step > 1), sum(state = 'filling'),
        sum(state = 'filed'), sum(state = 'returned'), sum(state = 'rejected'),
        sum(state = 'approved'), sum(reviewed is not null and version > reviewed)
    from application where year = :year group by level, county
) group by level, county"""


async def board(db: aiosqlite.Connection, year: int) -> Board:
    """Return how far every county is at every level; who has nothing is left out."""
    rows = await db.execute_fetchall(_BOARD, {"year": year})
    names = [field.name for field in fields(Progress)]
    return {
        (row["level"], row["county"]): Progress(**{name: row[name] for name in names})
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class Queue:
    """How many notices wait, since when the oldest does, and how many were given up."""

    waiting: int
    oldest: datetime | None
    failed: int
    sent: int


async def queue(db: aiosqlite.Connection) -> Queue:
    """Return how far the notices of all kinds are."""
    rows = await db.execute_fetchall(
        """select ifnull(sum(state in ('waiting', 'claimed')), 0) as waiting,
        min(case when state in ('waiting', 'claimed') then created end) as oldest,
        ifnull(sum(state = 'failed'), 0) as failed,
        ifnull(sum(state = 'done'), 0) as sent from outbox"""
    )
    [row] = rows
    oldest = maybe_from_ms(row["oldest"])
    return Queue(row["waiting"], oldest, row["failed"], row["sent"])


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that does not fit together, how often, in which county."""

    kind: str
    county: str
    n: int


_DOUBTS = """
with submitted as not materialized (
    select id, year, level, county, state, number, school from application
    where year = :year and state in ('filed', 'returned', 'approved')
), closed as not materialized (select code from school where open = 0)
select 'no-number' as kind, county, count(*) as n from submitted
    where state = 'approved' and number is null group by county
union all
select 'no-points', county, count(*) from submitted
    where state = 'approved'
    and not exists (select 1 from points where application = submitted.id)
    group by county
union all
select 'over-limit', county, count(*) from submitted
    where exists (select 1 from points join points_limit using (item)
        where application = submitted.id and points_limit.year = submitted.year
        and value > most) group by county
union all
select 'closed-wish', county, count(*) from submitted
    where exists (select 1 from wish where application = submitted.id
        and wish.school in (select code from closed)) group by county
union all
select 'no-wish', county, count(*) from submitted
    where not exists (select 1 from wish where application = submitted.id
        and wish.school not in (select code from closed)) group by county
union all
select 'home-elsewhere', submitted.county, count(*) from submitted
    left join school on school.code = submitted.school
    where school.county is not submitted.county
    or school.level is not submitted.level group by submitted.county
union all
select 'not-on-roster', application.county, count(*) from application
    join account on account.id = application.account
    left join roster using (year, level, lookup)
    where application.year = :year and roster.lookup is null
    group by application.county
union all
select 'roster-elsewhere', application.county, count(*) from application
    join account on account.id = application.account
    join roster using (year, level, lookup)
    where application.year = :year and roster.county != application.county
    group by application.county
union all
select 'seats-closed', school.county, count(*) from vacancy
    join school on school.code = vacancy.school
    where school.open = 0 and seats > 0 group by school.county
union all
select 'seats-level', school.county, count(*) from vacancy
    join school on school.code = vacancy.school
    join subject on subject.code = vacancy.subject
    where school.level != subject.level group by school.county
order by kind, county"""


async def doubts(db: aiosqlite.Connection, year: int) -> Sequence[Doubt]:
    """Return what does not fit together, by kind, then by county."""
    rows = await db.execute_fetchall(_DOUBTS, {"year": year})
    return tuple(Doubt(**row) for row in rows)
