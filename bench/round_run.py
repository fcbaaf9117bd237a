"""A national round from the click to the stored result, and how pages behave meanwhile.

    .venv/bin/python bench/round_run.py [--applicants N] [--folder DIR]

A site on a free port of this computer, its SQLite file on disk, with N invented
applicants whose review is over. A process of its own fetches the teachers' first page
fifty times a second: while nothing else happens, during the freeze, and during the run.
The first run on a folder also compiles the engine; a second one does not.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import multiprocessing
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn
from httpx2 import Client

from jiepin.core import Round
from jiepin.core.simulation.population import generate
from jiepin.web.app import create_app
from jiepin.web.clock import to_ms
from jiepin.web.demo import _school as school_of
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import schools, staff
from jiepin.web.store.schools import RoundSettings, Window
from jiepin.web.vault import Vault, digest

YEAR, TOKEN = 115, "token-of-the-bench"
EVERY = 0.02  # seconds between two pages
DIGITS = {"junior-high": "1", "elementary": "2", "kindergarten": "3"}


@dataclass(frozen=True)
class Probed:
    """When pages were asked for, and how long each took, in seconds."""

    took: list[float]
    gap: float

    def text(self) -> str:
        ms = sorted(seconds * 1000 for seconds in self.took)
        slow = ms[int(0.99 * len(ms))]
        return (
            f"{len(ms):5} pages  median {statistics.median(ms):6.1f}  p99 {slow:6.1f}"
            f"  longest {ms[-1]:6.1f}  largest gap {self.gap * 1000:6.1f} ms"
        )


def probe(port: int, ends: Connection) -> None:
    """Fetch a page again and again until told to stop; runs in a process of its own."""
    took, answered = [], []
    browser = http.client.HTTPConnection("127.0.0.1", port)
    while not ends.poll() or len(took) < 2:
        start = time.perf_counter()
        browser.request("GET", "/teacher/")
        browser.getresponse().read()
        answered.append(time.perf_counter())
        took.append(answered[-1] - start)
        time.sleep(max(EVERY - took[-1], 0))
        if len(took) == 1:
            ends.send("ready")
    ends.send(Probed(took, max(b - a for a, b in pairwise(answered))))


@contextmanager
def probing(port: int, what: str) -> Iterator[None]:
    """Fetch pages during the block, and print how that went."""
    own, theirs = multiprocessing.Pipe()
    prober = multiprocessing.get_context("spawn").Process(
        target=probe, args=(port, theirs)
    )
    prober.start()
    own.recv()
    yield
    own.send("stop")
    found: Probed = own.recv()
    prober.join()
    print(f"{what:16} {found.text()}")


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, Site, asyncio.AbstractEventLoop]]:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    app = create_app(Settings(folder, origin, folder / "keys.json"), Vault.new())
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield port, app.state.site, loops[0]
    finally:
        server.should_exit = True
        thread.join()


async def fill(site: Site, round_: Round) -> None:
    """Write an invented round as it is when its review is over, and the host's head."""
    now = site.clock.now()
    over = Window(now - timedelta(days=9), now - timedelta(days=1))
    async with site.database.writing() as db:
        await schools.save_round(db, RoundSettings(YEAR, "", 1, 2, 3, 0, 1))
        for level in schools.LEVELS:
            for kind in ("fill", "review"):
                await schools.save_window(db, YEAR, level, kind, over)
        await schools.add(db, [school_of(row) for row in round_.schools.to_dicts()])
        await db.executemany(
            "insert into vacancy (school, subject, seats) values (?, ?, ?)",
            round_.vacancies.rows(),
        )
        level_of = dict(round_.schools.select("school", "level").iter_rows())
        county_of = dict(round_.schools.select("school", "county").iter_rows())
        for n, row in enumerate(round_.teachers.to_dicts()):
            await apply(db, site, n, row, county_of[row["school"]], level_of)
        await db.execute(
            "insert into staff (id, kind, levels, role, name, lookup, masked, created, "
            "created_by) values ('head', 'host', 'elementary', 'head', '', x'00', '', "
            "0, '')"
        )
        await staff.add_session(db, digest(TOKEN), "head", now)


