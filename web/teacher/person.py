"""Step 3: personal data from the card, what is added to it, and the e-mail's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import accounts
from jiepin.web.accounts import Visitor
from jiepin.web.clock import date_text
from jiepin.web.language import _, current
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render, step_url
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.store import applications
from jiepin.web.store.applications import Application
from jiepin.web.teacher import forms
from jiepin.web.teacher.device import too_early
from jiepin.web.teacher.password import check_present
from jiepin.web.teacher.steps import current_step, find_visitor, see, signed_in


@dataclass(frozen=True, slots=True)
class PersonPage:
    """The card's part is for reading; `waiting` is an address whose code is due."""

    national_id: str
    birth_date: str
    sex: str
    card_name: str
    card_name_certain: bool
    name: str
    phone1: str
    phone2: str
    email: str
    confirmed: bool
    waiting: str
    problems: Problems
    seen: int


@signed_in(step=applications.PERSON)
async def person(request: Request) -> Response:
    """Show the form, or save it; a new address is asked for its code first."""
    visitor: Visitor = request.state.visitor
    if request.method != "POST":
        return await _show(request, await _stored(request), Problems())
    form = forms.typed(await request.form())
    read = forms.read_person(form)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    site, application = request.app.state.site, visitor.application
    changes = read.email != application.email
    if changes and application.email:
        wrong = _("更改電子郵件須輸入目前密碼")
        present = await check_present(request, form, wrong)
        if isinstance(present, Problem):
            return await _show(request, form, Problems((present,)))
    seen = forms.seen_version(form)
    saved = await applications.save_person(site, visitor.actor, seen, read.person)
    if changes:
        return await _send(request, saved, read.email)
    await accounts.forget_code(site, saved.account)
    return see(_next(saved))


async def _send(request: Request, saved: Application, email: str) -> Response:
    """Mail a code to an address, and lead to where it is asked for."""
    site: Site = request.app.state.site
    until = await accounts.send_code(site, saved, email)
    if until is None:
        return see(step_url("person") + "#code")
    await find_visitor(request)  # what was just saved
    return await _show(request, await _stored(request), Problems((too_early(until),)))


def _next(saved: Application) -> str:
    """Return the step after this one, or the one to be done first."""
    if saved.step > applications.APPOINTMENT:
        return step_url("appointment")
    return current_step(saved)


async def _stored(request: Request) -> dict[str, str]:
    """Return what the form shows at first: what is stored, or what the card says."""
    application = request.state.visitor.application
    site: Site = request.app.state.site
    async with site.database.reading(quick=True) as db:
        waiting = await store.mail_code(db, application.account)
    return {
        "name": application.name or application.card_name,
        "phone1": application.phone1,
        "phone2": application.phone2,
        "email": waiting.email if waiting else application.email,
        **forms.as_seen(application.version),
    }


async def _show(
    request: Request, form: Mapping[str, str], problems: Problems
) -> Response:
    site: Site = request.app.state.site
    application = request.state.visitor.application
    national_id, birthday = await accounts.identity(site, application.account)
    async with site.database.reading(quick=True) as db:
        waiting = await store.mail_code(db, application.account)
    page = PersonPage(
        national_id=national_id,
        birth_date=date_text(date.fromisoformat(birthday), current()),
        sex=application.sex,
        card_name=application.card_name,
        card_name_certain=application.card_name_certain,
        name=form.get("name", ""),
        phone1=form.get("phone1", ""),
        phone2=form.get("phone2", ""),
        email=form.get("email", ""),
        confirmed=application.email_confirmed is not None,
        waiting=waiting.email if waiting else "",
        problems=problems,
        seen=forms.seen_version(form),
    )
    return await render(request, "person.html", page, 422 if problems else 200)


@signed_in(step=applications.PERSON)
async def code(request: Request) -> Response:
    """Take the code that was mailed; the address counts from now on."""
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    form = forms.typed(await request.form())
    digits = forms.read_code(form)
    email = await accounts.check_code(site, visitor.application.account, digits)
    if email is None:
        wrong = Problem("code", _("驗證碼不符或已失效，請再輸入一次或重新寄送"))
        return await _show(request, await _stored(request), Problems((wrong,)))
    seen = forms.seen_version(form)
    saved = await applications.confirm_email(
        site, visitor.actor, seen, email, visitor.session.device
    )
    return see(_next(saved))


@signed_in(step=applications.PERSON)
async def again(request: Request) -> Response:
    """Mail another code to the address that waits for one."""
    visitor: Visitor = request.state.visitor
    site: Site = request.app.state.site
    async with site.database.reading(quick=True) as db:
        waiting = await store.mail_code(db, visitor.application.account)
    if waiting is None:
        return see(step_url("person"))
    return await _send(request, visitor.application, waiting.email)
