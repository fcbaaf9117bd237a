"""作業日程: when each phase of a level is on, typed and shown in Taiwan's time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.clock import TAIPEI, moment_text
from jiepin.web.host.setup import PAGE as SETUP
from jiepin.web.host.setup import may
from jiepin.web.language import CHINESE, _, current, mark, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.store import schedule as store
from jiepin.web.store.applications import Refused
from jiepin.web.store.schedule import Change, Changed
from jiepin.web.store.schools import RoundSettings, Window
from jiepin.web.teacher import forms

PAGE: Final = f"{SETUP}/schedule"
LONGEST_REASON: Final = 200
KIND_NAMES: Final = {
    "fill": mark("填報"),
    "review": mark("審核"),
    "notice": mark("積分公告與複查"),
    "freeze": mark("資料凍結"),
    "run": mark("介聘計算"),
    "result": mark("結果公告"),
}
_WEEKDAYS: Final = (
    mark("週一"),
    mark("週二"),
    mark("週三"),
    mark("週四"),
    mark("週五"),
    mark("週六"),
    mark("週日"),
)
FIELDS: Final = (
    *(f"{kind}-{side}" for kind in store.TYPED for side in ("opens", "closes")),
    "reason",
)
_TYPED: Final = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)

Typed = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of the form; `must_close`: it has an end for sure."""

    kind: str
    name: str
    must_close: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One phase in the table: when it is at each level, in words."""

    name: str
    times: Sequence[tuple[str, str]]  # opens, closes; empty where not set


@dataclass(frozen=True, slots=True)
class Line:
    """One change in words."""

    at: str
    what: str
    before: str
    after: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """The schedule of all levels, and the form for one of them.

    `asks`: the form was refused until it is confirmed that something ends at once;
    `unfinished` then tells how many that would leave behind.
    """

    year: int
    level: str
    levels: Sequence[str]
    rows: Sequence[Row]
    phases: Sequence[Phase]
    values: Typed
    same: bool
    asks: bool
    unfinished: Mapping[str, int]
    changes: Sequence[Line]
    may_set_up: bool
    frozen: bool
    saved: bool
    problems: Problems
    seen: int


@at_desk()
async def schedule(request: Request) -> Response:
    """Show the schedule, or save that of one level or of all."""
    settings: RoundSettings | None = request.state.round
    if settings is None:
        return see(SETUP)
    if request.method != "POST":
        return await _show(request, _level(settings, dict(request.query_params)))
    form = forms.typed(await request.form())
    level = _level(settings, form)
    read = read_change(form, settings.levels if form.get("all") else (level,))
    if isinstance(read, Problems):
        return await _show(request, level, form, read)
    site: Site = request.app.state.site
    actor = request.state.colleague.actor
    try:
        await store.save(site, actor, forms.seen_version(form), read)
    except Refused as refused:
        return await _show(request, level, form, refused.problems)
    return see(f"{PAGE}?level={level}&saved=1")


def _level(settings: RoundSettings, asked: Typed) -> str:
    level = asked.get("level", "")
    return level if level in settings.levels else settings.levels[0]


# what was typed


def read_change(form: Typed, levels: tuple[str, ...]) -> Change | Problems:
    """Read the times; a phase whose fields are empty has none."""
    fields = [(kind, side) for kind in store.TYPED for side in ("opens", "closes")]
    times = {field: read_time(form.get("-".join(field), "")) for field in fields}
    reason = " ".join(form.get("reason", "").split())
    checks = [_time_problem(*field, form, times) for field in fields]
    if len(reason) > LONGEST_REASON:
        text = _("理由至多 %(n)s 個字", n=str(LONGEST_REASON))
        checks.append(Problem("reason", text))
    problems = Problems.of(*checks)
    windows = {
        kind: Window(opens, times[kind, "closes"])
        for kind in store.TYPED
        if (opens := times[kind, "opens"])
    }
    return problems or Change(levels, windows, reason, form.get("confirmed") == "yes")


def _time_problem(
    kind: str,
    side: str,
    form: Typed,
    times: Mapping[tuple[str, str], datetime | None],
) -> Problem | None:
    field = f"{kind}-{side}"
    if form.get(field, "").strip() and times[kind, side] is None:
        return Problem(field, _("時間請填如 2026-04-19T09:00"))
    if side == "opens" and times[kind, "opens"] is None and times[kind, "closes"]:
        return Problem(field, _("請填寫開始時間"))
    return None


def read_time(text: str) -> datetime | None:
    """Return a moment typed in Taiwan's time, None for what is none.

    >>> read_time("2026-04-19T09:00").isoformat()
    '2026-04-19T01:00:00+00:00'
    >>> read_time("2026-02-30T09:00"), read_time("0001-01-01T00:00"), read_time("soon")
    (None, None, None)
    """
    if not _TYPED.fullmatch(text.strip()):
        return None
    try:
        there = datetime.fromisoformat(text.strip()).replace(tzinfo=TAIPEI)
    except ValueError:
        return None
    return there.astimezone(UTC)


def typed_time(moment: datetime | None) -> str:
    """Return a moment as a field for date and time holds it.

    >>> typed_time(datetime(2026, 4, 19, 1, 0, tzinfo=UTC))
    '2026-04-19T09:00'
    """
    return f"{moment.astimezone(TAIPEI):%Y-%m-%dT%H:%M}" if moment else ""


def told_time(moment: datetime | None) -> str:
    """Return a moment for people, with the day of the week; empty for none.

    >>> told_time(datetime(2026, 4, 19, 1, 0, tzinfo=UTC))
    '115年4月19日（週日） 09:00'
    """
    if moment is None:
        return ""
    day, clock = moment_text(moment, current()).rsplit(" ", 1)
    weekday = said(_WEEKDAYS[moment.astimezone(TAIPEI).weekday()])
    brackets = "（{}）" if current() == CHINESE else " ({})"
    return f"{day}{brackets.format(weekday)} {clock}"


# the page


async def _show(
    request: Request,
    level: str,
    form: Typed | None = None,
    problems: Problems | None = None,
) -> Response:
    site: Site = request.app.state.site
    settings: RoundSettings = request.state.round
    async with site.database.reading() as db:
        windows = await store.of_year(db, settings.year)
        changed = await store.changes(db, settings.year)
        touched = settings.levels if form and form.get("all") else (level,)
        unfinished = await store.unfinished(db, settings.year, touched)
    values = form or _stored(windows[level])
    own = [windows[each] for each in settings.levels]
    page = SchedulePage(
        year=settings.year,
        level=level,
        levels=settings.levels,
        rows=_rows(windows, settings.levels),
        phases=[
            Phase(kind, said(KIND_NAMES[kind]), kind in store.CLOSING)
            for kind in store.TYPED
        ],
        values={name: values.get(name, "") for name in FIELDS},
        same=bool(form.get("all")) if form else all(each == own[0] for each in own),
        asks=bool(problems and problems.at("confirmed")),
        unfinished=unfinished,
        changes=[_line(change) for change in changed],
        may_set_up=may(request, "set-up"),
        frozen=settings.frozen is not None,
        saved="saved" in request.query_params,
        problems=problems or Problems(),
        seen=forms.seen_version(form) if form else settings.version,
    )
    return await render(request, "host/schedule.html", page, 422 if problems else 200)


def _stored(windows: store.Windows) -> dict[str, str]:
    values = {}
    for kind in store.TYPED:
        window = windows.get(kind)
        values[f"{kind}-opens"] = typed_time(window.opens if window else None)
        values[f"{kind}-closes"] = typed_time(window.closes if window else None)
    return values


def _rows(windows: Mapping[str, store.Windows], levels: Sequence[str]) -> Sequence[Row]:
    return [
        Row(said(name), [_times(windows[level].get(kind)) for level in levels])
        for kind, name in KIND_NAMES.items()
    ]


def _times(window: Window | None) -> tuple[str, str]:
    if window is None:
        return "", ""
    return told_time(window.opens), told_time(window.closes)


def _line(change: Changed) -> Line:
    return Line(
        moment_text(change.at, current(), seconds=True),
        f"{said(LEVEL_NAMES[change.level])} {said(KIND_NAMES[change.kind])}",
        _span(change.before),
        _span(change.after),
        change.reason,
        change.by,
    )


def _span(window: Window | None) -> str:
    if window is None:
        return _("無")
    opens, closes = _times(window)
    return _("%(opens)s 至 %(closes)s", opens=opens, closes=closes) if closes else opens
