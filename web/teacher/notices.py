"""Step 1: the notices of the year, and the consent to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.accounts import Visitor
from jiepin.web.clock import moment_text
from jiepin.web.language import ENGLISH, current
from jiepin.web.rendering import render
from jiepin.web.store import applications, schools
from jiepin.web.teacher import forms
from jiepin.web.teacher.steps import current_step, see, signed_in


@dataclass(frozen=True, slots=True)
class NoticesPage:
    """`items` is the year's text; without any the template has the usual one.

    agreed   when this text was agreed to, empty before
    text     the version of the text that is shown
    renewed  another text was agreed to, or was about to be: this one is newer
    """

    year: int
    items: tuple[str, ...]
    agreed: str
    text: int
    renewed: bool
    seen: int


@signed_in()
async def notices(request: Request) -> Response:
    """Show the notices, or save the consent with the version of the text shown."""
    visitor: Visitor = request.state.visitor
    site = request.app.state.site
    async with site.database.reading(quick=True) as db:
        settings = await schools.the_round(db)
    if request.method != "POST":
        return await render(request, "notices.html", _page(visitor, settings))
    form = forms.typed(await request.form())
    shown = forms.seen_notices(form)
    if shown != settings.notices_version:
        page = replace(_page(visitor, settings), renewed=True)
        return await render(request, "notices.html", page, 409)
    seen = forms.seen_version(form)
    saved = await applications.agree_to_notices(site, visitor.actor, seen, shown)
    return see(current_step(saved))


def _page(visitor: Visitor, settings: schools.RoundSettings) -> NoticesPage:
    application, in_force = visitor.application, settings.notices_version
    at, before = application.notices_at, application.notices_version
    agreed = ""
    if at and before == in_force:
        agreed = moment_text(at, current(), seconds=True)
    text = settings.notices_en if current() == ENGLISH else settings.notices
    return NoticesPage(
        year=settings.year,
        items=tuple((text or settings.notices).splitlines()),
        agreed=agreed,
        text=in_force,
        renewed=before is not None and before != in_force,
        seen=application.version,
    )
