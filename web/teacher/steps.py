"""The order of the six steps: who may open which, and what a failed save answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from jiepin.web import access, accounts
from jiepin.web.accounts import Newcomer, Visitor
from jiepin.web.language import _
from jiepin.web.rendering import STEPS, render, step_url
from jiepin.web.site import Site
from jiepin.web.store import applications

Handler = Callable[[Request], Awaitable[Response]]

SIGN_IN, DEVICE = "/teacher/", "/teacher/device"


@dataclass(frozen=True, slots=True)
class NotSavedPage:
    """Why a save changed nothing, and where to go on."""

    reason: str  # "closed", "changed" or "draft"
    seen: int
    found: int
    back: str

    @property
    def text(self) -> str:
        """What happened, in one line."""
        return {
            "closed": _("目前不在填報期間"),
            "changed": _("資料已在其他視窗變更"),
            "draft": _("另一個視窗或裝置也有尚未儲存的志願清單"),
        }[self.reason]


async def find_visitor(request: Request) -> Visitor | None:
    """Return who is signed in, and remember it for the frame of the page."""
    state = request.app.state
    cookie = request.cookies.get(state.site.settings.cookie)
    request.state.visitor = await accounts.visitor(state.site, state.presence, cookie)
    found: Visitor | None = request.state.visitor
    return found


async def find_newcomer(request: Request) -> Newcomer | None:
    """Return who has given the right password and has to confirm his computer."""
    state = request.app.state
    cookie = request.cookies.get(state.site.settings.cookie)
    return await accounts.newcomer(state.site, state.presence, cookie)


async def way_in(request: Request) -> str:
    """Return where somebody goes who is no visitor: to sign in, or to his code."""
    return SIGN_IN if await find_newcomer(request) is None else DEVICE


def signed_in(step: int = 1) -> Callable[[Handler], Handler]:
    """Let a handler be reached by those only who have come to this step.

    Others are led to where they are: the sign-in page, the code for a new computer, or
    the step to do first. The handler finds the visitor at `request.state.visitor`.
    """

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        async def wrapped(request: Request) -> Response:
            visitor = await find_visitor(request)
            if visitor is None:
                return see(await way_in(request))
            site: Site = request.app.state.site
            now = site.clock.now()
            if not access.can(visitor.actor, "see", visitor.application, now):
                raise HTTPException(404)
            if visitor.application.step < step:
                return see(current_step(visitor.application))
            return await handler(request)

        return wrapped

    return wrap


def see(url: str) -> RedirectResponse:
    """Lead the browser on; what was posted is not posted again."""
    return RedirectResponse(url, status_code=303)


def current_step(application: applications.Application) -> str:
    """Return the address of the furthest step that somebody has come to."""
    return step_url(STEPS[application.step - 1][0])


async def not_saved(request: Request, error: Exception) -> Response:
    """Answer to a save that changed nothing."""
    visitor = await find_visitor(request)
    if visitor is None:
        return see(await way_in(request))
    if isinstance(error, applications.NotYet):
        return see(current_step(visitor.application))
    if isinstance(error, applications.Absent):
        raise HTTPException(404)
    page = NotSavedPage(
        reason=_reason(error),
        seen=error.seen if isinstance(error, applications.ChangedElsewhere) else 0,
        found=error.found if isinstance(error, applications.ChangedElsewhere) else 0,
        back=step_url(request.url.path.split("/")[2]),
    )
    if by_script(request):
        told = {"reason": page.reason, "text": page.text}
        return JSONResponse(told, status_code=409)
    return await render(request, "not_saved.html", page, status_code=409)


def _reason(error: Exception) -> str:
    if isinstance(error, applications.ChangedElsewhere):
        return "changed"
    return "closed" if isinstance(error, applications.Closed) else "draft"


def by_script(request: Request) -> bool:
    """Tell whether a script asks, which reads JSON, and not a form."""
    return request.headers.get("accept") == "application/json"
