"""The schools of one county to choose from: grouped, filtered, and ready-made as a
fragment that is the same for everybody, so that browsers may keep it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import aiosqlite
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jiepin.web.language import _, current, mark, said
from jiepin.web.site import Site
from jiepin.web.store import schools
from jiepin.web.store.schools import County, School
from jiepin.web.teacher.steps import signed_in

FOR_GOOD = "private, max-age=31536000, immutable"

_MARK_NAMES = {
    "remote": mark("偏遠"),
    "special-remote": mark("特偏"),
    "extreme-remote": mark("極偏"),
    "correctional": mark("中途或矯正"),
}
_INDIGENOUS_SIGN = "◎"


class Mark(NamedTuple):
    """A sign behind the name of a school, what it means, and its class in the page."""

    sign: str
    name: str
    kind: str


def legend() -> list[Mark]:
    """Return the marks there are (註記說明), in the order they are explained in."""
    signs = schools.MARKS.items()
    marks = [Mark(sign, said(_MARK_NAMES[tag]), tag) for tag, sign in signs]
    return [*marks, Mark(_INDIGENOUS_SIGN, _("原民校"), "indigenous")]


def marks(school: School) -> list[Mark]:
    """Return the marks of a school."""
    return [mark_ for mark_ in legend() if mark_.kind in school.tags]


def county_name(county: County) -> str:
    """Return the name of a county in the language spoken now."""
    return county.name_en if current() == "en" else county.name


def where(county: str, township: str) -> str:
    """Return where a school is.

    >>> where("屏東縣", "三地門鄉")
    '屏東縣三地門鄉'
    """
    return f"{county} {township}" if current() == "en" else county + township


class Offer(NamedTuple):
    """A school to choose from, with its marks."""

    school: School
    marks: list[Mark]


class Township(NamedTuple):
    """A township and those of its schools that are shown."""

    name: str
    offers: tuple[Offer, ...]


def townships(pool: Iterable[School]) -> tuple[Township, ...]:
    """Group schools by township; the one with the smallest code comes first."""
    groups: dict[str, list[Offer]] = {}
    for school in sorted(pool, key=lambda school: school.code):
        offer = Offer(school, marks(school))
        groups.setdefault(school.township, []).append(offer)
    return tuple(Township(name, tuple(group)) for name, group in groups.items())


def narrowed(
    places: Iterable[Township], township: str, keyword: str
) -> tuple[Township, ...]:
    """Keep what matches; an empty township is every one (不分區)."""
    word = plain(keyword)
    kept = [
        Township(name, tuple(o for o in offers if word in plain(o.school.name)))
        for name, offers in places
        if township in ("", name)
    ]
    return tuple(place for place in kept if place.offers)


def plain(text: str) -> str:
    """Write a name as it is compared: 台 as 臺, full-width letters as half-width ones.

    >>> plain("台東　ＡＢ"), plain("臺東ab")
    ('臺東ab', '臺東ab')
    """
    letters = "".join(unicodedata.normalize("NFKC", text).split())
    return letters.replace("台", "臺").lower()


async def fragment(
    request: Request, db: aiosqlite.Connection, county: County, level: str
) -> Markup:
    """Return the ready-made pool of a county and level in the language spoken now."""
    settings = await schools.round(db)
    assert settings is not None  # who chooses schools has an application in a round
    revision = settings.schools_revision  # read first: it must not outrun its schools

    async def make() -> str:
        places = townships(await schools.pool(db, county.code, level))
        template = request.app.state.templates.get_template("wish_pool.html")
        text: str = template.render(
            names=[place.name for place in places],
            places=places,
            where=partial(where, county_name(county)),
            chosen=(),
        )
        return text

    key = ("pool", revision, county.code, level, current())
    found: Markup = await request.app.state.fragments.get(key, make)
    return found


def digest(html: str) -> str:
    """Return what stands for a content in its address and its ETag."""
    return hashlib.sha256(html.encode("utf-8")).hexdigest()[:16]


def address(county: County, level: str, html: str) -> str:
    """Return the address of a fragment, which changes whenever its content does.

    >>> address(County("13", "屏東縣", "Pingtung County"), "elementary", "…")
    '/teacher/pool/elementary/13/b4935894c8ce16bd'
    """
    return f"/teacher/pool/{level}/{county.code}/{digest(html)}"


@signed_in()
async def answer(request: Request) -> Response:
    """Answer with a fragment that browsers keep; an old address leads to the new."""
    site: Site = request.app.state.site
    level = request.state.visitor.application.level
    async with site.database.reading(quick=True) as db:
        county = (await schools.counties(db)).get(request.path_params["county"])
        if county is None or request.path_params["level"] != level:
            raise HTTPException(404)
        html = await fragment(request, db, county, level)
    if request.path_params["digest"] != digest(html):
        return RedirectResponse(address(county, level, html), status_code=303)
    headers = {"cache-control": FOR_GOOD, "etag": f'"{digest(html)}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(html, headers=headers)
