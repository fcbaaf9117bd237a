"""設定介聘結果LINE通知服務: linking with LINE, which notices are wanted, what was sent.

LINE leads the browser back with a GET, which must not write; so the page it comes back
to asks once more, and the POST links. All of it waits for a confirmed address (step 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiosqlite
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access
from jiepin.web.accounts import Visitor
from jiepin.web.clock import moment_text
from jiepin.web.language import current, mark, said
from jiepin.web.notify.line import Linking, NotLinked
from jiepin.web.notify.texts import EVENTS, KINDS
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, notices, outbox
from jiepin.web.store.notices import LINE_KINDS, MAIL_KINDS, Choice
from jiepin.web.teacher import forms
from jiepin.web.teacher.steps import see, signed_in

PAGE, CALLBACK = "/teacher/notify", "/teacher/line"
MOST_SENT = 20
CHANNELS: Mapping[str, str] = {"mail": mark("電子郵件"), "line": "LINE"}
STATES: Mapping[str, str] = {
    "waiting": mark("等待傳送"),
    "claimed": mark("傳送中"),
    "done": mark("已傳送"),
    "failed": mark("未能送達"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One box to tick."""

    name: str
    label: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """One line of the delivery log."""

    at: str
    what: str
    channel: str
    state: str


@dataclass(frozen=True, slots=True)
class NotifyPage:
    """`line` is LINE's page to sign in at, empty where LINE is not offered."""

    line: str
    linked: str
    email: str
    mail_kinds: Sequence[Wanted]
    line_kinds: Sequence[Wanted]
    sent: Sequence[Sent]
    saved: bool


@dataclass(frozen=True, slots=True)
class LinePage:
    """Where LINE leads back to: `state` is ask, linked or failed."""

    state: str
    code: str = ""
    linking: str = ""


@signed_in(step=applications.APPOINTMENT)
async def settings(request: Request) -> Response:
    """Show the settings, or save which notices are wanted."""
    site, visitor = _who(request)
    if request.method == "POST":
        await _save_wanted(site, visitor, await request.form())
        return see(f"{PAGE}?saved=1")
    application = visitor.application
    async with site.database.reading(quick=True) as db:
        linked = await notices.line_linked(db, application.id)
        off = await notices.unwanted(db, application.id)
        sent = await _sent(db, application.id)
    page = NotifyPage(
        line=_line_address(site, visitor),
        linked=moment_text(linked, current()) if linked else "",
        email=application.email,
        mail_kinds=_boxes("mail", MAIL_KINDS, off),
        line_kinds=_boxes("line", LINE_KINDS, off),
        sent=sent,
        saved="saved" in request.query_params,
    )
    return await render(request, "notify.html", page)


@signed_in(step=applications.APPOINTMENT)
async def line(request: Request) -> Response:
    """Come back from LINE: ask whether to link (GET), and link (POST)."""
    site, visitor = _who(request)
    linking = _linking(site, visitor)
    post = request.method == "POST"
    given = forms.typed(await request.form()) if post else dict(request.query_params)
    code, state = given.get("code", ""), given.get("state", "")
    now = site.clock.now()
    if not code or not linking.expects(state, now):
        return await render(request, "line.html", LinePage("failed"), 400)
    if not post:
        return await render(request, "line.html", LinePage("ask", code, state))
    try:
        user = await linking.finish(code, state, now)
    except NotLinked:
        return await render(request, "line.html", LinePage("failed"), 502)
    async with site.database.writing(quick=True) as db:
        await notices.link_line(db, site.vault, visitor.application.id, user, now)
        await _note(db, site, visitor, "line-linked")
    return await render(request, "line.html", LinePage("linked"))


@signed_in(step=applications.APPOINTMENT)
async def unlink(request: Request) -> Response:
    """Forget the LINE account."""
    site, visitor = _who(request)
    async with site.database.writing(quick=True) as db:
        if await notices.unlink_line(db, visitor.application.id):
            await _note(db, site, visitor, "line-unlinked")
    return see(f"{PAGE}?saved=1")


def _who(request: Request) -> tuple[Site, Visitor]:
    site: Site = request.app.state.site
    visitor: Visitor = request.state.visitor
    if not access.can(visitor.actor, "notify", visitor.application, site.clock.now()):
        raise HTTPException(404)
    return site, visitor


def _linking(site: Site, visitor: Visitor) -> Linking:
    return Linking(
        site.settings.line,
        site.settings.origin + CALLBACK,
        site.vault.lookup_key,
        f"{visitor.session.token.hex()}|{visitor.application.id}",
    )


def _line_address(site: Site, visitor: Visitor) -> str:
    if not site.settings.line.offered:
        return ""
    return _linking(site, visitor).address(site.clock.now(), current())


async def _save_wanted(site: Site, visitor: Visitor, form: FormData) -> None:
    """Save the boxes: those shown and not ticked are turned off."""
    ticked = set(form.getlist("wanted"))
    off = [choice for choice in _choices() if _name(*choice) not in ticked]
    async with site.database.writing(quick=True) as db:
        await notices.save_unwanted(db, visitor.application.id, off)
        await _note(db, site, visitor, "notices-chosen")


def _choices() -> list[Choice]:
    mail = [("mail", kind) for kind in MAIL_KINDS]
    return [*mail, *(("line", kind) for kind in LINE_KINDS)]


def _name(channel: str, kind: str) -> str:
    return f"{channel}-{kind}"


def _boxes(
    channel: str, kinds: Sequence[str], off: frozenset[Choice]
) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(_name(channel, kind), said(KINDS[kind]), (channel, kind) not in off)
        for kind in kinds
    )


async def _sent(db: aiosqlite.Connection, application: str) -> tuple[Sent, ...]:
    found = await outbox.log(db, application)
    return tuple(
        Sent(
            moment_text(one.finished or one.created, current()),
            said(EVENTS.get(one.event, one.event)),
            said(CHANNELS[one.channel]),
            said(STATES[one.state]),
        )
        for one in found[:MOST_SENT]
    )


async def _note(
    db: aiosqlite.Connection, site: Site, visitor: Visitor, action: str
) -> None:
    application = visitor.application
    now = site.clock.now()
    await audit.add(
        db, now, application.account, action, application.id, application.county
    )
