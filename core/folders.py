"""Writing a folder or a file whole or not at all; reading what is surely a file."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl

from jiepin.core import errors

# over a few broken files Polars panics instead of raising an error of its own
BROKEN: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def check_readable(file: Path) -> None:
    """Raise OSError unless `file` can be opened and has an end.

    A pipe or a device may keep its reader waiting for ever.
    """
    if file.exists() and not file.is_file() and not file.is_dir():
        raise OSError(errno.EINVAL, "not a regular file", str(file))
    file.open("rb").close()


@contextmanager
def written_whole(folder: Path, replaceable: Sequence[str]) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, and rename it to `folder` at the end.

    An existing folder is replaced if it is empty or holds only files named in
    `replaceable`; anything else there raises FolderInTheWay. When the body fails,
    nothing is left behind and what was there stays.
    """
    check_replaceable(folder, replaceable)
    folder = _resolved(folder)  # nothing lies beside a name such as "." or a link
    home = _folder_beside(folder)
    fresh, old = home / "new", home / "old"
    try:
        fresh.mkdir()
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(home, ignore_errors=True)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:
        raise errors.FolderInTheWay(
            f"{path} is a link that leads back to itself; name another place to write"
        ) from None


def _folder_beside(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise errors.FolderInTheWay(
            f"{folder} cannot be made: {error.strerror}; name another folder to write"
        ) from None


def write_file(file: Path, text: str, mark: str) -> None:
    """Write a text file whole or not at all; `text` begins with `mark`.

    A file that is there already is replaced if it begins with the same mark, and so is
    of the same kind; anything else there raises FileInTheWay.
    """
    assert text.startswith(mark)
    check_file_replaceable(file, mark)
    file = _resolved(file)
    home = _folder_beside(file)
    try:
        (home / "new").write_text(text, "utf-8", newline="")
        (home / "new").replace(file)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def check_file_replaceable(file: Path, mark: str) -> None:
    """Raise FileInTheWay if writing `file` would destroy something of another kind."""
    start = b""
    try:
        if not file.exists():
            return
        if file.is_file():
            with file.open("rb") as there:
                start = there.read(len(mark.encode()))
    except OSError as error:
        raise errors.FileInTheWay(
            f"{file} cannot be looked at: {error.strerror}; name another file to write"
        ) from None
    if start != mark.encode():
        raise errors.FileInTheWay(
            f"{file} is something else, which would be lost; "
            "name a file that is new or of the same kind"
        )


def check_replaceable(folder: Path, replaceable: Sequence[str]) -> None:
    """Raise FolderInTheWay if writing `folder` would destroy something else."""
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise errors.FolderInTheWay(f"{folder} is a file; name a folder to write")
        strangers = sorted(
            item.name
            for item in folder.iterdir()
            if item.name not in replaceable or item.is_dir()
        )
    except OSError as error:
        raise errors.FolderInTheWay(
            f"{folder} cannot be looked at: {error.strerror}; "
            "name another folder to write"
        ) from None
    if strangers:
        raise errors.FolderInTheWay(
            f"{folder} holds {strangers[0]!r}, which would be lost; "
            "name a folder that is new, empty or of the same kind"
        )
