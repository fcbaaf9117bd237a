"""作業進度: how far every county is, and what stands in the way of the freeze."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import groupby
from operator import add
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jiepin.web.clock import left_text, moment_text
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk
from jiepin.web.store import progress as store
from jiepin.web.store import schools
from jiepin.web.store.obstacles import Obstacle, in_the_way
from jiepin.web.store.progress import Board, Doubt, Progress, Queue
from jiepin.web.store.schools import County, RoundSettings

COLUMNS: Final = {
    "roster": mark("名冊"),
    "signed_in": mark("已登入"),
    "began": mark("已開始"),
    "submitted": mark("已完成申請"),
    "filed": mark("待審核"),
    "returned": mark("退回補正"),
    "rejected": mark("駁回"),
    "approved": mark("審核通過"),
    "changed": mark("審後異動"),
}
BAR: Final = {  # of the chart, from left to right
    "approved": mark("審核通過"),
    "rejected": mark("駁回"),
    "returned": mark("退回補正"),
    "filed": mark("待審核"),
    "filling": mark("填報中"),
}
DOUBT_NAMES: Final = {
    "no-number": mark("審核通過而無電腦編號"),
    "no-points": mark("審核通過而無積分"),
    "over-limit": mark("積分超過本年度上限"),
    "closed-wish": mark("志願中有已移除的學校"),
    "no-wish": mark("沒有任何可用的志願學校"),
    "home-elsewhere": mark("現職學校與縣市或階段別不符"),
    "not-on-roster": mark("已登入而不在名冊"),
    "roster-elsewhere": mark("名冊所載縣市與申請不同"),
    "seats-closed": mark("已移除的學校仍有缺額"),
    "seats-level": mark("缺額科(類)別與學校階段別不符"),
}
EVERY: Final = 10  # seconds between two looks of the page
COSTLY: Final = 0.5  # seconds of counting that are not spent again at once
KEPT_TIMES, KEPT_MOST = 20, 60.0  # a costly count is kept so many times as long


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of the board; `key` is what the page finds it by."""

    key: str
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One county, or the sum of a level."""

    key: str
    name: str
    cells: Sequence[Cell]
    reviewed: int
    submitted: int
    percent: int


@dataclass(frozen=True, slots=True)
class Part:
    """One state in the bar of a level; `x` and `width` are percent."""

    key: str
    state: str
    name: str
    n: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Level:
    """The board of one level."""

    level: str
    name: str
    bar: Sequence[Part]
    rows: Sequence[Row]
    total: Row


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that stands for itself, with what it counts."""

    key: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class HomePage:
    """The progress board; without a year only the way to begin one."""

    year: int
    frozen: str
    levels: Sequence[Level]
    columns: Sequence[str]
    figures: Sequence[Figure]
    doubts: Sequence[str]
    obstacles: Sequence[Obstacle]
    as_of: str
    every: int


@dataclass(frozen=True, slots=True)
class _Counts:
    """What is counted over all applications of a year, and when."""

    year: int
    at: datetime
    board: Board
    doubts: Sequence[Doubt]


