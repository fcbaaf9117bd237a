"""Step 5, 志願資料: the counties, the editor of the list, its draft and its saves."""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jiepin.web.access import can
from jiepin.web.accounts import Visitor
from jiepin.web.problems import Problems
from jiepin.web.rendering import render, saved_text
from jiepin.web.site import Site
from jiepin.web.store.applications import (
    WISHES,
    Application,
    BadWishes,
    ChangedElsewhere,
    Refused,
    require_wishes,
)
from jiepin.web.teacher import wish_doubts, wish_page, wish_work
from jiepin.web.teacher.check_answers import CHECK
from jiepin.web.teacher.forms import seen_version, typed
from jiepin.web.teacher.steps import by_script, see, signed_in
from jiepin.web.teacher.wish_forms import (
    address,
    after,
    read_counties,
    read_edit,
    read_schools,
    read_seen,
    read_view,
)
from jiepin.web.teacher.wish_list import (
    AlreadyChosen,
    NotChosen,
    TooManyChoices,
    WishList,
)
from jiepin.web.teacher.wish_page import COUNTIES, PAGE, View
from jiepin.web.teacher.wish_work import DraftElsewhere

NO_PROBLEMS = Problems()


@signed_in(WISHES)
async def wishes(request: Request) -> Response:
    """Show the editor; before that the counties, or two lists that are in conflict.

    When nothing may be changed any more, show the list that was saved.
    """
    site, visitor = _who(request)
    if _editable(request):
        if not visitor.application.counties:
            return see(COUNTIES)
        async with site.database.reading(quick=True) as db:
            work = await wish_work.load(db, visitor.application)
            page = (
                await wish_page.conflict(db, visitor.application, work)
                if work.conflict
                else None
            )
        if page is not None:
            return await render(request, "wish_conflict.html", page)
    return await _editor(request, read_view(request.query_params))


async def _editor(
    request: Request, view: View, problems: Problems = NO_PROBLEMS
) -> Response:
    site, _visitor = _who(request)
    editable = _editable(request)
    async with site.database.reading(quick=True) as db:
        page = await wish_page.editor(request, db, view, editable, problems)
    return await render(request, "wishes.html", page, 422 if problems else 200)


@signed_in(WISHES)
async def edit(request: Request) -> Response:
    """Do one action of a page without JavaScript, on the list under way."""
    site, visitor = _who(request)
    form = typed(await request.form())
    view, wanted = read_view(form), read_edit(form)
    if wanted is None:
        return see(address(PAGE, view))
    try:
        changed = await wish_work.edit(
            site, visitor.actor, wanted, read_seen(form).draft
        )
    except (AlreadyChosen, DraftElsewhere, NotChosen):
        return see(address(PAGE, view))  # another window did it: this shows the list
    except TooManyChoices as error:
        return await _editor(request, view, wish_page.too_many(error.limit))
    except BadWishes as refused:
        return await _editor(request, view, refused.problems)
    return see(address(PAGE, after(view, wanted, changed)))


@signed_in(WISHES)
async def keep_mine(request: Request) -> Response:
    """Go on with one's own list although another one was saved elsewhere."""
    site, visitor = _who(request)
    await wish_work.keep_mine(site, visitor.actor)
    return see(PAGE)


@signed_in(WISHES)
async def draft(request: Request) -> Response:
    """Keep the list that a page holds, and tell what the checker says of it."""
    site, visitor = _who(request)
    form = typed(await request.form())
    held = read_schools(form)
    stamp = await wish_work.keep(site, visitor.actor, read_seen(form), held)
    doubts = await _doubts(site, visitor.application, held)
    return JSONResponse({"draft": stamp, "doubts": doubts})


@signed_in(WISHES)
async def save(request: Request) -> Response:
    """Save the list that the page holds (儲存志願學校).

    儲存，完成申請 leads on to the page that shows everything before it is filed.
    """
    site, visitor = _who(request)
    form = typed(await request.form())
    held, seen = read_schools(form), read_seen(form)
    to_file = form.get("then") == "check"
    try:
        if to_file:
            require_wishes(held.schools)
        saved = await wish_work.save(site, visitor.actor, seen, held)
    except BadWishes as refused:
        stamp = seen.draft
        with suppress(DraftElsewhere):
            stamp = await wish_work.keep(site, visitor.actor, seen, held)
        return await _refused(request, refused.problems, stamp)
    except ChangedElsewhere:
        await wish_work.keep(site, visitor.actor, seen, held)
        if by_script(request):
            raise
        return see(PAGE)
    after_it = CHECK if to_file else PAGE
    if by_script(request):
        return await _saved(site, saved, held, after_it)
    return see(after_it)


async def _refused(request: Request, problems: Problems, stamp: str) -> Response:
    if by_script(request):
        text = " ".join(problem.text for problem in problems)
        told = {"reason": "refused", "text": text, "draft": stamp}
        return JSONResponse(told, status_code=422)
    return await _editor(request, View(), problems)


async def _saved(
    site: Site, saved: Application, held: WishList, after_it: str
) -> Response:
    return JSONResponse(
        {
            "version": saved.version,
            "draft": "",
            "then": after_it,
            "saved": saved_text(saved),
            "text": wish_page.state(saved),
            "doubts": await _doubts(site, saved, held),
        }
    )


async def _doubts(
    site: Site, application: Application, held: WishList
) -> dict[str, list[str]]:
    async with site.database.reading(quick=True) as db:
        return await wish_doubts.doubts_of(db, application, held)


# the counties


@signed_in(WISHES)
async def counties(request: Request) -> Response:
    """Choose the wish counties; a change that drops schools is asked about first."""
    site, visitor = _who(request)
    if not _editable(request):
        return see(PAGE)
    if request.method == "GET":
        now = visitor.application
        return await _counties(request, now.counties, now.version)
    form = typed(await request.form())
    chosen, seen = read_counties(form), seen_version(form)
    if form.get("confirmed") != "yes" and await _drops(site, visitor, chosen):
        return await _counties(request, chosen, seen, ask=True)
    try:
        await wish_work.change_counties(site, visitor.actor, seen, chosen)
    except Refused as refused:
        return await _counties(request, chosen, seen, problems=refused.problems)
    return see(PAGE)


async def _drops(site: Site, visitor: Visitor, chosen: tuple[str, ...]) -> bool:
    async with site.database.reading(quick=True) as db:
        dropped = await wish_work.dropped(db, visitor.application, chosen)
    return bool(chosen) and len(dropped) > 0


async def _counties(
    request: Request,
    chosen: tuple[str, ...],
    seen: int,
    *,
    ask: bool = False,
    problems: Problems = NO_PROBLEMS,
) -> Response:
    site, visitor = _who(request)
    async with site.database.reading(quick=True) as db:
        page = await wish_page.counties(
            db, visitor.application, chosen, seen, ask, problems
        )
    status_code = 422 if problems else 200
    return await render(request, "wish_counties.html", page, status_code)


def _who(request: Request) -> tuple[Site, Visitor]:
    return request.app.state.site, request.state.visitor


def _editable(request: Request) -> bool:
    site, visitor = _who(request)
    return can(visitor.actor, "edit", visitor.application, site.clock.now())
