"""Accounts of staff: made, changed, renewed, closed by a head, never by oneself.

A head of a county looks after the accounts of his county at his levels; the host's head
after those of the host and of the counties' heads. As nobody shuts himself out, a head
of the host stays whatever happens; the command line makes the first one.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor, Kind, Role, Round, Scope
from jiepin.web.language import _, mark
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.staff.sign_in import CODE_LIFE, code_digest, lookup, new_code
from jiepin.web.store import audit, schools
from jiepin.web.store import staff as store
from jiepin.web.store.applications import Absent, ChangedElsewhere, Refused
from jiepin.web.store.staff import COMMAND_LINE, Changes, Member, NewMember
from jiepin.web.vault import mask_id

RENEWED_FOR: Final = {
    "forgotten": mark("忘記密碼"),
    "telephone": mark("驗證器遺失或更換手機"),
    "expired": mark("登記碼逾期或遺失"),
    "suspected": mark("帳號疑似遭他人使用"),
}
DISABLED_FOR: Final = {
    "left": mark("離職、調任或不再辦理介聘"),
    "suspected": mark("帳號疑似遭他人使用"),
    "mistake": mark("帳號建立有誤"),
}
ENABLED_FOR: Final = {
    "returned": mark("回任或再辦理介聘"),
    "cleared": mark("疑慮已排除"),
    "mistake": mark("先前停用有誤"),
}
REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "renew": RENEWED_FOR,
    "disable": DISABLED_FOR,
    "enable": ENABLED_FOR,
}


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made; the ID is looked up by and shown masked, never stored."""

    kind: Kind
    county: str | None
    levels: tuple[str, ...]
    role: Role
    name: str
    email: str
    national_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handover:
    """A code to be handed over in person; it is shown once and not kept."""

    member: str
    code: str = field(repr=False)
    until: datetime


def may_look_after(
    actor: Actor,
    kind: str,
    county: str | None,
    role: str,
    levels: tuple[str, ...],
    now: datetime,
) -> bool:
    """Tell whether somebody may make or change such an account."""
    if county is None or kind == "host":
        return access.can(actor, "staff", Round(0), now)
    if actor.kind == "host":
        return role == "head" and access.can(actor, "heads", Scope(county), now)
    return bool(levels) and all(
        access.can(actor, "staff", Scope(county, level), now) for level in levels
    )


def may_change(actor: Actor, member: Member, now: datetime) -> bool:
    """Tell whether somebody may change an account as it is; never his own."""
    return member.id != actor.account and may_look_after(
        actor, member.kind, member.county, member.role, member.levels, now
    )


async def add(site: Site, actor: Actor, new: NewAccount) -> Handover:
    """Make an account; raises Absent, Refused."""
    now, id_ = site.clock.now(), secrets.token_urlsafe(16)
    async with site.database.writing() as db:
        actor = await _still(db, actor)
        if not may_look_after(actor, new.kind, new.county, new.role, new.levels, now):
            raise Absent
        key = lookup(site.vault, new.kind, new.national_id)
        await _free_card(db, new, key)
        handover = Handover(id_, new_code(), now + CODE_LIFE)
        await store.create(db, _member(new, key, handover, actor.account), now)
        detail = {"role": new.role, "levels": list(new.levels)}
        await audit.add(
            db, now, actor.account, "staff-added", id_, new.county or "", detail
        )
    return handover


async def _still(db: aiosqlite.Connection, actor: Actor) -> Actor:
    """Return an actor as he is within this transaction; raises Absent."""
    found = await store.by_id(db, actor.account)
    if found is None or found.disabled is not None:
        raise Absent
    levels = tuple(level for level in actor.levels if level in found.levels)
    return replace(actor, role=found.role, levels=levels)


async def _free_card(db: aiosqlite.Connection, new: NewAccount, key: bytes) -> None:
    """See that no other account has the card; raises Refused.

    An account without access that another county made lets it go.
    """
    there = await store.by_lookup(db, new.kind, key)
    if there is None:
        return
    if there.disabled is None:
        text = _("此身分證字號已有使用中的帳號，一人在同一端只能有一個")
        raise Refused(Problem("national_id", text))
    if there.county == new.county:
        text = _("此身分證字號已有停用的帳號，請在名單中恢復使用")
        raise Refused(Problem("national_id", text))
    await store.give_up_card(db, there.id)


