"""A result for invented applicants: frozen, solved by the site's runner, published."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from population import review_is_over
from processes import ORIGIN

from jiepin.web.access import Actor
from jiepin.web.clock import SystemClock, to_ms
from jiepin.web.round_run import Runner
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import results, runs, snapshots
from jiepin.web.store.database import Database
from jiepin.web.vault import Vault

HEAD = Actor("host", "host", role="head")
SNAPSHOT = RUN = 1


async def _with_site(
    folder: Path, vault: Vault, work: Callable[[Site], Awaitable[None]]
) -> None:
    database = await Database.open(folder / "jiepin.db")
    try:
        settings = Settings(folder, ORIGIN, folder / "keys.json")
        await work(Site(settings, SystemClock(), vault, database))
    finally:
        await database.close()


def freeze_and_solve(folder: Path, vault: Vault) -> None:
    """Freeze the round of a site that is not running, and run the engine over it."""
    review_is_over(folder)
    asyncio.run(_with_site(folder, vault, _freeze_and_solve))


async def _freeze_and_solve(site: Site) -> None:
    await snapshots.freeze(site, HEAD, "freeze", "")
    await runs.ask(site, HEAD, SNAPSHOT)
    runner = Runner(site)
    running = asyncio.create_task(runner.run())
    await runner.idle.wait()
    running.cancel()
    await asyncio.wait([running])
    async with site.database.reading() as db:
        found = await runs.run(db, RUN)
    assert found is not None
    assert found.state == "done", found.log


def publish(folder: Path, vault: Vault) -> None:
    """Approve the run and publish it at once; notices go out once the site runs."""
    asyncio.run(_with_site(folder, vault, _publish))


async def _publish(site: Site) -> None:
    now = to_ms(site.clock.now())
    async with site.database.writing() as db:
        # by two of different roles; whoever of the staff is there will do
        for staff, role in (("host", "head"), ("county", "reviewer")):
            row = (RUN, staff, role, now)
            await db.execute("insert into approval values (?, ?, ?, ?)", row)
    await results.publish(site, HEAD, RUN, None)
