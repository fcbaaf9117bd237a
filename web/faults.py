"""What disk or database could not do, and what the pages say of it."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final, Literal

Fault = Literal["full", "locked", "disk"]

_DATABASE: Final[dict[int, Fault]] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_READONLY: "disk",
    sqlite3.SQLITE_IOERR: "disk",
    sqlite3.SQLITE_CANTOPEN: "disk",
}
_FILES: Final[dict[int | None, Fault]] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EROFS: "disk",
    errno.EIO: "disk",
    errno.EACCES: "disk",
}
_PRIMARY: Final = 0xFF  # of an extended result code of SQLite


def fault_of(error: BaseException) -> Fault | None:
    """Say what an error tells of disk or database; None of one that is another matter.

    Whatever was begun when it came was undone, and later on may succeed.

    >>> fault_of(OSError(errno.ENOSPC, "No space left on device"))
    'full'
    >>> fault_of(FileNotFoundError(errno.ENOENT, "No such file")) is None
    True
    """
    if isinstance(error, sqlite3.OperationalError):
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return _DATABASE.get(code & _PRIMARY)
    return _FILES.get(error.errno) if isinstance(error, OSError) else None
