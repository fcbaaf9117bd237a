"""Seats of one subject at all schools of a county, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.access import Actor
from jiepin.web.county import school_forms
from jiepin.web.county.schools import (
    HOME,
    Option,
    ask,
    level_options,
    may_edit,
    subject_name,
)
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague, at_desk, see
from jiepin.web.store import school_changes, schools
from jiepin.web.store.school_changes import NotConfirmed
from jiepin.web.store.schools import Record, Seats, Subject
from jiepin.web.teacher.forms import typed

MOST_FIELDS = 5000  # three for each school


@dataclass(frozen=True, slots=True)
class Row:
    """One school that has the subject; `seen` is the version its numbers are of."""

    code: str
    name: str
    township: str
    seen: str


@dataclass(frozen=True, slots=True)
class SeatsPage:
    """The schools that have a subject; `values` are what stands in the fields."""

    level: str
    subject: str
    levels: Sequence[Option]
    subjects: Sequence[Option]
    rows: Sequence[Row]
    values: Mapping[str, str]
    editable: bool
    told: str
    problems: Problems


@dataclass(frozen=True, slots=True)
class Grid:
    """What one page is about: a subject of a level, and the schools that have it."""

    level: str
    subjects: Mapping[str, Subject]
    subject: str
    records: Mapping[str, Record]


@at_desk()
async def seats(request: Request) -> Response:
    """Show the seats of a subject, or save those that were changed."""
    if request.method != "POST":
        asked = dict(request.query_params)
        grid = await _grid(request, asked)
        return await _show(request, grid, _stored(grid), Problems())
    form = typed(await request.form(max_fields=MOST_FIELDS))
    grid = await _grid(request, form)
    if form.get("then") == "half":
        return await _show(request, grid, school_forms.halved(form), Problems())
    read, problems = school_forms.read_seats(form, grid.records)
    changed = _changed(grid, form, read)
    problems += _swap_only(changed)
    if problems:
        return await _show(request, grid, form, problems)
    return await _save(request, grid, form, changed)


async def _save(
    request: Request, grid: Grid, form: Mapping[str, str], changed: Sequence[Record]
) -> Response:
    site: Site = request.app.state.site
    actor: Actor = request.state.colleague.actor
    seen = {one.school.code: _seen(form, one.school.code) for one in changed}
    here = f"{HOME}/seats?level={grid.level}&subject={grid.subject}"
    confirmed = form.get("confirmed", "")
    try:
        told = await school_changes.save(site, actor, seen, changed, confirmed)
    except NotConfirmed as asked:
        return await ask(request, asked.touched, form, here)
    return see(f"{here}&told={told}")


def _seen(form: Mapping[str, str], code: str) -> int:
    text = form.get(f"version-{code}", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


async def _grid(request: Request, asked: Mapping[str, str]) -> Grid:
    """Read what is asked for; raises 404 for a level or subject there is not."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    level = asked.get("level", colleague.actor.levels[0])
    if level not in colleague.actor.levels:
        raise HTTPException(404)
    async with site.database.reading() as db:
        subjects = await schools.subjects(db, level)
        found = await schools.records(db, colleague.actor.county, [level])
    subject = asked.get("subject", next(iter(subjects), ""))
    if subject not in subjects:  # of another level: its form was sent without script
        subject = next(iter(subjects), "")
    kept = {
        code: record
        for code, record in found.items()
        if record.may_offer and subject in record.taught
    }
    return Grid(level, subjects, subject, kept)


def _stored(grid: Grid) -> dict[str, str]:
    found = {}
    for code, record in grid.records.items():
        found[f"version-{code}"] = str(record.school.version)
        if told := record.seats.get(grid.subject):
            found[f"total-{code}"] = "" if told.total is None else str(told.total)
            found[f"seats-{code}"] = str(told.seats)
    return found


def _changed(
    grid: Grid, form: Mapping[str, str], read: Mapping[str, Seats]
) -> list[Record]:
    """Return the schools whose seats are other than stored, of those on the page."""
    changed = []
    for code, record in grid.records.items():
        if f"version-{code}" not in form:
            continue
        others = {k: told for k, told in record.seats.items() if k != grid.subject}
        now = others | ({grid.subject: read[code]} if code in read else {})
        if now != record.seats:
            changed.append(replace(record, seats=now))
    return changed


def _swap_only(records: Sequence[Record]) -> list[Problem]:
    return [
        Problem(f"seats-{record.school.code}", problem.text)
        for record in records
        for problem in school_forms.wrong(record)
        if problem.field.startswith("seats-")
    ]


async def _show(
    request: Request, grid: Grid, form: Mapping[str, str], problems: Problems
) -> Response:
    told = request.query_params.get("told", "")
    page = SeatsPage(
        level=grid.level,
        subject=grid.subject,
        levels=level_options(request.state.colleague.actor),
        subjects=[
            Option(one.code, subject_name(one)) for one in grid.subjects.values()
        ],
        rows=[
            Row(
                code,
                record.school.name + record.school.marks,
                record.school.township,
                form.get(f"version-{code}", str(record.school.version)),
            )
            for code, record in grid.records.items()
        ],
        values=form,
        editable=may_edit(request, grid.level),
        told=told if told.isdecimal() and len(told) < 7 else "",
        problems=problems,
    )
    return await render(request, "city/seats.html", page, 422 if problems else 200)
