"""The lists of counties and of subjects, one at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.host.setup import PAGE as SETUP
from jiepin.web.host.setup import may
from jiepin.web.language import _, mark, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.store import lists as store
from jiepin.web.store.applications import Refused
from jiepin.web.store.lists import COUNTIES, Item
from jiepin.web.teacher import forms

PAGE: Final = f"{SETUP}/lists"
LIST_NAMES: Final = {COUNTIES: mark("縣市")}
LONGEST_NAME: Final = 60
MOST_ITEMS: Final = 200
_CODES: Final = {COUNTIES: re.compile("[0-9]{2}")}
_SUBJECT_CODE: Final = re.compile("[A-Z][0-9]{2}")

Typed = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the form; `used` ones cannot be taken out."""

    n: int
    place: str
    code: str
    name: str
    name_en: str
    used: bool
    new: bool


@dataclass(frozen=True, slots=True)
class ListPage:
    """One list; `ordered` when its order is typed and not that of its codes."""

    list: str
    name: str
    others: Sequence[tuple[str, str]]
    ordered: bool
    rows: Sequence[Row]
    may_set_up: bool
    frozen: bool
    saved: bool
    problems: Problems
    seen: int


async def start(_request: Request) -> Response:
    """Lead to the first list."""
    return see(f"{PAGE}/{COUNTIES}")


@at_desk()
async def lists(request: Request) -> Response:
    """Show one list, or save it whole."""
    name = request.path_params["list"]
    if name not in (COUNTIES, *LEVEL_NAMES):
        raise HTTPException(404)
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        items = await store.read(db, name)
        used = await store.used(db, name)
    if request.method != "POST":
        rows = [_row(n, item, item.code in used) for n, item in enumerate(items)]
        return await _show(request, name, rows, store.stamp(items))
    form = forms.typed(await request.form())
    seen = forms.seen_version(form)
    rows = typed_rows(form, used)
    problems = row_problems(name, rows)
    if not problems:
        try:
            actor = request.state.colleague.actor
            await store.save(site, actor, name, seen, in_order(rows))
        except Refused as refused:
            problems = refused.problems
    if problems:
        return await _show(request, name, rows, seen, problems)
    return see(f"{PAGE}/{name}?saved=1")


def _row(n: int, item: Item, used: bool) -> Row:
    return Row(n, str(n + 1), item.code, item.name, item.name_en, used, new=False)


def typed_rows(form: Typed, used: frozenset[str]) -> list[Row]:
    """Return the rows as typed; one left empty, or to be taken out, is none."""
    rows: list[Row] = []
    for n in range(MOST_ITEMS):
        if f"code-{n}" not in form:
            break
        place, code, name, name_en = (
            form.get(f"{field}-{n}", "").strip()
            for field in ("place", "code", "name", "name_en")
        )
        empty = not (code or name or name_en)
        if not empty and form.get(f"gone-{n}") != "yes":
            new = form.get(f"new-{n}") == "yes"
            at = len(rows)
            rows.append(Row(at, place, code, name, name_en, code in used, new))
    return rows


def row_problems(name: str, rows: Sequence[Row]) -> Problems:
    """Return what is wrong in the rows, each at its field."""
    rule = _CODES.get(name, _SUBJECT_CODE)
    checks = []
    for row in rows:
        if not rule.fullmatch(row.code):
            checks.append(Problem(f"code-{row.n}", _code_text(name, row.code)))
        for field, text in (("name", row.name), ("name_en", row.name_en)):
            if not (0 < len(text) <= LONGEST_NAME and text.isprintable()):
                checks.append(Problem(f"{field}-{row.n}", _name_text(row.code)))
        if row.place and not re.fullmatch("[0-9]{1,3}", row.place):
            checks.append(Problem(f"place-{row.n}", _("順序請填數字")))
    return Problems.of(*checks)


def _code_text(name: str, code: str) -> str:
    if name == COUNTIES:
        return _("縣市代碼為兩個數字，不是「%(code)s」", code=code)
    return _("科(類)別代碼為一個大寫字母與兩個數字，不是「%(code)s」", code=code)


def _name_text(code: str) -> str:
    n = str(LONGEST_NAME)
    return _("%(code)s 的中英文名稱都要填寫，至多 %(n)s 個字", code=code, n=n)


def in_order(rows: Sequence[Row]) -> list[Item]:
    """Return the items by the place typed; what has none comes last.

    >>> two = [Row(0, "2", "E01", "a", "a", False, False)]
    >>> two += [Row(1, "1", "E02", "b", "b", False, False)]
    >>> [item.code for item in in_order(two)]
    ['E02', 'E01']
    """
    found = sorted(rows, key=lambda row: int(row.place) if row.place else MOST_ITEMS)
    return [Item(row.code, row.name, row.name_en) for row in found]


async def _show(
    request: Request,
    name: str,
    rows: Sequence[Row],
    seen: int,
    problems: Problems | None = None,
) -> Response:
    names = LIST_NAMES | LEVEL_NAMES
    if not any(row.new for row in rows):
        rows = [*rows, Row(len(rows), "", "", "", "", used=False, new=True)]
    page = ListPage(
        list=name,
        name=said(names[name]),
        others=[(other, said(text)) for other, text in names.items()],
        ordered=name != COUNTIES,
        rows=rows,
        may_set_up=may(request, "set-up"),
        frozen=request.state.round is not None
        and request.state.round.frozen is not None,
        saved="saved" in request.query_params,
        problems=problems or Problems(),
        seen=seen,
    )
    return await render(request, "host/lists.html", page, 422 if problems else 200)
