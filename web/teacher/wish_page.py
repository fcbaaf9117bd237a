"""What the pages of step 5 show, as one frozen value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import aiosqlite
from starlette.requests import Request

from jiepin.web.documents.sheet import short_digest
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import saved_text, step_url
from jiepin.web.store import schools
from jiepin.web.store.applications import Application
from jiepin.web.store.schools import School
from jiepin.web.teacher import pool, wish_list, wish_work
from jiepin.web.teacher.pool import Mark, Township
from jiepin.web.teacher.wish_doubts import Known, doubts, known
from jiepin.web.teacher.wish_list import Insert, WishList
from jiepin.web.teacher.wish_work import Work

PAGE = step_url("wishes")
COUNTIES = f"{PAGE}/counties"
N_SELECTS = 2  # 甲 and 乙
NONE = Problems()
MAP = "https://www.google.com/maps/search/?"


@dataclass(frozen=True, slots=True)
class Row:
    """One chosen school as it is shown."""

    choice: int
    school: School
    where: str
    marks: tuple[Mark, ...]
    doubts: tuple[str, ...] = ()


def rows(
    wishes: WishList, known: Known, told: Mapping[str, list[str]]
) -> tuple[Row, ...]:
    """Return the chosen schools in order."""
    return tuple(
        Row(
            choice,
            known.schools[code],
            known.where(known.schools[code]),
            tuple(pool.marks(known.schools[code])),
            tuple(told.get(code, ())),
        )
        for choice, code in enumerate(wishes, 1)
    )


@dataclass(frozen=True, slots=True)
class View:
    """What the address of the page asks for: how the pool is filtered, what is open.

    menu  the choice whose menu is open, 0 for none
    ask   "clear", "restore" or "": which question is asked
    """

    county: str = ""
    township: str = ""
    keyword: str = ""
    insert: Insert = wish_list.AT_THE_END
    menu: int = 0
    ask: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    """A county of the pool, and where its fragment is."""

    code: str
    name: str
    address: str
    open: bool


@dataclass(frozen=True, slots=True)
class WishesPage:
    """The editor of the list; `found` is None before a search."""

    rows: tuple[Row, ...]
    work: Work
    state: str
    doubts: tuple[str, ...]
    tabs: tuple[Tab, ...]
    townships: tuple[str, ...]
    found: tuple[Township, ...] | None
    view: View
    limit: int
    editable: bool
    problems: Problems = NONE

    @property
    def wishes(self) -> WishList:
        return self.work.wishes

    @property
    def version(self) -> int:
        """The version that the list grew from."""
        return self.work.base

    @property
    def dirty(self) -> bool:
        return self.work.wishes != self.work.saved

    @property
    def menu(self) -> Row | None:
        """The chosen school whose menu is open."""
        open_ = 1 <= self.view.menu <= len(self.rows)
        return self.rows[self.view.menu - 1] if open_ else None

    @property
    def map(self) -> str:
        """Where the map shows that school; nothing is asked of it before a click."""
        row = self.menu
        return map_address(row.where + row.school.name if row else "")

    @property
    def legend(self) -> list[Mark]:
        return pool.legend()

    @property
    def n_found(self) -> int:
        return sum(len(place.offers) for place in self.found or ())

    def where(self, township: str) -> str:
        """Return where a township of the open county is."""
        return pool.where(next(tab.name for tab in self.tabs if tab.open), township)

    @property
    def words(self) -> dict[str, str]:
        """What wishes.js says, with {names} that it fills in."""
        return words()


def map_address(query: str) -> str:
    """Return the address of a place on the map.

    >>> map_address("屏東縣 1")
    'https://www.google.com/maps/search/?api=1&query=%E5%B1%8F%E6%9D%B1%E7%B8%A3+1'
    """
    return MAP + urlencode({"api": 1, "query": query})


def words() -> dict[str, str]:
    """Return the texts that wishes.js says."""
    return {
        "added": _("{school} 已加入，第 {n} 志願，共 {of} 所"),
        "moved": _("{school} 移到第 {n} 位，共 {of} 所"),
        "removed": _("{school} 已刪除，共 {of} 所"),
        "cleared": _("志願已清空，儲存前可回復前次所儲存的志願學校"),
        "restored": _("已回復前次所儲存的志願學校"),
        "nothing": _("志願清單沒有需要變更的地方"),
        "full": _("志願學校至多 {limit} 所，請先刪除其他學校"),
        "choice": _("第 {n} 志願"),
        "now": _("目前第 {n} 位，共 {of} 位"),
        "handle": _("移動 {school}"),
        "found": _("符合 {n} 所"),
        "clear": _("確定要清空志願？儲存前都可以回復前次所儲存的志願學校。"),
        "restore": _("確定要放棄尚未儲存的變更，回復前次所儲存的志願學校？"),
        "saving": _("儲存中…"),
        "offline": _(
            "連不上本站，尚未儲存。您的清單仍在這一頁，請稍後再按一次「儲存志願學校」"
        ),
        "signed-out": _(
            "登入已逾時，尚未儲存。請在另一個分頁重新登入，再回到這一頁按「儲存志願學校」"
        ),
        "failed": _("尚未儲存，您的清單仍在這一頁。{why}"),
        "unkept": _("草稿未能保留：{why}"),
        "why-offline": _("連線中斷"),
        "why-signed-out": _("請在另一個分頁重新登入"),
    }


EVERYWHERE = "*"  # 不分區, as a value that differs from nothing asked for


@dataclass(frozen=True, slots=True)
class ConflictPage:
    """Two lists: one's own that is not saved, and what was saved elsewhere since."""

    own: tuple[Row, ...]
    saved: tuple[Row, ...]
    state: str
    draft: str


