"""The way back from a backup: opened, examined, and put into an empty folder."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

import aiosqlite
import pyrage
from cryptography.exceptions import InvalidSignature
from pyrage.x25519 import Identity

from jiepin.web.backup import (
    DATABASE,
    MANIFEST,
    PACKED,
    SIGNATURE,
    UNDER_WAY,
    DamagedBackup,
    File,
    Manifest,
    signed_text,
)
from jiepin.web.rotation import unopened
from jiepin.web.store import audit, backups, snapshots
from jiepin.web.store.database import Database, looking
from jiepin.web.store.round_folder import settle
from jiepin.web.vault import NotSealedHere, Vault

_AT_ONCE: Final = 2**20
_MOST_MANIFEST: Final = 64 * 2**20


class WrongIdentity(Exception):
    """The backup is sealed for somebody else."""


class NotEmpty(Exception):
    """A backup goes into an empty folder alone."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back, and how many messages are held back."""

    manifest: Manifest
    held: int


async def restore(
    file: Path,
    identity: Identity,
    data: Path,
    vault: Vault | None,
    hold_mail: bool,
    now: datetime,
) -> Restored:
    """Put a backup into an empty folder, fit for the site to start there.

    The folder stays empty when anything is wrong. Without the keys it is not tried
    whether they go with the data. Raises NotEmpty, WrongIdentity, DamagedBackup,
    NewerDatabase, NotSealedHere.
    """
    place = data / UNDER_WAY
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(one != place for one in data.iterdir()):
        raise NotEmpty(f"{data}: not empty; a backup goes into an empty folder alone")
    shutil.rmtree(place, ignore_errors=True)  # of a restore that was killed
    place.mkdir(mode=0o700)
    try:
        manifest = unpack(file, identity, place)
        await examine(place, manifest, vault)
        held = await _take_up(place / DATABASE, manifest, hold_mail, now)
        _move(place, data)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Restored(manifest, held)


async def _take_up(
    database: Path, manifest: Manifest, hold_mail: bool, now: datetime
) -> int:
    """Leave it as the site goes on with it."""
    opened = await Database.open(database)
    try:
        async with opened.writing() as db:
            return await backups.taken_up(db, now, manifest.made, hold_mail)
    finally:
        await opened.close()


def _move(place: Path, data: Path) -> None:
    """Move what was restored to its place, the database last: then all is there."""
    for name in ("rounds", DATABASE):
        if (place / name).exists():
            (place / name).rename(data / name)
    for folder in (*(data / "rounds").rglob("*/"), data / "rounds", data):
        if folder.is_dir():
            settle(folder)


async def check(file: Path, identity: Identity, vault: Vault | None) -> Manifest:
    """Open a backup, in a folder of its own for a moment, and examine all of it.

    Raises WrongIdentity, DamagedBackup, NewerDatabase, NotSealedHere.
    """
    with tempfile.TemporaryDirectory(prefix="jiepin-check-") as place:
        manifest = unpack(file, identity, Path(place))
        await examine(Path(place), manifest, vault)
    return manifest


# opening


def unpack(file: Path, identity: Identity, place: Path) -> Manifest:
    """Open a backup into an empty folder, and compare every digest.

    Raises WrongIdentity, DamagedBackup, NewerDatabase; OSError where it is not there.
    """
    packed = place / PACKED
    with file.open("rb") as sealed, packed.open("wb") as out:
        try:
            pyrage.decrypt_io(sealed, out, [identity])
        except (pyrage.DecryptError, OSError) as fault:
            raise _why(file, fault) from None
    try:
        return _unpack(packed, place)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as fault:
        raise DamagedBackup(f"{file}: {fault}; take another backup") from None
    finally:
        packed.unlink()


def _why(file: Path, fault: Exception) -> Exception:
    if isinstance(fault, OSError) and fault.errno:  # of the disk, not of the seal
        return fault
    if "No matching keys" in str(fault):
        return WrongIdentity(
            f"{file}: sealed for another identity; look for the one that goes with "
            "the recipient it was made for"
        )
    return DamagedBackup(f"{file}: {fault}; take another backup")


