"""A new computer: the code mailed to the confirmed address, before anything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import accounts
from jiepin.web.accounts import Newcomer
from jiepin.web.clock import moment_text
from jiepin.web.language import _, current
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.teacher import forms
from jiepin.web.teacher.door import set_cookie
from jiepin.web.teacher.steps import (
    DEVICE,
    SIGN_IN,
    Handler,
    current_step,
    find_newcomer,
    see,
)
from jiepin.web.vault import mask_email


@dataclass(frozen=True, slots=True)
class DevicePage:
    """`email` is masked: a password alone learns no address. `sent`: a code counts."""

    email: str
    sent: bool
    problems: Problems


def waiting(handler: Callable[[Request, Newcomer], Awaitable[Response]]) -> Handler:
    """Let a handler be reached by those only whose computer is to be confirmed."""

    @wraps(handler)
    async def wrapped(request: Request) -> Response:
        who = await find_newcomer(request)
        return see(SIGN_IN) if who is None else await handler(request, who)

    return wrapped


@waiting
async def device(request: Request, who: Newcomer) -> Response:
    """Ask for the code, or take it and let the teacher in."""
    if request.method != "POST":
        return await _show(request, who, Problems())
    site: Site = request.app.state.site
    digits = forms.read_code(forms.typed(await request.form()))
    token = await accounts.confirm_device(site, who, digits)
    if token is None:
        wrong = Problem("code", _("驗證碼不符或已失效，請再輸入一次或重新寄送"))
        return await _show(request, who, Problems((wrong,)))
    answer = see(current_step(who.application))
    set_cookie(answer, site, token)
    return answer


@waiting
async def again(request: Request, who: Newcomer) -> Response:
    """Mail another code."""
    site, application = request.app.state.site, who.application
    until = await accounts.send_code(site, application, application.email, who.device)
    if until is not None:
        return await _show(request, who, Problems((too_early(until),)))
    return see(DEVICE)


def too_early(until: datetime) -> Problem:
    """Say from when another code may be mailed."""
    moment = moment_text(until, current(), seconds=True)
    return Problem("code", _("驗證碼剛寄出，請於 %(until)s 後再重新寄送", until=moment))


async def _show(request: Request, who: Newcomer, problems: Problems) -> Response:
    site: Site = request.app.state.site
    async with site.database.reading(quick=True) as db:
        code = await store.mail_code(db, who.session.account, who.device)
    page = DevicePage(
        email=mask_email(who.application.email),
        sent=code is not None and site.clock.now() < code.expires,
        problems=problems,
    )
    return await render(request, "device.html", page, 422 if problems else 200)
