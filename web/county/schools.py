"""The schools of a county: its list, one school to correct, and whom that touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.county import school_forms
from jiepin.web.county.school_forms import TAG_NAMES
from jiepin.web.language import ENGLISH, _, current, said
from jiepin.web.problems import Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague, at_desk, see
from jiepin.web.store import school_changes, schools
from jiepin.web.store.applications import Refused
from jiepin.web.store.school_changes import LOSSES, NotConfirmed, Touched
from jiepin.web.store.schools import LEVEL_NAMES, Record, Subject
from jiepin.web.teacher import pool
from jiepin.web.teacher.forms import seen_version, typed

HOME = "/city/schools"


@dataclass(frozen=True, slots=True)
class Option:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """One school of the list; `seats` are those for other counties."""

    code: str
    name: str
    marks: str
    township: str
    level: str
    tags: str
    total: int
    seats: int
    open: bool


@dataclass(frozen=True, slots=True)
class SchoolsPage:
    """The list; `filters` are what it was narrowed by.

    `correcting`: the host lets the county mend it after the freeze.
    """

    rows: Sequence[Row]
    filters: Mapping[str, str]
    levels: Sequence[Option]
    townships: Sequence[str]
    counts: Sequence[tuple[str, int]]
    editable: bool
    correcting: bool


@dataclass(frozen=True, slots=True)
class SchoolPage:
    """One school; `values` are the form's, `told` how many the last save told."""

    code: str
    name: str
    level: str
    level_code: str
    values: Mapping[str, str]
    tags: Sequence[Option]
    subjects: Sequence[Option]
    editable: bool
    told: int | None
    problems: Problems
    seen: int


@dataclass(frozen=True, slots=True)
class TouchedLine:
    """How many applicants of a county and level lose something, and what it is."""

    county: str
    level: str
    loss: str
    count: int


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """What a correction takes away, before it is saved; `fields` are posted again."""

    action: str
    back: str
    count: int
    lines: Sequence[TouchedLine]
    fields: Mapping[str, str]
    confirmed: str


@at_desk()
async def listed(request: Request) -> Response:
    """Show the schools of the county, narrowed by level, township, state, name."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    levels = colleague.actor.levels
    filters = {name: request.query_params.get(name, "") for name in _FILTERS}
    if "level" not in request.query_params:
        filters["level"] = levels[0]
    shown = [code for code in levels if filters["level"] in ("", code)]
    async with site.database.reading() as db:
        found = await schools.records(db, colleague.actor.county, shown)
    kept = [record for record in found.values() if _matches(record, filters)]
    page = SchoolsPage(
        rows=[_row(record) for record in kept],
        filters=filters,
        levels=level_options(colleague.actor),
        townships=sorted({record.school.township for record in found.values()}),
        counts=_counts(kept),
        editable=may_edit(request, ""),
        correcting=request.state.correcting is not None,
    )
    return await render(request, "city/schools.html", page)


_FILTERS = ("level", "township", "state", "q")


def _matches(record: Record, filters: Mapping[str, str]) -> bool:
    school, word = record.school, pool.plain(filters["q"])
    states = {
        "": True,
        "open": school.open,
        "closed": not school.open,
        "seats": bool(record.offered),
        "none": school.open and not record.offered,
    }
    return (
        filters["township"] in ("", school.township)
        and states.get(filters["state"], True)
        and (word in pool.plain(school.name) or word in school.code.lower())
    )


def _row(record: Record) -> Row:
    school, seats = record.school, record.seats.values()
    return Row(
        school.code,
        school.name,
        school.marks,
        school.township,
        said(LEVEL_NAMES[school.level]),
        _("、").join(said(TAG_NAMES.get(tag, tag)) for tag in school.tags),
        sum(told.total or 0 for told in seats),
        sum(record.seats[subject].seats for subject in record.offered),
        school.open,
    )


def _counts(records: Sequence[Record]) -> list[tuple[str, int]]:
    offered = (one.seats[code].seats for one in records for code in one.offered)
    return [
        (_("學校數"), len(records)),
        (_("開放介聘"), sum(one.school.open for one in records)),
        (_("提列他縣市缺額"), sum(offered)),
    ]


def level_options(actor: Actor) -> list[Option]:
    """Return the levels that somebody acts for."""
    return [Option(level, said(LEVEL_NAMES[level])) for level in actor.levels]


def may_edit(request: Request, level: str, action: access.Action = "schools") -> bool:
    """Tell whether the colleague may change what the page shows, now."""
    colleague: Colleague = request.state.colleague
    frozen = request.state.round.frozen if request.state.round else None
    county, correcting = colleague.actor.county, request.state.correcting
    scope = access.Scope(county, level, frozen, correcting)
    now = request.app.state.site.clock.now()
    return access.can(colleague.actor, action, scope, now)


# one school


@at_desk()
async def edit(request: Request) -> Response:
    """Show a school, or correct it; whom that touches is asked about first."""
    record = await _own(request)
    if request.method == "POST":
        return await _save(request, record)
    return await _show(request, record, school_forms.values(record), Problems())


@at_desk("schools")
async def new(request: Request) -> Response:
    """Show the form for a school that is not in the list yet, or add it."""
    actor: Actor = request.state.colleague.actor
    form = typed(await request.form())
    level = form.get("level", request.query_params.get("level", actor.levels[0]))
    if level not in actor.levels:
        raise HTTPException(404)
    record = school_forms.blank("", actor.county, level)
    if request.method == "POST":
        return await _save(request, record)
    return await _show(request, record, school_forms.values(record), Problems())


async def _own(request: Request) -> Record:
    """Return the school of the address; raises 404 unless it is the colleague's."""
    actor: Actor = request.state.colleague.actor
    site: Site = request.app.state.site
    code = request.path_params["code"]
    async with site.database.reading() as db:
        record = (await schools.records_of(db, [code])).get(code)
    if record is None or record.school.county != actor.county:
        raise HTTPException(404)
    if record.school.level not in actor.levels:
        raise HTTPException(404)
    return record


