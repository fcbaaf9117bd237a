"""Backups: one file, sealed for whoever holds the identity.

A backup is an age file (age-encryption.org); in it a gzipped tar with `manifest.json`,
its signature, a consistent copy of the database, and what the database refers to below
the data folder. The key file of the site is not in it, and neither is the identity: a
stolen backup opens for nobody. `restore` is the way back.

Plain copies exist for a moment in `backup-under-way`, below the data folder, for its
owner alone. What a killed process leaves there goes at the next backup or start.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite
import pyrage
from pyrage.x25519 import Identity, Recipient

from jiepin.web import archive, round_run
from jiepin.web.store import archive as years
from jiepin.web.store import audit, backups, runs, snapshots
from jiepin.web.store.database import NewerDatabase, copy, looking, migrations
from jiepin.web.store.round_folder import settle
from jiepin.web.vault import Vault

FORMAT: Final = "jiepin backup 1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.txt"
DATABASE: Final = "jiepin.db"
UNDER_WAY: Final = "backup-under-way"
PACKED: Final = "packed"
_NAME: Final = "jiepin-%Y%m%dT%H%M%S"
_COMPRESSION: Final = 1  # the site's pages want the processor as well


class BadIdentity(Exception):
    """An identity or a recipient is not written as expected."""


class DamagedBackup(Exception):
    """A backup is not as it was written; the text says what is wrong with it."""


class CannotWrite(Exception):
    """There was no room, or the disk failed; nothing was left behind."""


# the two keys


def make_identity(file: Path) -> str:
    """Write a fresh identity, never over another file; returns its recipient."""
    identity = Identity.generate()
    recipient = str(identity.to_public())
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(f"# public key: {recipient}\n{identity}\n")
        out.flush()
        os.fsync(out.fileno())
    settle(file.absolute().parent)
    return recipient


def read_identity(file: Path) -> Identity:
    """Read an identity, also one that `age-keygen` made; raises BadIdentity."""
    with suppress(UnicodeDecodeError, pyrage.IdentityError):
        lines = [line.strip() for line in file.read_text("ascii").splitlines()]
        [secret] = [line for line in lines if line and not line.startswith("#")] or [""]
        return Identity.from_str(secret)
    raise BadIdentity(
        f"{file}: not an identity; expected a file of `jiepin-web backup key`, with "
        "one line AGE-SECRET-KEY-1…"
    )


def read_recipients(text: str) -> list[Recipient]:
    """Read recipients with blanks between them; raises BadIdentity.

    >>> read_recipients("age1qqqq")
    Traceback (most recent call last):
    ...
    jiepin.web.backup.BadIdentity: 'age1qqqq' is no recipient; expected age1…, as \
`jiepin-web backup key` shows it
    """
    found = []
    for word in text.split() or [""]:
        try:
            found.append(Recipient.from_str(word))
        except pyrage.RecipientError:
            shown = word if not word.upper().startswith("AGE-SECRET") else "…"
            raise BadIdentity(
                f"{shown!r} is no recipient; expected age1…, as `jiepin-web backup "
                "key` shows it"
            ) from None
    return found


# what is in a backup


@dataclass(frozen=True, slots=True)
class File:
    """One file of a backup."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `schema` is the shape of its database.

    `audit` is how far the chain is: its digest proves every entry before it.
    `missing` names what the database refers to and was not there.
    """

    format: str
    made: str
    program: str
    schema: int
    counts: Mapping[str, int]
    audit: Mapping[str, int | str]
    files: Mapping[str, File]
    missing: Sequence[str]

    @property
    def text(self) -> bytes:
        return audit.canonical(asdict(self)).encode("utf-8")

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read a manifest; raises DamagedBackup, NewerDatabase."""
        try:
            fields: dict[str, Any] = json.loads(text)
            files = {name: File(**one) for name, one in fields.pop("files").items()}
            found = cls(**fields, files=files)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise DamagedBackup(f"{MANIFEST}: not a manifest of a backup") from None
        if found.format != FORMAT:
            raise DamagedBackup(
                f"{MANIFEST}: format {found.format!r}; this program reads {FORMAT!r}"
            )
        if found.schema > len(migrations()):
            raise NewerDatabase(Path(MANIFEST), found.schema, len(migrations()))
        return found


def name_at(moment: datetime) -> str:
    """Return the name of a backup, which says when it was made.

    >>> name_at(datetime(2026, 4, 19, 8, 5, 30, 250_000, UTC))
    'jiepin-20260419T080530.250Z.age'
    """
    at = moment.astimezone(UTC)
    return f"{at.strftime(_NAME)}.{at.microsecond // 1000:03d}Z.age"


# making one


