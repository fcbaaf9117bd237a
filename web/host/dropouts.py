"""§11: who does not go where he was placed, and what becomes of the others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access
from jiepin.web.access import Action
from jiepin.web.clock import moment_text
from jiepin.web.host import after_letters
from jiepin.web.language import CHINESE, _, current, said, speaking
from jiepin.web.problems import Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.staff.dropped import (
    STATES,
    Case,
    Fall,
    Names,
    answer_text,
    id_of,
    read_case,
)
from jiepin.web.store import corrections, results
from jiepin.web.store import dropouts as store
from jiepin.web.store.applications import Absent, Refused
from jiepin.web.store.dropouts import KINDS, Dropout, Mark, Person
from jiepin.web.teacher.forms import Typed, typed

PAGE = "/host/dropouts"
USUAL_DAYS = 3
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One who dropped out, as the list shows him; `behind`: results do not say so."""

    url: str
    number: str
    name: str
    place: str
    kind: str
    at: str
    answer: str
    state: str
    behind: bool


@dataclass(frozen=True, slots=True)
class Option:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class DropoutsPage:
    """All who dropped out, and the form to write down one more."""

    lines: Sequence[Line]
    may_mark: bool
    published: bool
    behind: bool
    kinds: Sequence[Option]
    form: Typed
    problems: Problems


@dataclass(frozen=True, slots=True)
class DropoutPage:
    """One who dropped out, whose moves depend on it, and what may be done now.

    `waits`: the county may still answer, and has not; `fallen`: why there is nothing to
    apply, where his own move has fallen; `may_write`: there are letters.
    """

    line: Line
    url: str
    facts: Sequence[tuple[str, str]]
    opened: bool
    falling: Sequence[Fall]
    waits: bool
    fallen: str
    may_write: bool
    may_apply: bool
    may_undo: bool
    may_finish: bool
    form: Typed
    problems: Problems


@at_desk()
async def dropouts(request: Request) -> Response:
    """Show all who dropped out, or write down one more."""
    if request.method != "POST":
        return await _list(request, {"days": str(USUAL_DAYS)}, Problems())
    form = typed(await request.form())
    actor = request.state.colleague.actor
    try:
        id_ = await store.mark_as(request.app.state.site, actor, _read(form))
    except Refused as refused:
        return await _list(request, form, refused.problems)
    return see(f"{PAGE}/{id_}")


def _read(form: Typed) -> Mark:
    days = plain(form, "days")
    return Mark(
        number=plain(form, "number"),
        kind=form.get("kind", ""),
        reason=reason_of(form),
        days=int(days) if re.fullmatch(r"[0-9]{1,3}", days) else 0,
    )


def plain(form: Typed, field: str) -> str:
    """Return what was typed with digits of full width made plain."""
    return unicodedata.normalize("NFKC", form.get(field, "")).strip()


def reason_of(form: Typed, field: str = "reason") -> str:
    """Return the reason that was typed, cut where it is longer than anybody reads."""
    return form.get(field, "").strip()[:LONGEST_REASON]


async def _list(request: Request, form: Typed, problems: Problems) -> Response:
    site: Site = request.app.state.site
    now = site.clock.now()
    async with site.database.reading() as db:
        published = await results.newest(db, now)
        year = published.year if published else 0
        found = await store.listed(db, year)
        due = await store.targets(db, year, now)
        behind = await store.behind(db, [publication.run for publication in due])
        names = await Names.read(db)
    lines = [_line(one, names, behind) for one in reversed(found)]
    page = DropoutsPage(
        lines=lines,
        may_mark=may(request),
        published=published is not None,
        behind=any(line.behind for line in lines),
        kinds=[Option(code, said(name)) for code, name in KINDS.items()],
        form=form,
        problems=problems,
    )
    status = 422 if problems else 200
    return await render(request, "host/dropouts.html", page, status)


@at_desk()
async def dropout(request: Request) -> Response:
    """Show one who dropped out, with every move that depends on it."""
    return await _show(request, {}, Problems())


