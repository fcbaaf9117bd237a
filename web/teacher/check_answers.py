"""確認資料: everything as it will be filed, shown once more before it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.access import can
from jiepin.web.accounts import Visitor
from jiepin.web.language import _
from jiepin.web.problems import Problems
from jiepin.web.rendering import render, step_url
from jiepin.web.site import Site
from jiepin.web.store import applications
from jiepin.web.store.applications import (
    WISHES,
    Application,
    BadWishes,
    ChangedElsewhere,
)
from jiepin.web.teacher import wish_doubts, wish_page, wish_work
from jiepin.web.teacher.forms import seen_version, typed
from jiepin.web.teacher.status import (
    Facts,
    Names,
    Wish,
    appointment_facts,
    home_school,
    person_facts,
    sides,
    subject_facts,
)
from jiepin.web.teacher.steps import current_step, see, signed_in

CHECK = step_url("check")
NO_PROBLEMS = Problems()


@dataclass(frozen=True, slots=True)
class Block:
    """What one step has filled in, and where it is changed."""

    name: str
    title: str
    url: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class CheckPage:
    """All that is filed. `doubts` are those of the list as a whole.

    filed    it is filed already, and would be filed again
    unsaved  a list under way differs from the saved one, which is what is filed
    """

    seen: int
    filed: bool
    indigenous: bool
    blocks: Sequence[Block]
    wishes: Sequence[Wish]
    doubts: Sequence[str]
    unsaved: bool
    problems: Problems


@signed_in(step=WISHES)
async def check_answers(request: Request) -> Response:
    """Show what is to be filed, or file it (確認無誤，完成申請)."""
    site: Site = request.app.state.site
    visitor: Visitor = request.state.visitor
    if request.method == "GET":
        ready = can(visitor.actor, "edit", visitor.application, site.clock.now())
        if not (ready and visitor.application.wishes):
            return see(current_step(visitor.application))
        return await _page(request)
    seen = seen_version(typed(await request.form()))
    try:
        await applications.file(site, visitor.actor, seen)
    except BadWishes as refused:
        return await _page(request, refused.problems)
    except ChangedElsewhere as changed:
        if not await _filed_already(site, visitor, changed):
            raise
    return see(step_url("status"))


async def _filed_already(
    site: Site, visitor: Visitor, changed: ChangedElsewhere
) -> bool:
    """Tell whether it was this form that filed: somebody pressed its button twice."""
    async with site.database.reading(quick=True) as db:
        done = await applications.versions(db, visitor.application.id)
    return changed.found == changed.seen + 1 and done[-1].event == "filed"


async def _page(request: Request, problems: Problems = NO_PROBLEMS) -> Response:
    site: Site = request.app.state.site
    application = request.state.visitor.application
    person = await person_facts(site, application)
    async with site.database.reading(quick=True) as db:
        names = await Names.read(db, application)
        page = await _read(db, application, names, person, problems)
    status_code = 422 if problems else 200
    return await render(request, "check_answers.html", page, status_code)


async def _read(
    db: aiosqlite.Connection,
    application: Application,
    names: Names,
    person: Facts,
    problems: Problems,
) -> CheckPage:
    work = await wish_work.load(db, application)
    told = await wish_doubts.doubts_of(db, application, work.saved)
    return CheckPage(
        seen=application.version,
        filed=application.state == "filed",
        indigenous=bool(application.indigenous),
        blocks=_blocks(application, names, person),
        wishes=names.wishes(application, told),
        doubts=told.get("", ()),
        unsaved=work.wishes != work.saved,
        problems=problems,
    )


def _blocks(application: Application, names: Names, person: Facts) -> tuple[Block, ...]:
    appointment = (
        (_("現任服務學校"), home_school(application)),
        *appointment_facts(application, names),
        (
            _("原住民族身分之教師單調（原民調）"),
            _("是") if application.indigenous else _("否"),
        ),
    )
    counties = tuple(
        (side, names.county(code)) for _n, code, side in sides(application)
    )
    at_appointment = step_url("appointment")
    return (
        Block("person", _("基本資料"), step_url("person"), person),
        Block("appointment", _("應聘資料"), at_appointment, appointment),
        Block(
            "subjects",
            _("申請應聘科(類)別"),
            at_appointment + "#subject1",
            subject_facts(application, names),
        ),
        Block("counties", _("志願縣市"), wish_page.COUNTIES, counties),
    )
