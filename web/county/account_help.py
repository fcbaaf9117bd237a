"""Help for a teacher who cannot sign in: lift a lock, mail a link, end sign-ins.

Each with a reason, which the record keeps and the teacher's own page tells of.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import access, accounts
from jiepin.web.county import record
from jiepin.web.county.review import address, own_record
from jiepin.web.county.review_forms import read_reason
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.site import Site
from jiepin.web.staff.desk import Colleague, see
from jiepin.web.store import accounts as store
from jiepin.web.store import applications, review
from jiepin.web.store.applications import Absent, Application, Refused
from jiepin.web.teacher.forms import typed

KINDS: Final = {
    "unlock": "unlocked",
    "mail": "reset-sent",
    "sessions": "sessions-ended",
    "computer": "computer-forgotten",
}


@own_record
async def give(request: Request) -> Response:
    """Do what was chosen, with a reason."""
    application: Application = request.state.application
    site: Site = request.app.state.site
    colleague: Colleague = request.state.colleague
    form = typed(await request.form())
    reason = read_reason(form, "help-reason")
    problems = Problems.of(
        _kind_problem(form), reason if isinstance(reason, Problem) else None
    )
    if problems or isinstance(reason, Problem):
        return await record.show(request, application, form, problems)
    try:
        await help_out(site, colleague.actor, application.id, form, reason)
    except Refused as refused:
        return await record.show(request, application, form, refused.problems)
    return see(address(application) + "#help")


def _kind_problem(form: Mapping[str, str]) -> Problem | None:
    if form.get("help") in KINDS:
        return None
    return Problem("help", _("請選擇要做什麼"))


async def help_out(
    site: Site,
    actor: access.Actor,
    application: str,
    form: Mapping[str, str],
    reason: str,
) -> None:
    """Do it in one transaction with the note of it; raises Absent, Refused."""
    async with site.database.writing() as db:
        now = site.clock.now()
        found = await applications.by_id(db, application)
        if found is None or not access.can(actor, "unlock", found, now):
            raise Absent
        await _do(site, db, found, form, now)
        await review.note(db, now, actor, found, KINDS[form["help"]], reason)


async def _do(
    site: Site,
    db: aiosqlite.Connection,
    application: Application,
    form: Mapping[str, str],
    now: datetime,
) -> None:
    match form["help"]:
        case "unlock":
            await store.lift_locks(db, application.account)
        case "sessions":
            await store.end_sessions(db, application.account)
        case "mail":
            await _mail(site, db, application, now)
        case "computer":
            await _forget(db, application, form.get("computer", ""))


async def _mail(
    site: Site, db: aiosqlite.Connection, application: Application, now: datetime
) -> None:
    account = await store.by_id(db, application.account)
    assert account is not None  # the application is of it
    ready = account.password is not None
    if not ready or not await accounts.mail_link(site, db, account, now, by_staff=True):
        text = _("這位老師尚未設定密碼或驗證電子郵件，無從寄送")
        raise Refused(Problem("help", text))


async def _forget(db: aiosqlite.Connection, application: Application, key: str) -> None:
    try:
        device = bytes.fromhex(key)
    except ValueError:
        device = b""
    if not device or not await store.forget_device(db, application.account, device):
        raise Refused(Problem("computer", _("請選擇要移除的電腦")))