async def _show(request: Request, form: Typed, problems: Problems) -> Response:
    site: Site = request.app.state.site
    now = site.clock.now()
    case = await _case(request)
    falling = await case.falling(site)
    async with site.database.reading() as db:
        names = await Names.read(db)
        behind = await store.behind(db, [one.run for one in case.due])
        people = await case.people(db, (case.dropout.number, *falling))
        fallen = await store.has_fallen(db, case.dropout, case.due)
    one = case.dropout
    line = _line(one, names, behind)
    corrects = may(request)
    waiting = one.state == "waiting" and now < one.decide_by and bool(falling)
    page = DropoutPage(
        line=line,
        url=line.url,
        facts=_facts(one, people.get(one.number), names),
        opened=one.opened,
        falling=[names.fall(people[number]) for number in falling],
        waits=waiting and not fallen,
        fallen=store.fallen_text() if fallen else "",
        may_write=corrects and one.counts,
        may_apply=corrects
        and not one.undone
        and not one.final
        and not waiting
        and not fallen
        and (not one.counts or line.behind),
        may_undo=corrects and one.state in ("waiting", "answered", "applied"),
        may_finish=one.state == "applied" and may(request, "finish"),
        form=form,
        problems=problems,
    )
    status = 422 if problems else 200
    return await render(request, "host/dropout.html", page, status)


@at_desk("correct")
async def apply(request: Request) -> Response:
    """Let the results say that he dropped out."""
    case = await _case(request)
    site, actor = request.app.state.site, request.state.colleague.actor
    endings = await case.endings(site, True)
    try:
        await store.apply(site, actor, case.dropout.id, endings)
    except Refused as refused:
        return await _show(request, {}, refused.problems)
    return see(url_of(case.dropout))


@at_desk("correct")
async def undo(request: Request) -> Response:
    """Take it back, with a reason."""
    case = await _case(request)
    form = typed(await request.form())
    site, actor = request.app.state.site, request.state.colleague.actor
    endings = await case.endings(site, False)
    try:
        await store.undo(site, actor, case.dropout.id, reason_of(form), endings)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(url_of(case.dropout))


@at_desk("finish")
async def finish(request: Request) -> Response:
    """Make it final."""
    case = await _case(request)
    site, actor = request.app.state.site, request.state.colleague.actor
    await store.finish(site, actor, case.dropout.id)
    return see(url_of(case.dropout))


@at_desk("correct")
async def letters(request: Request) -> Response:
    """Give a letter to him, and to everybody whose move has fallen with his."""
    case = await _case(request)
    one = case.dropout
    if not one.counts:
        raise Absent
    site: Site = request.app.state.site
    falling = () if one.opened else await case.falling(site)
    actor = request.state.colleague.actor
    detail: dict[str, object] = {"dropout": one.id, "letters": 1 + len(falling)}
    await corrections.exported(site, actor, "letters-exported", detail)
    async with site.database.reading() as db:
        with speaking(CHINESE):
            names = await Names.read(db)
        snapshots = [publication.snapshot for publication in case.due]
        people = await corrections.people(db, snapshots, (one.number, *falling))
    him = after_letters.dropped_out(people[one.number], names, one.year, one.kind)
    others = [after_letters.void(people[n], names, one.year) for n in falling]
    return await after_letters.file(request, [him, *others], f"letters-{one.number}")


async def _case(request: Request) -> Case:
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await store.by_id(db, id_of(request))
        if found is None:
            raise Absent
        return await read_case(db, found, site)


def may(request: Request, action: Action = "correct") -> bool:
    """Tell whether who sits there may do this about the round."""
    site: Site = request.app.state.site
    round_ = access.Round(_year(request))
    return access.can(request.state.colleague.actor, action, round_, site.clock.now())


def _year(request: Request) -> int:
    return request.state.round.year if request.state.round else 0


def url_of(dropout: Dropout) -> str:
    """Return the page of one who dropped out."""
    return f"{PAGE}/{dropout.id}"


def _line(one: Dropout, names: Names, behind: set[str]) -> Line:
    return Line(
        url=url_of(one),
        number=one.number,
        name=one.name,
        place=f"{names.counties[one.county]} {said(LEVEL_NAMES[one.level])}",
        kind=said(KINDS[one.kind]),
        at=moment_text(one.at, current()),
        answer=answer_text(one),
        state=said(STATES[one.state]),
        behind=one.counts and one.number in behind,
    )


def _facts(
    one: Dropout, person: Person | None, names: Names
) -> tuple[tuple[str, str], ...]:
    found = [(_("情形"), said(KINDS[one.kind])), (_("登記事由"), one.reason)]
    if person is not None:
        fall = names.fall(person)
        found += [(_("現職學校"), fall.home), (_("達成學校"), fall.there)]
        found += [(_("科(類)別"), fall.subject)]
    found += [(_("現職縣市答覆"), answer_text(one))]
    moments = ((_("套用時間"), one.applied), (_("確定時間"), one.final))
    found += [(name, moment_text(at, current())) for name, at in moments if at]
    if one.undone:
        found += [(_("撤銷時間"), moment_text(one.undone, current()))]
        found += [(_("撤銷事由"), one.undone_reason)]
    return tuple(found)