class Counting:
    """Counts for all who look at the board, and seldom where that is costly.

    The pages of the host ask every ten seconds, and the more applications there are,
    the longer counting takes.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._kept: _Counts | None = None
        self._until = 0.0

    async def counts(self, site: Site, year: int) -> _Counts:
        """Return the counts of a year, at most a minute old."""
        async with self._one:
            start = time.monotonic()
            kept = self._kept
            if kept is None or kept.year != year or start >= self._until:
                kept = self._kept = await _counts(site, year)
                took = time.monotonic() - start
                keep = min(took * KEPT_TIMES, KEPT_MOST) if took > COSTLY else 0
                self._until = start + keep
            return kept


async def _counts(site: Site, year: int) -> _Counts:
    now = site.clock.now()
    async with site.database.reading() as db:
        board = await store.board(db, year)
        return _Counts(year, now, board, await store.doubts(db, year))


@dataclass(frozen=True, slots=True)
class _Found:
    """What the store says of the moment."""

    settings: RoundSettings
    counties: Mapping[str, County]
    taking_part: frozenset[str]
    counts: _Counts
    queue: Queue
    obstacles: Sequence[Obstacle]

    @property
    def board(self) -> Board:
        return self.counts.board


@at_desk()
async def home(request: Request) -> Response:
    """Show how far the round is."""
    found = await _look(request)
    page = HomePage(0, "", (), (), (), (), (), "", EVERY)
    if found is not None:
        page = _page(request, found)
    return await render(request, "host/home.html", page)


@at_desk()
async def progress(request: Request) -> Response:
    """Answer with the numbers of the board, for the page to put in their places."""
    found = await _look(request)
    return JSONResponse(_numbers(_page(request, found)) if found else {})


async def _look(request: Request) -> _Found | None:
    site: Site = request.app.state.site
    settings: RoundSettings | None = request.state.round
    if settings is None:
        return None
    now = site.clock.now()
    counts = await request.app.state.counting.counts(site, settings.year)
    async with site.database.reading() as db:
        return _Found(
            settings,
            await schools.counties(db),
            frozenset(await schools.taking_part(db, settings.year)),
            counts,
            await store.queue(db),
            await in_the_way(db, settings.year, now),
        )


def _page(request: Request, found: _Found) -> HomePage:
    frozen = found.settings.frozen
    return HomePage(
        year=found.settings.year,
        frozen=moment_text(frozen, current()) if frozen else "",
        levels=[_level(found, level) for level in found.settings.levels],
        columns=[said(name) for name in COLUMNS.values()],
        figures=_figures(request, found),
        doubts=_doubts(found),
        obstacles=found.obstacles,
        as_of=moment_text(found.counts.at, current(), seconds=True),
        every=EVERY,
    )


def _level(found: _Found, level: str) -> Level:
    """Return the board of a level: who takes part, and who has anything in it."""
    there = {county for at, county in found.board if at == level}
    rows = {
        code: found.board.get((level, code), Progress())
        for code in found.counties
        if code in found.taking_part | there
    }
    total = reduce(add, rows.values(), Progress())
    return Level(
        level,
        said(LEVEL_NAMES[level]),
        bar(level, total),
        [
            _row(f"{level}-{code}", name_of(found.counties[code]), row)
            for code, row in rows.items()
        ],
        _row(level, _("合計"), total),
    )


def name_of(county: County) -> str:
    return county.name_en if current() == ENGLISH else county.name


def _row(key: str, name: str, row: Progress) -> Row:
    cells = [Cell(f"{key}-{column}", getattr(row, column)) for column in COLUMNS]
    return Row(key, name, cells, row.reviewed, row.submitted, row.reviewed_percent)


def bar(level: str, total: Progress) -> Sequence[Part]:
    """Return the parts of a level's bar, as shares of all who have signed in.

    >>> [part.width for part in bar("elementary", Progress(filed=1, approved=3))]
    [75.0, 0.0, 0.0, 25.0, 0.0]
    """
    counts = {state: getattr(total, state) for state in BAR}
    whole, x, parts = sum(counts.values()) or 1, 0.0, []
    for state, name in BAR.items():
        width = round(100 * counts[state] / whole, 2)
        key = f"{level}-{state}"
        parts.append(Part(key, state, said(name), counts[state], round(x, 2), width))
        x += width
    return parts


def _figures(request: Request, found: _Found) -> Sequence[Figure]:
    state, now = request.app.state, request.app.state.site.clock.now()
    total = reduce(add, found.board.values(), Progress())
    queue = found.queue
    waits = ""
    if queue.oldest is not None:
        waits = _("，最久 %(time)s", time=left_text(now - queue.oldest, current()))
    return (
        Figure("all-submitted", _("已完成申請"), str(total.submitted)),
        Figure("all-filed", _("待審核"), str(total.filed)),
        Figure("all-approved", _("審核通過"), str(total.approved)),
        Figure("teachers", _("線上教師"), str(state.presence.online(now))),
        Figure("staff", _("線上承辦人員"), str(state.staff_presence.online(now))),
        Figure("waiting", _("待寄通知"), f"{queue.waiting}{waits}"),
        Figure("failed", _("寄送失敗的通知"), str(queue.failed)),
    )


def _doubts(found: _Found) -> Sequence[str]:
    """Say what does not fit together, and where how often."""
    return [
        _(
            "%(what)s：%(where)s",
            what=said(DOUBT_NAMES[kind]),
            where=_("、").join(
                f"{name_of(found.counties[doubt.county])} {doubt.n}" for doubt in those
            ),
        )
        for kind, those in groupby(found.counts.doubts, key=lambda doubt: doubt.kind)
    ]


def _numbers(page: HomePage) -> dict[str, Any]:
    """Return what changes on the page, by the keys that stand in it."""
    rows = [row for level in page.levels for row in (*level.rows, level.total)]
    parts = [part for level in page.levels for part in level.bar]
    return {
        "as_of": page.as_of,
        "texts": {cell.key: str(cell.n) for row in rows for cell in row.cells}
        | {f"{row.key}-percent": f"{row.percent}%" for row in rows}
        | {f"{part.key}-n": str(part.n) for part in parts}
        | {figure.key: figure.text for figure in page.figures},
        "meters": {row.key: [row.reviewed, max(row.submitted, 1)] for row in rows},
        "bars": {part.key: [part.x, part.width] for part in parts},
        "doubts": list(page.doubts),
        "obstacles": len(page.obstacles),
    }
