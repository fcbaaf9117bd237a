"""A forgotten password: a one-time link by mail, good together with the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import accounts, passwords
from jiepin.web.accounts import Refused
from jiepin.web.guard import address_of
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.teacher import door, forms
from jiepin.web.teacher.password import words_on_card


@dataclass(frozen=True, slots=True)
class ForgotPage:
    """確定要寄送密碼重設信件？ — for browsers without scripts a page of its own."""

    level: str
    practice: str
    problems: Problems
    practice_cards: Sequence[door.PracticeCard]


@dataclass(frozen=True, slots=True)
class ResetPage:
    problems: Problems
    practice_cards: Sequence[door.PracticeCard]
    practice: str


async def forgot(request: Request) -> Response:
    """Mail a link to the stored address; the answer is the same for everybody."""
    form = forms.typed(await request.form())
    read = forms.read_sign_in(form)
    if isinstance(read, Problems):
        return await door.show(request, form, read)
    if form.get("confirmed") != "yes":
        page = ForgotPage(
            read.level, read.practice, Problems(), door.practice_cards(request)
        )
        return await render(request, "forgot.html", page)
    try:
        reading = await door.read_card(request, read.answer, read.practice)
        site = request.app.state.site
        await accounts.ask_reset(site, read.level, reading, address_of(request))
    except Refused as refused:
        return await door.show(request, form, Problems((door.why(refused),)))
    return await door.show(request, form, mail_sent=True)


async def reset(request: Request) -> Response:
    """Choose a new password: link, card and password all have to be right."""
    if request.method != "POST":
        return await _show(request, {}, Problems())
    form = forms.typed(await request.form())
    read = forms.read_password(form, about=())
    if isinstance(read, Problems):
        return await _show(request, form, read)
    state = request.app.state
    try:
        answer = {name: form.get(name, "") for name in ("sealed", "signature")}
        reading = await door.read_card(request, answer, form.get("practice", ""))
    except Refused as refused:
        return await _show(request, form, Problems((door.why(refused),)))
    about = words_on_card(reading.national_id, reading.birth_date)
    weak = passwords.problem(read.password, about)
    if weak:
        return await _show(request, form, Problems((Problem("password", weak),)))
    token = request.path_params["token"]
    if not await accounts.reset(
        state.site, state.passwords, token, reading, read.password
    ):
        wrong = _("連結已失效，或插入的不是申請重設者的健保卡；請重新申請")
        return await _show(request, form, Problems((Problem("card", wrong),)))
    return await render(request, "reset_done.html", None)


async def _show(
    request: Request, form: Mapping[str, str], problems: Problems
) -> Response:
    cards = door.practice_cards(request)
    page = ResetPage(problems, cards, form.get("practice", ""))
    return await render(request, "reset.html", page, 422 if problems else 200)
