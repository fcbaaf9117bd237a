"""The desk of the staff: who sits there, what he may open, what a failed save answers.

A handler of an end is wrapped by `at_desk`; it finds the colleague at
`request.state.colleague` and the round at `request.state.round`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from jiepin.web import access
from jiepin.web.access import Action, Actor
from jiepin.web.accounts import has_ended
from jiepin.web.language import _
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.menu import END_OF, end_of_path
from jiepin.web.store import applications, schools
from jiepin.web.store import staff as store
from jiepin.web.store.schools import RoundSettings
from jiepin.web.store.staff import Member, Session
from jiepin.web.vault import digest

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Colleague:
    """A member of staff who is signed in; `actor` is what access is asked with."""

    actor: Actor
    member: Member
    session: Session

    @property
    def end(self) -> str:
        """The part of the address that his end has: city or host."""
        return END_OF[self.member.kind]


@dataclass(frozen=True, slots=True)
class NotSavedPage:
    """Why a save changed nothing, and where to go on."""

    text: str
    back: str


def actor_of(member: Member) -> Actor:
    """Return what a member of staff is asked access with."""
    return Actor(
        member.kind,
        member.id,
        county=member.county or "",
        role=member.role,
        levels=member.levels,
    )


async def find_colleague(request: Request) -> Colleague | None:
    """Return who is signed in at this end, and remember it for the frame of the page.

    A clerk of the county who opens an address of the host is nobody there.
    """
    state = request.app.state
    site: Site = state.site
    cookie = request.cookies.get(site.settings.staff_cookie)
    request.state.colleague = request.state.member = None
    if not cookie:
        return None
    async with site.database.reading() as db:
        found = await store.session(db, digest(cookie))
    if found is None:
        return None
    session, member = found
    now = site.clock.now()
    seen = max(session.seen, state.staff_presence.seen(session.token, session.seen))
    if has_ended(session.created, seen, now):
        return None
    if END_OF[member.kind] != end_of_path(request.url.path):
        return None
    state.staff_presence.touch(session.token, now)
    colleague = Colleague(actor_of(member), member, session)
    request.state.colleague, request.state.member = colleague, member
    return colleague


def at_desk(action: Action = "see") -> Callable[[Handler], Handler]:
    """Let a handler be reached by staff of its end alone who may do this there.

    Others are led to the door of the end; who may not do it finds nothing. Whether an
    application or a school may be touched is asked again where it is read or saved.
    """

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        async def wrapped(request: Request) -> Response:
            colleague = await find_colleague(request)
            if colleague is None:
                return see(f"/{end_of_path(request.url.path)}/")
            site: Site = request.app.state.site
            async with site.database.reading() as db:
                request.state.round = await schools.round(db)
                county = colleague.actor.county
                request.state.correcting = await schools.correcting(db, county)
            state = request.state
            object_ = matter(colleague, state.round, state.correcting)
            if not access.can(colleague.actor, action, object_, site.clock.now()):
                raise HTTPException(404)
            return await handler(request)

        return wrapped

    return wrap


def matter(
    colleague: Colleague,
    round_: RoundSettings | None,
    correcting: datetime | None = None,
) -> access.Scope | access.Round:
    """Return what a colleague's end is about: his county's matters, or the round."""
    frozen = round_.frozen if round_ else None
    if colleague.actor.kind == "host":
        return access.Round(round_.year if round_ else 0, frozen)
    return access.Scope(colleague.actor.county, "", frozen, correcting)


def see(url: str) -> RedirectResponse:
    """Lead the browser on; what was posted is not posted again."""
    return RedirectResponse(url, status_code=303)


async def not_saved(request: Request, error: Exception) -> Response:
    """Answer to a save of staff that changed nothing."""
    colleague = await find_colleague(request)
    if colleague is None:
        return see(f"/{end_of_path(request.url.path)}/")
    if isinstance(error, applications.Absent):
        raise HTTPException(404)
    page = NotSavedPage(_why(error), request.headers.get("referer", ""))
    return await render(request, "staff/not_saved.html", _own(page, request), 409)


def _own(page: NotSavedPage, request: Request) -> NotSavedPage:
    """Go back to the page of our own that was posted from, or else to the start."""
    origin = request.app.state.site.settings.origin
    if page.back.startswith(origin + "/"):
        return page
    return NotSavedPage(page.text, f"/{end_of_path(request.url.path)}/home")


def _why(error: Exception) -> str:
    if isinstance(error, applications.ChangedElsewhere):
        return _("這筆資料已由他人或在其他視窗變更，您的變更沒有儲存；請重新載入後再改")
    if isinstance(error, applications.NotYet):
        return _("這筆資料沒有開啟，或其他人剛作成審核決定而關閉；請重新載入")
    return _("目前不能變更：不在作業期間，或資料已凍結")
