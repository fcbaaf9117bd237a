"""How long a roster takes from its spreadsheet into the database.

    .venv/bin/python bench/imports.py [--rows N]

An invented roster is written as xlsx and as ods, read back, planned and put in, in one
transaction, beside a watch of the event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from practice_round import SCHOOLS, fill, school, settings

from jiepin.web import demo
from jiepin.web.access import Actor
from jiepin.web.clock import SystemClock
from jiepin.web.county.table_rows import read_lines
from jiepin.web.county.tables import TABLES
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.site import Site
from jiepin.web.store import schools
from jiepin.web.store.database import Database
from jiepin.web.vault import Vault

N_SCHOOLS = 250
COLUMNS = ("身分證統一編號", "階段別", "現任學校")
HEAD = Actor("county", "s", county="12", role="head", levels=schools.LEVELS)


@contextmanager
def timed(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{what:<16} {time.perf_counter() - start:6.3f} s")


class Watch:
    """How long the event loop was not free, at the most."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - start - 0.001)


def roster(n: int) -> Sheet:
    rows = [
        (
            demo.national_id("ABDEFHJKLM"[at % 10], "MF"[at % 2], at),
            "國小",
            f"測試{at % N_SCHOOLS}國小",
        )
        for at in range(n)
    ]
    return Sheet("roster", COLUMNS, rows)


async def measure(n: int, folder: Path) -> None:
    database = await Database.open(folder / "jiepin.db")
    try:
        site = Site(settings(folder), SystemClock(), Vault.new(), database)
        invented = [school(f"12{at:04d}", f"測試{at}國小") for at in range(N_SCHOOLS)]
        await fill(site, [*SCHOOLS, *invented])
        await put_in(site, n)
    finally:
        await database.close()


async def put_in(site: Site, n: int) -> None:
    sheets: list[Sheet] = []
    for kind in ("xlsx", "ods"):
        with timed(f"{kind} write"):
            content = spreadsheets.write(kind, [roster(n)])
        with timed(f"{kind} read"):
            sheets = list(spreadsheets.read(content))
    table = TABLES["roster"]
    lines, faults = read_lines(table.columns, sheets)
    assert not faults
    watch = Watch()
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0.02)
    with timed("plan and put in"):
        async with site.database.writing() as db:
            plan = await table.plan(db, site, HEAD, lines, False)
            await plan.write(db)
    watching.cancel()
    print(f"{plan.new} rows; the event loop waited {watch.longest:.3f} s at the most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure(parser.parse_args().rows, Path(name)))
