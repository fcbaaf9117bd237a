"""The door: sign-in page, challenge, sign-in, sign-out, first-login help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jiepin.web import accounts, card
from jiepin.web.accounts import Refused
from jiepin.web.clock import moment_text
from jiepin.web.guard import address_of
from jiepin.web.language import _, current
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import schools
from jiepin.web.teacher import forms
from jiepin.web.teacher.steps import SIGN_IN, current_step, find_visitor, see, way_in


@dataclass(frozen=True, slots=True)
class PracticeCard:
    """An invented person whose card may be used on a practice site.

    `password` is given away where there is one; the others sign in for the first time.
    """

    number: str
    label: str
    level: str
    password: str = ""


@dataclass(frozen=True, slots=True)
class SignInPage:
    levels: Sequence[str]
    level: str
    problems: Problems
    practice_cards: Sequence[PracticeCard]
    practice: str
    mail_sent: bool = False


@dataclass(frozen=True, slots=True)
class HelpPage:
    practice: bool
    origin: str


async def sign_in_page(request: Request) -> Response:
    """Show the form; who is signed in goes on where he is."""
    visitor = await find_visitor(request)
    if visitor is not None:
        return see(current_step(visitor.application))
    way = await way_in(request)
    return await show(request) if way == SIGN_IN else see(way)


async def show(
    request: Request,
    form: Mapping[str, str] | None = None,
    problems: Problems | None = None,
    *,
    mail_sent: bool = False,
) -> Response:
    """Show the sign-in page with what was typed, but never the password."""
    typed = form or {}
    site: Site = request.app.state.site
    async with site.database.reading(quick=True) as db:
        settings = await schools.round(db)
    page = SignInPage(
        levels=settings.levels if settings else schools.LEVELS,
        level=typed.get("level", ""),
        problems=problems or Problems(),
        practice_cards=practice_cards(request),
        practice=typed.get("practice", ""),
        mail_sent=mail_sent,
    )
    return await render(request, "sign_in.html", page, 422 if problems else 200)


async def challenge(request: Request) -> Response:
    """Give the page a signed challenge for the reader, or say why not now."""
    site: Site = request.app.state.site
    cookie = request.cookies.get(site.settings.cookie)
    try:
        token, made = await accounts.challenge(site, cookie, address_of(request))
    except Refused as refused:
        return JSONResponse({"problem": why(refused).text}, 429)
    answer = JSONResponse(made.for_page())
    set_cookie(answer, site, token)
    return answer


async def sign_in(request: Request) -> Response:
    """Check card and password, and begin a session."""
    form = forms.typed(await request.form())
    form = _level_of_card(request, form)
    read = forms.read_sign_in(form)
    if isinstance(read, Problems):
        return await show(request, form, read)
    state = request.app.state
    try:
        reading = await read_card(request, read.answer, read.practice)
        attempt = accounts.Attempt(
            read.level, read.password, reading, address_of(request)
        )
        token = await accounts.sign_in(state.site, state.passwords, attempt)
    except Refused as refused:
        return await show(request, form, Problems((why(refused),)))
    await _end_old_session(request)
    answer = see(SIGN_IN)
    set_cookie(answer, state.site, token)
    return answer


def _level_of_card(request: Request, form: dict[str, str]) -> dict[str, str]:
    """Take the level from a practice card where none was chosen, without scripts."""
    levels = {card.number: card.level for card in practice_cards(request)}
    chosen = form.get("level") or levels.get(form.get("practice", ""), "")
    return form | {"level": chosen}


async def read_card(
    request: Request, answer: dict[str, str], practice: str
) -> card.Reading:
    """Return what the card said: that in the reader, or a practice card."""
    site: Site = request.app.state.site
    cookie = request.cookies.get(site.settings.cookie)
    if practice and site.settings.practice:
        cookie, made = await accounts.challenge(site, cookie, address_of(request))
        answer = request.app.state.practice.answer(practice, made)
    return await accounts.read_answer(site, cookie, answer)


def practice_cards(request: Request) -> Sequence[PracticeCard]:
    """Return the cards of a practice site, none elsewhere."""
    if not request.app.state.site.settings.practice:
        return ()
    cards: Sequence[PracticeCard] = request.app.state.practice.cards
    return cards


def why(refused: Refused) -> Problem:
    """Say why somebody was not let in; unknown and wrong sound the same."""
    until = moment_text(refused.until, current(), seconds=True) if refused.until else ""
    texts = {
        "again": _("健保卡讀取已逾時，請再按一次登入"),
        "card": _("健保卡讀取結果無法辨識，請重新插卡後再按一次登入"),
        "practice": _("正式網站不接受練習卡"),
        "unknown": _("無法登入：密碼不符，或您不在本階段別的介聘名冊中"),
        "locked": _("密碼錯誤次數過多，請於 %(until)s 後再試", until=until),
        "slow": _("此網路位址登入失敗次數過多，請於 %(until)s 後再試", until=until),
        "crowded": _("此網路位址登入次數過多，請於 %(until)s 後再試", until=until),
        "closed": _("目前不在填報期間，無法首次登入"),
    }
    field = "password" if refused.reason in ("unknown", "locked") else "card"
    return Problem(field, texts[refused.reason])


async def sign_out(request: Request) -> Response:
    """End the session."""
    state = request.app.state
    await _end_old_session(request)
    answer = see(SIGN_IN)
    answer.delete_cookie(
        state.site.settings.cookie,
        secure=state.site.settings.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


async def _end_old_session(request: Request) -> None:
    state = request.app.state
    cookie = request.cookies.get(state.site.settings.cookie)
    if cookie:
        await accounts.sign_out(state.site, state.presence, cookie)


async def help_page(request: Request) -> Response:
    """Explain the first sign-in (首次登入說明)."""
    await find_visitor(request)
    settings: Settings = request.app.state.site.settings
    page = HelpPage(settings.practice, settings.origin)
    return await render(request, "help.html", page)


def set_cookie(answer: Response, site: Site, token: str) -> None:
    """Give the browser the cookie of its session, for as long as it stays open."""
    answer.set_cookie(
        site.settings.cookie,
        token,
        secure=site.settings.secure,
        httponly=True,
        samesite="lax",
    )
