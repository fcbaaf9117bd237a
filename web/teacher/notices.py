"""Step 1: the notices of the year, and the consent to them."""

from __future__ import annotations

from dataclasses import dataclass

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

    `agreed` is when it was agreed to, empty before.
    """

    year: int
    items: tuple[str, ...]
    agreed: str
    seen: int


@signed_in()
async def notices(request: Request) -> Response:
    """Show the notices, or save the consent with the version of the text."""
    visitor: Visitor = request.state.visitor
    site, application = request.app.state.site, visitor.application
    async with site.database.reading() as db:
        settings = await schools.the_round(db)
    if request.method == "POST":
        form = forms.typed(await request.form())
        saved = await applications.agree_to_notices(
            site, visitor.actor, forms.seen_version(form), settings.notices_version
        )
        return see(current_step(saved))
    at = application.notices_at
    agreed = moment_text(at, current(), seconds=True) if at else ""
    text = settings.notices_en if current() == ENGLISH else settings.notices
    items = tuple((text or settings.notices).splitlines())
    page = NoticesPage(settings.year, items, agreed, application.version)
    return await render(request, "notices.html", page)
