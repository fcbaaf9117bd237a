"""Step 2: choosing a password; later, changing it with the present one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import accounts
from jiepin.web.accounts import Refused, Visitor
from jiepin.web.clock import roc_year
from jiepin.web.language import _
from jiepin.web.passwords import ADVISED, SHORTEST
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import applications
from jiepin.web.teacher import forms
from jiepin.web.teacher.door import set_cookie, why
from jiepin.web.teacher.steps import current_step, see, signed_in


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """`change`: there is a password already, which has to be given as well."""

    change: bool
    hint: str
    shortest: int
    advised: int
    problems: Problems
    seen: int


@signed_in(step=applications.PASSWORD)
async def password(request: Request) -> Response:
    """Show the form, or save a password and go on with a new session."""
    visitor: Visitor = request.state.visitor
    if request.method != "POST":
        fresh = forms.as_seen(visitor.application.version)
        return await _show(request, fresh, Problems())
    form = forms.typed(await request.form())
    site: Site = request.app.state.site
    read = forms.read_password(form, await words_about(site, visitor))
    if isinstance(read, Problems):
        return await _show(request, form, read)
    if visitor.application.has_password:
        return await _change(request, form, read)
    hashed = await request.app.state.passwords.hash(read.password)
    saved = await applications.save_password(
        site, visitor.actor, forms.seen_version(form), hashed, read.hint
    )
    answer = see(current_step(saved))
    set_cookie(answer, site, await accounts.renew(site, visitor.session))
    return answer


async def _change(
    request: Request, form: forms.Typed, read: forms.NewPassword
) -> Response:
    """Replace a password, whatever has become of the application."""
    wrong = _("目前密碼不符")
    present = await check_present(request, form, wrong)
    if isinstance(present, Problem):
        return await _show(request, form, Problems((present,)))
    site, visitor = request.app.state.site, request.state.visitor
    hashed = await request.app.state.passwords.hash(read.password)
    token = await accounts.change_password(
        site, visitor.session, hashed, read.hint, present
    )
    if token is None:
        return await _show(request, form, Problems((Problem("present", wrong),)))
    answer = see(current_step(visitor.application))
    set_cookie(answer, site, token)
    return answer


async def _show(request: Request, form: forms.Typed, problems: Problems) -> Response:
    application = request.state.visitor.application
    page = PasswordPage(
        change=application.has_password,
        hint=form.get("hint", "").strip(),
        shortest=SHORTEST,
        advised=ADVISED,
        problems=problems,
        seen=forms.seen_version(form),
    )
    return await render(request, "password.html", page, 422 if problems else 200)


async def check_present(
    request: Request, form: forms.Typed, wrong: str
) -> str | Problem:
    """Return the hash of the present password as typed, or what to say about it."""
    state, visitor = request.app.state, request.state.visitor
    typed = form.get("present", "")
    try:
        found = await accounts.check_present(
            state.site, state.passwords, visitor.application.account, typed
        )
    except Refused as refused:
        return Problem("present", why(refused).text)
    return found or Problem("present", wrong)


async def words_about(site: Site, visitor: Visitor) -> tuple[str, ...]:
    """Return what an acquaintance would try as a password."""
    application = visitor.application
    national_id, birthday = await accounts.identity(site, application.account)
    return (
        *words_on_card(national_id, date.fromisoformat(birthday)),
        application.card_name,
        application.name,
        *telephone_words(application.phone1),
        *telephone_words(application.phone2),
        application.email.partition("@")[0],
        application.email,
    )


def telephone_words(number: str) -> tuple[str, ...]:
    """Return the usual ways to write a telephone number.

    >>> telephone_words("07-1234567#89")
    ('07-1234567', '071234567', '1234567')
    """
    plain = number.partition("#")[0]
    return plain, plain.replace("-", ""), plain.rpartition("-")[2]


def words_on_card(national_id: str, birth: date) -> tuple[str, ...]:
    """Return the ID and the usual ways to write a birthday.

    >>> words_on_card("A123456789", date(1985, 3, 9))
    ('A123456789', '123456789', '19850309', '03091985', '0740309', '740309')
    """
    year = roc_year(birth)
    return (
        national_id,
        national_id[1:],
        f"{birth:%Y%m%d}",
        f"{birth:%m%d%Y}",
        f"{year:03d}{birth:%m%d}",
        f"{year}{birth:%m%d}",
    )
