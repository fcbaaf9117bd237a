"""Good input made bad, at random: bytes, cells, rows, columns, files, values.

Everything is drawn from one `random.Random`, so that a seed tells the whole story.
"""

from __future__ import annotations

import copy
import csv
import io
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Cells = list[list[str]]

NUMBERS = (
    *("-1", "0", "-0", "+1", "1.5", "1.005", "1e3", "1e999", "NaN", "inf", "0x10"),
    *("2147483647", "2147483648", "4294967296", "1000000000", "999999999"),
    *("9223372036854775807", "9223372036854775808", "99999999999999999999"),
    *("0.01", "999999999.99", "00000000000001", "1_000", "１２", "٣", " 5 ", "5."),
)
TEXTS = (
    *("", " ", "|", "||", "a|b", ",", '"', '""', "'", "\n", "\r", "\r\n", "\t", "\0"),
    *(
        "\ufeff",
        "\u200b",
        "\u2028",
        "\x1b[2J",
        "\x7f",
        "𠮷",
        "é",
        "e\u0301",
        "～",
        "林",
    ),
    *("A" * 70_000, "=1+1", "null", "None", "row", "../..", "%s", "{0}", "\ufffd"),
    *("1985-09-28", "0000-00-00", "1985-02-30", "9999-12-31", "1985-9-28"),
    *("remote", "swap-only", "indigenous", "elementary", "junior-high"),
)
ENCODINGS = ("utf-16", "utf-8-sig", "cp950", "utf-32", "utf-16-le", "utf-7")


def mutated_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change a few bytes, or cut, double, overwrite a stretch."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at = rng.randrange(len(changed) + 1)
        end = min(len(changed), at + rng.choice((1, 1, 2, 4, 40, 4000)))
        part = bytes(changed[at:end])
        changed[at:end] = rng.choice(
            (
                b"",
                part + part,
                rng.randbytes(len(part)),
                bytes(byte ^ (1 << rng.randrange(8)) for byte in part),
                rng.choice((b"\0", b"\xff", b'"', b",", b"\r", b"\n", b"|", b"\xc3")),
            )
        )
    return bytes(changed)


def mutated_text(rng: random.Random, data: bytes) -> bytes:
    """Write a text in another encoding, or with other ends of lines."""
    text = data.decode("utf-8", "replace")
    how = rng.randrange(4)
    if how == 0:
        return text.encode(rng.choice(ENCODINGS), "replace")
    if how == 1:
        return text.replace(
            "\n", rng.choice(("\r", "\r\n", "\n\n", "\n\r", ""))
        ).encode()
    if how == 2:
        return b"\xef\xbb\xbf" * rng.randint(1, 2) + data
    return (text.strip() + rng.choice(("", "\r", "\0", "\n\n\n", "\n,", '"'))).encode()


def _cell(rng: random.Random, cells: Cells) -> None:
    row = rng.choice(cells)
    if row:
        place = rng.randrange(len(row))
        other = rng.choice(rng.choice(cells) or [""])
        row[place] = rng.choice(
            (
                rng.choice(NUMBERS),
                rng.choice(TEXTS),
                other,
                f"{row[place]}|{other}",
                row[place] + rng.choice(TEXTS),
                "|".join(reversed(row[place].split("|"))),
            )
        )


def _rows(rng: random.Random, cells: Cells) -> None:
    at = rng.randrange(len(cells))
    how = rng.randrange(5)
    if how == 0:
        cells.insert(at, list(rng.choice(cells)))
    elif how == 1 and len(cells) > 1:
        del cells[at]
    elif how == 2:
        other = rng.randrange(len(cells))
        cells[at], cells[other] = cells[other], cells[at]
    elif how == 3:
        cells.insert(at, rng.choice(([], [""], [""] * len(cells[0]), ["x"] * 3)))
    else:
        cells[at] = cells[at][:-1] if rng.random() < 0.5 else [*cells[at], "x"]