def _member(new: NewAccount, key: bytes, handover: Handover, maker: str) -> NewMember:
    return NewMember(
        id=handover.member,
        kind=new.kind,
        county=new.county,
        levels=new.levels,
        role=new.role,
        name=new.name,
        email=new.email,
        lookup=key,
        masked=mask_id(new.national_id),
        enrol=code_digest(handover.code),
        enrol_expires=handover.until,
        created_by=maker,
    )


async def change(
    site: Site, actor: Actor, id_: str, version: int, changes: Changes
) -> None:
    """Change role, levels, name or address; raises Absent, ChangedElsewhere."""
    async with _changing(site, actor, id_, version) as (db, now, actor, member):
        if not may_look_after(
            actor, member.kind, member.county, changes.role, changes.levels, now
        ):
            raise Absent
        await store.change(db, id_, version, changes)
        detail = {"role": changes.role, "levels": list(changes.levels)}
        await _note(db, now, actor, "staff-changed", member, detail)


async def renew(
    site: Site, actor: Actor, id_: str, version: int, reason: str
) -> Handover:
    """Hand over a new code; password, second factor and sessions end.

    Raises Absent, ChangedElsewhere.
    """
    async with _changing(site, actor, id_, version) as (db, now, actor, member):
        handover = Handover(id_, new_code(), now + CODE_LIFE)
        await _renew(db, member, handover)
        await _note(db, now, actor, "staff-renewed", member, {"reason": reason})
    return handover


async def _renew(db: aiosqlite.Connection, member: Member, handover: Handover) -> None:
    digest = code_digest(handover.code)
    await store.renew(db, member.id, member.version, digest, handover.until)
    await store.end_sessions(db, member.id)


async def set_access(
    site: Site, actor: Actor, id_: str, version: int, *, disable: bool, reason: str
) -> None:
    """Take access away or give it back; raises Absent, ChangedElsewhere."""
    async with _changing(site, actor, id_, version) as (db, now, actor, member):
        if not disable and not member.masked:
            raise Absent  # the card is that of another account by now
        await store.set_access(db, id_, version, now if disable else None)
        await store.end_sessions(db, id_)
        await store.forget_enrolment(db, id_)
        action = "staff-disabled" if disable else "staff-enabled"
        await _note(db, now, actor, action, member, {"reason": reason})


@asynccontextmanager
async def _changing(
    site: Site, actor: Actor, id_: str, version: int
) -> AsyncIterator[tuple[aiosqlite.Connection, datetime, Actor, Member]]:
    """Open a transaction about an account; raises Absent, ChangedElsewhere."""
    now = site.clock.now()
    async with site.database.writing() as db:
        actor = await _still(db, actor)
        member = await store.by_id(db, id_)
        if member is None or not may_change(actor, member, now):
            raise Absent
        if member.version != version:
            raise ChangedElsewhere(version, member.version)
        yield db, now, actor, member


async def _note(
    db: aiosqlite.Connection,
    now: datetime,
    actor: Actor,
    action: str,
    member: Member,
    detail: Mapping[str, object],
) -> None:
    county = member.county or ""
    await audit.add(db, now, actor.account, action, member.id, county, detail)


async def add_host_head(site: Site, name: str, national_id: str) -> Handover:
    """Make the first head of the host, or let one in again who can no longer get in."""
    now, key = site.clock.now(), lookup(site.vault, "host", national_id)
    async with site.database.writing() as db:
        there = await store.by_lookup(db, "host", key)
        id_ = there.id if there else secrets.token_urlsafe(16)
        handover = Handover(id_, new_code(), now + CODE_LIFE)
        if there is None:
            new = NewAccount(
                "host", None, schools.LEVELS, "head", name, "", national_id
            )
            await store.create(db, _member(new, key, handover, COMMAND_LINE), now)
        else:
            await _let_in_again(db, there, name, handover)
        action = "staff-renewed" if there else "staff-added"
        await audit.add(db, now, COMMAND_LINE, action, id_, detail={"role": "head"})
    return handover


async def _let_in_again(
    db: aiosqlite.Connection, member: Member, name: str, handover: Handover
) -> None:
    await _renew(db, member, handover)
    changes = Changes("head", schools.LEVELS, name, member.email)
    await store.change(db, member.id, member.version + 1, changes)
    await store.set_access(db, member.id, member.version + 2, None)
