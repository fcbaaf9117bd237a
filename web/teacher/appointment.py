"""Step 4: where one teaches now, what, for how long, and what one applies for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.accounts import Visitor
from jiepin.web.language import ENGLISH, current
from jiepin.web.problems import Problems
from jiepin.web.rendering import county_name, render, step_url
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.store import applications, schools
from jiepin.web.store.applications import Application, Refused
from jiepin.web.teacher import forms
from jiepin.web.teacher.steps import see, signed_in


@dataclass(frozen=True, slots=True)
class Option:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Township:
    name: str
    schools: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class AppointmentPage:
    """`values` are the form's; `townships` group the schools of the home county."""

    values: Mapping[str, str]
    county: str
    townships: Sequence[Township]
    areas: Sequence[Option]
    subjects: Sequence[Option]
    max_subjects: int
    problems: Problems
    seen: int


@signed_in(step=applications.APPOINTMENT)
async def appointment(request: Request) -> Response:
    """Show the form, or save it and go on to the wishes."""
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    if request.method != "POST":
        return await _show(request, await _stored(site, visitor.application))
    form = forms.typed(await request.form())
    async with site.database.reading(quick=True) as db:
        settings = await schools.the_round(db)
    read = forms.read_appointment(form, settings.max_subjects)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    seen = forms.seen_version(form)
    try:
        await applications.save_appointment(site, visitor.actor, seen, read)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(step_url("wishes"))


async def _stored(site: Site, application: Application) -> dict[str, str]:
    """Return what the form shows at first; the school as the roster knows it."""
    async with site.database.reading(quick=True) as db:
        known = await store.roster_school(db, application.account)
    chosen = {True: "yes", False: "no", None: ""}[application.indigenous]
    years = application.service_years
    subjects = (*application.subjects, "", "", "")
    return {
        "indigenous": chosen,
        "indigenous_confirmed": "yes" if application.indigenous else "",
        "area": application.area or "",
        "service_years": "" if years is None else str(years),
        "school": application.school or known or "",
        "subject1": subjects[0],
        "subject2": subjects[1],
        "subject3": subjects[2],
        **forms.as_seen(application.version),
    }


_FIELDS = (
    "indigenous",
    "indigenous_confirmed",
    "area",
    "service_years",
    "school",
    "subject1",
    "subject2",
    "subject3",
)
_BLANK = AppointmentPage({}, "", (), (), (), 0, Problems(), 0)


async def _show(
    request: Request, form: Mapping[str, str], problems: Problems | None = None
) -> Response:
    site: Site = request.app.state.site
    application = request.state.visitor.application
    async with site.database.reading(quick=True) as db:
        page = replace(
            _BLANK,
            townships=_townships(
                await schools.pool(db, application.county, application.level)
            ),
            areas=_options((await schools.areas(db)).values()),
            subjects=_options((await schools.subjects(db, application.level)).values()),
            max_subjects=(await schools.the_round(db)).max_subjects,
        )
    page = replace(
        page,
        values={name: form.get(name, "") for name in _FIELDS},
        county=county_name(application),
        problems=problems or Problems(),
        seen=forms.seen_version(form),
    )
    return await render(request, "appointment.html", page, 422 if problems else 200)


def _townships(pool: Sequence[schools.School]) -> tuple[Township, ...]:
    groups = groupby(pool, key=lambda school: school.township)
    return tuple(
        Township(name, tuple(Option(school.code, school.name) for school in members))
        for name, members in groups
    )


def _options(items: object) -> tuple[Option, ...]:
    english = current() == ENGLISH
    return tuple(
        Option(item.code, item.name_en if english else item.name)
        for item in items  # type: ignore[attr-defined]
    )
