"""Looks for secrets in whatever a site leaves on the disk, however they are written."""

from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_SHORTEST = 6  # characters; what is shorter stands anywhere by chance


@dataclass
class Secrets:
    """What must not be found, by what it is."""

    known: dict[str, set[bytes]] = field(default_factory=dict)

    def add(self, what: str, *found: str | bytes) -> None:
        for one in found:
            plain = one.encode() if isinstance(one, str) else one
            assert len(plain) >= _SHORTEST, what
            self.known.setdefault(what, set()).add(plain)

    def add_birthday(self, born: date) -> None:
        """As ISO, as cards and papers of Taiwan write it, and as a password would."""
        year = born.year - 1911
        self.add(
            "birthday",
            born.isoformat(),
            f"{year:03}{born:%m%d}",
            f"{born:%Y%m%d}",
            f"{year}年{born.month}月{born.day}日",
            f"{year}/{born:%m/%d}",
        )


def ways_of_writing(plain: bytes) -> Iterator[bytes]:
    """Give a secret in UTF-8, UTF-16, hexadecimal and base64 at each of its offsets.

    >>> [w for w in ways_of_writing(b"A123456789") if w.startswith(b"QTEy")]
    [b'QTEyMzQ1Njc4']
    """
    text = plain.decode("latin-1")
    yield plain
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + plain)
        # what the bytes before and behind have a part in is left away
        inner = whole[(0, 2, 3)[offset] :].rstrip(b"=")
        inner = inner[: len(inner) - bool((offset + len(plain)) % 3)]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def unpacked(name: str, content: bytes, depth: int = 3) -> Iterator[tuple[str, bytes]]:
    """Give a file, and what is packed in it: in zips and tars, in streams of PDFs."""
    yield name, content
    if depth == 0:
        return
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for member in packed.namelist():
                inner = packed.read(member)
                yield from unpacked(f"{name}!{member}", inner, depth - 1)
    elif content.startswith(b"\x1f\x8b"):
        yield from unpacked(f"{name}!gz", gzip.decompress(content), depth - 1)
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as packed_tar:
            for entry in packed_tar:
                inside = packed_tar.extractfile(entry)
                if inside is not None:
                    yield from unpacked(
                        f"{name}!{entry.name}", inside.read(), depth - 1
                    )
    elif content.startswith(b"%PDF"):
        for number, stream in enumerate(_STREAM.findall(content)):
            yield f"{name}!stream {number}", _inflated(stream)


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return stream


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path in it."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def hits(files: Mapping[str, bytes], secrets: Secrets) -> list[tuple[str, str]]:
    """Return which kinds of secrets stand in which files, never the secret itself."""
    kind_of = {
        way: what
        for what, plain in secrets.known.items()
        for one in plain
        for way in ways_of_writing(one)
    }
    beginnings: dict[int, list[bytes]] = {}
    for way in kind_of:
        beginnings.setdefault(int.from_bytes(way[:_SHORTEST], "little"), []).append(way)
    return sorted(
        {
            (name, kind_of[way])
            for file, content in files.items()
            for name, part in unpacked(file, content)
            for way in _found(part, beginnings)
            if kind_of[way] != "birthday" or _stands_alone(part, way)
        }
    )


def _found(content: bytes, beginnings: Mapping[int, list[bytes]]) -> Iterator[bytes]:
    """Give what stands in a content, looked up by the first bytes at every place."""
    if len(content) < _SHORTEST:
        return
    signs = np.frombuffer(content, np.uint8).astype(np.uint64)
    n = len(signs) - _SHORTEST + 1
    words = np.zeros(n, np.uint64)
    for at in range(_SHORTEST):
        words |= signs[at : at + n] << np.uint64(8 * at)
    known = np.array(sorted(beginnings), np.uint64)
    near = np.searchsorted(known, words).clip(max=len(known) - 1)
    for start in np.flatnonzero(known[near] == words).tolist():
        for way in beginnings[int(words[start])]:
            if content.startswith(way, start):
                yield way


def _stands_alone(content: bytes, way: bytes) -> bool:
    """Tell whether a number is none out of a longer one: digests hold all digits."""
    alone = rb"(?<![0-9A-Za-z])%b(?![0-9A-Za-z])" % re.escape(way)
    return re.search(alone, content) is not None
