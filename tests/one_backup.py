"""Backups made in processes that start at once, so that they can be killed at it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

from jiepin.web import backup
from jiepin.web.vault import Vault


def _make(data: str, keys: str, folder: str, recipient: str) -> None:
    vault = Vault.read(Path(keys))
    recipients = backup.read_recipients(recipient)
    asyncio.run(backup.make(Path(data), vault, Path(folder), recipients))


def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["jiepin.web.backup"])
    return context


@dataclass(frozen=True)
class Maker:
    """Makes backups of a data folder into another one."""

    data: Path
    keys: Path
    folder: Path
    recipient: str

    def make(self, killed_after: float | None = None) -> float:
        """Make one, or kill the process after so many seconds; returns how long."""
        words = (self.data, self.keys, self.folder, self.recipient)
        process = _context().Process(target=_make, args=tuple(map(str, words)))
        begun = time.monotonic()
        process.start()
        process.join(killed_after)
        process.kill()
        process.join()
        process.close()
        return time.monotonic() - begun