async def make(
    data: Path, vault: Vault, folder: Path, recipients: Sequence[Recipient]
) -> tuple[Path, Manifest]:
    """Write a backup of a data folder, whole or not at all; the site may be running.

    Another one under way is waited for. Raises CannotWrite, DamagedBackup.
    """
    with _workplace(data) as place:
        now = datetime.now(UTC)
        target = folder / name_at(now)
        try:
            await copy(data / DATABASE, place / DATABASE)
            manifest = await _describe(data, place, now)
            _pack(data, place, manifest, vault)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sweep_sealed(folder)
            _seal(place / PACKED, target, recipients)
        except (OSError, sqlite3.OperationalError, pyrage.EncryptError) as fault:
            raise CannotWrite(f"{folder}: {_reason(fault)}; nothing was left") from None
        except sqlite3.DatabaseError as fault:
            raise DamagedBackup(f"{data / DATABASE}: {fault}") from None
    return target, manifest


def _reason(fault: Exception) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename or 'the copy'}: {fault.strerror}"
    return str(fault)


@contextmanager
def _workplace(data: Path, wait: bool = True) -> Iterator[Path]:
    """Lend a folder of its own for plain copies, to one at a time."""
    descriptor = os.open(data, os.O_RDONLY)
    place = data / UNDER_WAY
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(descriptor)


def sweep(data: Path, folder: Path | None) -> None:
    """Take away what a backup that was killed has left, unless one is under way.

    What cannot be taken away is told by the next backup.
    """
    with suppress(OSError), _workplace(data, wait=False):
        if folder is not None and folder.is_dir():
            _sweep_sealed(folder)


def _sweep_sealed(folder: Path) -> None:
    for left in folder.glob(".jiepin-*.age.new"):
        left.unlink(missing_ok=True)


async def _describe(data: Path, place: Path, now: datetime) -> Manifest:
    """Look through the copy: whole, and what belongs to it."""
    async with looking(place / DATABASE) as db:
        if faults := await backups.faults(db):
            raise DamagedBackup(f"the copy of the database: {'; '.join(faults)}")
        found = await _belongings(db)
        there, missing = _files(data, found)
        files = {DATABASE: _look_at(place / DATABASE)}
        files |= {name: _look_at(data / name) for name in there}
        return Manifest(
            format=FORMAT,
            made=now.isoformat(timespec="milliseconds"),
            program=version("jiepin"),
            schema=await backups.shape(db),
            counts=await backups.counts(db),
            audit=await snapshots.audit_head(db),
            files=files,
            missing=missing,
        )


async def _belongings(db: aiosqlite.Connection) -> list[str]:
    """Return what the database refers to, below the data folder; it never changes."""
    frozen = await snapshots.announced(db)
    found = [name for one in frozen for name in (one.folder, snapshots.audit_file(one))]
    for year in await years.years(db):
        ran = [run for run in await runs.of_year(db, year.year) if run.folder]
        for end in ("", *round_run.REPORTS.values()):
            found += [f"{run.folder}{end}" for run in ran]
        if year.purged is not None:
            found.append(archive.file_of(year.year))
    return found


def _files(data: Path, belongings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the files of folders and files, and which of these are not there."""
    there, missing = [], []
    for name in belongings:
        path = data / name
        if path.is_dir():
            inside = (one for one in sorted(path.rglob("*")) if one.is_file())
            there += [one.relative_to(data).as_posix() for one in inside]
        elif path.is_file():
            there.append(name)
        else:
            missing.append(name)
    return there, missing


def _look_at(path: Path) -> File:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return File(path.stat().st_size, digest)


def signed_text(manifest: bytes) -> bytes:
    """Return what the site signs for a manifest."""
    return f"{FORMAT} {hashlib.sha256(manifest).hexdigest()}".encode("ascii")


def _pack(data: Path, place: Path, manifest: Manifest, vault: Vault) -> None:
    """Put all files into one, the manifest first: whoever reads needs it first."""
    signature = vault.site_keys.sign.sign(signed_text(manifest.text))
    (place / MANIFEST).write_bytes(manifest.text)
    (place / SIGNATURE).write_bytes(base64.b64encode(signature) + b"\n")
    with (
        (place / PACKED).open("wb") as out,
        gzip.GzipFile("", "wb", _COMPRESSION, out, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as tar,
    ):
        for name in (MANIFEST, SIGNATURE, *manifest.files):
            where = place if name in (MANIFEST, SIGNATURE, DATABASE) else data
            tar.add(where / name, arcname=name, recursive=False, filter=_nameless)


def _nameless(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _seal(packed: Path, target: Path, recipients: Sequence[Recipient]) -> None:
    """Write the sealed file, under its name once it is on the disk."""
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    fresh = target.with_name(f".{target.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out, packed.open("rb") as content:
            pyrage.encrypt_io(content, out, recipients)
            out.flush()
            os.fsync(out.fileno())
        fresh.rename(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    settle(target.parent)