def _columns(rng: random.Random, cells: Cells) -> None:
    width = min(map(len, cells))
    if width < 1:
        return
    at, other = rng.randrange(width), rng.randrange(width)
    how = rng.randrange(5)
    for number, row in enumerate(cells):
        if how == 0:
            row[at], row[other] = row[other], row[at]
        elif how == 1:
            del row[at]
        elif how == 2:
            row.insert(at, row[other])
        elif how == 3:
            row.insert(at, "row" if number == 0 else str(number))
        elif number:
            row[at] = row[other]


def mutated_table(rng: random.Random, data: bytes) -> bytes:
    """Change cells, rows and columns of a CSV table that stays one."""
    try:
        text = io.StringIO(data.decode("utf-8", "replace"), newline="")
        cells = list(csv.reader(text))
    except csv.Error:  # was changed before, too much to be a table still
        return mutated_bytes(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if cells:
            rng.choice((*(_cell,) * 6, _rows, _rows, _columns))(rng, cells)
    out = io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    csv.writer(out, lineterminator="\n", quoting=quoting).writerows(cells)
    return out.getvalue().encode("utf-8", "replace")


def mutated_file(rng: random.Random, data: bytes) -> bytes:
    """Change the content of a CSV file in any way."""
    how = rng.choice(
        (mutated_table,) * 6 + (mutated_bytes, mutated_bytes, mutated_text)
    )
    return how(rng, data)


def replaced_by_a_stranger(rng: random.Random, file: Path) -> None:
    """Put something in the place of a file that is no file of that content."""
    content = file.read_bytes()
    file.unlink()
    strangers: Sequence[Callable[[], object]] = (
        lambda: None,
        file.mkdir,
        lambda: os.mkfifo(file),
        lambda: file.symlink_to(file.with_name("nowhere.csv")),
        lambda: file.symlink_to(file),
        lambda: file.symlink_to("/dev/zero"),
        lambda: file.symlink_to("/dev/null"),
        lambda: file.symlink_to(file.parent),
        lambda: file.write_bytes(b""),
        lambda: file.with_suffix(".parquet").write_bytes(content),
        lambda: (file.with_suffix(".parquet").write_bytes(content), file.touch()),
    )
    rng.choice(strangers)()


def mutated_folder(
    rng: random.Random,
    source: Path,
    target: Path,
    names: Sequence[str],
    mutated: Callable[[random.Random, bytes], bytes] = mutated_file,
) -> None:
    """Copy files of a folder to `target`, and change one or a few of them."""
    target.mkdir(parents=True)
    for name in names:
        if (source / name).is_file():
            shutil.copy(source / name, target)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        file = rng.choice(sorted(target.iterdir()) or [target / "schools.csv"])
        if not file.is_file() or file.is_symlink():
            continue
        if rng.random() < 0.06:
            replaced_by_a_stranger(rng, file)
        else:
            file.write_bytes(mutated(rng, file.read_bytes()))


ODD_VALUES = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 2**200, 10**400),
    *(0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan")),
    *("", " ", "x", "\0", "\x1b[2J", "林小明", "A" * 10_000, "one-way", "exchange"),
    *([], {}, [[]], [None], ["x"], [1, 2], {"x": 1}, {"": []}, [{"name": "x"}]),
)


def mutated_value(rng: random.Random, value: Any) -> Any:
    """Change one place of a tree of tables, lists and values."""
    changed = copy.deepcopy(value)
    parent, key = _somewhere(rng, changed)
    if parent is None:
        return copy.deepcopy(rng.choice(ODD_VALUES))
    how = rng.randrange(6)
    if how == 0:
        del parent[key]
    elif how == 1 and isinstance(parent, dict):
        parent[rng.choice(("x", "", "name", "size", key + "s"))] = parent.pop(key)
    elif how == 2 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(rng.choice(parent)))
    elif how == 3:
        parent[key] = rng.choice(([parent[key]], {"x": parent[key]}, str(parent[key])))
    else:
        parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    return changed


def _somewhere(rng: random.Random, value: Any) -> tuple[Any, Any]:
    """Return a table or list of a tree and a key of it; None for the tree itself."""
    places: list[tuple[Any, Any]] = [(None, None)]
    open_ones = [value]
    while open_ones:
        node = open_ones.pop()
        if isinstance(node, (dict, list)):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            open_ones += [node[key] for key in keys]
    return rng.choice(places)
