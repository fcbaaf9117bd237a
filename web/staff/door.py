"""The doors of the county's and the host's ends: sign-in, first sign-in, sign-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import demo_staff
from jiepin.web.accounts import Refused
from jiepin.web.card import Reading
from jiepin.web.clock import moment_text
from jiepin.web.guard import address_of
from jiepin.web.language import _, current, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff import forms, second_factor, sign_in
from jiepin.web.staff.desk import find_colleague, see
from jiepin.web.staff.menu import KIND_OF, ROLE_NAMES, end_of_path
from jiepin.web.staff.sign_in import SettingUp
from jiepin.web.store import schools
from jiepin.web.store import staff as store
from jiepin.web.store.schools import LEVELS
from jiepin.web.teacher.door import PracticeCard, read_card
from jiepin.web.teacher.door import why as why_of_card
from jiepin.web.teacher.forms import typed
from jiepin.web.teacher.password import words_on_card


@dataclass(frozen=True, slots=True)
class Practice:
    """What a practice site gives away: cards, and what goes with all of them."""

    cards: Sequence[PracticeCard]
    chosen: str
    password: str
    code: str


@dataclass(frozen=True, slots=True)
class SignInPage:
    end: str
    levels: Sequence[str]  # none where there is nothing to choose
    level: str
    problems: Problems
    practice: Practice | None


@dataclass(frozen=True, slots=True)
class EnrolPage:
    end: str
    code: str
    shortest: int
    problems: Problems
    practice: Practice | None


@dataclass(frozen=True, slots=True)
class SetUpPage:
    end: str
    name: str
    secret: str
    problems: Problems


async def sign_in_page(request: Request) -> Response:
    """Show the form; who is signed in goes to his desk."""
    if await find_colleague(request) is not None:
        return see(f"/{_end(request)}/home")
    return await _show(request, {}, Problems())


async def _show(
    request: Request, form: Mapping[str, str], problems: Problems
) -> Response:
    """Show the sign-in page with what was typed, but never a secret."""
    end = _end(request)
    page = SignInPage(
        end=end,
        levels=LEVELS if end == "city" else (),
        level=form.get("level", ""),
        problems=problems,
        practice=await _practice(request, form),
    )
    return await render(request, "staff/sign_in.html", page, 422 if problems else 200)


def _end(request: Request) -> str:
    return end_of_path(request.url.path)


async def _practice(request: Request, form: Mapping[str, str]) -> Practice | None:
    """Return what a practice site gives away; nothing elsewhere."""
    site: Site = request.app.state.site
    if not site.settings.practice:
        return None
    officials, kind = request.app.state.practice.officials, KIND_OF[_end(request)]
    async with site.database.reading() as db:
        counties = await schools.counties(db)
    cards = [
        PracticeCard(number, _card_label(member, counties), "")
        for number, member in officials.members.items()
        if member.kind == kind
    ]
    code = second_factor.code_at(officials.secret, site.clock.now())
    return Practice(cards, forms.practice_card(form), demo_staff.PASSWORD, code)


def _card_label(member: store.Member, counties: Mapping[str, schools.County]) -> str:
    role = said(ROLE_NAMES[member.role])
    if member.county is None:
        return f"{role} {member.name}"
    return f"{counties[member.county].name} {role} {member.name}"


async def enter(request: Request) -> Response:
    """Check card, password and second factor, and begin a session."""
    form = typed(await request.form())
    read = forms.read_sign_in(form)
    if isinstance(read, Problems):
        return await _show(request, form, read)
    state, site = request.app.state, request.app.state.site
    try:
        reading = await read_card(request, read.answer, read.practice)
        attempt = sign_in.Attempt(
            kind=KIND_OF[_end(request)],
            level=read.level,
            password=read.password,
            code=read.code,
            reading=reading,
            address=address_of(request),
        )
        token = await sign_in.sign_in(site, state.passwords, attempt)
    except Refused as refused:
        return await _show(request, form, Problems((why(refused),)))
    return await _seat(request, token)


async def _seat(request: Request, token: str) -> Response:
    """Lead somebody to his desk with the cookie of a new session."""
    await _end_old_session(request)
    answer = see(f"/{_end(request)}/home")
    set_cookie(answer, request.app.state.site, token)
    return answer


async def _end_old_session(request: Request) -> None:
    state = request.app.state
    cookie = request.cookies.get(state.site.settings.staff_cookie)
    if cookie:
        await sign_in.sign_out(state.site, state.staff_presence, cookie)


def why(refused: Refused) -> Problem:
    """Say why somebody was not let in; unknown and wrong sound the same."""
    if refused.reason == "unknown":
        text = _("無法登入：密碼或驗證碼不符，或您沒有本端此階段別的帳號")
        return Problem("password", text)
    if refused.reason == "locked" and refused.until:
        until = moment_text(refused.until, current(), seconds=True)
        text = _("登入失敗次數過多，請於 %(until)s 後再試", until=until)
        return Problem("password", text)
    return why_of_card(refused)


async def leave(request: Request) -> Response:
    """End the session."""
    site: Site = request.app.state.site
    await _end_old_session(request)
    answer = see(f"/{_end(request)}/")
    answer.delete_cookie(
        site.settings.staff_cookie,
        secure=site.settings.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def set_cookie(answer: Response, site: Site, token: str) -> None:
    """Give the browser the cookie of staff, for as long as it stays open."""
    answer.set_cookie(
        site.settings.staff_cookie,
        token,
        secure=site.settings.secure,
        httponly=True,
        samesite="lax",
    )


# the first sign-in


async def enrol(request: Request) -> Response:
    """Show the form of the first sign-in, or check code and card and go on."""
    if request.method != "POST":
        return await _show_enrol(request, {}, Problems())
    form = typed(await request.form())
    read = forms.read_first_sign_in(form)
    if isinstance(read, Problems):
        return await _show_enrol(request, form, read)
    site: Site = request.app.state.site
    try:
        reading = await read_card(request, read.answer, read.practice)
        weak = forms.weak_password(form, _words(reading))
        if weak:
            return await _show_enrol(request, form, weak)
        attempt = sign_in.FirstAttempt(
            KIND_OF[_end(request)],
            read.code,
            read.password,
            reading,
            address_of(request),
        )
        token = await sign_in.begin(site, request.app.state.passwords, attempt)
    except Refused as refused:
        problems = Problems((_why_not_enrolled(refused),))
        return await _show_enrol(request, form, problems)
    await _end_old_session(request)
    answer = see(f"/{_end(request)}/enrol/setup")
    set_cookie(answer, site, token)
    return answer


def _words(reading: Reading) -> tuple[str, ...]:
    return (*words_on_card(reading.national_id, reading.birth_date), reading.name)


def _why_not_enrolled(refused: Refused) -> Problem:
    if refused.reason == "unknown":
        text = _(
            "登記碼不符、已逾期、已用過，或不屬於這張健保卡；請向主管索取新的登記碼"
        )
        return Problem("enrol", text)
    return why(refused)


async def _show_enrol(
    request: Request, form: Mapping[str, str], problems: Problems
) -> Response:
    page = EnrolPage(
        end=_end(request),
        code=form.get("enrol", ""),
        shortest=sign_in.SHORTEST,
        problems=problems,
        practice=await _practice(request, form),
    )
    return await render(request, "staff/enrol.html", page, 422 if problems else 200)


async def set_up(request: Request) -> Response:
    """Show the secret of the second factor, or settle it with its first code."""
    found = await _setting_up(request)
    if found is None:
        return see(f"/{_end(request)}/enrol")
    if request.method != "POST":
        return await _show_set_up(request, found, Problems())
    code = forms.digits(typed(await request.form()))
    site: Site = request.app.state.site
    try:
        token = await sign_in.finish(site, _cookie(request), code)
    except Refused:
        return see(f"/{_end(request)}/enrol")
    if token is None:
        text = _("驗證碼不符，請確認手機時間正確後輸入目前顯示的六位數")
        return await _show_set_up(request, found, Problems((Problem("code", text),)))
    return await _seat(request, token)


def _cookie(request: Request) -> str:
    site: Site = request.app.state.site
    return request.cookies.get(site.settings.staff_cookie, "")


async def _setting_up(request: Request) -> SettingUp | None:
    found = await sign_in.setting_up(request.app.state.site, _cookie(request))
    if found is None or found.member.kind != KIND_OF[_end(request)]:
        return None
    return found


async def _show_set_up(
    request: Request, found: SettingUp, problems: Problems
) -> Response:
    page = SetUpPage(
        end=_end(request),
        name=found.member.name,
        secret=second_factor.in_groups(found.secret),
        problems=problems,
    )
    return await render(request, "staff/set_up.html", page, 422 if problems else 200)


async def picture(request: Request) -> Response:
    """Show the QR code of the second factor that is being set up."""
    found = await _setting_up(request)
    if found is None:
        return see(f"/{_end(request)}/enrol")
    drawn = second_factor.picture(found.secret, found.member.name)
    return Response(drawn, media_type="image/svg+xml")
