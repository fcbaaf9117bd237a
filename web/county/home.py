"""總覽: what is open for how long, how far the county is, and who is at what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.clock import left_text, moment_text
from jiepin.web.language import _, current, mark, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague, at_desk
from jiepin.web.staff.menu import ROLE_NAMES
from jiepin.web.store import review_lists, schools
from jiepin.web.store.review_lists import AtWork, Filters
from jiepin.web.store.schools import RoundSettings, Window
from jiepin.web.teacher.status import STATES

WINDOWS = {
    "fill": mark("填報"),
    "review": mark("審核"),
    "notice": mark("積分公告"),
    "freeze": mark("資料凍結"),
    "run": mark("介聘計算"),
    "result": mark("結果公告"),
}


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window of the schedule; `state` is before, open or over."""

    level: str
    what: str
    opens: str
    closes: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many applications of a level are in each state, with the address of them."""

    level: str
    code: str
    counts: Sequence[tuple[str, int]]  # state, how many
    total: int


@dataclass(frozen=True, slots=True)
class OpenRow:
    url: str
    applicant: str
    who: str
    since: str


@dataclass(frozen=True, slots=True)
class HomePage:
    windows: Sequence[WindowRow]
    states: Sequence[str]
    rows: Sequence[CountRow]
    waiting: int
    changed: int
    failed: int
    open: Sequence[OpenRow]


@at_desk()
async def home(request: Request) -> Response:
    """Show how the county's work stands."""
    colleague: Colleague = request.state.colleague
    round_: RoundSettings | None = request.state.round
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        page = await _read(db, colleague, round_, site.clock.now())
    return await render(request, "city/home.html", page)


async def _read(
    db: aiosqlite.Connection,
    colleague: Colleague,
    round_: RoundSettings | None,
    now: datetime,
) -> HomePage:
    county, levels = colleague.actor.county, colleague.actor.levels
    year = round_.year if round_ else 0
    counts = await review_lists.counts(db, year, county, levels)
    changed = Filters(levels, changed=True)
    at_work = await review_lists.at_work(db, year, county, levels, now)
    return HomePage(
        windows=await _windows(db, year, levels, now),
        states=[said(text) for text in STATES.values()],
        rows=[_counts(level, counts) for level in levels],
        waiting=sum(n for (_level, state), n in counts.items() if state == "filed"),
        changed=await review_lists.count(db, year, county, changed, now),
        failed=await review_lists.count_sent(db, county, levels, "failed"),
        open=[_open(one) for one in at_work],
    )


async def _windows(
    db: aiosqlite.Connection, year: int, levels: Sequence[str], now: datetime
) -> list[WindowRow]:
    rows = []
    for level in levels:
        for kind, name in WINDOWS.items():
            window = await schools.window(db, year, level, kind)
            if window is not None:
                rows.append(_window(level, name, window, now))
    return rows


def _window(level: str, name: str, window: Window, now: datetime) -> WindowRow:
    closes = window.closes
    if now < window.opens:
        state, left = "before", window.opens - now
        text = _("%(left)s 後開始", left=left_text(left, current()))
    elif closes is None:
        state, text = "open", _("進行中")
    elif now < closes:
        state = "open"
        text = _("尚餘 %(left)s", left=left_text(closes - now, current()))
    else:
        state, text = "over", _("已截止")
    return WindowRow(
        said(LEVEL_NAMES[level]),
        said(name),
        moment_text(window.opens, current()),
        moment_text(closes, current()) if closes else "",
        state,
        text,
    )


def _counts(level: str, counts: Mapping[tuple[str, str], int]) -> CountRow:
    found = [(state, counts.get((level, state), 0)) for state in STATES]
    total = sum(n for _state, n in found)
    return CountRow(said(LEVEL_NAMES[level]), level, found, total)


def _open(one: AtWork) -> OpenRow:
    return OpenRow(
        f"/city/applications/{one.application}",
        one.applicant,
        f"{one.name}（{said(ROLE_NAMES[one.role])}）",
        moment_text(one.since, current()),
    )
