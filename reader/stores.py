"""The browsers of this user, and whether they trust the local certificate.

`install` makes them trust it, `remove` takes it back, `describe` tells what is where.
On Linux the browsers keep their certificates in NSS databases, which `certutil` of
libnss3-tools changes. On Windows and macOS nothing is run: the commands are returned.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath

from cryptography import x509

from jiepin.reader.errors import FolderRefused, StoreRefused
from jiepin.reader.places import Places, write_private
from jiepin.reader.trust import (
    FILES,
    LABEL,
    STORES,
    LocalCertificate,
    is_ours,
    issued,
    name_of,
    present,
    thumbprint,
)

NICKNAME = "jiepin-reader"
BY_HAND = ("win32", "darwin")  # where a person runs the commands
TRUSTED = "C,,"  # trusted to name servers, for nothing else
ENTRY = re.compile(rb"(.*\S)\s+([A-Za-z]*),[A-Za-z]*,[A-Za-z]*\s*")
NSS_FILES = frozenset({"cert9.db", "key4.db", "pkcs11.txt"})
CERTUTIL_SECONDS = 20.0  # a store on a slow disk takes one or two


@dataclass(frozen=True, slots=True)
class Store:
    """The certificates one browser trusts: the folder of an NSS database."""

    browser: str  # "Chromium" or "Firefox"
    folder: Path

    def __str__(self) -> str:
        return f"{self.browser} {self.folder}"

    @property
    def exists(self) -> bool:
        # unlike Path.is_file, no error where another user's folder cannot be read
        return os.path.isfile(self.folder / "cert9.db")


@dataclass(frozen=True, slots=True)
class Command:
    """A command for a person: its words, and its text for cmd or for a Unix shell."""

    words: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What `install` did: `stores` trust it now, `refused` says why others do not.

    `commands` are to be run by the person, in this order, on Windows and macOS.
    """

    stores: tuple[Store, ...] = ()
    refused: tuple[StoreRefused, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove` did: `stores` held our authorities, `files` were deleted.

    `left` is the data folder when something else is in it. `refused` tells of stores
    that cannot be read and that we never changed. `commands` are to be run by the
    person, in this order, on Windows and macOS.
    """

    stores: tuple[Store, ...] = ()
    refused: tuple[StoreRefused, ...] = ()
    files: tuple[Path, ...] = ()
    left: Path | None = None
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority of ours as one store holds it; `current` is that of today."""

    name: str
    not_after: datetime
    thumbprint: str
    trusted: bool
    current: bool


@dataclass(frozen=True, slots=True)
class StoreState:
    """What one store holds of ours; `refused` says why it cannot be told."""

    store: Store
    authorities: tuple[Authority, ...] = ()
    refused: StoreRefused | None = None

    @property
    def ready(self) -> bool:
        """Tell whether its browser accepts the certificate of today."""
        return any(each.current and each.trusted for each in self.authorities)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is installed where; `certificate` is None when a new one is needed.

    `commands` show a person what is installed, on Windows and macOS.
    """

    certificate: LocalCertificate | None
    stores: tuple[StoreState, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """An authority of ours in a store, and the nickname it goes by there."""

    nickname: bytes
    authority: x509.Certificate
    trusted: bool


def stores(places: Places) -> tuple[Store, ...]:
    """Return the trust stores of this user; none but on Linux.

    The first is the one that Chromium reads, whether it exists or not. Since its
    version 146 that is ~/.pki/nssdb where there is one, else pki/nssdb of the XDG
    data folder (seen in version 156).

    >>> places = Places("linux", Path("/home/林小明"), {})
    >>> [str(store) for store in stores(places)]
    ['Chromium /home/林小明/.local/share/pki/nssdb']
    >>> stores(Places("darwin", Path("/Users/林小明"), {}))
    ()
    """
    if places.platform in BY_HAND:
        return ()
    home, modern = places.home, places.xdg_data / "pki" / "nssdb"
    old = home / ".pki" / "nssdb"
    first = Store("Chromium", old if os.path.isdir(old) else modern)
    chromium = [modern]
    for pattern in (
        "snap/chromium/current/.pki/nssdb",
        "snap/chromium/current/.local/share/pki/nssdb",
        ".var/app/*/.pki/nssdb",
        ".var/app/*/data/pki/nssdb",
    ):
        chromium += sorted(home.glob(pattern))
    firefox = [
        folder
        for parent in (
            home / ".mozilla",
            places.xdg_config / "mozilla",
            home / "snap" / "firefox" / "common" / ".mozilla",
            home / ".var" / "app" / "org.mozilla.firefox" / ".mozilla",
            home / ".var" / "app" / "org.mozilla.firefox" / "config" / "mozilla",
        )
        for folder in sorted(parent.glob("firefox/*"))
    ]
    others = [
        *(Store("Chromium", folder) for folder in chromium),
        *(Store("Firefox", folder) for folder in firefox),
    ]
    return once([first, *(store for store in others if store.exists)])


def once(found: Iterable[Store]) -> tuple[Store, ...]:
    """Return the stores without those that are the same folder by another way."""
    by_folder: dict[Path, Store] = {}
    for store in found:
        by_folder.setdefault(store.folder.resolve(), store)
    return tuple(by_folder.values())


def install(places: Places, certificate: LocalCertificate) -> Installed:
    """Make the browsers of this user trust the certificate, and no earlier one.

    A browser that runs must be started anew. Raises StoreRefused when no store could
    be changed and when certutil is missing, FolderRefused when it could not be noted.
    """
    authority = x509.load_pem_x509_certificate(certificate.authority.read_bytes())
    if places.platform in BY_HAND:
        earlier = [each for each in issued(places.data) if each != authority]
        return Installed(
            commands=(
                *removal(places.platform, places.home, earlier),
                addition(places.platform, places.home, real(certificate.authority)),
            )
        )
    if shutil.which("certutil") is None:
        raise StoreRefused(
            f"certutil is missing: sudo apt-get install libnss3-tools, then try again."
            f" By hand: chrome://settings/certificates, Custom, Installed by you,"
            f" Trusted certificates, import {certificate.authority}"
        )
    done, refused = [], []
    for store in stores(places):
        try:
            put(places.data, store, authority, certificate.authority)
            done.append(store)
        except StoreRefused as error:
            refused.append(error)
    if not done:
        raise StoreRefused("; ".join(error.detail for error in refused))
    return Installed(tuple(done), tuple(refused))


def real(file: Path) -> Path:
    """Return where a file really lies: some Pythons on Windows write elsewhere."""
    return Path(os.path.realpath(file))


def put(data: Path, store: Store, authority: x509.Certificate, file: Path) -> None:
    """Have a store trust one authority of ours and no other."""
    entries = ours(store) if store.exists else ()
    if [(entry.authority, entry.trusted) for entry in entries] == [(authority, True)]:
        return
    remember(data, store)
    if not store.exists:
        make_store(store)
    for entry in entries:
        if entry.authority == authority:
            delete(store, entry)
    nickname = f"{NICKNAME} {name_of(authority)[-8:]}"
    try:
        ask(store, "-A", "-t", TRUSTED, "-n", nickname, "-i", str(file))
    except StoreRefused:
        # A store locked by a password keeps the certificate, only without the trust.
        certutil(store, "-D", "-n", nickname)
        raise
    for entry in entries:
        if entry.authority != authority:
            delete(store, entry)


def remove(places: Places) -> Removed:
    """Take everything of ours back: out of every store, and off the disk.

    Certificates of others stay. A store that `install` made goes too, when nothing
    else came into it. Raises StoreRefused when a store that we changed could not be
    changed back; then the files stay, so that it can be tried again.
    """
    data = places.data
    commands = removal(places.platform, places.home, issued(data))
    done = Removed() if places.platform in BY_HAND else take_back(places)
    files = []
    for path in [*(data / name for name in FILES), *drafts(data)]:
        try:
            path.unlink()
            files.append(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise FolderRefused(f"{path}: {error.strerror}") from error
    with suppress(OSError):
        data.rmdir()
    left = data if data.exists() else None
    return replace(done, files=tuple(files), left=left, commands=commands)


def take_back(places: Places) -> Removed:
    """Delete our authorities from every store, and the stores that we made."""
    memory = read_memory(places.data)
    if shutil.which("certutil") is None:
        if memory:
            raise StoreRefused(
                "certutil is missing: sudo apt-get install libnss3-tools, then try"
                f" again. By hand: delete {LABEL} in the browser's certificates."
            )
        return Removed()
    cleaned: list[Store] = []
    refused: list[StoreRefused] = []
    unread: list[StoreRefused] = []
    for store in once([*memory, *stores(places)]):
        try:
            entries = ours(store) if store.exists else ()
            for entry in entries:
                delete(store, entry)
            cleaned += [store] * bool(entries)
            unmake_store(store, memory.get(store))
        except StoreRefused as error:
            (refused if store in memory else unread).append(error)
    if refused:
        raise StoreRefused("; ".join(error.detail for error in refused))
    return Removed(tuple(cleaned), tuple(unread))


def drafts(data: Path) -> list[Path]:
    """Return what a write that was cut off left behind."""
    return [draft for name in FILES for draft in sorted(data.glob(f".{name}.*"))]


def describe(places: Places, now: datetime) -> Trust:
    """Tell what is installed where, and until when. Changes nothing."""
    certificate = present(places.data, now)
    if places.platform in BY_HAND:
        looking = inspection(places.platform, places.home, issued(places.data))
        return Trust(certificate, commands=looking)
    today = certificate.name if certificate is not None else ""
    return Trust(certificate, tuple(state(each, today) for each in stores(places)))


def state(store: Store, today: str) -> StoreState:
    if not store.exists:
        return StoreState(store)
    try:
        entries = ours(store)
    except StoreRefused as error:
        return StoreState(store, refused=error)
    return StoreState(
        store,
        tuple(
            Authority(
                name_of(entry.authority),
                entry.authority.not_valid_after_utc,
                thumbprint(entry.authority),
                entry.trusted,
                name_of(entry.authority) == today,
            )
            for entry in entries
        ),
    )


# What we made ----------------------------------------------------------------------

# The folders made for a store, deepest first; None when the store was there before.
Memory = dict[Store, tuple[Path, ...] | None]


def read_memory(data: Path) -> Memory:
    """Return the stores that `install` changed; none when the file is damaged."""
    try:
        rows = json.loads((data / STORES).read_bytes())
        return {
            Store(row["browser"], Path(row["folder"])): (
                None if row["made"] is None else tuple(map(Path, row["made"]))
            )
            for row in rows
        }
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def remember(data: Path, store: Store) -> None:
    """Note a store before it is changed: a run that is cut off can be taken back."""
    memory = read_memory(data)
    before = memory.get(store)
    if store.exists:
        memory.setdefault(store, None)
    else:
        folders = (store.folder, *store.folder.parents)
        missing = {folder for folder in folders if not folder.exists()}.union(
            before or ()
        )
        memory[store] = tuple(folder for folder in folders if folder in missing)
    rows = [
        {
            "browser": each.browser,
            "folder": str(each.folder),
            "made": None if made is None else [str(folder) for folder in made],
        }
        for each, made in memory.items()
    ]
    write_private(data / STORES, json.dumps(rows, indent=1).encode())


def make_store(store: Store) -> None:
    try:
        for folder in (*reversed(store.folder.parents), store.folder):
            if not folder.exists():
                folder.mkdir(mode=0o700)
    except OSError as error:
        raise StoreRefused(f"{store}: {error.strerror}") from error
    ask(store, "-N", "--empty-password")


def unmake_store(store: Store, made: tuple[Path, ...] | None) -> None:
    """Delete a store that we made, and its folders, unless something came into it."""
    if made is None:
        return
    try:
        if store.exists:
            if not is_vacant(store):
                return
            for name in sorted(NSS_FILES):
                (store.folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreRefused(f"{store}: {error.strerror}") from error
    for folder in made:
        with suppress(OSError):  # it is gone, or somebody else uses it
            folder.rmdir()


def is_vacant(store: Store) -> bool:
    """Tell whether a store holds no certificate, key, module or file of anyone."""
    names = {path.name for path in store.folder.iterdir()}
    modules = (store.folder / "pkcs11.txt").read_bytes().count(b"library=")
    keys = certutil(store, "-K")
    return (
        names <= NSS_FILES
        and modules <= 1
        and not nicknames(store)
        and b"no keys found" in keys.stdout + keys.stderr
    )


# certutil --------------------------------------------------------------------------


def ours(store: Store) -> tuple[Entry, ...]:
    """Return our authorities in a store, in the order of certutil."""
    found = []
    for nickname, trusted in nicknames(store):
        if NICKNAME.encode() in nickname:
            block = ask(store, "-L", "-n", nickname, "-a")
            try:
                certificates = x509.load_pem_x509_certificates(block)
            except ValueError:
                continue
            if all(map(is_ours, certificates)):
                found += [Entry(nickname, each, trusted) for each in certificates]
    return tuple(found)


def nicknames(store: Store) -> list[tuple[bytes, bool]]:
    """Return the nickname of every certificate, and whether it may name servers."""
    lines = ask(store, "-L").splitlines()
    entries = [entry for line in lines if (entry := ENTRY.fullmatch(line))]
    return [(entry.group(1), b"C" in entry.group(2)) for entry in entries]


def delete(store: Store, entry: Entry) -> None:
    ask(store, "-D", "-n", entry.nickname)


def ask(store: Store, *words: str | bytes) -> bytes:
    """Return what certutil prints. Raises StoreRefused when it fails."""
    done = certutil(store, *words)
    if done.returncode == 0:
        return done.stdout
    reason = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if b"SEC_ERROR_BAD_PASSWORD" in done.stderr:
        reason = "it is locked by a password; import ca.pem in that browser's settings"
    raise StoreRefused(f"{store}: {reason or f'certutil ended with {done.returncode}'}")


def certutil(store: Store, *words: str | bytes) -> subprocess.CompletedProcess[bytes]:
    """Run certutil on a store; it has no terminal to ask for a password on."""
    command = [shutil.which("certutil") or "certutil", *words, "-d"]
    database = b"sql:" + os.fsencode(store.folder)
    try:
        return subprocess.run(
            [*map(os.fsencode, command), database],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CERTUTIL_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        seconds = round(CERTUTIL_SECONDS)
        raise StoreRefused(f"{store}: no answer after {seconds} seconds") from error
    except OSError as error:
        raise StoreRefused(f"certutil: {error.strerror}") from error


# Commands for a person -------------------------------------------------------------


def addition(platform: str, home: PurePath, file: PurePath) -> Command:
    """Return the command that has this user trust an authority.

    >>> from pathlib import PureWindowsPath
    >>> home = PureWindowsPath(r"C:\\Users\\林 小明")
    >>> print(addition("win32", home, home / "ca.pem").text)
    certutil -user -addstore Root "C:\\Users\\林 小明\\ca.pem"
    """
    if platform == "win32":
        return for_cmd("certutil", "-user", "-addstore", "Root", str(file))
    options = ("-r", "trustRoot", "-p", "ssl", "-k", login_keychain(home))
    return for_shell("security", "add-trusted-cert", *options, str(file))


def removal(
    platform: str, home: PurePath, authorities: Iterable[x509.Certificate]
) -> tuple[Command, ...]:
    """Return the commands that delete authorities; none but on Windows and macOS."""
    return tuple(
        for_cmd("certutil", "-user", "-delstore", "Root", thumbprint(each))
        if platform == "win32"
        else for_shell(
            "security",
            "delete-certificate",
            *("-Z", thumbprint(each), "-t", login_keychain(home)),
        )
        for each in authorities
        if platform in BY_HAND
    )


def inspection(
    platform: str, home: PurePath, authorities: Iterable[x509.Certificate]
) -> tuple[Command, ...]:
    """Return the commands that show which authorities this user trusts."""
    return tuple(
        for_cmd("certutil", "-user", "-store", "Root", thumbprint(each))
        if platform == "win32"
        else for_shell(
            "security",
            "find-certificate",
            *("-a", "-Z", "-c", name_of(each), login_keychain(home)),
        )
        for each in authorities
    )


def login_keychain(home: PurePath) -> str:
    return str(home / "Library" / "Keychains" / "login.keychain-db")


def for_shell(*words: str) -> Command:
    return Command(words, shlex.join(words))


def for_cmd(*words: str) -> Command:
    """Return a command as the Windows command prompt reads it.

    No name of a file holds a quotation mark there, so marks around it are enough.
    """
    plain = re.compile(r"[A-Za-z0-9-]+")
    return Command(
        words,
        " ".join(word if plain.fullmatch(word) else f'"{word}"' for word in words),
    )
