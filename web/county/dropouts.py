"""After the result: whether a seat is opened instead (§11), what to correct (§14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access
from jiepin.web.language import said
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.staff.dropped import (
    STATES,
    Fall,
    Names,
    answer_text,
    id_of,
    read_case,
)
from jiepin.web.store import corrections, results
from jiepin.web.store import dropouts as store
from jiepin.web.store.dropouts import KINDS, Dropout
from jiepin.web.teacher.forms import typed

PAGE = "/city/dropouts"


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the county who dropped out; `open`: it may still answer."""

    id: int
    number: str
    name: str
    kind: str
    state: str
    answer: str
    open: bool
    falling: Sequence[Fall]


@dataclass(frozen=True, slots=True)
class ToCorrect:
    """An application that the host has opened for the county, and why."""

    url: str
    number: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AfterPage:
    """Those of the county who dropped out, and what it is to correct.

    `schools`: why the host has opened its schools. Who may not answer only reads.
    """

    asked: Sequence[Asked]
    may_answer: bool
    to_correct: Sequence[ToCorrect]
    schools: Sequence[str]


@at_desk()
async def dropouts(request: Request) -> Response:
    """Show who of the county dropped out, whose moves depend on it, what to correct."""
    site: Site = request.app.state.site
    actor = request.state.colleague.actor
    year = request.state.round.year if request.state.round else 0
    now = site.clock.now()
    async with site.database.reading() as db:
        published = await results.newest(db, now)
        own = [
            one
            for one in await store.listed(db, published.year if published else 0)
            if access.can(actor, "see", access.Scope(one.county, one.level), now)
        ]
        opened = await corrections.opened(db, year, actor.county)
        mending = await corrections.opened_counties(db, year, actor.county)
    page = AfterPage(
        asked=[await _asked(site, one) for one in reversed(own)],
        may_answer=actor.role == "head",
        to_correct=[
            ToCorrect(
                f"/city/applications/{one.application}",
                one.number,
                one.name,
                one.reason,
            )
            for one in opened
            if one.level in actor.levels
        ],
        schools=[one.reason for one in mending],
    )
    return await render(request, "city/dropouts.html", page)


async def _asked(site: Site, one: Dropout) -> Asked:
    async with site.database.reading() as db:
        case = await read_case(db, one, site)
        names = await Names.read(db)
    open_ = one.state in ("waiting", "answered") and site.clock.now() < one.decide_by
    falling = await case.falling(site) if open_ else ()
    async with site.database.reading() as db:
        people = await case.people(db, falling)
    return Asked(
        id=one.id,
        number=one.number,
        name=one.name,
        kind=said(KINDS[one.kind]),
        state=said(STATES[one.state]),
        answer=answer_text(one),
        open=open_,
        falling=[names.fall(people[number]) for number in falling],
    )


@at_desk("open-seat")
async def answer(request: Request) -> Response:
    """Take the county's answer."""
    form = typed(await request.form())
    opened = form.get("answer") == "open"
    actor = request.state.colleague.actor
    await store.answer(request.app.state.site, actor, id_of(request), opened)
    return see(PAGE)
