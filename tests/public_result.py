"""A result and its publication, written without a round that was frozen or run."""

from __future__ import annotations

from datetime import datetime

from practice_round import YEAR, Client
from staff_site import member

from jiepin.web.clock import to_ms
from jiepin.web.site import Site

RUN = 1
Row = tuple[str, str | None, str | None, int | None]  # stage, school, subject, choice


def decide(client: Client, result: Row) -> None:
    """Write where the teacher of a site ends by its run."""
    application = client.application().id

    async def write(site: Site) -> None:
        await _run(site)
        async with site.database.writing() as db:
            row = (application, RUN, *result, "")
            await db.execute("insert into result values (?, ?, ?, ?, ?, ?, ?)", row)

    client.call(write)


def publish(client: Client, at: datetime) -> None:
    """Let the results of the run be public from a moment on."""

    async def write(site: Site) -> None:
        await _run(site)
        async with site.database.writing() as db:
            await db.execute(
                "insert into publication (year, run, publish_at, set_by, set_at) "
                "select :year, :run, :at, asked_by, asked from run where id = :run",
                {"year": YEAR, "run": RUN, "at": to_ms(at)},
            )

    client.call(write)


async def _run(site: Site) -> None:
    """Write the run that results are of, once."""
    async with site.database.reading() as db:
        if await db.execute_fetchall("select 1 from run"):
            return
    host = await member(site, "host")
    keys = {"year": YEAR, "by": host.id, "run": RUN}
    async with site.database.writing() as db:
        await db.execute(
            """insert into snapshot (id, year, kind, made, made_by, rules, folder,
            manifest, digest, signature, seed, commitment, teachers, left_out)
            values (1, :year, 'freeze', 0, :by, '', '', '', '', x'', x'', '', 1, 0)""",
            keys,
        )
        await db.execute(
            "insert into run (id, snapshot, asked, asked_by, state, lawful) "
            "values (:run, 1, 0, :by, 'done', 1)",
            keys,
        )
