"""凍結與計算: freeze the round, see its snapshots, and ask for runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access
from jiepin.web.clock import moment_text
from jiepin.web.host.backed_up import no_backup
from jiepin.web.language import _, current, mark, said
from jiepin.web.problems import Problem, Problems
from jiepin.web.rendering import render
from jiepin.web.round_run import Runner, round_folder
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, matter, see
from jiepin.web.store import round_folder as folders
from jiepin.web.store import runs as store
from jiepin.web.store import snapshots
from jiepin.web.store.applications import Refused
from jiepin.web.store.obstacles import Obstacle, Rehearsal, in_the_way, rehearse
from jiepin.web.store.runs import APPROVALS, Run
from jiepin.web.store.schools import RoundSettings
from jiepin.web.store.snapshots import Snapshot

PAGE: Final = "/host/runs"
KINDS: Final = {"freeze": mark("凍結"), "correction": mark("更正")}
STATES: Final = {
    "waiting": mark("等候計算"),
    "running": mark("計算中"),
    "done": mark("完成"),
    "failed": mark("失敗"),
    "cancelled": mark("已取消"),
}
LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class SnapshotCard:
    """One snapshot; `in_force`: the newest that was not taken back."""

    id: int
    kind: str
    made: str
    made_by: str
    reason: str
    teachers: int
    left_out: int
    digest: str
    commitment: str
    withdrawn: str
    withdrawn_reason: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in the list."""

    id: int
    snapshot: int
    state: str
    state_text: str
    asked: str
    asked_by: str
    moved: str
    verdict: str
    digest: str
    approvals: int


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Where the freeze stands; without a year there is nothing to freeze.

    `unreviewed` counts the applications that a head may leave out.
    """

    year: int
    frozen: str
    obstacles: Sequence[Obstacle]
    unreviewed: int
    may_freeze: bool
    may_leave_out: bool
    may_run: bool
    approvals: int
    snapshots: Sequence[SnapshotCard]
    runs: Sequence[RunLine]
    typed: Mapping[str, str]
    problems: Problems


@dataclass(frozen=True, slots=True)
class CheckPage:
    """What a freeze would hold now, and what the engine would refuse in it."""

    found: Rehearsal


@at_desk()
async def page(request: Request) -> Response:
    """Show what stands in the way of the freeze, the snapshots and the runs."""
    return await _show(request, {}, Problems())


async def _show(
    request: Request, typed: Mapping[str, str], problems: Problems
) -> Response:
    status = 422 if problems else 200
    site: Site = request.app.state.site
    settings: RoundSettings | None = request.state.round
    if settings is None:
        nothing = RunsPage(
            0, "", (), 0, False, False, False, APPROVALS, (), (), typed, problems
        )
        return await render(request, "host/runs.html", nothing, status)
    async with site.database.reading() as db:
        found = await in_the_way(db, settings.year, site.clock.now())
        frozen = await snapshots.of_year(db, settings.year)
        ran = await store.of_year(db, settings.year)
        approvals = {run.id: len(await store.approvals(db, run.id)) for run in ran}
    force = next((one.id for one in frozen if one.withdrawn is None), 0)
    shown = RunsPage(
        year=settings.year,
        frozen=moment_text(settings.frozen, current()) if settings.frozen else "",
        obstacles=() if settings.frozen else found,
        unreviewed=sum(one.unreviewed for one in found),
        may_freeze=all(one.unreviewed for one in found) and may(request, "freeze"),
        may_leave_out=may(request, "leave-out"),
        may_run=may(request, "run"),
        approvals=APPROVALS,
        snapshots=[_card(one, force) for one in frozen],
        runs=[_line(run, approvals[run.id]) for run in ran],
        typed=typed,
        problems=problems,
    )
    return await render(request, "host/runs.html", shown, status)


def may(request: Request, action: access.Action) -> bool:
    """Tell whether who is at the desk may do this with the round now."""
    colleague = request.state.colleague
    now = request.app.state.site.clock.now()
    object_ = matter(colleague, request.state.round)
    return access.can(colleague.actor, action, object_, now)


def _card(found: Snapshot, force: int) -> SnapshotCard:
    withdrawn = found.withdrawn
    return SnapshotCard(
        id=found.id,
        kind=said(KINDS[found.kind]),
        made=moment_text(found.made, current(), seconds=True),
        made_by=found.made_by,
        reason=found.reason,
        teachers=found.teachers,
        left_out=found.left_out,
        digest=found.digest,
        commitment=found.commitment,
        withdrawn=moment_text(withdrawn, current()) if withdrawn else "",
        withdrawn_reason=found.withdrawn_reason,
        in_force=found.id == force,
    )


def _line(run: Run, approvals: int) -> RunLine:
    return RunLine(
        id=run.id,
        snapshot=run.snapshot,
        state=run.state,
        state_text=said(STATES[run.state]),
        asked=moment_text(run.asked, current()),
        asked_by=run.asked_by,
        moved=f"{run.summary['moved']:,}" if run.summary else "",
        verdict=verdict(run.lawful),
        digest=run.digest[:12],
        approvals=approvals,
    )


def verdict(lawful: bool | None) -> str:
    """Say what the verification found, nothing before it did."""
    if lawful is None:
        return ""
    return _("檢核通過") if lawful else _("檢核未通過")


@at_desk("freeze")
async def check(request: Request) -> Response:
    """Show what the engine would make of the data as it is now."""
    site: Site = request.app.state.site
    settings: RoundSettings | None = request.state.round
    if settings is None:
        raise HTTPException(404)
    found = await rehearse(site, settings.year)
    assert found is not None  # its year is there
    return await render(request, "host/runs_check.html", CheckPage(found))


@at_desk("freeze")
async def freeze(request: Request) -> Response:
    """Freeze the round as it is."""
    form = await request.form()
    typed = {"reason": _reason(form), "left_out": str(form.get("left_out", ""))}
    site: Site = request.app.state.site
    actor = request.state.colleague.actor
    known = re.fullmatch("[0-9]{1,9}", typed["left_out"])
    left_out = int(typed["left_out"]) if known else 0
    if problems := await no_backup(request, form):
        return await _show(request, typed, problems)
    try:
        await snapshots.freeze(site, actor, "freeze", typed["reason"], left_out)
    except Refused as refused:
        return await _show(request, typed, refused.problems)
    return see(PAGE)


@at_desk("freeze")
async def withdraw(request: Request) -> Response:
    """Take the newest snapshot back, with a reason."""
    typed = {"withdrawal": _reason(await request.form())}
    site: Site = request.app.state.site
    actor = request.state.colleague.actor
    id_ = request.path_params["id"]
    try:
        await snapshots.withdraw(site, actor, id_, typed["withdrawal"])
    except Refused as refused:
        found = (Problem("withdrawal", one.text) for one in refused.problems)
        return await _show(request, typed, Problems(tuple(found)))
    return see(PAGE)


@at_desk("run")
async def ask(request: Request) -> Response:
    """Ask for a run over a snapshot, and lead to it."""
    site: Site = request.app.state.site
    actor = request.state.colleague.actor
    try:
        id_ = await store.ask(site, actor, request.path_params["id"])
    except Refused as refused:
        return await _show(request, {}, refused.problems)
    runner: Runner = request.app.state.runner
    runner.wake()
    return see(f"{PAGE}/{id_}")


def _reason(form: FormData) -> str:
    return str(form.get("reason", "")).strip()[:LONGEST_REASON]


@at_desk("export")
async def archive(request: Request) -> Response:
    """Give the folder of a snapshot as a zip file, always the same bytes."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await snapshots.by_id(db, request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    content = await asyncio.to_thread(folders.zipped, round_folder(site, found))
    name = f"jiepin-{found.year}-snapshot-{found.id}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/zip", headers=headers)


@at_desk("export")
async def public_key(request: Request) -> Response:
    """Give the key that the signatures of snapshots are checked with."""
    site: Site = request.app.state.site
    headers = {"content-disposition": 'attachment; filename="jiepin-site.pem"'}
    pem = site.vault.site_keys.public_pem()
    return Response(pem, media_type="application/x-pem-file", headers=headers)
