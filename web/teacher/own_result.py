"""Why: what kept each better wish from one's own result, and nobody else's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import aiosqlite
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.accounts import Visitor
from jiepin.web.clock import moment_text
from jiepin.web.explainer import Explained, Explainer, NotExplained, Reasons
from jiepin.web.language import _, current
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import applications, results, schools
from jiepin.web.store.applications import Application
from jiepin.web.store.results import Publication
from jiepin.web.store.schools import School
from jiepin.web.teacher.status import Names, note_text, result_text
from jiepin.web.teacher.steps import signed_in

RUSH = timedelta(days=2)  # after it few ask


@dataclass(frozen=True, slots=True)
class Why:
    """Wishes that failed for the same reasons, and these."""

    wishes: Sequence[str]
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class OwnResultPage:
    """One's own result; `why` is None while it cannot be worked out."""

    published: str
    result: str
    note: str
    moved: bool
    why: Sequence[Why] | None


@signed_in(step=applications.STATUS)
async def why(request: Request) -> Response:
    """Explain the result of the visitor, once it is public."""
    visitor: Visitor = request.state.visitor
    application = visitor.application
    site: Site = request.app.state.site
    now = site.clock.now()
    async with site.database.reading(quick=True) as db:
        result = await applications.result(db, application, now)
        publication = await results.published(db, application.year, now)
        if result is None or publication is None:
            raise HTTPException(404)
        number = await results.number_in(db, publication, application.id)
        names = await Names.read(db, application)
        text = await result_text(db, application, result, names)
    explained = await _explained(request.app.state.explainer, publication, number)
    async with site.database.reading(quick=True) as db:
        found = await _why(db, application, names, explained) if explained else None
    page = OwnResultPage(
        published=moment_text(publication.publish_at, current()),
        result=text,
        note=note_text(result),
        moved=result.school is not None or bool(result.note),
        why=found,
    )
    return await render(request, "result.html", page)


async def prepare(site: Site, explainer: Explainer) -> None:
    """Work out beforehand what everybody will ask when the result comes out."""
    now = site.clock.now()
    async with site.database.reading(quick=True) as db:
        settings = await schools.round(db)
        due = settings and await results.planned(db, settings.year, now)
        recent = settings and await results.published(db, settings.year, now)
        if due is None and recent and now - recent.publish_at < RUSH:
            due = recent
        numbers = await results.numbers(db, due) if due else ()
    if due:
        explainer.prepare(due, numbers)


async def _explained(
    explainer: Explainer, publication: Publication, number: str
) -> Explained | None:
    try:
        return await explainer.explain(publication, number)
    except NotExplained:
        return None


async def _why(
    db: aiosqlite.Connection,
    application: Application,
    names: Names,
    explained: Explained,
) -> list[Why]:
    codes = {school for one in explained.reasons for school, _subject in one.wishes}
    found = await schools.by_codes(db, codes)
    return [
        Why(_wishes(application, names, found, one), one.why[current()])
        for one in explained.reasons
    ]


def _wishes(
    application: Application, names: Names, found: Mapping[str, School], one: Reasons
) -> list[str]:
    """Name wishes by their places in the applicant's own list.

    The snapshot's list may be shorter: schools that were closed are not in it.
    """
    places = {code: place for place, code in enumerate(application.wishes, 1)}
    return [
        _(
            "第 %(place)s 志願 %(county)s %(school)s（%(subject)s）",
            place=str(places.get(code, "—")),
            county=names.county(found[code].county),
            school=found[code].name,
            subject=names.subject(subject),
        )
        for code, subject in one.wishes
    ]
