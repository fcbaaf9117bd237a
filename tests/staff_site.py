"""Staff of counties and of the host, signed in without their door."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from practice_round import Client

from jiepin.web.access import Actor, Kind, Role
from jiepin.web.site import Site
from jiepin.web.staff.desk import actor_of
from jiepin.web.store import schools, staff
from jiepin.web.store.schools import Window
from jiepin.web.vault import digest


async def member(
    site: Site,
    kind: Kind,
    role: Role = "head",
    county: str | None = None,
    levels: Sequence[str] = schools.LEVELS,
    name: str = "",
) -> staff.Member:
    """Make a member of staff, as the one who makes accounts would."""
    id_ = secrets.token_urlsafe(8)
    now = site.clock.now()
    new = staff.NewMember(
        id=id_,
        kind=kind,
        county=county,
        levels=tuple(levels),
        role=role,
        name=name or f"{kind} {role}",
        email="staff@example.org",
        lookup=id_.encode(),
        masked="A12****789",
        enrol=b"",
        enrol_expires=now,
        created_by=staff.COMMAND_LINE,
    )
    async with site.database.writing() as db:
        await staff.create(db, new, now)
    async with site.database.reading() as db:
        found = await staff.by_id(db, id_)
    assert found is not None
    return found


def desk(
    client: Client,
    kind: Kind,
    role: Role = "head",
    county: str | None = None,
    levels: Sequence[str] = schools.LEVELS,
    name: str = "",
) -> Client:
    """Return a browser in which a new member of staff is signed in.

    His actor is at `client.actor`.
    """
    browser = client.another()

    async def sit_down(site: Site) -> Actor:
        found = await member(site, kind, role, county, levels, name)
        async with site.database.writing() as db:
            await staff.add_session(db, digest(found.id), found.id, site.clock.now())
        return actor_of(found)

    browser.actor = client.call(sit_down)
    cookie = client.site.settings.staff_cookie
    browser.http.cookies.set(cookie, browser.actor.account, domain="tas.test")
    return browser


def county_desk(
    client: Client,
    role: Role = "head",
    county: str = "12",
    levels: Sequence[str] = schools.LEVELS,
    name: str = "",
) -> Client:
    """Sit down at the desk of a county; 高雄市, where the round's teachers serve."""
    return desk(client, "county", role, county, levels, name)


def host_desk(client: Client, role: Role = "head", name: str = "") -> Client:
    """Sit down at the desk of the host."""
    return desk(client, "host", role, name=name)


def open_review(client: Client, days: int = 7) -> None:
    """Let the time to fill in end now, and that of the review begin."""
    now = client.clock.now()

    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            for level in schools.LEVELS:
                fill = Window(now - timedelta(days=9), now)
                review = Window(now, now + timedelta(days=days))
                await schools.save_window(db, 115, level, "fill", fill)
                await schools.save_window(db, 115, level, "review", review)

    client.call(write)
