"""The end of a round: what is held about people of a year, and taking it out for good.

What stays: the frozen round and its results by number, figures, the audit, which names
nobody, and for ten years an HMAC of who may not apply (§11). Who was behind a number
can no longer be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.clock import maybe_from_ms, to_ms
from jiepin.web.language import _, mark
from jiepin.web.site import Site
from jiepin.web.store import audit
from jiepin.web.store.applications import Absent, Closed

_OF_ACCOUNTS: Final = " where account in (select id from account where year = :year)"
_OF_APPLICATIONS: Final = (
    " where application in (select id from application where year = :year)"
)
_OF_YEAR: Final = " where year = :year"

# In an order in which nothing is deleted that something else still points to.
PURGED: Final[Mapping[str, str]] = {
    "challenge": " where session in (select token from session" + _OF_ACCOUNTS + ")",
    "session": _OF_ACCOUNTS,
    "device": _OF_ACCOUNTS,
    "mail_code": _OF_ACCOUNTS,
    "reset": _OF_ACCOUNTS,
    "wish": _OF_APPLICATIONS,
    "wish_draft": _OF_APPLICATIONS,
    "points": _OF_APPLICATIONS,
    "review_check": _OF_APPLICATIONS,
    "review_open": _OF_APPLICATIONS,
    "review_event": _OF_APPLICATIONS,
    "application_version": _OF_APPLICATIONS,
    "result": _OF_APPLICATIONS,
    "line_link": _OF_APPLICATIONS,
    "notify_choice": _OF_APPLICATIONS,
    "outbox": _OF_APPLICATIONS,
    "snapshot_teacher": _OF_APPLICATIONS,
    "dropout": _OF_APPLICATIONS,
    "correction": _OF_YEAR,
    "application": _OF_YEAR,
    "account": _OF_YEAR,
    "roster": _OF_YEAR,
}
NAMES: Final = {
    "challenge": mark("登入詢問"),
    "session": mark("登入狀態"),
    "device": mark("登入過的電腦"),
    "mail_code": mark("驗證碼"),
    "reset": mark("密碼重設連結"),
    "wish": mark("志願"),
    "wish_draft": mark("志願草稿"),
    "points": mark("積分與備註"),
    "review_check": mark("資格審查"),
    "review_open": mark("審核中"),
    "review_event": mark("審核經過"),
    "application_version": mark("申請資料各版本"),
    "result": mark("個人結果"),
    "line_link": mark("LINE 連動"),
    "notify_choice": mark("通知設定"),
    "outbox": mark("通知信件"),
    "snapshot_teacher": mark("電腦編號對照"),
    "dropout": mark("放棄與未報到"),
    "correction": mark("更正"),
    "application": mark("申請（目前內容）"),
    "account": mark("帳號與身分資料"),
    "roster": mark("介聘名冊"),
}


@dataclass(frozen=True, slots=True)
class Year:
    """A round, and until when its personal data is kept.

    `from_`: since when the time counts, that of the publication in force, or the end
    of the schedule where nothing was published; None: not yet.
    """

    year: int
    organiser: str
    days: int
    from_: datetime | None
    purged: datetime | None

    @property
    def due(self) -> datetime | None:
        """When its personal data may be taken out."""
        return None if self.from_ is None else self.from_ + timedelta(days=self.days)


_YEAR: Final = """select year, organiser, retention_days as days, purged,
    coalesce((select max(publish_at) from publication
        where publication.year = round.year and retracted is null),
        (select max(coalesce(closes, opens)) from window
        where window.year = round.year)) as from_ from round """


async def years(db: aiosqlite.Connection) -> list[Year]:
    """Return all rounds, the newest first."""
    rows = await db.execute_fetchall(_YEAR + "order by year desc")
    return [_year(row) for row in rows]


async def year(db: aiosqlite.Connection, of: int) -> Year | None:
    """Return one year's round."""
    rows = await db.execute_fetchall(_YEAR + "where year = :year", {"year": of})
    return next((_year(row) for row in rows), None)


def _year(row: aiosqlite.Row) -> Year:
    fields: dict[str, Any] = dict(row)
    for name in ("from_", "purged"):
        fields[name] = maybe_from_ms(fields[name])
    return Year(**fields)


async def held(db: aiosqlite.Connection, of: int) -> dict[str, int]:
    """Return how many rows each table holds about the people of a year."""
    counts = {}
    for table, where in PURGED.items():
        [[n]] = await db.execute_fetchall(
            "select count(*) from " + table + where, {"year": of}
        )
        counts[table] = int(n)
    return counts


async def obstacles(
    db: aiosqlite.Connection, found: Year, now: datetime
) -> Sequence[str]:
    """Return what stands in the way of taking out a year's personal data."""
    problems = []
    if found.purged is not None:
        problems.append(_("個人資料已經清除"))
    if found.due is None:
        problems.append(_("尚無公告結果，也沒有作業日程"))
    elif now < found.due:
        problems.append(_("保存期限未到"))
    [[open_]] = await db.execute_fetchall(
        "select count(*) from dropout where year = :year "
        "and undone is null and final is null",
        {"year": found.year},
    )
    if open_:
        problems.append(_("有 %(n)s 件放棄或未報到尚未確定", n=str(open_)))
    [[waiting]] = await db.execute_fetchall(
        "select count(*) from publication where year = :year and retracted is null "
        "and (told is null or publish_at > :now)",
        {"year": found.year, "now": to_ms(now)},
    )
    if waiting:
        problems.append(_("尚有排定或通知未完的公告"))
    return problems


async def counts(db: aiosqlite.Connection, of: int) -> dict[str, Any]:
    """Return what is worth knowing of a year when nobody in it is known any more."""
    states = await db.execute_fetchall(
        "select county, level, state, count(*) from application where year = :year "
        "group by county, level, state order by county, level, state",
        {"year": of},
    )
    kinds = await db.execute_fetchall(
        "select kind, count(*), sum(opened) from dropout where year = :year "
        "and undone is null group by kind order by kind",
        {"year": of},
    )
    [[corrections]] = await db.execute_fetchall(
        "select count(*) from correction" + _OF_YEAR, {"year": of}
    )
    return {
        "applications": [
            {"county": county, "level": level, "state": state, "count": n}
            for county, level, state, n in states
        ],
        "dropped_out": [
            {"kind": kind, "count": n, "seats_opened": opened}
            for kind, n, opened in kinds
        ],
        "corrections": corrections,
    }


async def purge(site: Site, actor: Actor, of: int, archive: str) -> int:
    """Take out what is held about the people of a year; returns how many rows.

    `archive` is the SHA-256 of what was kept of the round. The file still holds what
    was deleted until it has been compacted.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        found = await year(db, of)
        if found is None or not access.can(actor, "archive", access.Round(of), now):
            raise Absent
        if await obstacles(db, found, now):
            raise Closed
        gone = 0
        for table, where in PURGED.items():
            done = await db.execute("delete from " + table + where, {"year": of})
            gone += done.rowcount
        await db.execute("delete from bar where until <= :now", {"now": to_ms(now)})
        await db.execute(
            "update round set purged = :now where year = :year",
            {"now": to_ms(now), "year": of},
        )
        detail = {"year": of, "rows": gone, "archive": archive}
        await audit.add(db, now, actor.account, "archived", detail=detail)
    return gone
