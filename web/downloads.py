"""Tables to take away: csv, xlsx and ods, in which no text is ever a formula."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Kind, Sheet

MOST_WRITTEN = 20  # kept; the longest unused one goes first
_BOOKS: Mapping[str, Kind] = {"xlsx": "xlsx", "ods": "ods"}
_FORMULAS = tuple("=+-@\t\r\n＝＋－＠")  # what programs take for a formula

# what the engine writes has its styles inside, and asks for nothing
REPORT_POLICY: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


class Written:
    """Files for everybody, which all ask for at once: each is written a single time.

    Two thirds of a second of the processor go into the list of a whole country.
    """

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._one = asyncio.Lock()

    async def file(self, kind: Kind, sheets: Sequence[Sheet]) -> bytes:
        """Return a file with these sheets, written now if it is not there."""
        told = await asyncio.to_thread(repr, sheets)
        key = (kind, hashlib.sha256(told.encode("utf-8")).digest())
        async with self._one:
            if key not in self._files:
                content = await asyncio.to_thread(spreadsheets.write, kind, sheets)
                self._files[key] = content
                while len(self._files) > MOST_WRITTEN:
                    self._files.popitem(last=False)
            self._files.move_to_end(key)
            return self._files[key]


async def answer(
    kind: str, name: str, sheets: Sequence[Sheet], written: Written | None = None
) -> Response:
    """Answer with a file to be kept; a csv file holds the first sheet alone.

    An unknown kind is not found. Large tables are written in a thread; what holds no
    person may be kept in `written`.
    """
    if kind == "csv":
        content = await asyncio.to_thread(csv_of, sheets[0])
        disposition = f'attachment; filename="{spreadsheets.file_name(name, kind)}"'
        headers = {
            "content-disposition": disposition,
            "content-type": "text/csv; charset=utf-8",
        }
    elif book := _BOOKS.get(kind):
        content = (
            await written.file(book, sheets)
            if written
            else await asyncio.to_thread(spreadsheets.write, book, sheets)
        )
        headers = spreadsheets.headers(name, kind)
    else:
        raise HTTPException(404)
    return Response(content, headers=headers)


async def of_report(file: Path, media_type: str) -> Response:
    """Answer with a file of an engine's report; one that is not there is not found."""
    if not await asyncio.to_thread(file.is_file):
        raise HTTPException(404)
    return FileResponse(file, media_type=media_type, headers=REPORT_POLICY)


def csv_of(sheet: Sheet) -> bytes:
    """Write a sheet as CSV in UTF-8 with a BOM, without which Excel guesses wrong.

    Text that a program might take for a formula begins with an apostrophe.

    >>> csv_of(Sheet("t", ("name", "n"), [("=1+1", -2)])).decode("utf-8-sig")
    "name,n\\r\\n'=1+1,-2\\r\\n"
    """
    file = io.StringIO()
    writer = csv.writer(file)
    for row in (sheet.columns, *sheet.rows):
        writer.writerow([_harmless(cell) for cell in row])
    return file.getvalue().encode("utf-8-sig")


def _harmless(cell: str | int) -> str | int:
    if isinstance(cell, str) and cell.startswith(_FORMULAS):
        return "'" + cell
    return cell