async def apply(
    db: Any,
    site: Site,
    n: int,
    row: dict[str, Any],
    county: str,
    level_of: dict[str, str],
) -> None:
    level = level_of[row["school"]]
    born = row["birth_date"].isoformat() if row["birth_date"] else "1980-01-01"
    counties, subjects = [*row["counties"], None, None], [*row["subjects"], None, None]
    keys = {
        "id": f"application {n}",
        "account": f"account {n}",
        "number": f"{county}{DIGITS[level]}{n:05d}",
        "year": YEAR,
        "level": level,
        "lookup": str(n).encode(),
        "county": county,
        "now": to_ms(site.clock.now()),
        "born": site.vault.seal(born, "account.birth_date", f"account {n}"),
        "indigenous": int("indigenous" in row["groups"]),
        "years": (row["service_years"] or 0) // 100,
        "school": row["school"],
        "county1": counties[0],
        "county2": counties[1],
        "subject1": subjects[0],
        "subject2": subjects[1],
        "subject3": subjects[2],
    }
    await db.execute(
        "insert into account (id, year, level, lookup, county, national_id, birth_date,"
        " sex, card_name, card_name_certain, created) values (:account, :year, :level,"
        " :lookup, :county, x'', :born, 'F', '', 1, :now)",
        keys,
    )
    await db.execute(
        "insert into application (id, account, year, level, county, step, state, saved,"
        " indigenous, service_years, school, subject1, subject2, subject3, county1,"
        " county2, number) values (:id, :account, :year, :level, :county, 6,"
        " 'approved', :now, :indigenous, :years, :school, :subject1, :subject2,"
        " :subject3, :county1, :county2, :number)",
        keys,
    )
    wishes = [(keys["id"], at, code) for at, code in enumerate(row["choices"], 1)]
    await db.executemany("insert into wish values (?, ?, ?)", wishes)
    # what differs between both counties is the reason for the one
    points = [*row["points"], 0, 0][:2]
    low = min(row["points"], default=0)
    items = (
        ("service", low),
        ("reason1", points[0] - low),
        ("reason2", points[1] - low),
    )
    await db.executemany(
        "insert into points (application, item, value) values (?, ?, ?)",
        [(keys["id"], item, value) for item, value in items],
    )


def click(browser: Client, path: str) -> tuple[str, float]:
    start = time.perf_counter()
    answer = browser.post(path, data={"reason": ""})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"], time.perf_counter() - start


def run(browser: Client) -> float:
    """Click, follow the run as its page does, and return how long all of it took."""
    start = time.perf_counter()
    address, _took = click(browser, "/host/runs/snapshots/1/run")
    while browser.get(f"{address}.json").json()["under_way"]:
        time.sleep(0.1)
    took = time.perf_counter() - start
    assert "檢核通過" in browser.get(address).text
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applicants", type=int, default=5000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jiepin-run-") as home:
        folder = asked.folder or Path(home) / "site"
        generate(Path(home) / "round", teachers=asked.applicants, seed=YEAR)
        round_ = Round.read(Path(home) / "round")
        with serving(folder) as (port, site, loop):
            measure(port, site, loop, round_)


def measure(
    port: int, site: Site, loop: asyncio.AbstractEventLoop, round_: Round
) -> None:
    def wait(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    wait(fill(site, round_))
    with Client(base_url=site.settings.origin, timeout=600) as browser:
        browser.cookies.set(site.settings.staff_cookie, TOKEN)
        browser.headers["sec-fetch-site"] = "same-origin"
        with probing(port, "nothing else"):
            time.sleep(5)
        with probing(port, "freeze"):
            took = click(browser, "/host/runs/freeze")[1]
        print(f"from the click to the snapshot: {took:.2f} s")
        for what in ("first run", "second run"):
            with probing(port, what):
                took = run(browser)
            print(f"from the click to the stored result, {what}: {took:.2f} s")


if __name__ == "__main__":
    main()
