"""Reads one spreadsheet from standard input and writes its cells as JSON.

Runs as a process of its own, within limits of memory and time: files come from
outside, and one made with ill intent can ask for any amount of both.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

MOST_MEMORY = 1 << 30  # bytes
MOST_SECONDS = 20
MOST_SHEETS, MOST_ROWS, MOST_COLUMNS = 20, 20_000, 60
MOST_CELLS = 500_000  # of all sheets together, empty ones between others as well
MOST_TEXT = 4_000_000  # characters of all cells together

Value = int | float | str | bool | time | date | datetime | timedelta


def text(value: Value) -> str:
    """Write a cell as text: numbers exactly and without `.0`, days as ISO.

    >>> text("00000"), text(650.0), text(1e15), text(12.5), text(date(1985, 3, 9))
    ('00000', '650', '1000000000000000', '12.5', '1985-03-09')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _number(value: float) -> str:
    whole = value.is_integer()
    return str(int(value)) if whole else format(Decimal(repr(value)), "f")


class TooLarge(Exception):
    """A sheet has more rows, columns or text than anybody fills in."""


def sheets(content: bytes) -> dict[str, object]:
    """Return the cells of every sheet, or what is wrong with the file."""
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
            if len(book.sheet_names) > MOST_SHEETS:
                return {"wrong": "size"}
            return {"sheets": _cells(book)}
    except PasswordError:
        return {"wrong": "password"}
    except (TooLarge, MemoryError):
        return {"wrong": "size"}
    except CalamineError:
        return {"wrong": "kind"}


def _cells(book: CalamineWorkbook) -> list[tuple[str, list[list[str]]]]:
    found, cells, characters = [], 0, 0
    for at, name in enumerate(book.sheet_names):
        sheet = book.get_sheet_by_index(at)
        last_row, last_column = sheet.end or (0, 0)
        cells += (last_row + 1) * (last_column + 1)
        too_far = last_row >= MOST_ROWS or last_column >= MOST_COLUMNS
        if too_far or cells > MOST_CELLS:
            raise TooLarge
        before = [""] * (sheet.start or (0, 0))[1]  # what iter_rows leaves out
        rows = []
        for row in sheet.iter_rows():  # not all at once: texts are shared until then
            rows.append([*before, *map(text, row)])
            characters += sum(map(len, rows[-1]))
            if characters > MOST_TEXT:
                raise TooLarge
        found.append((name, rows))
    return found


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = json.dumps(sheets(sys.stdin.buffer.read()), ensure_ascii=False)
    sys.stdout.buffer.write(answer.encode("utf-8"))


if __name__ == "__main__":
    main()
