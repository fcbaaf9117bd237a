"""The year's settings: its texts, its limits, who takes part, and the next year."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiosqlite
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access
from jiepin.web.access import Action
from jiepin.web.clock import roc_year
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.store import rounds, schools, years
from jiepin.web.store.applications import Refused
from jiepin.web.store.rounds import Texts, YearSettings
from jiepin.web.store.schools import RoundSettings
from jiepin.web.store.years import Carried
from jiepin.web.teacher import forms
from jiepin.web.teacher.status import tenths

PAGE: Final = "/host/round"
_NUMBERS: Final = {  # fields, the least and the most that they take
    "max_counties": (1, 2),  # an application holds no more
    "max_subjects": (1, 3),
    "max_choices": (0, 999),
    "retention_days": (30, 3650),
}
LONGEST_ORGANISER, LONGEST_NOTICES = 60, 8000
POINT_NAMES: Final = {
    "appraisal": mark("考績積分"),
    "service": mark("年資積分"),
    "awards": mark("獎懲積分"),
    "special": mark("特殊積分"),
    "studies": mark("研習積分"),
    "reason1": mark("原因積分(甲)"),
    "reason2": mark("原因積分(乙)"),
}
_POINTS = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that is ticked or not."""

    code: str
    name: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class FirstPage:
    """The form that begins the first year of a site."""

    year: str
    organiser: str
    may_begin: bool
    problems: Problems


@dataclass(frozen=True, slots=True)
class SetupPage:
    """The settings of a year; `values` are those of the fields, by name.

    `agreed` counts those who have agreed to the notices as they are.
    """

    year: int
    values: Mapping[str, str]
    levels: Sequence[Choice]
    counties: Sequence[Choice]
    points: Sequence[tuple[str, str]]  # field, label
    agreed: int
    carried: Carried
    may_set_up: bool
    may_write: bool
    may_begin: bool
    frozen: bool
    saved: bool
    problems: Problems
    seen: int


Typed = Mapping[str, str]


@at_desk()
async def setup(request: Request) -> Response:
    """Show the year's settings, or save them; without a year, how to begin one."""
    settings: RoundSettings | None = request.state.round
    if settings is None:
        return await _first(request, {})
    if request.method != "POST":
        return await _show(request)
    form = await request.form()
    read = read_settings(form)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    site, actor = _who(request)
    try:
        await rounds.save_settings(site, actor, _seen(form), read)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(f"{PAGE}?saved=1")


@at_desk()
async def texts(request: Request) -> Response:
    """Save organiser and notices."""
    form = await request.form()
    read = read_texts(forms.typed(form))
    if request.state.round is None:
        return see(PAGE)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    await rounds.save_texts(*_who(request), _seen(form), read)
    return see(f"{PAGE}?saved=1")


@at_desk()
async def begin(request: Request) -> Response:
    """Begin the first year, or the year after the one that is over."""
    form = await request.form()
    if request.state.round is None:
        return await _begin_first(request, forms.typed(form))
    typed = forms.typed(form)
    asked = typed.get("year", "")
    year = int(asked) if re.fullmatch("[0-9]{2,3}", asked) else 0
    try:
        await years.next_(*_who(request), year, typed.get("confirmed") == "yes")
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(f"{PAGE}?saved=1")


async def _begin_first(request: Request, form: Typed) -> Response:
    read = read_first(form, request.app.state.site.clock.now())
    if isinstance(read, Problems):
        return await _first(request, form, read)
    await years.first(*_who(request), *read)
    return see(PAGE)


def _who(request: Request) -> tuple[Site, access.Actor]:
    return request.app.state.site, request.state.colleague.actor


def may(request: Request, action: Action) -> bool:
    """Tell whether the colleague may do this to the round as it is now."""
    settings: RoundSettings | None = request.state.round
    year, frozen = (settings.year, settings.frozen) if settings else (0, None)
    now = request.app.state.site.clock.now()
    actor = request.state.colleague.actor
    return access.can(actor, action, access.Round(year, frozen), now)


def _seen(form: FormData) -> int:
    return forms.seen_version(forms.typed(form))


# what was typed


def read_first(form: Typed, now: datetime) -> tuple[int, str] | Problems:
    """Read the form of the first year: its ROC year and who organises it."""
    year, organiser = form.get("year", "").strip(), form.get("organiser", "").strip()
    nearby = range(roc_year(now) - 1, roc_year(now) + 3)
    known = re.fullmatch("[0-9]{2,3}", year) and int(year) in nearby
    text = _("請填寫 %(first)s 至 %(last)s 的年度", first=nearby[0], last=nearby[-1])
    problems = Problems.of(
        None if known else Problem("year", text), _organiser_problem(organiser)
    )
    return problems or (int(year), organiser)


def read_texts(form: Typed) -> Texts | Problems:
    """Read organiser and notices; of these blank lines are dropped."""
    organiser = form.get("organiser", "").strip()
    notices, english = (_items(form.get(f, "")) for f in ("notices", "notices_en"))
    problems = Problems.of(
        _organiser_problem(organiser),
        _notices_problem("notices", notices),
        _notices_problem("notices_en", english),
        Problem("notices", _("有英文注意事項時，也請填寫中文"))
        if english and not notices
        else None,
    )
    return problems or Texts(organiser, notices, english)


