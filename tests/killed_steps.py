"""Work on a site's folder, killed (SIGKILL) at every step that it takes, one by one.

A step is a statement of SQLite's or a change of a file. The program of a step is a fork
of this one, so that the engine is loaded once: run it as a process of its own.

    .venv/bin/python tests/killed_steps.py migrate|freeze|publish FOLDER EVERY

makes the folder, kills at every so manieth step (1: at all of them) and prints as JSON
after how many kills the old state was found, and the new one.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiosqlite
from frozen_site import reviewed
from practice_round import START, running, settings
from published_round import TEACHERS, frozen_round

from jiepin.web.access import Actor
from jiepin.web.clock import SetClock
from jiepin.web.site import Site
from jiepin.web.store import database, results, snapshots
from jiepin.web.store.database import Database, migrations
from jiepin.web.vault import Vault

# what Python does to files, as it tells its audit hooks
FILE_EVENTS = ("open", "os.mkdir", "os.rename", "os.chmod", "os.remove", "os.rmdir")

NEVER, MOST_STEPS = 10**9, 10_000

Work = Callable[[Path], Awaitable[None]]


class Steps:
    """Counts steps and kills this process at one of them."""

    def __init__(self, last: int, below: Path) -> None:
        self._left = last
        self._below = str(below)
        sys.addaudithook(self._file)

    def statement(self, _text: str) -> None:
        self._one()

    def _file(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(arguments[0]).startswith(self._below):
            self._one()

    def _one(self) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def killed_at(step: int, work: Work, folder: Path) -> bool:
    """Do some work in a fork that is killed at a step; false when it came to an end."""
    child = os.fork()
    if child == 0:
        steps = Steps(step, folder / "rounds")
        code = 1
        try:
            with counted(steps):
                asyncio.run(work(folder))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


@contextmanager
def counted(steps: Steps) -> Iterator[None]:
    """Count every statement of every connection that is opened."""
    connect = database._connect

    async def connected(path: Path, mode: str) -> aiosqlite.Connection:
        db = await connect(path, mode)
        await db.set_trace_callback(steps.statement)
        return db

    database._connect = connected
    try:
        yield
    finally:
        database._connect = connect


def at_steps(
    every: int, work: Work, made: Path, settled: Callable[[Path], str]
) -> dict[str, int]:
    """Kill the work at its first step, and at every so manieth, until it ends.

    `settled` checks a copy of the folder after each kill, and says what it found.
    """
    found: dict[str, int] = {}
    for step in range(0, MOST_STEPS, every):
        folder = made.with_name(f"{made.name}-{step}")
        shutil.copytree(made, folder)
        killed = killed_at(step, work, folder)
        state = settled(folder)
        assert killed or state == "new", state
        shutil.rmtree(folder)
        if not killed:
            return found
        found[state] = found.get(state, 0) + 1
    raise AssertionError("it has no end")


def query(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "jiepin.db")) as db:
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert db.execute("pragma foreign_key_check").fetchall() == []
        return db.execute(statement).fetchall()


def shape(folder: Path) -> list[tuple[Any, ...]]:
    return query(folder, "select type, name, sql from sqlite_master order by 1, 2")


# migrations


async def migrate(folder: Path) -> None:
    await (await Database.open(folder / "jiepin.db")).close()


def migrated(folder: Path) -> str:
    """Say which shape a database was left in; the next start must bring the newest."""
    [[version]] = query(folder, "pragma user_version")
    left = shape(folder)
    scripts = migrations()
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript("\n".join(scripts[:version]))
        statement = "select type, name, sql from sqlite_master order by 1, 2"
        assert left == db.execute(statement).fetchall(), version
    asyncio.run(migrate(folder))
    assert query(folder, "pragma user_version") == [(len(scripts),)]
    return "new" if version == len(scripts) else "old"


# the freeze


async def with_site(folder: Path, work: Callable[[Site], Awaitable[Any]]) -> None:
    opened = await Database.open(folder / "jiepin.db")
    vault = Vault.read(folder / "keys.json")
    try:
        await work(Site(settings(folder), SetClock(START), vault, opened))
    finally:
        await opened.close()


async def freeze(folder: Path) -> None:
    [[id_]] = query(folder, "select id from staff where kind = 'host'")
    head = Actor("host", id_, role="head")
    await with_site(folder, lambda site: snapshots.freeze(site, head, "freeze", ""))


async def start_again(folder: Path) -> None:
    await with_site(folder, snapshots.keep_audits)


def frozen(folder: Path) -> str:
    """Say whether a round is frozen, wholly; what is not can be frozen once more."""
    state = "new" if _is_frozen(folder) else "old"
    go_on = freeze if state == "old" else start_again
    assert not killed_at(NEVER, go_on, folder)
    assert _is_frozen(folder)
    home = folder / "rounds" / "115"
    assert sorted(path.name for path in home.iterdir()) == [
        "snapshot-1",
        "snapshot-1-audit.jsonl",
    ]
    last = (home / "snapshot-1-audit.jsonl").read_text("utf-8").splitlines()[-1]
    assert json.loads(last)["action"] == "frozen"
    return state


def _is_frozen(folder: Path) -> bool:
    """Tell whether there is a snapshot; one that is there must be whole."""
    rows = query(folder, "select folder, manifest, digest from snapshot")
    entries = query(folder, "select count(*) from audit where action = 'frozen'")
    [[at]] = query(folder, "select frozen from round")
    assert entries == [(len(rows),)]
    assert (at is not None) == bool(rows)
    for place, manifest, digest in rows:
        content = (folder / place / "manifest.json").read_bytes()
        assert sha256(content).hexdigest() == digest
        for name, expected in json.loads(manifest)["files"].items():
            found = (folder / place / name).read_bytes()
            assert sha256(found).hexdigest() == expected
    return bool(rows)


# the notices of a publication


async def publish(folder: Path) -> None:
    results._AT_ONCE = 2
    await with_site(folder, results.tend)


def published(folder: Path) -> str:
    """Say whether everybody was told; after the next start it must be so, once."""
    [[told]] = query(folder, "select told from publication")
    assert not killed_at(NEVER, publish, folder)
    each = query(
        folder,
        "select count(*) from outbox where event = 'result' group by application",
    )
    assert each == [(1,)] * len(TEACHERS)
    noted = "select count(*) from audit where action = 'published' and actor = 'system'"
    assert query(folder, noted) == [(1,)]
    return "old" if told is None else "new"


# the process


def main() -> None:
    kind, folder, every = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    work, settled, made = {
        "migrate": (migrate, migrated, nothing),
        "freeze": (freeze, frozen, ready_to_freeze),
        "publish": (publish, published, ready_to_tell),
    }[kind]
    made(folder)
    print(json.dumps(at_steps(every, work, folder, settled)))


def nothing(folder: Path) -> None:
    folder.mkdir()


def ready_to_freeze(folder: Path) -> None:
    with reviewed(folder) as (client, _host):
        client.site.vault.write(folder / "keys.json")
    import jiepin.core  # noqa: F401  (once for all forks)


def ready_to_tell(folder: Path) -> None:
    with running(folder) as client:
        client.site.vault.write(folder / "keys.json")
        round_ = frozen_round(client)
        round_.approve()
        round_.publish()


if __name__ == "__main__":
    main()