@dataclass(frozen=True, slots=True)
class CountiesPage:
    """The choice of counties; `dropped` asks to confirm what it would take out."""

    options: tuple[tuple[str, str], ...]
    chosen: tuple[str, ...]
    n_selects: int
    version: int
    dropped: tuple[Row, ...] = ()
    first_time: bool = False
    problems: Problems = NONE


async def editor(
    request: Request,
    db: aiosqlite.Connection,
    view: View,
    editable: bool,
    problems: Problems,
) -> WishesPage:
    """Return the page of the editor, or of the saved list when it is not editable."""
    application: Application = request.state.visitor.application
    work = await wish_work.load(db, application)
    if not editable:
        work = replace(work, wishes=work.saved)
    view = _in_county(view, application)
    townships = await schools.townships(db, view.county, application.level)
    view = _in_township(view, townships)
    facts = await known(db, application, work.wishes)
    told = doubts(application, work.wishes, facts)
    settings = await schools.round(db)
    return WishesPage(
        rows=rows(work.wishes, facts, told),
        work=work,
        state=state(application),
        doubts=tuple(told.get("", ())),
        tabs=await _tabs(request, db, facts, view),
        townships=townships,
        found=await _found(db, application, view),
        view=view,
        limit=settings.max_choices if settings else 0,
        editable=editable,
        problems=problems,
    )


def _in_county(view: View, application: Application) -> View:
    """Open the first county when none of one's own is asked for."""
    if view.county in application.counties:
        return view
    return replace(view, county=next(iter(application.counties), ""))


def _in_township(view: View, townships: tuple[str, ...]) -> View:
    """Forget the township of the county that was open before."""
    asked = view.township in ("", EVERYWHERE, *townships)
    return view if asked else replace(view, township="")


async def _found(
    db: aiosqlite.Connection, application: Application, view: View
) -> tuple[Township, ...] | None:
    """Return the schools that a page without JavaScript lists, None before a search.

    A whole county weighs as much as the rest of the page several times over, so it is
    listed once somebody asks for it.
    """
    if not (view.township or view.keyword):
        return None
    there = await schools.pool(db, view.county, application.level)
    township = "" if view.township == EVERYWHERE else view.township
    return pool.narrowed(pool.townships(there), township, view.keyword)


async def _tabs(
    request: Request, db: aiosqlite.Connection, facts: Known, view: View
) -> tuple[Tab, ...]:
    application = request.state.visitor.application
    tabs = []
    for code in application.counties:
        county = facts.counties[code]
        html = await pool.fragment(request, db, county, application.level)
        at = pool.address(county, application.level, html)
        tabs.append(Tab(code, pool.county_name(county), at, code == view.county))
    return tuple(tabs)


def state(application: Application) -> str:
    """Say when which version of the list was saved, and its digest."""
    if application.wishes_saved is None:
        return _("志願清單尚未儲存過")
    digest = short_digest(application.digest)
    return saved_text(application) + _("，校驗碼 %(digest)s", digest=digest)


def too_many(limit: int) -> Problems:
    """Say that the list is full."""
    text = _("志願學校至多 %(n)s 所，請先刪除其他學校", n=str(limit))
    return Problems.of(Problem("wishes", text))


async def conflict(
    db: aiosqlite.Connection, application: Application, work: Work
) -> ConflictPage:
    """Return both lists of a conflict."""
    facts = await known(db, application, work.wishes, work.saved)
    own, saved = (rows(list_, facts, {}) for list_ in (work.wishes, work.saved))
    return ConflictPage(own, saved, state(application), work.draft)


async def counties(
    db: aiosqlite.Connection,
    application: Application,
    chosen: tuple[str, ...],
    seen: int,
    ask: bool,
    problems: Problems,
) -> CountiesPage:
    """Return the page of the counties; `ask` lists what the choice would take out.

    `seen` is the version of the application that `chosen` was made from.
    """
    settings = await schools.round(db)
    most = settings.max_counties if settings else 0
    gone = WishList()
    if ask:
        gone = await wish_work.dropped(db, application, chosen)
    facts = await known(db, application, gone)
    offered = await schools.taking_part(db, application.year)
    return CountiesPage(
        options=tuple(
            (county.code, pool.county_name(county))
            for county in offered.values()
            if county.code != application.county
        ),
        chosen=chosen,
        n_selects=min(most, N_SELECTS) or N_SELECTS,
        version=seen,
        dropped=rows(gone, facts, {}),
        first_time=not application.counties,
        problems=problems,
    )
