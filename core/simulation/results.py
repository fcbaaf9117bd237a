"""The folder of a simulation: parts while it runs, one table at the end."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from jiepin.core import errors
from jiepin.core.simulation.batches import Batch, gaps

SCENARIO: Final = "scenario.toml"
RESULTS: Final = "results.parquet"
PARTS: Final = "parts"

ROW_GROUP: Final = 1 << 17  # rows of results.parquet that are held in memory at a time

_MARK = "# jiepin simulation "  # how scenario.toml begins; version and digest follow
_PART = re.compile(r"part-(\d+)-(\d+)\.parquet")
_FRESH = ".fresh"  # ending of a file that is not whole yet
_PARQUET = b"PAR1"  # how a whole Parquet file begins and ends


class Question(Protocol):
    """What of a scenario decides which folder it may go on in."""

    @property
    def digest(self) -> str: ...
    @property
    def replications(self) -> int: ...
    def to_toml(self) -> str: ...


def check(folder: Path, scenario: Question) -> None:
    """Raise FolderInTheWay unless the folder is new, empty or of this scenario."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise errors.FolderInTheWay(f"{folder} is a file; name a folder to write")
    begun, replications = _found(folder)
    if begun is None:
        raise errors.FolderInTheWay(
            f"{folder} holds something else than a simulation; name a folder that is "
            "new, empty or of the same scenario"
        )
    ours = _mark(scenario)
    if begun != ours:
        raise errors.FolderInTheWay(
            f"{folder} holds the results of another scenario or version: "
            f"{begun.removeprefix('# ')!r}, this run is {ours.removeprefix('# ')!r}; "
            "name another folder"
        )
    if replications > scenario.replications:
        raise errors.FolderInTheWay(
            f"{folder} is for {replications} replications, the scenario asks for "
            f"{scenario.replications}; ask for as many or more, or name another folder"
        )


def _mark(scenario: Question) -> str:
    """Return how scenario.toml begins: what decides every figure of the folder."""
    return f"{_MARK}{version('jiepin')} {scenario.digest}"


def _found(folder: Path) -> tuple[str | None, int]:
    """Return mark and replications of the simulation in a folder, if it is one."""
    try:
        text = (folder / SCENARIO).read_text("utf-8")
        first = text.partition("\n")[0]
        if not first.startswith(_MARK):
            return None, 0
        return first, int(tomllib.loads(text)["replications"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None, 0


class Kept:
    """What is there of a simulation; one process at a time writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / RESULTS
        self._parts = folder / PARTS

    def missing(self, replications: int) -> list[Batch]:
        """Return which of so many replications are not there, in order."""
        return list(gaps([*self._finished(), *self._kept_parts()], replications))

    def n_missing(self, replications: int) -> int:
        """Return how many of so many replications are not there."""
        return sum(batch.size for batch in self.missing(replications))

    def add(self, batch: Batch, content: bytes) -> None:
        """Keep the rows of a batch, a Parquet file: whole or not at all."""
        with _writing(self._parts):
            self._parts.mkdir(exist_ok=True)
        target = self._parts / f"part-{batch.first:09d}-{batch.last:09d}.parquet"
        _write_whole(target, content)

    def finish(self) -> None:
        """Join what is there into one table by replication; the parts go.

        The bytes depend on the rows alone, not on how they were cut into parts.
        """
        parts = self._kept_parts()
        files = [self.results] if self._finished() else []
        files += [parts[batch] for batch in sorted(parts)]
        if parts:
            fresh = _fresh(self.results)
            rows = pl.scan_parquet(files, glob=False)
            with _writing(self.results):
                rows.sink_parquet(fresh, row_group_size=ROW_GROUP)
                _put_in_place(fresh, self.results)
        self._remove_parts()

    def _finished(self) -> list[Batch]:
        if not (self.results.exists() and _is_whole(self.results)):
            return []
        numbers = pl.scan_parquet(self.results, glob=False).select("replication")
        return [Batch(0, numbers.max().collect().item())]

    def _kept_parts(self) -> dict[Batch, Path]:
        """Return the whole parts; what a crash left half-written counts for nothing."""
        if not self._parts.exists():
            return {}
        there = {}
        finished = self._finished()
        for file in sorted(self._parts.iterdir()):
            name = _PART.fullmatch(file.name)
            if name is None or not _is_whole(file):
                continue
            batch = Batch(int(name[1]), int(name[2]))
            if not any(batch.last <= done.last for done in finished):
                there[batch] = file
        return there

    def _remove_parts(self) -> None:
        """Remove the parts, and their folder if it holds nothing else."""
        if not self._parts.exists():
            return
        for file in self._parts.iterdir():
            if _PART.fullmatch(file.name.removesuffix(_FRESH)):
                file.unlink()
        with suppress(OSError):  # somebody else's file is in it
            self._parts.rmdir()


@contextmanager
def opened(folder: Path, scenario: Question) -> Iterator[Kept]:
    """Give the folder to one run alone, with the scenario in it.

    Raises FolderInTheWay when it is for something else or another run is at it,
    CannotWrite when the disk does not take it.
    """
    check(folder, scenario)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        text = f"{_mark(scenario)}\n{scenario.to_toml()}"
        _write_whole(folder / SCENARIO, text.encode())
        yield Kept(folder)


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.CannotWrite(
            f"{error.filename or file}: {error.strerror or error}; make room, or name "
            "another folder"
        ) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it however this process ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise errors.FolderInTheWay(
            f"another run is writing {folder}; wait for it, or name another folder"
        ) from None
    finally:
        os.close(held)


def _write_whole(file: Path, content: bytes) -> None:
    fresh = _fresh(file)
    with _writing(file):
        fresh.write_bytes(content)
        _put_in_place(fresh, file)


def _put_in_place(fresh: Path, file: Path) -> None:
    """Rename a file once the disk has it, so that a power cut leaves no empty one."""
    with fresh.open("rb") as content:
        os.fsync(content.fileno())
    fresh.replace(file)


def _fresh(file: Path) -> Path:
    return file.with_name(file.name + _FRESH)


def _is_whole(file: Path) -> bool:
    """Tell whether a Parquet file has its end: what a crash cut off has none."""
    with file.open("rb") as content:
        start = content.read(len(_PARQUET))
        if start != _PARQUET or os.fstat(content.fileno()).st_size < 3 * len(_PARQUET):
            return False
        content.seek(-len(_PARQUET), os.SEEK_END)
        return content.read() == _PARQUET
