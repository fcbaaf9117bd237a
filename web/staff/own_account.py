"""One's own account: who one is here, sessions, a new password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.accounts import IDLE, Refused
from jiepin.web.clock import moment_text
from jiepin.web.language import _, current
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff import forms, sign_in
from jiepin.web.staff.desk import Colleague, at_desk, see
from jiepin.web.staff.door import set_cookie, why
from jiepin.web.store import staff as store
from jiepin.web.store.staff import Session
from jiepin.web.teacher.forms import typed


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session that has not ended; `own`: the one that the page is shown in."""

    begun: str
    seen: str
    own: bool


@dataclass(frozen=True, slots=True)
class AccountPage:
    end: str
    name: str
    masked: str
    email: str
    sessions: Sequence[SessionLine]
    shortest: int
    problems: Problems
    saved: bool


@at_desk()
async def account(request: Request) -> Response:
    """Show the own account, or change its password."""
    if request.method != "POST":
        return await _show(request, Problems())
    colleague: Colleague = request.state.colleague
    state, site = request.app.state, request.app.state.site
    form = typed(await request.form())
    about = await sign_in.words_about(site, colleague.member, form.get("password", ""))
    read = forms.read_change(form, about)
    if isinstance(read, Problems):
        return await _show(request, read)
    try:
        token = await sign_in.change_password(
            site, state.passwords, colleague.member, colleague.session, read
        )
    except Refused as refused:
        return await _show(request, Problems((Problem("present", why(refused).text),)))
    if token is None:
        wrong = Problem("present", _("目前的密碼或驗證碼不符；驗證碼每組只能用一次"))
        return await _show(request, Problems((wrong,)))
    answer = see(f"/{colleague.end}/account?saved=1")
    set_cookie(answer, site, token)
    return answer


@at_desk()
async def end_others(request: Request) -> Response:
    """End the sessions on other computers."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    await sign_in.end_others(site, colleague.member, colleague.session)
    return see(f"/{colleague.end}/account")


async def _show(request: Request, problems: Problems) -> Response:
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await store.sessions_of(db, colleague.member.id)
    page = AccountPage(
        end=colleague.end,
        name=colleague.member.name,
        masked=colleague.member.masked,
        email=colleague.member.email,
        sessions=_lines(request, found),
        shortest=sign_in.SHORTEST,
        problems=problems,
        saved="saved" in request.query_params,
    )
    return await render(request, "staff/account.html", page, 422 if problems else 200)


def _lines(request: Request, found: Sequence[Session]) -> Sequence[SessionLine]:
    """Tell of the sessions that have not ended by themselves."""
    now, presence = request.app.state.site.clock.now(), request.app.state.staff_presence
    own = request.state.colleague.session.token
    seen = [(one, max(one.seen, presence.seen(one.token, one.seen))) for one in found]
    return [
        SessionLine(
            moment_text(session.created, current()),
            moment_text(last, current()),
            session.token == own,
        )
        for session, last in seen
        if now - last <= IDLE
    ]
