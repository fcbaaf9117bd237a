"""The first page: the three ends, and what everybody may see."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.rendering import render


@dataclass(frozen=True, slots=True)
class LandingPage:
    """`practice`: cards are lent here, no reader is needed."""

    practice: bool


async def landing(request: Request) -> Response:
    """Show the doors of the three ends."""
    page = LandingPage(request.app.state.site.settings.practice)
    return await render(request, "landing.html", page)
