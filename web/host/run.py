"""One run: how far it is, what it found, who approves it, and another beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jiepin.web import downloads
from jiepin.web.clock import moment_text
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.host.runs import PAGE, STATES, may, verdict
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.rendering import render
from jiepin.web.round_run import Progress, Runner, outcome_folder, report_folder
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.staff.menu import ROLE_NAMES
from jiepin.web.store import runs as store
from jiepin.web.store import schools, snapshots
from jiepin.web.store.runs import APPROVALS, Run

if TYPE_CHECKING:
    from jiepin.core import Comparison

PHASES: Final = {
    "": mark("準備"),
    "solve": mark("計算結果"),
    "verify": mark("檢核結果"),
    "report": mark("製作報告"),
}
BANDS: Final = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 0))
REPORT: Final = "report.html"
REPORT_NAMES: Final = {"zh": mark("報告（中文）"), "en": mark("報告（英文）")}
MOST_SHOWN: Final = 300  # people who differ; a file has all of them


@dataclass(frozen=True, slots=True)
class Bar:
    """How far a run is, in words and as a part of the stage under way."""

    phase: str
    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ApprovalLine:
    name: str
    role: str
    at: str


@dataclass(frozen=True, slots=True)
class Other:
    """Another run that this one can be held against."""

    id: int
    snapshot: int
    same: bool


@dataclass(frozen=True, slots=True)
class RunPage:
    """One run with all that is known of it, and what may be done now.

    `reports` are those that it left: the language, and what it is called.
    """

    id: int
    year: int
    snapshot: int
    state: str
    state_text: str
    bar: Bar
    facts: Sequence[tuple[str, str]]
    lawful: bool | None
    verdict: str
    digest: str
    reports: Sequence[tuple[str, str]]
    stages: Sequence[tuple[str, str]]
    choices: Sequence[tuple[str, str]]
    others: Sequence[Other]
    approvals: Sequence[ApprovalLine]
    needed: int
    approved: bool
    may_approve: bool
    may_unapprove: bool
    may_cancel: bool
    may_repeat: bool
    log: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A run, and what the store has around it."""

    run: Run
    in_force: bool
    ran: Sequence[Run]
    approvals: Sequence[store.Approval]
    approved: bool


@at_desk()
async def page(request: Request) -> Response:
    """Show a run."""
    site: Site = request.app.state.site
    id_ = request.path_params["id"]
    async with site.database.reading() as db:
        run = await store.run(db, id_)
        if run is None:
            raise HTTPException(404)
        snapshot = await snapshots.by_id(db, run.snapshot)
        assert snapshot is not None  # a run is of one
        found = _Found(
            run,
            snapshot.withdrawn is None,
            await store.of_year(db, run.year),
            await store.approvals(db, id_),
            await store.approved(db, id_),
        )
    return await render(request, "host/run.html", await _page(request, found))


async def _page(request: Request, found: _Found) -> RunPage:
    run = found.run
    mine = request.state.colleague.actor.account in {
        one.staff for one in found.approvals
    }
    may_approve = found.in_force and bool(run.lawful) and may(request, "approve")
    may_run = found.in_force and may(request, "run")
    return RunPage(
        id=run.id,
        year=run.year,
        snapshot=run.snapshot,
        state=run.state,
        state_text=said(STATES[run.state]),
        bar=await _bar(request, run),
        facts=_facts(run),
        lawful=run.lawful,
        verdict=verdict(run.lawful),
        digest=run.digest,
        reports=await _reports(request.app.state.site, run),
        stages=await _stages(run),
        choices=_choices(run),
        others=_others(run, found.ran),
        approvals=[_approval(one) for one in found.approvals],
        needed=APPROVALS,
        approved=found.approved,
        may_approve=may_approve and not mine,
        may_unapprove=may_approve and mine,
        may_cancel=run.under_way and may_run,
        may_repeat=not run.under_way and may_run,
        log=_log(request, run),
    )


async def _reports(site: Site, run: Run) -> list[tuple[str, str]]:
    def there() -> list[tuple[str, str]]:
        return [
            (lang, said(name))
            for lang, name in REPORT_NAMES.items()
            if (report_folder(site, run, lang) / REPORT).is_file()
        ]

    return await asyncio.to_thread(there) if run.state == "done" else []


def _progress(request: Request, run: Run) -> Progress | None:
    runner: Runner = request.app.state.runner
    found = runner.progress
    return found if found is not None and found.run == run.id else None


def _log(request: Request, run: Run) -> str:
    runner: Runner = request.app.state.runner
    return runner.log if _progress(request, run) else run.log


async def _bar(request: Request, run: Run) -> Bar:
    found = _progress(request, run)
    if found is None or not run.under_way:
        return Bar(said(STATES[run.state]), "", 0, 0)
    names = await stage_names([found.stage] if found.stage else [])
    return Bar(
        said(PHASES[found.phase]), "".join(names.values()), found.done, found.total
    )


