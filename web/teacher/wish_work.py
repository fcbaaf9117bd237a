"""The list under way beside the one last saved: read, edited, kept, saved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import applications, drafts, schools
from jiepin.web.store.applications import Application
from jiepin.web.store.drafts import Draft
from jiepin.web.teacher import wish_list
from jiepin.web.teacher.wish_list import Edit, WishList


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page was made from: a version, and the stamp of a draft or none."""

    version: int
    draft: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """The list under way and the one last saved; the same when nothing is under way.

    base      version of the application that the list under way grew from
    draft     the stamp of the draft that the list comes from, empty when from none
    conflict  the saved list or its counties have changed since, in another window
    """

    wishes: WishList
    saved: WishList
    base: int
    draft: str = ""
    conflict: bool = False


class DraftElsewhere(applications.NotSaved):
    """Another window has a list under way that this page has not seen: it stays."""


async def load(db: aiosqlite.Connection, application: Application) -> Work:
    """Return what an application has under way."""
    saved = WishList(application.wishes)
    draft = await drafts.draft(db, application.id)
    if draft is None or draft.schools == application.wishes:
        return Work(saved, saved, application.version)
    untouched = await drafts.untouched_since(db, application, draft.base)
    mine = WishList(draft.schools)
    return Work(mine, saved, draft.base, draft.stamp, conflict=not untouched)


async def edit(site: Site, actor: Actor, edit: Edit, known: str = "") -> WishList:
    """Do one action on the list under way, and return what it is then.

    Only the draft that the page knows is replaced as a whole: DraftElsewhere. Raises
    WishError when the list does not allow it, BadWishes for a school that cannot be
    wished, Closed.
    """
    async with _writing(site, actor) as (db, application):
        work = await load(db, application)
        if edit.action in wish_list.WHOLE and work.draft != known:
            raise DraftElsewhere
        if edit.action == "add":
            await _check_offered(db, application, edit.school)
        settings = await schools.round(db)
        limit = settings.max_choices if settings else 0
        changed = wish_list.edited(work.wishes, edit, work.saved, limit)
        await _keep(site, db, application, changed, work.base)
        return changed


async def _check_offered(
    db: aiosqlite.Connection, application: Application, school: str
) -> None:
    found = await schools.by_codes(db, [school])
    if problem := applications.wish_problem(application, found.get(school)):
        raise applications.BadWishes(Problem("wishes", problem))


async def keep(site: Site, actor: Actor, seen: Seen, wishes: WishList) -> str:
    """Keep the list that a page holds as the one under way; returns its stamp.

    Raises Closed, DraftElsewhere.
    """
    async with _writing(site, actor) as (db, application):
        there = await schools.by_codes(db, wishes)
        known = WishList(tuple(code for code in wishes if code in there))
        if not await _is_known(db, application, seen, known):
            raise DraftElsewhere
        return await _keep(site, db, application, known, seen.version)


async def _is_known(
    db: aiosqlite.Connection, application: Application, seen: Seen, wishes: WishList
) -> bool:
    """Tell whether the draft may go: the page has seen it, or it says nothing new."""
    draft = await drafts.draft(db, application.id)
    said = (wishes.schools, application.wishes)
    return draft is None or draft.stamp == seen.draft or draft.schools in said


async def keep_mine(site: Site, actor: Actor) -> None:
    """Settle a conflict: the list under way stays, now as a change of what is saved."""
    async with _writing(site, actor) as (db, application):
        work = await load(db, application)
        await _keep(site, db, application, work.wishes, application.version)


async def save(site: Site, actor: Actor, seen: Seen, wishes: WishList) -> Application:
    """Save the list; raises what applications.save_wishes raises.

    Saves of other steps since the page was loaded are no conflict with this one. What
    another window has under way stays, and will be in conflict with what was saved.
    """
    version = await _as_of_now(site, actor, seen.version)
    saved = await applications.save_wishes(site, actor, version, wishes.schools)
    async with site.database.reading(quick=True) as db:
        under_way = await drafts.draft(db, saved.id)
    if under_way is not None:  # mostly there is none, and a write waits for the disk
        async with site.database.writing(quick=True) as db:
            if await _is_known(db, saved, seen, wishes):
                await drafts.drop(db, saved.id)
    return saved


async def _as_of_now(site: Site, actor: Actor, seen: int) -> int:
    """Return the present version, if list and counties are those of the one seen."""
    async with site.database.reading(quick=True) as db:
        application = await applications.of_account(db, actor.account)
        if application and await drafts.untouched_since(db, application, seen):
            return application.version
    return seen


async def change_counties(
    site: Site, actor: Actor, seen: int, counties: tuple[str, ...]
) -> None:
    """Save other counties; the list under way loses the same schools as the saved."""
    async with site.database.reading(quick=True) as db:
        before = await applications.of_account(db, actor.account)
        work = await load(db, before) if before else None
    saved, _ = await applications.change_counties(site, actor, seen, counties)
    if work is None or work.wishes == work.saved:
        return
    async with site.database.writing(quick=True) as db:
        kept, _ = wish_list.keep_counties(
            work.wishes, counties, await county_of(db, work.wishes)
        )
        await _keep(site, db, saved, kept, saved.version)


async def dropped(
    db: aiosqlite.Connection, application: Application, counties: tuple[str, ...]
) -> WishList:
    """Return what a change of counties would take out, of either list."""
    work = await load(db, application)
    both = WishList(tuple(dict.fromkeys((*work.saved, *work.wishes))))
    of = await county_of(db, both)
    return wish_list.keep_counties(both, counties, of).dropped


async def county_of(db: aiosqlite.Connection, wishes: WishList) -> dict[str, str]:
    """Return the county of each school of a list."""
    found = await schools.by_codes(db, wishes)
    return {code: school.county for code, school in found.items()}


async def _keep(
    site: Site,
    db: aiosqlite.Connection,
    application: Application,
    wishes: WishList,
    base: int,
) -> str:
    """Keep what differs from the saved list, and return the stamp of the draft.

    Otherwise there is nothing to keep, and no stamp.
    """
    if wishes.schools == application.wishes:
        await drafts.drop(db, application.id)
        return ""
    draft = Draft(base, site.clock.now(), wishes.schools)
    await drafts.keep(db, application.id, draft)
    return draft.stamp


@asynccontextmanager
async def _writing(
    site: Site, actor: Actor
) -> AsyncIterator[tuple[aiosqlite.Connection, Application]]:
    """Open a transaction on the list under way; raises Absent, Closed."""
    async with site.database.writing(quick=True) as db:
        application = await applications.of_account(db, actor.account)
        if application is None:
            raise applications.Absent
        if not access.can(actor, "edit", application, site.clock.now()):
            raise applications.Closed
        yield db, application
