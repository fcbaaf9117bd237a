"""The rule set of the year: an editor for its TOML, and what it says in words."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.host.setup import PAGE as SETUP
from jiepin.web.host.setup import may
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.store import rounds
from jiepin.web.store.schools import RoundSettings
from jiepin.web.teacher import forms

if TYPE_CHECKING:
    from jiepin.core import BadRules, Rules, Stage

PAGE: Final = "/host/rules"
LONGEST: Final = 20_000
PRESET_NAMES: Final = {
    "taiwan-110": mark("他縣市介聘（110 年度作業）"),
    "county-internal": mark("市內介聘"),
}
TIE_NAMES: Final = {
    "service_years": mark("服務年資較多者"),
    "birth_date": mark("年齡較長者"),
    "lottery": mark("抽籤（種子於凍結時承諾，公告時公開）"),
}
_STORED_GROUPS: Final = ("indigenous",)  # the groups that applications tell of


@dataclass(frozen=True, slots=True)
class Told:
    """One stage in words."""

    name: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """A rule set in words; `doubts` are what it asks for and this site never has.

    `diff`: how it differs from the preset that it is most like, as +, - and other
    lines; empty when it is that preset.
    """

    limits: str
    priority: str
    ties: Sequence[str]
    stages: Sequence[Told]
    doubts: Sequence[str]
    preset: str
    diff: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RulesPage:
    """The editor. `usual`: no rules of its own are stored for the year.

    `from_preset`: the text is a preset's, and not yet saved.
    """

    year: int
    text: str
    presets: Sequence[tuple[str, str]]
    usual: bool
    from_preset: str
    preview: Preview | None
    may_set_up: bool
    frozen: bool
    checked: bool
    saved: bool
    problems: Problems
    seen: int


@at_desk()
async def rules(request: Request) -> Response:
    """Show the rules, check those typed, or save them."""
    settings: RoundSettings | None = request.state.round
    if settings is None:
        return see(SETUP)
    if request.method != "POST":
        preset = request.query_params.get("preset", "")
        preset = preset if preset in PRESET_NAMES else ""
        text = await asyncio.to_thread(_text_of, settings, preset)
        return await _show(request, text, settings.version, preset)
    form = forms.typed(await request.form())
    text = "\n".join(form.get("rules", "").splitlines()).strip()
    seen = forms.seen_version(form)
    if len(text) > LONGEST:
        why = _("規則至多 %(n)s 個字", n=str(LONGEST))
        return await _show(
            request, text, seen, problems=Problems.of(Problem("rules", why))
        )
    checked = form.get("then") == "check"
    read = await asyncio.to_thread(preview, replace(settings, rules=text))
    if checked or isinstance(read, Problems):
        return await _show(request, text, seen, checked=checked)
    site: Site = request.app.state.site
    await rounds.save_rules(site, request.state.colleague.actor, seen, text)
    return see(f"{PAGE}?saved=1")


async def _show(
    request: Request,
    text: str,
    seen: int,
    from_preset: str = "",
    *,
    checked: bool = False,
    problems: Problems | None = None,
) -> Response:
    settings: RoundSettings = request.state.round
    read = await asyncio.to_thread(preview, replace(settings, rules=text))
    if problems is not None:
        read = problems
    bad = read if isinstance(read, Problems) else Problems()
    page = RulesPage(
        year=settings.year,
        text=text,
        presets=[(code, said(name)) for code, name in PRESET_NAMES.items()],
        usual=not settings.rules,
        from_preset=said(PRESET_NAMES[from_preset]) if from_preset else "",
        preview=None if isinstance(read, Problems) else read,
        may_set_up=may(request, "set-up"),
        frozen=settings.frozen is not None,
        checked=checked and not bad,
        saved="saved" in request.query_params,
        problems=bad,
        seen=seen,
    )
    return await render(request, "host/rules.html", page, 422 if bad else 200)


def _text_of(settings: RoundSettings, preset: str) -> str:
    """Return what the editor begins with: a preset, or the rules of the year."""
    from jiepin.core import Rules

    if preset:
        counted = rounds.rules(replace(settings, rules=Rules.load(preset).to_toml()))
        return counted.to_toml()
    return settings.rules or rounds.rules_text(settings)


# in words


def preview(settings: RoundSettings) -> Preview | Problems:
    """Return the rules of a year in words, or what is wrong with them."""
    from jiepin.core import BadRules

    try:
        read = rounds.rules(settings)
    except BadRules as error:
        return Problems.of(Problem("rules", problem_text(error)))
    preset, diff = _difference(read)
    return Preview(
        limits=_limits_text(settings),
        priority=_priority_text(read),
        ties=[said(TIE_NAMES[key]) for key in read.tie_break],
        stages=[_told(stage) for stage in read.stages],
        doubts=[text for stage in read.stages for text in _stage_doubts(stage)],
        preset=said(PRESET_NAMES[preset]),
        diff=diff,
    )


def problem_text(error: BadRules) -> str:
    """Say where the rules are wrong, what was found there and what was expected."""
    if current() == ENGLISH:
        return str(error).rsplit("\n", 1)[-1].strip().removeprefix("rules: ")
    return _(
        "%(entry)s「%(value)s」：%(why)s（應為 %(expected)s）",
        entry=error.entry,
        value=str(error.value),
        why=error.zh,
        expected=error.expected,
    )


def _limits_text(settings: RoundSettings) -> str:
    counts = {
        "counties": str(settings.max_counties),
        "subjects": str(settings.max_subjects),
    }
    if not settings.max_choices:
        return _(
            "志願縣市至多 %(counties)s 個，申請科(類)別至多 %(subjects)s 個，"
            "志願學校數不限",
            **counts,
        )
    return _(
        "志願縣市至多 %(counties)s 個，申請科(類)別至多 %(subjects)s 個，"
        "志願學校至多 %(choices)s 所",
        choices=str(settings.max_choices),
        **counts,
    )


def _priority_text(read: Rules) -> str:
    if read.priority == "best":
        return _("積分高者優先；各志願都以本人最高的縣市積分計")
    return _("積分高者優先；以所填志願縣市的積分計")


def _told(stage: Stage) -> Told:
    lines = _exchange_lines(stage) if stage.size else _one_way_lines(stage)
    return Told(_stage_name(stage.name), lines)


def _exchange_lines(stage: Stage) -> list[str]:
    text = _("%(n)s 人互相對調學校，由積分高者發起", n=str(stage.size))
    return [text, _("不需要缺額")]


def _one_way_lines(stage: Stage) -> list[str]:
    lines = [_("調往有缺額的學校")]
    if stage.applicants:
        who = _label("GROUPS", stage.applicants)
        lines.append(_("僅限：%(who)s", who=who))
    if stage.schools:
        where = _label("TAGS", stage.schools)
        lines.append(_("僅限學校：%(where)s", where=where))
    again = _("調出後的缺額在本階段再開放") if stage.reopen else ""
    return [*lines, again or _("調出後的缺額不再開放")]


def _stage_doubts(stage: Stage) -> list[str]:
    """Say what a stage asks for that no application or school here can have."""
    from jiepin.core.terms import TAGS

    name = _stage_name(stage.name)
    doubts = []
    if stage.applicants and stage.applicants not in _STORED_GROUPS:
        text = _("「%(stage)s」：本系統的申請沒有這種身分，沒有人會參加", stage=name)
        doubts.append(text)
    if stage.schools and stage.schools not in TAGS:
        text = _("「%(stage)s」：沒有學校有這種標記，沒有人會達成", stage=name)
        doubts.append(text)
    return doubts


def _stage_name(name: str) -> str:
    from jiepin.core.terms import stage_label

    label = stage_label(name)
    return label.en if current() == ENGLISH else label.zh


def _label(table: str, word: str) -> str:
    from jiepin.core import terms

    known: Mapping[str, terms.Label] = getattr(terms, table)
    label = known.get(word, terms.Label(word, word))
    return label.en if current() == ENGLISH else label.zh


def _difference(read: Rules) -> tuple[str, Sequence[tuple[str, str]]]:
    """Return the preset that rules are most like, and how they differ from it."""
    from jiepin.core import Rules

    found = []
    for name in PRESET_NAMES:
        preset = replace(Rules.load(name), limits=read.limits)
        lines = (preset.to_toml().splitlines(), read.to_toml().splitlines())
        diff = list(difflib.unified_diff(*lines, n=1, lineterm=""))[2:]
        found.append((name, [(line[:1], line[1:]) for line in diff]))
    return min(found, key=lambda one: len(one[1]))