async def stage_names(stages: Sequence[str]) -> dict[str, str]:
    """Return what stages are called in the language spoken."""
    return await asyncio.to_thread(_stage_names, stages) if stages else {}


def _stage_names(stages: Sequence[str]) -> dict[str, str]:
    # the engine is slow to load and the site does not need it otherwise
    from jiepin.core.terms import label_in, stage_label

    return {stage: label_in(stage_label(stage), _spoken()) for stage in stages}


def _spoken() -> str:
    """Return the language spoken, as the engine names it."""
    return "en" if current() == ENGLISH else "zh"


def _facts(run: Run) -> list[tuple[str, str]]:
    moments = (
        (_("要求時間"), run.asked),
        (_("開始時間"), run.started),
        (_("結束時間"), run.finished),
    )
    facts = [(_("要求者"), run.asked_by)]
    facts += [
        (label, moment_text(at, current(), seconds=True))
        for label, at in moments
        if at is not None
    ]
    if run.summary:
        seconds = sum(run.summary["seconds"].values())
        facts += [
            (_("申請人數"), f"{run.summary['teachers']:,}"),
            (_("達成人數"), f"{run.summary['moved']:,}"),
            (_("規則"), run.summary["rules"]["name"]),
            (_("程式版本"), run.version),
            (_("計算用時"), _("%(seconds)s 秒", seconds=f"{seconds:.2f}")),
        ]
    return facts


async def _stages(run: Run) -> list[tuple[str, str]]:
    if not run.summary:
        return []
    order = [stage["name"] for stage in run.summary["rules"]["stage"]]
    names = await stage_names(order)
    moved = run.summary["moved_per_stage"]
    return [(names[stage], f"{moved[stage]:,}") for stage in order]


def _choices(run: Run) -> list[tuple[str, str]]:
    moved = {int(n): k for n, k in run.summary.get("moved_per_choice", {}).items()}
    return [
        (
            str(low) if low == high else f"{low}–{high or ''}",
            f"{sum(k for n, k in moved.items() if low <= n <= (high or n)):,}",
        )
        for low, high in BANDS
        if run.summary
    ]


def _others(run: Run, ran: Sequence[Run]) -> list[Other]:
    if run.state != "done":
        return []
    return [
        Other(one.id, one.snapshot, one.digest == run.digest)
        for one in ran
        if one.state == "done" and one.id != run.id
    ]


def _approval(found: store.Approval) -> ApprovalLine:
    at = moment_text(found.at, current(), seconds=True)
    return ApprovalLine(found.name, said(ROLE_NAMES[found.role]), at)


@at_desk()
async def progress(request: Request) -> Response:
    """Answer with how far a run is, for the page to follow."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        run = await store.run(db, request.path_params["id"])
    if run is None:
        raise HTTPException(404)
    bar = await _bar(request, run)
    return JSONResponse(
        {
            "under_way": run.under_way,
            "phase": bar.phase,
            "stage": bar.stage,
            "done": bar.done,
            "total": bar.total,
        }
    )


@at_desk("run")
async def cancel(request: Request) -> Response:
    """Cancel a run, and end its processes."""
    id_ = request.path_params["id"]
    await store.cancel(request.app.state.site, request.state.colleague.actor, id_)
    runner: Runner = request.app.state.runner
    runner.cancel(id_)
    return see(f"{PAGE}/{id_}")


@at_desk("approve")
async def approve(request: Request) -> Response:
    """Approve a run in one's role."""
    id_ = request.path_params["id"]
    await store.approve(request.app.state.site, request.state.colleague.actor, id_)
    return see(f"{PAGE}/{id_}")


@at_desk("approve")
async def unapprove(request: Request) -> Response:
    """Take one's own approval back."""
    id_ = request.path_params["id"]
    actor = request.state.colleague.actor
    await store.withdraw_approval(request.app.state.site, actor, id_)
    return see(f"{PAGE}/{id_}")


# what is approved


@at_desk()
async def report(request: Request) -> Response:
    """Give the report of a run, before it is public as well."""
    site, lang = request.app.state.site, request.path_params["lang"]
    run = await _done(request)
    if lang not in REPORT_NAMES:
        raise HTTPException(404)
    return await downloads.of_report(
        report_folder(site, run, lang) / REPORT, "text/html"
    )


@at_desk("export")
async def moves_file(request: Request) -> Response:
    """Give where everybody is after a run, by number: no names."""
    site: Site = request.app.state.site
    run = await _done(request)
    async with site.database.reading() as db:
        moves = await store.moves(db, run.id)
    places = await _places(site, {(one.school, one.subject) for one in moves})
    stages = await stage_names(sorted({one.stage for one in moves if one.stage}))
    titles = (
        *(_("電腦編號"), _("階段"), _("循環編號"), _("學校代碼")),
        *(_("結果學校與科(類)別"), _("志願序")),
    )
    rows = [
        (
            *(one.number, stages.get(one.stage, ""), _shown(one.exchange)),
            *(one.school, places[one.school, one.subject], _shown(one.choice)),
        )
        for one in moves
    ]
    sheet = Sheet(_("逐人結果"), titles, rows)
    kind = request.path_params["kind"]
    return await downloads.answer(kind, f"jiepin-run-{run.id}", [sheet])


