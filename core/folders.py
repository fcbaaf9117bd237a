"""Writing a folder or a file whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jiepin.core import errors


@contextmanager
def written_whole(folder: Path, replaceable: Sequence[str]) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, and rename it to `folder` at the end.

    An existing folder is replaced if it is empty or holds only files named in
    `replaceable`; anything else there raises FolderInTheWay. When the body fails,
    nothing is left behind and what was there stays.
    """
    check_replaceable(folder, replaceable)
    folder = folder.resolve()  # nothing lies beside a name such as "." or a link
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
    file = file.resolve()
    home = _folder_beside(file)
    try:
        (home / "new").write_text(text, "utf-8", newline="")
        (home / "new").replace(file)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def check_file_replaceable(file: Path, mark: str) -> None:
    """Raise FileInTheWay if writing `file` would destroy something of another kind."""
    if not file.exists():
        return
    start = b""
    if file.is_file():
        with file.open("rb") as there:
            start = there.read(len(mark.encode()))
    if start != mark.encode():
        raise errors.FileInTheWay(
            f"{file} is something else, which would be lost; "
            "name a file that is new or of the same kind"
        )


def check_replaceable(folder: Path, replaceable: Sequence[str]) -> None:
    """Raise FolderInTheWay if writing `folder` would destroy something else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise errors.FolderInTheWay(f"{folder} is a file; name a folder to write")
    strangers = sorted(
        item.name
        for item in folder.iterdir()
        if item.name not in replaceable or item.is_dir()
    )
    if strangers:
        raise errors.FolderInTheWay(
            f"{folder} holds {strangers[0]!r}, which would be lost; "
            "name a folder that is new, empty or of the same kind"
        )