def _items(text: str) -> str:
    """Return the items of the notices, one a line.

    >>> _items(" one \\r\\n\\r\\ntwo ")
    'one\\ntwo'
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _organiser_problem(organiser: str) -> Problem | None:
    if 0 < len(organiser) <= LONGEST_ORGANISER and organiser.isprintable():
        return None
    text = _("請填寫主辦單位，至多 %(n)s 個字", n=str(LONGEST_ORGANISER))
    return Problem("organiser", text)


def _notices_problem(field: str, text: str) -> Problem | None:
    if len(text) <= LONGEST_NOTICES:
        return None
    return Problem(field, _("注意事項至多 %(n)s 個字", n=str(LONGEST_NOTICES)))


def read_settings(form: FormData) -> YearSettings | Problems:
    """Read the settings; an item of points without a number has no limit."""
    typed = forms.typed(form)
    levels = tuple(level for level in schools.LEVELS if level in form.getlist("level"))
    counties = frozenset(str(code) for code in form.getlist("county"))
    points = {item: typed.get(f"points-{item}", "") for item in rounds.POINT_ITEMS}
    most = {item: read_points(text) for item, text in points.items()}
    problems = Problems.of(
        None if levels else Problem("levels", _("請至少選擇一個階段別")),
        None
        if len(counties) > 1
        else Problem("counties", _("請至少選擇兩個參加的縣市")),
        *(_number_problem(typed, name, *range_) for name, range_ in _NUMBERS.items()),
        *(
            Problem(f"points-{item}", _("上限請填 0 至 999.99 的數，或留空"))
            for item, text in points.items()
            if text.strip() and most[item] is None
        ),
    )
    return problems or YearSettings(
        levels=levels,
        counties=counties,
        **{name: int(typed[name]) for name in _NUMBERS},
        points={item: value for item, value in most.items() if value is not None},
    )


def _number_problem(form: Typed, field: str, least: int, most: int) -> Problem | None:
    text = form.get(field, "")
    if re.fullmatch(r"[0-9]{1,4}", text) and least <= int(text) <= most:
        return None
    range_ = _("請填 %(least)s 至 %(most)s 的整數", least=str(least), most=str(most))
    return Problem(field, range_)


def read_points(text: str) -> int | None:
    """Return points as hundredths; None where there is no such number.

    >>> read_points("65.5"), read_points(" 7.05 "), read_points("1e3"), read_points("")
    (6550, 705, None, None)
    """
    found = _POINTS.fullmatch(text.strip())
    if found is None:
        return None
    whole, part = found.groups(default="")
    return int(whole) * 100 + int(part.ljust(2, "0"))


# the pages


async def _first(
    request: Request, form: Typed, problems: Problems | None = None
) -> Response:
    now = request.app.state.site.clock.now()
    page = FirstPage(
        year=form.get("year", str(roc_year(now))),
        organiser=form.get("organiser", ""),
        may_begin=may(request, "begin"),
        problems=problems or Problems(),
    )
    return await render(request, "host/first.html", page, 422 if problems else 200)


async def _show(
    request: Request, form: FormData | None = None, problems: Problems | None = None
) -> Response:
    """Show the settings as stored, with what was typed in their place."""
    site: Site = request.app.state.site
    settings: RoundSettings = request.state.round
    async with site.database.reading() as db:
        stored = await _stored(db, settings)
        levels, counties = await _choices(db, settings, form)
        agreed = await rounds.agreed(db, settings)
        carried = await years.carried(db, settings.year, site.clock.now())
    typed = forms.typed(form) if form else {}
    page = SetupPage(
        year=settings.year,
        values=stored | {name: typed[name] for name in stored if name in typed},
        levels=levels,
        counties=counties,
        points=[(f"points-{item}", said(name)) for item, name in POINT_NAMES.items()],
        agreed=agreed,
        carried=carried,
        may_set_up=may(request, "set-up"),
        may_write=may(request, "texts"),
        may_begin=may(request, "begin"),
        frozen=settings.frozen is not None,
        saved="saved" in request.query_params,
        problems=problems or Problems(),
        seen=_seen(form) if form and "version" in form else settings.version,
    )
    return await render(request, "host/setup.html", page, 422 if problems else 200)


async def _stored(db: aiosqlite.Connection, settings: RoundSettings) -> dict[str, str]:
    most = await rounds.limits(db, settings.year)
    return {
        "organiser": settings.organiser,
        "notices": settings.notices,
        "notices_en": settings.notices_en,
        **{name: str(getattr(settings, name)) for name in _NUMBERS},
        **{
            f"points-{item}": tenths(most[item]) if item in most else ""
            for item in rounds.POINT_ITEMS
        },
    }


async def _choices(
    db: aiosqlite.Connection, settings: RoundSettings, form: FormData | None
) -> tuple[Sequence[Choice], Sequence[Choice]]:
    """Return the levels and the counties, ticked as stored or as typed."""
    taking_part = (await schools.taking_part(db, settings.year)).keys()
    chosen = {"level": set(settings.levels), "county": set(taking_part)}
    if form is not None and "max_choices" in form:  # the form that has them
        chosen = {name: {str(v) for v in form.getlist(name)} for name in chosen}
    counties = await schools.counties(db)
    english = current() == ENGLISH
    return (
        [Choice(c, said(n), c in chosen["level"]) for c, n in LEVEL_NAMES.items()],
        [
            Choice(c, county.name_en if english else county.name, c in chosen["county"])
            for c, county in counties.items()
        ],
    )
