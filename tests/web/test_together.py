"""Transactions that wait at the same moment reach the disk together, or none does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from jiepin.web.store.database import Database

MANY = 20
ADD = "insert into county (code, name, name_en) values (?, '', '')"
Work = Callable[[Database], Awaitable[None]]


def on(folder: Path, work: Work) -> None:
    async def run() -> None:
        database = await Database.open(folder / "jiepin.db")
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is noted whenever a connection commits in its thread."""
    found: list[str] = []
    execute = aiosqlite.Connection._execute

    async def noted(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if args and args[0] == "commit":
            found.append("commit")
        return await execute(self, fn, *args, **kwargs)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", noted)
    return found


async def add(database: Database, code: str, fault: Exception | None = None) -> None:
    async with database.writing(quick=True) as db:
        await db.execute(ADD, (code,))
        if fault is not None:
            raise fault


async def there(database: Database) -> set[str]:
    async with database.reading() as db:
        rows = await db.execute_fetchall("select code from county where code like 'n%'")
    return {code for (code,) in rows}


def test_those_who_wait_are_committed_together(
    tmp_path: Path, commits: list[str]
) -> None:
    async def work(database: Database) -> None:
        codes = [f"n{n}" for n in range(MANY)]
        await asyncio.gather(*(add(database, code) for code in codes))
        assert await there(database) == set(codes)
        assert len(commits) == 1

    on(tmp_path, work)


def test_nothing_is_acknowledged_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """Whoever looks right after his own write finds it, at any time."""

    async def one(database: Database, n: int) -> None:
        for turn in range(10):
            await add(database, f"n{n}-{turn}")
            assert f"n{n}-{turn}" in await there(database)
            await asyncio.sleep(0)

    async def work(database: Database) -> None:
        await asyncio.gather(*(one(database, n) for n in range(5)))
        assert len(await there(database)) == 50

    on(tmp_path, work)


def test_what_one_does_wrong_undoes_nothing_of_the_others(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        fault = ValueError("mine alone")
        asked = [add(database, f"n{n}", fault if n % 2 else None) for n in range(6)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert ends == [None, fault] * 3
        assert await there(database) == {"n0", "n2", "n4"}

    on(tmp_path, work)


def test_when_the_commit_fails_all_of_them_hear_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = aiosqlite.Connection._execute

    async def full(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if args and args[0] == "commit":
            raise sqlite3.OperationalError("database or disk is full")
        return await execute(self, fn, *args, **kwargs)

    async def work(database: Database) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(aiosqlite.Connection, "_execute", full)
            asked = (add(database, f"n{n}") for n in range(3))
            ends = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(end) for end in ends] == [sqlite3.OperationalError] * 3
        assert await there(database) == set()
        await add(database, "n9")
        assert await there(database) == {"n9"}

    on(tmp_path, work)


def test_when_sqlite_undoes_everything_those_before_hear_of_it(tmp_path: Path) -> None:
    """As it does by itself when a statement finds the disk full."""

    async def full_disk(database: Database) -> None:
        async with database.writing(quick=True) as db:
            await db.execute("rollback")
            raise sqlite3.OperationalError("database or disk is full")

    async def work(database: Database) -> None:
        asked = (add(database, "n1"), full_disk(database), add(database, "n3"))
        ends = await asyncio.gather(*asked, return_exceptions=True)
        full = sqlite3.OperationalError
        assert [type(end) for end in ends] == [full, full, type(None)]
        assert await there(database) == {"n3"}

    on(tmp_path, work)


def test_whoever_goes_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        asked = [asyncio.create_task(add(database, f"n{n}")) for n in range(3)]
        while not database._committing:
            await asyncio.sleep(0)
        for one in asked:
            one.cancel()
        await asyncio.wait(asked)
        await add(database, "n9")
        assert "n9" in await there(database)
        assert database._group is None

    on(tmp_path, work)


def test_a_long_transaction_is_alone(tmp_path: Path) -> None:
    async def long(database: Database) -> None:
        async with database.writing() as db:
            await db.execute(ADD, ("n2",))
            assert await there(database) == {"n1"}  # that of before is on the disk
            raise ValueError

    async def work(database: Database) -> None:
        asked = (add(database, "n1"), long(database), add(database, "n3"))
        await asyncio.gather(*asked, return_exceptions=True)
        assert await there(database) == {"n1", "n3"}

    on(tmp_path, work)


def test_quick_statements_ask_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def thread(*args: Any) -> Any:
        raise AssertionError(args)

    async def work(database: Database) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(aiosqlite.Connection, "_execute", thread)
            async with database.reading(quick=True) as db:
                rows = await db.execute_fetchall("select 1")
                assert [tuple(row) for row in rows] == [(1,)]
            async with database.reading() as db:
                with pytest.raises(AssertionError):
                    await db.execute("select 1")

    on(tmp_path, work)


def test_whoever_goes_away_at_the_very_beginning_leaves_nothing_begun(
    tmp_path: Path,
) -> None:
    async def work(database: Database) -> None:
        for turns in range(8):
            one = asyncio.create_task(add(database, f"n{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            one.cancel()
            await asyncio.wait([one])
            await add(database, f"n{turns}-next")
        assert {f"n{turns}-next" for turns in range(8)} <= await there(database)

    on(tmp_path, work)
