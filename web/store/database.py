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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

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


class UnusableDatabase(Exception):
    """The file can not be opened, read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}; see that the disk has room and may be written, that "
            "the file is a database of this site, and that no other program holds it"
        )


class NewerDatabase(Exception):
    """The database was made by a later version of the program."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path}: shape {found} of the database; this program knows up to {known}; "
            "install the version that made it"
        )


class Connection(aiosqlite.Connection):
    """A connection with a thread of its own, or without where that is quicker.

    Whoever waits for the thread waits for the event loop as well, which at a rush has
    others to serve first: twenty times a tenth of the rush for twenty statements of
    fifty microseconds, and whoever holds the writer keeps all others waiting
    meanwhile. While `quick` is set, statements are done where they are asked for.
    """

    quick = False

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.quick:
            return fn(*args, **kwargs)
        there: Awaitable[Any] = super()._execute(  # type: ignore[no-untyped-call]
            fn, *args, **kwargs
        )
        return await there


class Database:
    """One database file, open. Use `reading()` and `writing()`; close it at the end."""

    def __init__(
        self,
        path: Path,
        lock_file: int,
        writer: Connection,
        readers: list[Connection],
    ) -> None:
        self.path = path
        self._file = os.stat(path)
        self._lock_file = lock_file
        self._writer = writer
        self._writing = asyncio.Lock()
        self._group: asyncio.Future[None] | None = None
        self._committing: set[asyncio.Task[None]] = set()
        self._all_readers = readers
        self._readers: asyncio.Queue[Connection] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the database and bring it into its newest shape.

        Raises DatabaseInUse, NewerDatabase, UnusableDatabase.
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
        except sqlite3.DatabaseError as fault:
            os.close(lock_file)
            raise UnusableDatabase(path, str(fault)) from fault
        except BaseException:
            os.close(lock_file)
            raise
        return cls(path, lock_file, writer, readers)

    def in_place(self) -> bool:
        """Tell whether file and lock are those that were opened, and not replaced."""
        lock = os.fstat(self._lock_file)
        return os.path.samestat(self._file, os.stat(self.path)) and os.path.samestat(
            lock, os.stat(_lock_of(self.path))
        )

    async def close(self) -> None:
        """Close all connections and give the lock back."""
        await asyncio.gather(*self._committing)
        for reader in self._all_readers:
            await reader.close()
        await self._writer.close()
        os.close(self._lock_file)

    @asynccontextmanager
    async def reading(self, quick: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection that cannot write; it sees what has been committed.

        `quick`: every statement finds what it asks for by an index, and little of it;
        see `Connection`.

        Who holds one must not ask for another: when all who hold one did so at the same
        time, each would wait for the others for ever.
        """
        assert not _holds_a_reader.get(), "reading() inside reading()"
        reader = await self._readers.get()
        held = _holds_a_reader.set(True)
        reader.quick = quick
        try:
            yield reader
        finally:
            reader.quick = False
            _holds_a_reader.reset(held)
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def writing(self, quick: bool = False) -> AsyncIterator[Connection]:
        """Lend the writer for one transaction; any exception undoes all of it.

        After the block it is on the disk. `quick` is as for `reading`, and such
        transactions reach the disk together with those that wait at that moment.
        """
        async with self._together() if quick else self._alone() as db:
            yield db

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection]:
        async with self._writing:
            await asyncio.shield(self._end_group())
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

    @asynccontextmanager
    async def _together(self) -> AsyncIterator[Connection]:
        """Write as one of a group, which is committed once all have written who wait.

        A commit waits some milliseconds for the disk, and would do so for each of them.
        """
        async with self._writing:
            group = await self._open_group()
            self._writer.quick = True
            try:
                await self._writer.execute("savepoint one")
                yield self._writer
                await self._writer.execute("release one")
            except BaseException as fault:
                await self._undo_one(group, fault)
                raise
            finally:
                self._writer.quick = False
        await asyncio.shield(group)

    async def _open_group(self) -> asyncio.Future[None]:
        """Return the group under way, done once it is on the disk, or begin one."""
        if self._group is None:
            try:
                await self._writer.execute("begin immediate")
            except BaseException:
                # cancelled half-way it may begin all the same
                await asyncio.shield(self._undo())
                raise
            self._group = asyncio.get_running_loop().create_future()
            # its turn comes after those who wait already, and before all later ones
            committing = asyncio.create_task(self._commit())
            self._committing.add(committing)
            committing.add_done_callback(self._committing.discard)
        return self._group

    async def _commit(self) -> None:
        async with self._writing:
            await asyncio.shield(self._end_group())

    async def _end_group(self) -> None:
        """Commit what a group has written, or tell all of it that this failed."""
        group, self._group = self._group, None
        if group is None:
            return
        try:
            await self._writer.execute("commit")
        except BaseException as fault:
            await asyncio.shield(self._undo())
            _fail(group, fault)
        else:
            group.set_result(None)

    async def _undo_one(
        self, group: asyncio.Future[None], fault: BaseException
    ) -> None:
        """Undo what one has written; SQLite may have undone all of it by itself."""
        if self._writer.in_transaction:
            with suppress(sqlite3.OperationalError):  # nothing was begun
                await self._writer.execute("rollback to one")
                await self._writer.execute("release one")
        else:
            self._group = None
            _fail(group, fault)

    async def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the database file."""
        async with self._writing:
            await asyncio.shield(self._end_group())
            await self._writer.execute_fetchall("pragma wal_checkpoint(truncate)")

    async def compact(self) -> bool:
        """Write the file anew, so that nothing is left in it of what was deleted.

        The write-ahead log is emptied as well; false when readers did not let it be.
        """
        async with self._writing:
            await asyncio.shield(self._end_group())
            await self._writer.execute("vacuum")
            # SQLite waits for readers, up to BUSY_MS: nobody can save meanwhile
            [[busy, *_]] = await self._writer.execute_fetchall(
                "pragma wal_checkpoint(truncate)"
            )
        return not busy


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


async def copy(path: Path, target: Path) -> None:
    """Write a consistent copy, beside a site that may be running.

    A plain copy of the file would miss what its write-ahead log holds.
    """
    db = await _connect(path, "ro")
    try:
        await db.execute("vacuum into :target", {"target": str(target)})
    finally:
        await db.close()


def _fail(group: asyncio.Future[None], fault: BaseException) -> None:
    group.set_exception(fault)
    group.exception()  # told to whoever waits; there may be nobody


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _lock(path: Path) -> int:
    descriptor = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseInUse(path) from None
    return descriptor


async def _connect(path: Path, mode: str) -> Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    # the thread of a connection that does not open outlives the loop, and complains
    sqlite3.connect(address, uri=True).close()
    db = Connection(partial(_opened, address), iter_chunk_size=64)
    await db
    db.row_factory = aiosqlite.Row
    await db.execute(f"pragma busy_timeout = {BUSY_MS}")
    await db.execute("pragma foreign_keys = on")
    return db


def _opened(address: str) -> sqlite3.Connection:
    # one thread at a time uses it: that of the connection, or that of the event loop
    return sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False
    )


async def _settle(writer: Connection, path: Path) -> None:
    os.chmod(path, 0o600)
    await writer.execute("pragma journal_mode = wal")
    await writer.execute("pragma synchronous = full")
    await _migrate(writer, path)


def migrations() -> list[str]:
    """Return the scripts of `schema/` in order; the first makes version 1."""
    folder = files("jiepin.web") / "schema"
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return [file.read_text("utf-8") for file in found if file.name.endswith(".sql")]


async def _migrate(writer: Connection, path: Path) -> None:
    """Run the scripts that this database has not seen, each whole or not at all."""
    [[version]] = await writer.execute_fetchall("pragma user_version")
    scripts = migrations()
    if version > len(scripts):
        raise NewerDatabase(path, version, len(scripts))
    for number, script in enumerate(scripts[version:], version + 1):
        await writer.executescript(
            f"begin immediate;\n{script}\npragma user_version = {number};\ncommit;"
        )
