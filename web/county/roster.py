"""The roster of a county: who may sign in for the first time, and who has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import national_id
from jiepin.web.access import Actor
from jiepin.web.clock import moment_text
from jiepin.web.county.schools import Option, level_options, may_edit
from jiepin.web.language import _, current, mark, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.store import roster as store
from jiepin.web.store import schools
from jiepin.web.store.applications import Refused
from jiepin.web.store.roster import Counts, Listed, Narrowed
from jiepin.web.store.schools import LEVEL_NAMES, Record
from jiepin.web.teacher import pool
from jiepin.web.teacher.forms import typed
from jiepin.web.teacher.status import STATES

DONE: Final = {
    "added": mark("已加入名冊。"),
    "changed": mark("已在名冊上，已更正學校。"),
    "same": mark("已在名冊上，資料相同，沒有變更。"),
    "removed": mark("已自名冊移除。"),
    "kept": mark("已自名冊移除；此人已登入過，帳號與申請資料保留，不受影響。"),
    "absent": mark("名冊上沒有這位教師，沒有變更。"),
}
_FILTERS: Final = ("level", "school", "signed_in")


@dataclass(frozen=True, slots=True)
class Row:
    """One teacher on the list; `name` once he has signed in."""

    level: str
    school: str
    name: str
    first: str
    last: str
    state: str


@dataclass(frozen=True, slots=True)
class Person:
    """A teacher as typed: level, national ID, and the school where there is one."""

    level: str
    national_id: str
    school: str | None


@dataclass(frozen=True, slots=True)
class RosterPage:
    """One page of the list; `values` are those of the form that was sent."""

    rows: Sequence[Row]
    counts: Counts
    filters: Mapping[str, str]
    levels: Sequence[Option]
    number: int
    pages: int
    earlier: str
    later: str
    editable: bool
    done: str
    values: Mapping[str, str]
    problems: Problems


@at_desk()
async def roster(request: Request) -> Response:
    """Show the list, those first who signed in for the first time last."""
    return await _show(request, {}, Problems())


@at_desk("roster")
async def add(request: Request) -> Response:
    """Put one teacher on the list."""
    site, actor = _here(request)
    form = typed(await request.form())
    read = await _read(request, form)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    try:
        done = await store.add(site, actor, read.level, read.national_id, read.school)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(f"/city/roster?done={done}")


@at_desk("roster")
async def remove(request: Request) -> Response:
    """Take one teacher off the list."""
    site, actor = _here(request)
    form = typed(await request.form()) | {"school": ""}
    read = await _read(request, form)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    done = await store.remove(site, actor, read.level, read.national_id)
    return see(f"/city/roster?done={done}")


def _here(request: Request) -> tuple[Site, Actor]:
    """Return the site and who acts; before there is a round there is nothing here."""
    if request.state.round is None:
        raise HTTPException(404)
    return request.app.state.site, request.state.colleague.actor


async def _read(request: Request, form: Mapping[str, str]) -> Person | Problems:
    site, actor = _here(request)
    level = form.get("level", "")
    async with site.database.reading() as db:
        found = await schools.records(db, actor.county, [level])
    names = SchoolNames(found.values())
    school, wrong = names.find(form.get("school", ""))
    id_ = national_id.clean(form.get("national_id", ""))
    problems = Problems.of(
        None if level in actor.levels else Problem("level", _("請選擇階段別")),
        None if national_id.is_right(id_) else Problem("national_id", id_problem()),
        Problem("school", wrong) if wrong else None,
    )
    return problems or Person(level, id_, school)


def id_problem() -> str:
    return _("身分證統一編號格式或檢查碼不符，請核對")


class SchoolNames:
    """The schools of one level by code and by name."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._codes: dict[str, set[str]] = {}
        for record in records:
            school = record.school
            for name in (school.code, school.name, school.short_name):
                self._codes.setdefault(pool.plain(name), set()).add(school.code)

    def find(self, text: str) -> tuple[str | None, str]:
        """Return the school that a code or a name means, or what is wrong with it.

        >>> SchoolNames([]).find(" ")
        (None, '')
        """
        word = pool.plain(text)
        codes = self._codes.get(word, set())
        if len(codes) == 1:
            return next(iter(codes)), ""
        if not word:
            return None, ""
        if codes:
            n = str(len(codes))
            return None, _("有 %(n)s 所學校同名，請改填學校代碼", n=n)
        if word.isdecimal() and word.zfill(6) in self._codes:
            return None, _(
                "查無此學校；開頭的 0 可能遺失了，請將儲存格設為文字格式再填"
            )
        return None, _("本縣市此階段別沒有這所學校")


async def _show(
    request: Request, form: Mapping[str, str], problems: Problems
) -> Response:
    site, actor = _here(request)
    query = request.query_params
    filters = {name: query.get(name, "") for name in _FILTERS}
    wanted = [level for level in actor.levels if filters["level"] in ("", level)]
    signed_in = filters["signed_in"] if filters["signed_in"] in ("yes", "no") else ""
    narrowed = Narrowed(tuple(wanted), filters["school"].strip(), signed_in)
    async with site.database.reading() as db:
        year = (await schools.the_round(db)).year
        counts = await store.counts(db, year, actor.county, narrowed)
        pages = max(-(-counts.listed // store.PAGE), 1)
        number = _number(query.get("page", ""), pages)
        rows = await store.page(db, year, actor.county, narrowed, number)
    done = query.get("done", "")
    page = RosterPage(
        rows=[_row(listed) for listed in rows],
        counts=counts,
        filters=filters,
        levels=level_options(actor),
        number=number,
        pages=pages,
        earlier=_page_url(filters, number - 1) if number > 1 else "",
        later=_page_url(filters, number + 1) if number < pages else "",
        editable=may_edit(request, "", "roster"),
        done=said(DONE[done]) if done in DONE else "",
        values=form,
        problems=problems,
    )
    return await render(request, "city/roster.html", page, 422 if problems else 200)


def _number(text: str, pages: int) -> int:
    asked = int(text) if text.isdecimal() and len(text) < 7 else 1
    return min(max(asked, 1), pages)


def _page_url(filters: Mapping[str, str], number: int) -> str:
    return "/city/roster?" + urlencode({**filters, "page": number})


def _row(listed: Listed) -> Row:
    first, last = (
        moment_text(moment, current()) if moment else ""
        for moment in (listed.first_sign_in, listed.last_sign_in)
    )
    return Row(
        said(LEVEL_NAMES[listed.level]),
        listed.school,
        listed.name,
        first,
        last,
        said(STATES[listed.state]) if listed.state else "",
    )