async def _save(request: Request, before: Record) -> Response:
    site: Site = request.app.state.site
    form = typed(await request.form())
    if form.get("then") == "half":
        return await _show(request, before, school_forms.halved(form), Problems())
    async with site.database.reading() as db:
        subjects = await schools.subjects(db, before.school.level)
    read = school_forms.read(form, before, subjects)
    if isinstance(read, Problems):
        return await _show(request, before, form, read)
    code = read.school.code
    seen, confirmed = {code: seen_version(form)}, form.get("confirmed", "")
    actor: Actor = request.state.colleague.actor
    try:
        told = await school_changes.save(site, actor, seen, [read], confirmed)
    except Refused as refused:
        return await _show(request, before, form, refused.problems)
    except NotConfirmed as asked:
        return await ask(request, asked.touched, form, f"{HOME}/{code}")
    return see(f"{HOME}/{code}?told={told}")


async def _show(
    request: Request, record: Record, form: Mapping[str, str], problems: Problems
) -> Response:
    site: Site = request.app.state.site
    school = record.school
    async with site.database.reading() as db:
        subjects = await schools.subjects(db, school.level)
    told = request.query_params.get("told", "")
    page = SchoolPage(
        code=school.code,
        name=school.name,
        level=said(LEVEL_NAMES[school.level]),
        level_code=school.level,
        values=form,
        tags=[Option(tag, said(name)) for tag, name in TAG_NAMES.items()],
        subjects=[Option(one.code, subject_name(one)) for one in subjects.values()],
        editable=may_edit(request, school.level),
        told=int(told) if told.isdecimal() and len(told) < 7 else None,
        problems=problems,
        seen=seen_version(form) if "version" in form else school.version,
    )
    return await render(request, "city/school.html", page, 422 if problems else 200)


def subject_name(subject: Subject) -> str:
    """Return the name of a subject in the language spoken now."""
    return subject.name_en if current() == ENGLISH else subject.name


# whom a correction touches


async def ask(
    request: Request, touched: Sequence[Touched], form: Mapping[str, str], back: str
) -> Response:
    """Show whom a correction takes something away from; nothing is saved yet."""
    page = ConfirmPage(
        action=request.url.path,
        back=back,
        count=len(touched),
        lines=await touched_lines(request, touched),
        fields={name: text for name, text in form.items() if name not in _ASKED},
        confirmed=school_changes.digest(touched),
    )
    return await render(request, "city/school_confirm.html", page)


_ASKED = ("then", "confirmed")


async def touched_lines(
    request: Request, touched: Sequence[Touched]
) -> list[TouchedLine]:
    """Count applicants by county, level and loss: who they are is not told."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        counties = await schools.counties(db)
    counted = Counter(
        (one.county, one.level, loss)
        for one in touched
        for loss in {loss for _code, loss in one.losses}
    )
    return [
        TouchedLine(
            pool.county_name(counties[county]),
            said(LEVEL_NAMES[level]),
            said(LOSSES[loss]),
            count,
        )
        for (county, level, loss), count in sorted(counted.items())
    ]
