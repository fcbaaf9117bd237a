"""A small year whose review is over: six teachers, who can swap, move and stay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from practice_round import YEAR, Client, running, school
from staff_site import host_desk

from jiepin.web import round_run
from jiepin.web.access import Actor
from jiepin.web.clock import to_ms
from jiepin.web.site import Site
from jiepin.web.store import schools, snapshots
from jiepin.web.store.schools import Window
from jiepin.web.store.snapshots import Snapshot

SCHOOLS = (
    school("123601", "新興國小"),
    school("123602", "前金國小"),
    school("133601", "青山國小", "special-remote", "indigenous"),
    school("133602", "中正國小"),
    school("143601", "豐里國小", "extreme-remote"),
    school("143602", "卑南國小"),
)


@dataclass(frozen=True)
class Someone:
    """An approved applicant: from a school, with wishes in order."""

    number: str
    home: str
    wishes: Sequence[str]
    points: int = 5000
    born: date = date(1985, 3, 9)
    state: str = "approved"
    indigenous: bool = False

    @property
    def id(self) -> str:
        return f"application {self.number}"

    @property
    def name(self) -> str:
        return f"機密姓名{self.number}"

    @property
    def national_id(self) -> str:
        return f"Z10{self.number}"


PEOPLE = (
    Someone("1220001", "123601", ["133602", "143601"], 6000),
    Someone("1320001", "133602", ["123601"], 5500, date(1971, 12, 24)),
    Someone("1220002", "123602", ["143602"], 5000, date(1979, 1, 30)),
    Someone("1420001", "143601", ["123602", "133601"], 4050, date(1990, 11, 23)),
    Someone("1220003", "123601", ["133601"], 4000, indigenous=True),
    Someone("1320002", "133601", ["143602", "123602"], 3000, date(1975, 12, 12)),
)
FILED = Someone("0000009", "123602", ["133602"], state="filed")
SEATS = (("143602", "E01", 1), ("133601", "E01", 1))

# Stands for the engine where it only matters that a process runs: it says how far it
# is, then waits for a file that the test makes, or for its end.
SLOW = """
import pathlib, time
print("progress 3 7 mutual", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""

# The engine that solves alone, and nods to all else; it starts in a third of the time.
SOLVES = f"""
import sys
if sys.argv[1] != "solve":
    sys.exit(0)
{round_run.MAIN}
"""


@contextmanager
def quick_engine() -> Iterator[None]:
    """Let runs go without compiling or looking for fonts anew at each site."""
    environment = round_run.environment

    def quick(data: Path) -> dict[str, str]:
        known = environment(data) | {"NUMBA_DISABLE_JIT": "1"}
        known.pop("MPLCONFIGDIR", None)
        return known

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(round_run, "environment", quick)
        yield


@contextmanager
def reviewed(
    folder: Path, people: Sequence[Someone] = PEOPLE
) -> Iterator[tuple[Client, Client]]:
    """Run a site whose review is over; gives a browser and the host's head's."""
    with quick_engine(), running(folder, SCHOOLS) as client:
        client.call(lambda site: fill(site, people))
        yield client, host_desk(client)


async def fill(site: Site, people: Sequence[Someone] = PEOPLE) -> None:
    """Write applications, points, seats and times that are over."""
    now = site.clock.now()
    over = Window(now - timedelta(days=9), now - timedelta(days=1))
    async with site.database.writing() as db:
        for level in schools.LEVELS:
            for kind in ("fill", "review"):
                await schools.save_window(db, YEAR, level, kind, over)
        await db.executemany("insert into vacancy values (?, ?, null, ?)", SEATS)
        for someone in people:
            await add(db, site, someone)


async def add(db: aiosqlite.Connection, site: Site, someone: Someone) -> None:
    """Write one application as it is after the review."""
    counties = list(dict.fromkeys(code[:2] for code in someone.wishes))
    keys: dict[str, Any] = {
        "id": someone.id,
        "account": f"account {someone.number}",
        "year": YEAR,
        "lookup": someone.number.encode(),
        "county": someone.home[:2],
        "now": to_ms(site.clock.now()),
        "name": someone.name,
        "state": someone.state,
        "indigenous": int(someone.indigenous),
        "school": someone.home,
        "county1": counties[0],
        "county2": counties[1] if counties[1:] else None,
        "number": someone.number if someone.state == "approved" else None,
    }
    sealed = (
        ("national_id", someone.national_id),
        ("birth_date", someone.born.isoformat()),
    )
    for column, text in sealed:
        keys[column] = site.vault.seal(text, f"account.{column}", keys["account"])
    await db.execute(
        """insert into account (id, year, level, lookup, county, national_id,
        birth_date, sex, card_name, card_name_certain, created) values (:account,
        :year, 'elementary', :lookup, :county, :national_id, :birth_date, 'F', :name,
        1, :now)""",
        keys,
    )
    await db.execute(
        """insert into application (id, account, year, level, county, step, state,
        saved, name, phone1, email, email_confirmed, indigenous, area, service_years,
        school, subject1, county1, county2, filed, number) values (:id, :account,
        :year, 'elementary', :county, 6, :state, :now, :name, '07-7654321',
        'secret@example.org', :now, :indigenous, 'general', 7, :school, 'E01',
        :county1, :county2, :now, :number)""",
        keys,
    )
    await db.executemany(
        "insert into wish values (?, ?, ?)",
        [(someone.id, place, code) for place, code in enumerate(someone.wishes, 1)],
    )
    await db.executemany(
        "insert into points (application, item, value) values (?, ?, ?)",
        [(someone.id, "service", someone.points - 25), (someone.id, "reason1", 25)],
    )


def frozen(host: Client) -> Snapshot:
    """Freeze the round, and return the snapshot."""
    found: Snapshot = by(host, snapshots.freeze, "freeze", "")
    return found


def ran(client: Client, host: Client, snapshot: int) -> int:
    """Ask for a run as the host does and wait for its end; returns its number."""
    answer = host.post(f"/host/runs/snapshots/{snapshot}/run")
    assert answer.status_code == 303, answer.text
    settled(client)
    return int(answer.headers["location"].rsplit("/", 1)[1])


def noted(client: Client, host: Client, snapshot: int) -> int:
    """Write down a run that is done, without any; returns its number."""
    [(id_,)] = written(
        client,
        "insert into run (snapshot, asked, asked_by, state, lawful) "
        "values (:snapshot, 0, :by, 'done', 1) returning id",
        snapshot=snapshot,
        by=host.actor.account,
    )
    return int(id_)


def settled(client: Client) -> None:
    """Wait until no run waits and none is under way."""

    async def wait(_site: Site) -> None:
        await client.app.state.runner.idle.wait()

    client.call(wait)


def written(client: Client, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run one statement with the writer."""

    async def do(site: Site) -> list[tuple[Any, ...]]:
        async with site.database.writing() as db:
            rows = await db.execute_fetchall(statement, values)
            return [tuple(row) for row in rows]

    return client.call(do)


def by(host: Client, save: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Let a member of staff save something, past the pages."""
    actor: Actor = host.actor
    return host.call(lambda site: save(site, actor, *arguments))
