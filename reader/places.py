"""Where this program keeps its files: one private folder for each user.

Linux    $XDG_DATA_HOME/jiepin-reader, else ~/.local/share/jiepin-reader
Windows  %LOCALAPPDATA%\\jiepin-reader
macOS    ~/Library/Application Support/jiepin-reader
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from jiepin.reader.errors import FolderRefused

NAME = "jiepin-reader"
LOG = "log.txt"  # in the data folder
OTHERS = 0o077  # the permissions of everybody but the owner

AnyPath = TypeVar("AnyPath", bound=PurePath)


@dataclass(frozen=True, slots=True)
class Places:
    """One user's folders on one platform, named as `sys.platform` names it.

    >>> places = Places("linux", Path("/home/林小明"), {"XDG_CONFIG_HOME": "/設定"})
    >>> str(places.data), str(places.xdg_config)
    ('/home/林小明/.local/share/jiepin-reader', '/設定')
    """

    platform: str
    home: Path
    environment: Mapping[str, str]

    @property
    def data(self) -> Path:
        return data_folder(self.platform, self.home, self.environment)

    @property
    def xdg_data(self) -> Path:
        fallback = self.home / ".local" / "share"
        return from_environment(self.environment, "XDG_DATA_HOME", fallback)

    @property
    def xdg_config(self) -> Path:
        fallback = self.home / ".config"
        return from_environment(self.environment, "XDG_CONFIG_HOME", fallback)


def here() -> Places:
    """Return the places of this user on this machine."""
    return Places(sys.platform, Path.home(), os.environ)


def data_folder(
    platform: str, home: AnyPath, environment: Mapping[str, str]
) -> AnyPath:
    """Return the folder of this program, which need not exist yet.

    >>> from pathlib import PurePosixPath, PureWindowsPath
    >>> home = PureWindowsPath(r"C:\\Users\\林小明")
    >>> print(data_folder("win32", home, {"LOCALAPPDATA": r"D:\\資料"}))
    D:\\資料\\jiepin-reader
    >>> print(data_folder("darwin", PurePosixPath("/Users/林小明"), {}))
    /Users/林小明/Library/Application Support/jiepin-reader
    """
    if platform == "win32":
        fallback = home / "AppData" / "Local"
        return from_environment(environment, "LOCALAPPDATA", fallback) / NAME
    if platform == "darwin":
        return home / "Library" / "Application Support" / NAME
    fallback = home / ".local" / "share"
    return from_environment(environment, "XDG_DATA_HOME", fallback) / NAME


def from_environment(
    environment: Mapping[str, str], variable: str, fallback: AnyPath
) -> AnyPath:
    """Return the folder a variable names; a relative one does not count (XDG)."""
    named = type(fallback)(environment.get(variable, ""))
    return named if named.is_absolute() else fallback


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter. Raises FolderRefused."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_to_others(folder)
    except OSError as error:
        raise FolderRefused(f"{folder}: {error.strerror}") from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read: whole, or not at all.

    Its folder is made when it is missing. Raises FolderRefused.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     key = Path(folder) / "健保卡" / "key.pem"
    ...     write_private(key, b"secret")
    ...     key.read_bytes(), oct(key.stat().st_mode), [*key.parent.iterdir()] == [key]
    (b'secret', '0o100600', True)
    """
    make_private(path.parent)
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
    except OSError as error:
        raise FolderRefused(f"{path}: {error.strerror}") from error


def close_to_others(path: Path) -> None:
    """Take away what others may do with a file or folder of ours."""
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & OTHERS:
        path.chmod(mode & ~OTHERS)
