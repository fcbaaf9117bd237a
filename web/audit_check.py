"""The audit looked at from outside the site: verified, and written to a file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from jiepin.web.clock import from_ms
from jiepin.web.store import audit
from jiepin.web.store.audit import Chain, Link
from jiepin.web.store.database import looking


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, in both languages; `holds` is false when it is broken."""

    holds: bool
    chinese: str
    english: str


async def verify(database: Path | None, file: Path | None) -> Verdict:
    """Check the audit of a database, that of an export, or one against the other.

    Both given: besides, everything in the export must still be in the database as it
    was, so that entries taken off the end show as well. Raises NotAnExport.
    """
    exported = await _of_file(file) if file else None
    if exported and exported.broken:
        return _verdict(exported)
    if database is None:
        assert exported is not None  # one of both is given
        return _verdict(exported)
    async with looking(database) as db:
        found = await audit.chain(db)
        if found.broken or exported is None or exported.whole == 0:
            return _verdict(found)
        there = await audit.digest_at(db, exported.whole)
    return _verdict(found) if there == exported.head else _missing(exported)


async def export(database: Path, file: Path) -> Chain:
    """Write the whole audit to a file, whole or not at all; tells how far it holds."""
    beside = file.with_name(file.name + ".new")
    with beside.open("w", encoding="utf-8") as out:
        async with looking(database) as db:
            found = await audit.chain(db)
            async for line in audit.export_lines(db):
                out.write(line)
        out.flush()
        os.fsync(out.fileno())
    os.replace(beside, file)
    return found


async def _of_file(file: Path) -> Chain:
    return await audit.follow(_read(file))


async def _read(file: Path) -> AsyncIterator[Link]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield audit.read_line(number, line)


def _verdict(chain: Chain) -> Verdict:
    if chain.broken is None:
        return Verdict(
            True,
            f"異動紀錄完整，共 {chain.whole} 筆；最後一筆校驗碼 {chain.head.hex()}",
            f"the audit holds: {chain.whole} entries; the last digest is "
            f"{chain.head.hex()}",
        )
    link = chain.broken
    at = _moment(link.at)
    return Verdict(
        False,
        f"異動紀錄自編號 {link.id} 起不符（時間 {at}，動作 {link.action!r}）；"
        f"之前 {chain.whole} 筆完整。請保全現場並與較早的匯出檔或備份比對。",
        f"entry {link.id} of {at}, action {link.action!r}, is the first that is not "
        f"as it was written, or the one before it is gone; {chain.whole} entries "
        "before it hold. Keep everything as it is and compare with an earlier export "
        "or backup",
    )


def _moment(ms: int) -> str:
    """Write a moment, even one that somebody has written anything into."""
    try:
        return from_ms(ms).isoformat(timespec="milliseconds")
    except OverflowError:
        return f"{ms} ms"


def _missing(exported: Chain) -> Verdict:
    n = exported.whole
    return Verdict(
        False,
        f"匯出檔的 {n} 筆紀錄已不在資料庫中，或已被換掉；請與較早的備份比對。",
        f"the {n} entries of the export are not in the database as they were: "
        "entries were taken off its end, or the whole was written anew; compare with "
        "an earlier backup",
    )
