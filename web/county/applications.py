"""審核: the county's applications, filtered, counted, searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.clock import moment_text
from jiepin.web.county.review_forms import read_stamp
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff import lists
from jiepin.web.staff.desk import Colleague, at_desk, see
from jiepin.web.store import review_lists, schools
from jiepin.web.store.review_lists import ORDERS, Filters, Listed
from jiepin.web.store.schools import RoundSettings
from jiepin.web.teacher.forms import typed
from jiepin.web.teacher.status import STATES

LIST = "/city/applications"
ON_A_PAGE, MOST_FOUND = 50, 100
LONGEST_WORDS = 100
ORDER_NAMES = {
    "filed": mark("完成申請先後"),
    "number": mark("電腦編號"),
    "name": mark("姓名"),
    "school": mark("服務學校"),
    "saved": mark("最近儲存"),
}


@dataclass(frozen=True, slots=True)
class Option:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """One application of the list."""

    url: str
    number: str
    name: str
    level: str
    school: str
    subject: str
    state: str
    state_text: str
    indigenous: bool
    version: int
    changed: bool
    filed: str
    open_with: int


@dataclass(frozen=True, slots=True)
class ListPage:
    """The list. `pages` are the addresses of the pages before and after, or ''."""

    chosen: Filters
    level: str
    levels: Sequence[Option]
    states: Sequence[Option]
    schools: Sequence[Option]
    subjects: Sequence[Option]
    orders: Sequence[Option]
    counts: Sequence[tuple[str, str, int]]  # name of a state, address, how many
    rows: Sequence[Row]
    total: int
    first: int
    before: str
    after: str
    words: str
    searched: bool


@at_desk()
async def listing(request: Request) -> Response:
    """List the applications that the filters leave, a page at a time."""
    return await _show(request)


@at_desk()
async def search(request: Request) -> Response:
    """Find applications by number, name or school, or by the QR code of a sheet.

    Asked by POST although nothing changes: a name does not belong into an address,
    which browsers and servers keep.
    """
    if request.method == "GET":
        return see(LIST)
    words = typed(await request.form()).get("words", "").strip()[:LONGEST_WORDS]
    return await _show(request, words) if words else see(LIST)


async def _show(request: Request, words: str = "") -> Response:
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    round_: RoundSettings | None = request.state.round
    filters, level = _filters(request.query_params, colleague)
    first = lists.first_of(request.query_params)
    now, year = site.clock.now(), round_.year if round_ else 0
    county = colleague.actor.county
    async with site.database.reading() as db:
        subjects = await _subjects(db, filters.levels)
        if words:
            stamp = read_stamp(words)
            found = await review_lists.search(
                db,
                year,
                county,
                colleague.actor.levels,
                words,
                stamp.digest if stamp else "",
                now,
                MOST_FOUND,
            )
            total = len(found)
        else:
            total = await review_lists.count(db, year, county, filters, now)
            found = await review_lists.listing(
                db, year, county, filters, now, first, ON_A_PAGE
            )
        homes = await review_lists.home_schools(db, year, county, filters.levels)
        counts = await review_lists.counts(db, year, county, filters.levels)
    address_of = partial(_address, filters, level)
    shown = 0 if words else total  # a search is one page
    before, after = lists.turns(address_of, first, shown, ON_A_PAGE)
    page = ListPage(
        chosen=filters,
        level=level,
        levels=[Option(one, said(LEVEL_NAMES[one])) for one in colleague.actor.levels],
        states=[Option(state, said(text)) for state, text in STATES.items()],
        schools=[Option(*home) for home in homes],
        subjects=[Option(code, name) for code, name in subjects.items()],
        orders=[Option(order, said(text)) for order, text in ORDER_NAMES.items()],
        counts=_counts(filters, level, counts),
        rows=[_row(one, subjects) for one in found],
        total=total,
        first=first,
        before=before,
        after=after,
        words=words,
        searched=bool(words),
    )
    return await render(request, "city/applications.html", page)


def _filters(query: Mapping[str, str], colleague: Colleague) -> tuple[Filters, str]:
    """Read the filters of an address; what is not known does not narrow the list."""
    levels = colleague.actor.levels
    level = query.get("level", "")
    level = level if level in levels else ""
    state, order = query.get("state", ""), query.get("order", "")
    return (
        Filters(
            levels=(level,) if level else levels,
            state=state if state in STATES else "",
            school=query.get("school", "")[:20],
            subject=query.get("subject", "")[:20],
            indigenous=query.get("indigenous") == "yes",
            changed=query.get("changed") == "yes",
            order=order if order in ORDERS else "filed",
        ),
        level,
    )


async def _subjects(db: aiosqlite.Connection, levels: Sequence[str]) -> dict[str, str]:
    english = current() == ENGLISH
    return {
        code: subject.name_en if english else subject.name
        for level in levels
        for code, subject in (await schools.subjects(db, level)).items()
    }


def _counts(
    filters: Filters, level: str, counts: Mapping[tuple[str, str], int]
) -> list[tuple[str, str, int]]:
    return [
        (
            said(text),
            _address(replace(Filters(filters.levels), state=state), level, 0),
            sum(n for (_level, found), n in counts.items() if found == state),
        )
        for state, text in STATES.items()
    ]


def _address(filters: Filters, level: str, first: int) -> str:
    fields = {
        "level": level,
        "state": filters.state,
        "school": filters.school,
        "subject": filters.subject,
        "indigenous": "yes" if filters.indigenous else "",
        "changed": "yes" if filters.changed else "",
        "order": "" if filters.order == "filed" else filters.order,
    }
    return lists.address(LIST, fields, first)


def _row(one: Listed, subjects: Mapping[str, str]) -> Row:
    return Row(
        url=f"{LIST}/{one.id}",
        number=one.number or _("(待審)"),
        name=one.name,
        level=said(LEVEL_NAMES[one.level]),
        school=one.school,
        subject=subjects.get(one.subject or "", ""),
        state=one.state,
        state_text=said(STATES[one.state]),
        indigenous=one.indigenous,
        version=one.version,
        changed=one.changed,
        filed=moment_text(one.filed, current()) if one.filed else "",
        open_with=one.open_with,
    )
