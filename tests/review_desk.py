"""An application that is filed, and a county's desk at which it is reviewed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

import practice_round
import wish_site
from practice_round import Client, save_and_file
from staff_site import county_desk, open_review

from jiepin.web.county.eligibility import CHECKS
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, review
from jiepin.web.store.applications import Application

WISHES = ("133601", "133602", "143601")
POINTS = {
    "reason1": "30",
    "reason2": "10.5",
    "appraisal": "8.5",
    "service": "12",
    "awards": "2.3",
    "special": "0",
    "studies": "1.25",
}
ANSWERS = {
    f"check-{check.item}": "not-applicable" if check.optional else "yes"
    for check in CHECKS
}


def file(client: Client, *wishes: str) -> str:
    """Let 林小明 file, and the time of the review begin; returns the application.

    Through the store, which is quicker than all pages and passwords.
    """
    id_ = client.call(lambda site: _file(site, wishes or WISHES))
    open_review(client)
    return id_


async def _file(site: Site, wishes: Sequence[str]) -> str:
    actor, found = await practice_round.teacher(site)
    counties = tuple(dict.fromkeys(code[:2] for code in wishes))
    chosen, _ = await applications.change_counties(site, actor, found.version, counties)
    return (await save_and_file(site, actor, chosen.version, wishes)).id


def sign_in(client: Client) -> None:
    """Let the teacher sit down at a computer of his own, without card and password."""
    token = secrets.token_urlsafe(8)

    async def begin(site: Site) -> None:
        async with site.database.reading() as db:
            [[account]] = await db.execute_fetchall("select id from account")
        await wish_site.begin_session(site, account, token)
        async with site.database.writing() as db:
            now = site.clock.now()
            await accounts.confirm_device(db, account, wish_site.COMPUTER, now)

    client.call(begin)
    cookie = client.site.settings.cookie
    client.http.cookies.set(cookie, token, domain="tas.test")


def record(id_: str, what: str = "") -> str:
    return f"/city/applications/{id_}" + (f"/{what}" if what else "")


def seen(desk: Client, id_: str) -> dict[str, str]:
    """Return what the forms of a record say that they were made from."""
    field = r'type="hidden" name="(version|review)" value="(\d+)"'
    return dict(re.findall(field, desk.get(record(id_)).text))


def stored(client: Client, id_: str) -> Application:
    async def read(site: Site) -> Application:
        async with site.database.reading() as db:
            found = await applications.by_id(db, id_)
        assert found is not None
        return found

    return client.call(read)


def work(client: Client, id_: str) -> review.Work:
    """Return what has been entered for an application."""

    async def read(site: Site) -> review.Work:
        async with site.database.reading() as db:
            found = await applications.by_id(db, id_)
            assert found is not None
            return await review.work(db, found)

    return client.call(read)


def open_record(desk: Client, id_: str, **form: str) -> Any:
    return desk.post(record(id_, "open"), **form)


def post(desk: Client, id_: str, what: str, **form: str) -> Any:
    """Post a form of a record as its page is now."""
    return desk.post(record(id_, what), **{**seen(desk, id_), **form})


def check_sheet(desk: Client, id_: str) -> Any:
    return post(desk, id_, "sheet", code=stored(desk, id_).digest)


def approve(desk: Client, id_: str, **changes: str) -> Any:
    form = POINTS | ANSWERS | {"then": "approve"} | changes
    return post(desk, id_, "save", **form)


def reviewed(client: Client, role: str = "reviewer") -> tuple[Client, str]:
    """File, and sit down at a desk with the record open and its sheet checked."""
    id_ = file(client)
    desk = county_desk(client, role)
    open_record(desk, id_)
    check_sheet(desk, id_)
    return desk, id_