def _unpack(packed: Path, place: Path) -> Manifest:
    with (
        gzip.open(packed, "rb") as content,
        tarfile.open(fileobj=content, mode="r|") as tar,
    ):
        for name in (MANIFEST, SIGNATURE):
            (place / name).write_bytes(_first(tar, name))
        manifest = Manifest.read((place / MANIFEST).read_bytes())
        waited = dict(manifest.files)
        while (entry := tar.next()) is not None:
            _take_out(tar, entry, waited.pop(entry.name, None), place)
    if waited:
        raise DamagedBackup(f"{', '.join(sorted(waited))}: not in the backup")
    return manifest


def _first(tar: tarfile.TarFile, name: str) -> bytes:
    """Return the next entry, which must be this one."""
    entry = tar.next()
    content = None if entry is None else tar.extractfile(entry)
    if entry is None or entry.name != name or content is None:
        raise DamagedBackup(f"{name}: not where a backup has it; not one of this site")
    return content.read(_MOST_MANIFEST)


def _take_out(
    tar: tarfile.TarFile, entry: tarfile.TarInfo, expected: File | None, place: Path
) -> None:
    """Write one file where its name says, and compare its digest."""
    content = tar.extractfile(entry) if entry.isfile() else None
    name = PurePosixPath(entry.name)
    if content is None or expected is None or name.is_absolute() or ".." in name.parts:
        raise DamagedBackup(f"{entry.name}: not one of the files of the manifest")
    target = place / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:
        while part := content.read(_AT_ONCE):
            digest.update(part)
            size += out.write(part)
        out.flush()
        os.fsync(out.fileno())
    target.chmod(entry.mode & 0o700 | 0o400)
    if File(size, digest.hexdigest()) != expected:
        raise DamagedBackup(f"{entry.name}: not as the manifest says")


# examining


async def examine(place: Path, manifest: Manifest, vault: Vault | None) -> None:
    """Look whether all of an unpacked backup goes together, and the keys with it.

    Raises DamagedBackup, NotSealedHere.
    """
    async with looking(place / DATABASE) as db:
        wrong = await backups.faults(db) or await _differences(db, manifest)
    if wrong:
        raise DamagedBackup(f"{DATABASE}: {'; '.join(wrong)}")
    if vault is not None:
        _check_signature(place, vault)
    # as the site does, which brings one of an earlier version into the newest shape
    database = await Database.open(place / DATABASE)
    try:
        async with database.reading() as db:
            closed = await unopened(db, vault) if vault else []
    finally:
        await database.close()
    if closed:
        raise NotSealedHere(
            f"{', '.join(closed)}: not opened by this key file; use the one of the "
            "time of the backup, which may be called …json.old"
        )


async def _differences(db: aiosqlite.Connection, manifest: Manifest) -> list[str]:
    """Return in what the database is not what the manifest says."""
    wrong = []
    if await backups.shape(db) != manifest.schema:
        wrong.append("another shape than the manifest says")
    if await backups.counts(db) != manifest.counts:
        wrong.append("other rows than the manifest says")
    if await snapshots.audit_head(db) != manifest.audit:
        wrong.append("another audit than the manifest says")
    if (broken := (await audit.chain(db)).broken) is not None:
        wrong.append(f"the audit is broken at entry {broken.id}")
    return wrong


def _check_signature(place: Path, vault: Vault) -> None:
    """Compare who made it: whoever knows the recipient could seal anything."""
    text = signed_text((place / MANIFEST).read_bytes())
    try:
        signature = base64.b64decode((place / SIGNATURE).read_bytes())
        vault.site_keys.sign.public_key().verify(signature, text)
    except (InvalidSignature, ValueError):
        raise NotSealedHere(
            f"{SIGNATURE}: the backup is not signed by the site of this key file; use "
            "the key file that goes with it, or another backup"
        ) from None
