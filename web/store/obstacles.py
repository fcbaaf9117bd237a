"""What stands in the way of a freeze, and what the engine says of the data now."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import aiosqlite

from jiepin.web.clock import moment_text
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.site import Site
from jiepin.web.store import round_folder, rounds, schools
from jiepin.web.store.round_folder import RULES, Drawn
from jiepin.web.store.schools import RoundSettings

SCHEDULE: Final = "/host/round/schedule"  # the page where times are set
MOST_PROBLEMS: Final = 20  # that are told of at once
_PHASES: Final = (("fill", mark("填報")), ("review", mark("審核")))


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that stands in the way of a freeze, and where it can be mended.

    `unreviewed` counts applications that a head may leave out, with a reason.
    """

    kind: str
    text: str
    url: str
    unreviewed: int = 0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a freeze would hold now, and what the engine would not accept in it."""

    teachers: int
    schools: int
    seats: int
    problems: Sequence[str]


async def in_the_way(
    db: aiosqlite.Connection, year: int, now: datetime
) -> list[Obstacle]:
    """Return everything that stands in the way of freezing a year's round now."""
    settings = await schools.round_of(db, year)
    if settings is None:
        return [Obstacle("round", _("尚未設定年度"), "/host/round")]
    if settings.frozen is not None:
        return [Obstacle("frozen", _("本年度資料已凍結"), "/host/runs")]
    return [
        *await _times(db, settings, now),
        *await _unreviewed(db, settings),
        *await _nobody(db, settings),
        *await _rules(settings),
    ]


async def _times(
    db: aiosqlite.Connection, settings: RoundSettings, now: datetime
) -> list[Obstacle]:
    found = []
    for level in settings.levels:
        for kind, phase in _PHASES:
            window = await schools.window(db, settings.year, level, kind)
            closes = window.closes if window else None
            if text := _not_over(level, phase, closes, now):
                found.append(Obstacle(kind, text, SCHEDULE))
        window = await schools.window(db, settings.year, level, "freeze")
        if window and window.opens > now:
            found.append(Obstacle("freeze", _not_yet(level, window), SCHEDULE))
    return found


def _not_over(level: str, phase: str, closes: datetime | None, now: datetime) -> str:
    names = {"level": said(schools.LEVEL_NAMES[level]), "phase": said(phase)}
    if closes is None:
        return _("%(level)s：尚未排定%(phase)s期間", **names)
    if closes <= now:
        return ""
    time = moment_text(closes, current())
    return _("%(level)s：%(phase)s期間至 %(time)s 才結束", **names, time=time)


def _not_yet(level: str, window: schools.Window) -> str:
    return _(
        "%(level)s：%(time)s 起才可凍結",
        level=said(schools.LEVEL_NAMES[level]),
        time=moment_text(window.opens, current()),
    )


async def _unreviewed(
    db: aiosqlite.Connection, settings: RoundSettings
) -> list[Obstacle]:
    n = await count(db, settings, "filed", "returned")
    if not n:
        return []
    text = _("尚有 %(n)s 件已完成申請、尚未審核通過或駁回", n=str(n))
    return [Obstacle("unreviewed", text, "/host/home", n)]


async def _nobody(db: aiosqlite.Connection, settings: RoundSettings) -> list[Obstacle]:
    if await count(db, settings, "approved"):
        return []
    return [Obstacle("nobody", _("沒有審核通過的申請"), "/host/home")]


async def count(db: aiosqlite.Connection, settings: RoundSettings, *states: str) -> int:
    """Return how many applications of a year's levels are in one of these states."""
    [[n]] = await db.execute_fetchall(
        """select count(*) from application where year = :year
        and level in (select value from json_each(:levels))
        and state in (select value from json_each(:states))""",
        {
            "year": settings.year,
            "levels": json.dumps(settings.levels),
            "states": json.dumps(states),
        },
    )
    return int(n)


async def _rules(settings: RoundSettings) -> list[Obstacle]:
    problem = await asyncio.to_thread(_rules_problem, settings)
    return [Obstacle("rules", problem, "/host/rules")] if problem else []


def _rules_problem(settings: RoundSettings) -> str:
    # the engine is slow to load and the site does not need it otherwise
    from jiepin.core import BadRules

    try:
        rounds.rules_text(settings)
    except BadRules as bad:
        return _("介聘規則有誤：%(problem)s", problem=_in_one_language(bad))
    return ""


def _in_one_language(refusal: Exception) -> str:
    """Return the Chinese or the English line of what the engine refused."""
    lines = str(refusal).splitlines()
    return lines[-1].strip() if current() == ENGLISH else lines[0]


async def rehearse(site: Site, year: int) -> Rehearsal | None:
    """Draw the round as it is now and let the engine read it; nothing is kept."""
    async with site.database.reading() as db:
        settings = await schools.round_of(db, year)
        if settings is None:
            return None
        drawn = await round_folder.draw(db, site.vault, settings)
    problems = await asyncio.to_thread(_read_beside, drawn, settings)
    return Rehearsal(len(drawn.applications), drawn.schools, drawn.seats, problems)


def _read_beside(drawn: Drawn, settings: RoundSettings) -> list[str]:
    if problem := _rules_problem(settings):
        return [problem]
    rules = rounds.rules_text(settings).encode("utf-8")
    with tempfile.TemporaryDirectory(prefix="jiepin-") as home:
        folder = Path(home) / "round"
        round_folder.write(folder, {**drawn.tables, RULES: rules})
        return problems(folder, tuple(drawn.applications))


def problems(folder: Path, numbers: Sequence[str]) -> list[str]:
    """Return what the engine finds wrong in a round folder.

    `numbers` are those of the teachers, in the order of teachers.csv.
    """
    from jiepin.core import BadRound, Round, Rules

    rules = Rules.load(folder / RULES)
    try:
        Round.read(folder, rules.limits)
    except BadRound as bad:
        told = [_told(problem, numbers) for problem in bad.problems[:MOST_PROBLEMS]]
        more = bad.n_problems - len(told)
        return told if more <= 0 else [*told, _("另有 %(n)s 項", n=str(more))]
    return []


def _told(problem: Exception, numbers: Sequence[str]) -> str:
    text = _in_one_language(problem)
    line = getattr(problem, "line", None)
    if line is None or getattr(problem, "file", "") != "teachers.csv":
        return text
    return _("%(problem)s（電腦編號 %(n)s）", problem=text, n=numbers[line - 2])
