"""The site under load: the real command in a process of its own, an open loop of asks.

    .venv/bin/python bench/load [mix] [publication] [limit] [growth]
        [--while-solving] [--applicants N] [--minutes M] [--quick] [--seed S]

mix          the last minutes before a deadline: 85 views, 12 saves and 2.5 sign-ins a
             second, for ten minutes
publication  a result is out: 60 views and 20 sign-ins a second, for two minutes
limit        the mix, half as much again every 20 seconds until the site refuses
growth       times of pages and saves with 5,000, 50,000 and 200,000 applicants

All of it is on this computer: the site (`jiepin-web serve`, SQLite on disk with
`synchronous=FULL`), a mail server that takes everything, a probe, and this process,
whose browsers ask. With `--while-solving` the site solves a national round meanwhile,
again and again. After each measurement everything that was acknowledged is compared
with the database. The tables are Markdown; `--quick` tries a phase within a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from figures import Report, check
from growth import QUICK_SIZES, QUICK_TIMES, SIZES, TIMES, asked_of, table
from measure import Solver, measure
from population import Applicant, Country, add, begin, filling_in, sessions_begin
from processes import Server, serving
from result import freeze_and_solve, publish
from traffic import FILLING, RESULT, Rates, Traffic

from jiepin.web.vault import Vault

sys.path.append(str(Path(__file__).resolve().parents[1]))
from machine import machine, versions

MIX = Rates(views=85, saves=12, sign_ins=2.5)
PUBLICATION = Rates(views=60, saves=0, sign_ins=20)
STEP, STEP_SECONDS = 1.5, 20
TOO_SLOW = 0.5  # seconds at the 99th percentile
STEPS_AFTER = 2  # more, to see how the site bears what is too much
PHASES = ("mix", "publication", "limit", "growth")
PACKAGES = ("starlette", "uvicorn", "aiosqlite", "aiohttp")


class Ground:
    """A site that is filled: its folder, its keys and its people."""

    def __init__(self, home: Path, applicants: int, seed: int) -> None:
        self.folder, self.published = home / "site", home / "published"
        self.keys = home / "keys.json"
        self.seed = seed
        self.vault = Vault.new()
        self.vault.write(self.keys)
        found = asyncio.run(begin(self.folder, self.vault))
        self.country = Country(found, seed)
        self.people: list[Applicant] = []
        self.grow(applicants)

    def grow(self, n: int) -> None:
        """Let there be so many applicants."""
        more = self.country.next(n - len(self.people))
        add(self.folder, self.vault, more)
        self.people += more

    def solve(self) -> None:
        """Freeze and solve, and make a copy in which the result is out."""
        freeze_and_solve(self.folder, self.vault)
        shutil.copytree(self.folder, self.published)
        publish(self.published, self.vault)


class Phase:
    """One site that runs, and its browsers."""

    def __init__(self, ground: Ground, asked: argparse.Namespace) -> None:
        self.ground, self.asked = ground, asked

    def run(self, name: str) -> None:
        """Run the site, let everybody ask, and print what came of it."""
        folder = self.ground.folder
        if name == "publication":
            folder = self.ground.published
        sessions_begin(folder)
        with serving(folder, self.ground.keys) as server:
            reports, traffic = asyncio.run(self._asked(name, server))
        reports[-1].kept = check(folder, traffic.browsers)
        for report in reports:
            print("\n".join(report.lines()), flush=True)

    async def _asked(self, name: str, server: Server) -> tuple[list[Report], Traffic]:
        traffic = Traffic(server.port, self.ground.people, self.ground.seed)
        async with traffic:
            await traffic.warm_up(RESULT if name == "publication" else FILLING)
            self.server, self.traffic = server, traffic
            work = {
                "mix": self._mix,
                "publication": self._publication,
                "limit": self._limit,
            }
            return await work[name](), traffic

    async def _mix(self) -> list[Report]:
        seconds = 10 if self.asked.quick else self.asked.minutes * 60
        return [await self._measured("Mix", MIX, seconds, FILLING)]

    async def _publication(self) -> list[Report]:
        seconds = 10 if self.asked.quick else 120
        return [await self._measured("Publication", PUBLICATION, seconds, RESULT)]

    async def _limit(self) -> list[Report]:
        """Raise the load until it is too much, and then some more."""
        reports: list[Report] = []
        rates, after = MIX, 0
        while after < STEPS_AFTER:
            seconds = 5 if self.asked.quick else STEP_SECONDS
            reports.append(await self._measured("Limit", rates, seconds, FILLING))
            last = reports[-1]
            after += bool(last.slow > TOO_SLOW or last.refused or last.errors)
            rates = rates.times(STEP)
        return reports

    async def _measured(
        self, title: str, rates: Rates, seconds: float, views: Mapping[str, int]
    ) -> Report:
        solver = Solver(self.server.port) if self.asked.while_solving else None
        if solver:
            title += " while a national round is solved"
        return await measure(
            title, self.server, self.traffic, rates, seconds, views, solver
        )


def growth(ground: Ground, quick: bool) -> None:
    """Let there be more and more applicants, and time the pages."""
    found = {}
    for size in QUICK_SIZES if quick else SIZES:
        ground.grow(size)
        sessions_begin(ground.folder)
        with serving(ground.folder, ground.keys) as server:
            times = QUICK_TIMES if quick else TIMES
            found[size] = asked_of(server, ground.people, times)
    print("\n".join(table(found)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("phases", nargs="*", metavar="phase", default=["mix"])
    parser.add_argument("--while-solving", action="store_true")
    parser.add_argument("--applicants", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=10, help="of the mix")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if unknown := set(asked.phases) - set(PHASES):
        parser.error(f"unknown {', '.join(unknown)}; expected {', '.join(PHASES)}")
    print(f"{machine()}; {versions(PACKAGES)}; {asked.applicants:,} applicants\n")
    with tempfile.TemporaryDirectory(prefix="jiepin-load-") as home:
        ground = Ground(Path(home), asked.applicants, asked.seed)
        if asked.while_solving or "publication" in asked.phases:
            ground.solve()
        filling_in(ground.folder)
        for name in asked.phases:
            if name == "growth":
                growth(ground, asked.quick)
            else:
                Phase(ground, asked).run(name)


if __name__ == "__main__":
    main()
