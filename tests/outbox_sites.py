"""A site with one invented applicant, without its pages: for what is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jiepin.web.clock import SetClock
from jiepin.web.settings import Line, Mail, Settings
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, outbox, schools
from jiepin.web.store.database import Database
from jiepin.web.vault import Vault

START = datetime(2026, 4, 20, 1, 0, tzinfo=UTC)
EMAIL = "lin@example.org"
ORGANISER = "高雄市政府教育局"


def settings(folder: Path, line: Line | None = None) -> Settings:
    return Settings(
        data=folder,
        origin="https://tas.example",
        keys=folder / "keys.json",
        mail=Mail(sender="noreply@tas.example"),
        line=line or Line(),
    )


@asynccontextmanager
async def opened(
    folder: Path, line: Line | None = None, vault: Vault | None = None
) -> AsyncIterator[Site]:
    """Open a site in a folder, with its applicant when the folder is new."""
    used = settings(folder, line)
    database = await Database.open(used.database)
    site = Site(used, SetClock(START), vault or Vault.new(), database)
    try:
        async with database.writing() as db:
            if await applications.of_account(db, "a1") is None:
                await add_applicant(db)
        yield site
    finally:
        await database.close()


async def add_applicant(db: Any) -> None:
    """Add application `p1` of account `a1`."""
    round_ = schools.RoundSettings(115, ORGANISER, 1, 2, 3, 0, 1)
    await schools.save_round(db, round_)
    account = accounts.NewAccount(
        id="a1",
        year=115,
        level="elementary",
        lookup=b"a1",
        county="12",
        national_id=b"",
        birth_date=b"",
        sex="M",
        card_name="林小明",
        card_name_certain=True,
    )
    await accounts.create(db, account, START)
    await applications.create(db, "p1", "a1", START)
    await db.execute(
        "update application set name = '林小明', email = :email", {"email": EMAIL}
    )


async def tell(site: Site, event: str, version: int = 1, **facts: object) -> None:
    """Put an event of the applicant into the outbox, as the site's saves do."""
    async with site.database.writing() as db:
        application = await applications.of_account(db, "a1")
        assert application is not None
        now = site.clock.now()
        await applications.tell(db, site, application, event, version, facts, now)


async def log(site: Site) -> list[outbox.Delivery]:
    """Return the delivery log of the applicant, newest first."""
    async with site.database.reading() as db:
        return await outbox.log(db, "p1")
