"""The database file: one connection writes, others only read.

SQLite is as safe as the rules it is used by: a single writer that begins with
`BEGIN IMMEDIATE` under a lock, readers opened `mode=ro` that can neither write nor
checkpoint, WAL with `synchronous=FULL`, so that what was acknowledged survives a power
cut, and a lock on a file beside it against a second process.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from importlib.resources import files
from pathlib import Path
from typing import Self

import aiosqlite

N_READERS = 4
_holds_a_reader: ContextVar[bool] = ContextVar("holds_a_reader", default=False)
BUSY_MS = 5000


class DatabaseInUse(Exception):
    """Another process has opened this database for writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path}: another process uses this database; stop it first, one process "
            "alone may write"
        )


class NewerDatabase(Exception):
    """The database was made by a later version of the program."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path}: shape {found} of the database; this program knows up to {known}; "
            "install the version that made it"
        )


class Database:
    """One database file, open. Use `reading()` and `writing()`; close it at the end."""

    def __init__(
        self,
        path: Path,
        lock_file: int,
        writer: aiosqlite.Connection,
        readers: list[aiosqlite.Connection],
    ) -> None:
        self.path = path
        self._lock_file = lock_file
        self._writer = writer
        self._writing = asyncio.Lock()
        self._all_readers = readers
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database and bring it into its newest shape.

        Raises DatabaseInUse, NewerDatabase.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = _lock(path)
        try:
            writer = await _connect(path, "rwc")
            try:
                await _settle(writer, path)
                readers = [await _connect(path, "ro") for _ in range(N_READERS)]
            except BaseException:
                await writer.close()
                raise
        except BaseException:
            os.close(lock_file)
            raise
        return cls(path, lock_file, writer, readers)

    async def close(self) -> None:
        """Close all connections and give the lock back."""
        for reader in self._all_readers:
            await reader.close()
        await self._writer.close()
        os.close(self._lock_file)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[aiosqlite.Connection]:
        """Lend a connection that cannot write; it sees what has been committed.

        Who holds one must not ask for another: when all who hold one did so at the same
        time, each would wait for the others for ever.
        """
        assert not _holds_a_reader.get(), "reading() inside reading()"
        reader = await self._readers.get()
        held = _holds_a_reader.set(True)
        try:
            yield reader
        finally:
            _holds_a_reader.reset(held)
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[aiosqlite.Connection]:
        """Lend the writer for one transaction; any exception undoes all of it."""
        async with self._writing:
            try:
                await self._writer.execute("begin immediate")
                yield self._writer
                await self._writer.execute("commit")
            except BaseException:
                # not cancelled half-way: the writer must be fit for the next one
                await asyncio.shield(self._undo())
                raise

    async def _undo(self) -> None:
        with suppress(sqlite3.OperationalError):  # nothing was begun
            await self._writer.execute("rollback")

    async def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the database file."""
        async with self._writing:
            await self._writer.execute_fetchall("pragma wal_checkpoint(truncate)")

    async def compact(self) -> bool:
        """Write the file anew, so that nothing is left in it of what was deleted.

        The write-ahead log is emptied as well; false when readers did not let it be.
        """
        async with self._writing:
            await self._writer.execute("vacuum")
            # SQLite waits for readers, up to BUSY_MS: nobody can save meanwhile
            [[busy, *_]] = await self._writer.execute_fetchall(
                "pragma wal_checkpoint(truncate)"
            )
        return not busy

    async def backup(self, target: Path) -> None:
        """Write a consistent copy; a plain copy of the file would miss the log."""
        async with self.reading() as db:
            await db.execute("vacuum into :target", {"target": str(target)})


@asynccontextmanager
async def looking(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Lend a connection that only reads, beside a site that may be running.

    What it sees stands still from the first statement on.
    """
    db = await _connect(path, "ro")
    try:
        await db.execute("begin")
        yield db
    finally:
        await db.close()


def _lock(path: Path) -> int:
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseInUse(path) from None
    return descriptor


async def _connect(path: Path, mode: str) -> aiosqlite.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    db = await aiosqlite.connect(address, uri=True, isolation_level=None)
    db.row_factory = aiosqlite.Row
    await db.execute(f"pragma busy_timeout = {BUSY_MS}")
    await db.execute("pragma foreign_keys = on")
    return db


async def _settle(writer: aiosqlite.Connection, path: Path) -> None:
    os.chmod(path, 0o600)
    await writer.execute("pragma journal_mode = wal")
    await writer.execute("pragma synchronous = full")
    await _migrate(writer, path)


def migrations() -> list[str]:
    """Return the scripts of `schema/` in order; the first makes version 1."""
    folder = files("jiepin.web") / "schema"
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return [file.read_text("utf-8") for file in found if file.name.endswith(".sql")]


async def _migrate(writer: aiosqlite.Connection, path: Path) -> None:
    """Run the scripts that this database has not seen, each whole or not at all."""
    [[version]] = await writer.execute_fetchall("pragma user_version")
    scripts = migrations()
    if version > len(scripts):
        raise NewerDatabase(path, version, len(scripts))
    for number, script in enumerate(scripts[version:], version + 1):
        await writer.executescript(
            f"begin immediate;\n{script}\npragma user_version = {number};\ncommit;"
        )