def _shown(number: int | None) -> int | str:
    return "" if number is None else number


async def _done(request: Request) -> Run:
    """Return the run asked for, which has to have a result."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        run = await store.run(db, request.path_params["id"])
    if run is None or run.state != "done":
        raise HTTPException(404)
    return run


# two runs


@dataclass(frozen=True, slots=True)
class Pair:
    """Somebody whose result is not the same in two runs."""

    number: str
    change: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """Two runs person by person; `pairs` are the first of those who differ."""

    a: int
    b: int
    equal: bool
    counts: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str, str]]
    differing: int
    pairs: Sequence[Pair]


@at_desk()
async def comparison(request: Request) -> Response:
    """Show who has another result in run B than in run A."""
    found = await _compared(request)
    return await render(request, "host/runs_compared.html", found)


@at_desk("export")
async def comparison_file(request: Request) -> Response:
    """Give everybody who differs as a file."""
    found = await _compared(request, None)
    titles = (_("電腦編號"), _("差異"), _("計算 A"), _("計算 B"))
    rows = [(one.number, one.change, one.a, one.b) for one in found.pairs]
    sheet = Sheet(_("差異"), titles, rows)
    name = f"jiepin-runs-{found.a}-{found.b}"
    return await downloads.answer(request.path_params["kind"], name, [sheet])


async def _compared(request: Request, most: int | None = MOST_SHOWN) -> ComparisonPage:
    site: Site = request.app.state.site
    ids = (request.path_params["a"], request.path_params["b"])
    async with site.database.reading() as db:
        both = [await store.run(db, id_) for id_ in ids]
    done = [run for run in both if run is not None and run.state == "done"]
    if len(done) < 2:
        raise HTTPException(404)
    folders = [str(outcome_folder(site, run)) for run in done]
    found = await asyncio.to_thread(_compare, *folders)
    rows = found.differences.head(most or found.differences.height).to_dicts()
    wanted = {
        (row[f"school_{side}"], row[f"subject_{side}"]) for row in rows for side in "ab"
    }
    places = await _places(site, wanted)
    lang = _spoken()
    return ComparisonPage(
        *ids,
        equal=found.equal,
        counts=[
            (change.label.zh if lang == "zh" else change.label.en, f"{n:,}")
            for change, n in found.counts.items()
            if n
        ],
        settings=_settings(found),
        differing=found.differences.height,
        pairs=await asyncio.to_thread(_pairs, rows, places),
    )


def _compare(a: str, b: str) -> Comparison:
    from jiepin.core import Outcome, compare

    return compare(Outcome.read(a), Outcome.read(b))


def _settings(found: Comparison) -> list[tuple[str, str, str]]:
    """Return what else differs. The seed cannot, and is secret for some time."""
    english = _spoken() == "en"
    return [
        (one.label.en if english else one.label.zh, one.a, one.b)
        for one in found.settings
        if one.label.en != "seed"
    ]


async def _places(
    site: Site, wanted: Set[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return what schools with a subject are called."""
    english = current() == ENGLISH
    async with site.database.reading() as db:
        counties = await schools.counties(db)
        found = await schools.by_codes(db, {school for school, _subject in wanted})
        subjects = {
            code: subject
            for level in schools.LEVELS
            for code, subject in (await schools.subjects(db, level)).items()
        }
    places = {}
    for code, taught in wanted:
        if code is not None:
            county, subject = counties[found[code].county], subjects[taught]
            names = (county.name_en, subject.name_en)
            where, what = names if english else (county.name, subject.name)
            places[code, taught] = f"{where} {found[code].name} {what}"
    return places


def _pairs(
    rows: Sequence[Mapping[str, Any]], places: Mapping[tuple[str, str], str]
) -> list[Pair]:
    from jiepin.core import Change

    english = _spoken() == "en"
    labels = {change.value: change.label for change in Change}
    return [
        Pair(
            row["teacher_id"],
            labels[row["change"]].en if english else labels[row["change"]].zh,
            _result(row, "a", places),
            _result(row, "b", places),
        )
        for row in rows
    ]


def _result(
    row: Mapping[str, Any], side: str, places: Mapping[tuple[str, str], str]
) -> str:
    """Say where somebody is after one of the two runs, and how he came there."""
    school, subject = row[f"school_{side}"], row[f"subject_{side}"]
    if school is None:
        return "—"
    place = places[school, subject]
    stage = row[f"stage_{side}"]
    if stage is None:
        return _("未達成，仍在 %(place)s", place=place)
    return _(
        "%(stage)s，%(place)s（第 %(choice)s 志願）",
        stage=_stage_names([stage])[stage],
        place=place,
        choice=str(row[f"choice_{side}"]),
    )
