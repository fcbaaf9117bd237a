"""How long the host's progress board takes to look at a national round.

    .venv/bin/python bench/progress_board.py [--applicants N]

A practice site in a temporary folder, with N invented applications of 30 wishes each in
all states; each question of the board is asked seven times, the median is told.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiosqlite

from jiepin.web import demo
from jiepin.web.clock import SystemClock
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import progress, rounds, schools
from jiepin.web.store.database import Database
from jiepin.web.store.obstacles import in_the_way
from jiepin.web.vault import Vault

STATES = ("approved", "approved", "filed", "returned", "rejected", "filling")
WISHES, TIMES = 30, 7


async def invent(db: aiosqlite.Connection, year: int, n: int) -> None:
    """Write applications as the store would, but without what nobody counts."""
    counties = list(await schools.counties(db))
    pools = {
        level: [school.code for school in await schools.pool(db, "13", level)]
        for level in schools.LEVELS
    }
    for at in range(n):
        level = schools.LEVELS[at % 3]
        keys = {
            "id": f"application {at}",
            "year": year,
            "level": level,
            "county": counties[at % len(counties)],
            "lookup": f"{at}".encode(),
            "state": STATES[at % len(STATES)],
        }
        await db.execute(
            """insert into account (id, year, level, lookup, county, national_id,
            birth_date, sex, card_name, card_name_certain, created) values (:id, :year,
            :level, :lookup, :county, x'', x'', 'F', '', 1, 0)""",
            keys,
        )
        await db.execute(
            """insert into application (id, account, year, level, county, saved, state,
            step, reviewed) values (:id, :id, :year, :level, :county, 0, :state, 6, 1)
            """,
            keys,
        )
        await db.executemany(
            "insert into wish (application, place, school) values (?, ?, ?)",
            [(keys["id"], *wish) for wish in enumerate(pools[level][:WISHES], 1)],
        )
        await db.executemany(
            "insert into points (application, item, value) values (?, ?, 100)",
            [(keys["id"], item) for item in rounds.POINT_ITEMS],
        )


async def measure(folder: Path, n: int) -> None:
    database = await Database.open(folder / "jiepin.db")
    settings = Settings(folder, "https://tas.example", folder / "keys.json", True)
    site = Site(settings, SystemClock(), Vault.new(), database)
    await demo.fill(site)
    async with database.writing() as db:
        year = (await schools.the_round(db)).year
        await invent(db, year, n)
    now = site.clock.now()
    questions: dict[str, Callable[[aiosqlite.Connection], Awaitable[Any]]] = {
        "board": lambda db: progress.board(db, year),
        "queue": progress.queue,
        "doubts": lambda db: progress.doubts(db, year),
        "obstacles": lambda db: in_the_way(db, year, now),
    }
    for name, ask in questions.items():
        spans = []
        for _ in range(TIMES):
            async with database.reading() as db:
                begun = time.perf_counter()
                await ask(db)
                spans.append(1000 * (time.perf_counter() - begun))
        print(f"{name:10} {statistics.median(spans):7.1f} ms")
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--applicants", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), asked.applicants))


if __name__ == "__main__":
    main()
