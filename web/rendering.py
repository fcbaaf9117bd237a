"""From a page's dataclass to HTML: the templates, and the frame around every page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import HTMLResponse

from jiepin.web import clock, language
from jiepin.web.access import can, edit_closes, window_open
from jiepin.web.accounts import Visitor
from jiepin.web.guard import address_of
from jiepin.web.language import _, mark, said
from jiepin.web.site import Site
from jiepin.web.staff.menu import (
    END_NAMES,
    HEADS_ONLY,
    MENUS,
    ROLE_NAMES,
    end_of_path,
    is_below,
)
from jiepin.web.store import schools
from jiepin.web.store.applications import APPOINTMENT, Application
from jiepin.web.store.staff import Member

LEVEL_NAMES = schools.LEVEL_NAMES
STEPS = (
    ("notices", mark("注意事項")),
    ("password", mark("設定密碼")),
    ("person", mark("基本資料")),
    ("appointment", mark("應聘資料")),
    ("wishes", mark("志願資料")),
    ("status", mark("查詢申請狀況")),
)


@dataclass(frozen=True, slots=True)
class FlowItem:
    """One item of the flow bar; `state` is done, now, open or later."""

    number: int
    label: str
    url: str
    state: str


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One item of the staff's menu; `here`: the page is below it."""

    label: str
    url: str
    here: bool


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame of a page: everything that is not the page's own matter.

    `end` is the part of the address that tells the end: teacher, city, host or none.
    """

    end: str
    end_name: str
    staff: str
    menu: tuple[MenuItem, ...]

    language: str
    html_lang: str
    practice: bool
    year: int
    organiser: str
    path: str
    signed_in: bool
    system: str
    level: str
    applicant: str
    flow: tuple[FlowItem, ...]
    now: str
    now_ms: int
    closes: str
    closes_ms: int
    left: str
    returned: bool
    editable: bool
    in_period: bool
    own_data: bool
    saved: str


def _digest_of_static() -> str:
    whole = hashlib.sha256()
    folder = files("jiepin.web") / "static"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        whole.update(file.name.encode() + file.read_bytes())
    return whole.hexdigest()[:12]


# The address changes with what is behind it, so that browsers may keep it for good;
# scripts that import their neighbours stay among those of their own version.
STATIC = f"/static/{_digest_of_static()}"


def static(name: str) -> str:
    """Return the address of a file of static/."""
    return f"{STATIC}/{name}"


def make_environment() -> Environment:
    """Return the templates: everything escaped, nothing undefined let through."""
    env = Environment(
        loader=PackageLoader("jiepin.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.install_gettext_callables(  # type: ignore[attr-defined]
        language.said, language.counted, newstyle=True
    )
    env.globals["static"] = static
    env.globals["language_names"] = language.LANGUAGES
    env.globals["level_names"] = LEVEL_NAMES
    return env


async def render(
    request: Request, template: str, page: Any, status_code: int = 200
) -> HTMLResponse:
    """Answer with a page: the template sees it as `page`, the frame as `shell`."""
    found = request.app.state.templates.get_template(template)
    text = found.render(page=page, shell=await _shell(request))
    return HTMLResponse(text, status_code=status_code)


async def _shell(request: Request) -> Shell:
    site: Site = request.app.state.site
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    member: Member | None = getattr(request.state, "member", None)
    now = site.clock.now()
    async with site.database.reading(quick=True) as db:
        settings = await schools.round(db)
        counties = await schools.counties(db) if member else {}
    application = visitor.application if visitor else None
    closes = edit_closes(application) if application else None
    spoken = language.current()
    end = end_of_path(request.url.path)
    return Shell(
        end=end,
        end_name=said(END_NAMES[end]) if end in END_NAMES else "",
        staff=_staff(member, counties) if member else "",
        menu=_menu(end, request.url.path, member) if member else (),
        language=spoken,
        html_lang=language.HTML_LANG[spoken],
        practice=site.settings.practice,
        year=settings.year if settings else clock.roc_year(now),
        organiser=settings.organiser if settings else "",
        path=request.url.path,
        signed_in=visitor is not None,
        system=_system_line(request, now) if visitor or member else "",
        level=said(LEVEL_NAMES[application.level]) if application else "",
        applicant=_applicant(application) if application else "",
        flow=_flow(application, request.url.path) if application else (),
        now=clock.moment_text(now, spoken, seconds=True),
        now_ms=clock.to_ms(now),
        closes=clock.moment_text(closes, spoken) if closes else "",
        closes_ms=clock.to_ms(closes) if closes else 0,
        left=clock.left_text(closes - now, spoken) if closes else "",
        returned=application is not None and application.state == "returned",
        editable=visitor is not None
        and can(visitor.actor, "edit", visitor.application, now),
        in_period=application is not None and window_open(application, now),
        own_data=application is not None and application.step >= APPOINTMENT,
        saved=saved_text(application) if application else "",
    )


def _staff(member: Member, counties: Mapping[str, schools.County]) -> str:
    """Say who sits at the desk: county, levels, role and name."""
    levels = _("、").join(said(LEVEL_NAMES[level]) for level in member.levels)
    parts = [levels, said(ROLE_NAMES[member.role]), member.name]
    if member.county:
        county = counties[member.county]
        english = language.current() == language.ENGLISH
        parts.insert(0, county.name_en if english else county.name)
    return " ".join(parts)


def _menu(end: str, path: str, member: Member) -> tuple[MenuItem, ...]:
    return tuple(
        MenuItem(said(label), url, is_below(path, url))
        for url, label in MENUS[end]
        if member.role == "head" or url not in HEADS_ONLY
    )


def saved_text(application: Application) -> str:
    if application.version == 1:
        return ""
    return _(
        "已儲存：%(time)s，第 %(version)s 版",
        time=clock.moment_text(application.saved, language.current(), seconds=True),
        version=str(application.version),
    )


def _applicant(application: Application) -> str:
    """Say who applies: nothing yet, then the name, then school and name."""
    if not application.name:
        return _("(尚未開始填寫資料)")
    if not application.school_name:
        return application.name
    school = application.school_township + application.school_name
    return f"{county_name(application)} {school} {application.name}"


def county_name(application: Application) -> str:
    """Return the name of the home county in the language spoken."""
    english = language.current() == language.ENGLISH
    return application.county_name_en if english else application.county_name


def _flow(application: Application, path: str) -> tuple[FlowItem, ...]:
    return tuple(
        FlowItem(number, said(label), url, _flow_state(application, number, path, url))
        for number, (name, label) in enumerate(STEPS, 1)
        for url in [step_url(name)]
    )


def _flow_state(application: Application, number: int, path: str, url: str) -> str:
    if path == url or path.startswith(url + "/"):
        return "now"
    if number < application.step:
        return "done"
    return "open" if number == application.step else "later"


def step_url(name: str) -> str:
    """Return the address of a step.

    >>> step_url("notices")
    '/teacher/notices'
    """
    return f"/teacher/{name}"


def _system_line(request: Request, now: datetime) -> str:
    agent = request.headers.get("user-agent", "")
    return _(
        "作業系統：%(system)s，瀏覽器：%(browser)s，來源IP：%(address)s，線上人數：%(n)s",
        system=operating_system(agent),
        browser=browser(agent),
        address=address_of(request),
        n=str(_online(request.app.state, now)),
    )


def _online(state: State, now: datetime) -> int:
    """Return how many are here: teachers, and staff of both ends."""
    online: int = state.presence.online(now) + state.staff_presence.online(now)
    return online


_SYSTEMS = (
    (r"Windows NT 10\.0", "Windows 10/11"),
    (r"Windows NT 6\.[23]", "Windows 8"),
    (r"Windows NT 6\.1", "Windows 7"),
    (r"Windows", "Windows"),
    (r"iPhone|iPad", "iOS"),
    (r"Android", "Android"),
    (r"Mac OS X", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"Linux", "Linux"),
)
_BROWSERS = (
    (r"Edg(?:e|A|iOS)?/(\d+)", "Edge"),
    (r"OPR/(\d+)", "Opera"),
    (r"Firefox/(\d+)", "Firefox"),
    (r"(?:HeadlessChrome|Chrome|CriOS)/(\d+)", "Chrome"),
    (r"Version/(\d+).*Safari", "Safari"),
)


def operating_system(agent: str) -> str:
    """Return the operating system that a browser tells of.

    >>> operating_system("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/156.0.0.0")
    'Windows 10/11'
    """
    return next((name for rule, name in _SYSTEMS if re.search(rule, agent)), "—")


def browser(agent: str) -> str:
    """Return browser and major version.

    >>> browser("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/141.0")
    'Firefox 141'
    """
    for rule, name in _BROWSERS:
        if found := re.search(rule, agent):
            return f"{name} {found.group(1)}"
    return "—"
