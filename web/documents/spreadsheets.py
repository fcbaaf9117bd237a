"""Spreadsheets: xlsx and ods out, xlsx, xls and ods in; text stays text both ways.

Nothing that is written here is ever a formula, whatever it begins with. What is read
comes from a process of its own (`unpack`), so that a file made with ill intent ends
that process and nothing else.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from xml.etree import ElementTree

import xlsxwriter
from odfdo import Document, Element

from jiepin.web.language import _

Kind = Literal["xlsx", "ods"]
MEDIA_TYPES: Final[dict[str, str]] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}
_UNPACK: Final = Path(__file__).with_name("unpack.py")
_PATIENCE: Final = 30  # seconds
READ_AT_ONCE: Final = 2  # each may take a core for that long, and 1 GiB
_STARTS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # zip, old Office
_KEPT: Final = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT")
_LONGEST_TITLE: Final = 31  # what Excel allows
_WIDEST: Final = 60  # characters of a column
_MADE: Final = datetime(2000, 1, 1)  # the same sheets give the same bytes
_ZIP_MADE: Final = (2000, 1, 1, 0, 0, 0)


class NotASpreadsheet(Exception):
    """A file that is no spreadsheet, or one that is not read; says so in a sentence."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its title, its column names in the first row, and the rows below.

    Read rows are as long as the columns, and stand where they stood: `rows[0]` is the
    second row of the file.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | int]]


def write(kind: Kind, sheets: Sequence[Sheet]) -> bytes:
    """Return a file with these sheets; text is written as text and nothing else.

    Slow for large sheets: call it in a thread. Characters that a file cannot hold are
    left out.
    """
    return _write_xlsx(sheets) if kind == "xlsx" else _write_ods(sheets)


def read(content: bytes) -> list[Sheet]:
    """Return the sheets of an xlsx, xls or ods file, told by its content.

    Waits for another process: call it in a thread, no more than READ_AT_ONCE at a
    time. Raises NotASpreadsheet.
    """
    if not content.startswith(_STARTS):
        raise NotASpreadsheet(_("這不是試算表檔案；請上傳 xlsx、xls 或 ods 檔"))
    answer = _unpacked(content)
    if "wrong" in answer:
        raise NotASpreadsheet(_why(answer["wrong"]))
    return [_sheet(title, rows) for title, rows in answer["sheets"]]


def file_name(name: str, kind: str) -> str:
    """Return a name that any system can store a file under.

    >>> file_name("115 schools", "ods"), file_name("../x", "xlsx")
    ('115-schools.ods', 'x.xlsx')
    """
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    return f"{plain.strip('-') or 'table'}.{kind}"


def headers(name: str, kind: str) -> dict[str, str]:
    """Return what an answer says that gives such a file to be kept."""
    disposition = f'attachment; filename="{file_name(name, kind)}"'
    return {"content-disposition": disposition, "content-type": MEDIA_TYPES[kind]}


# reading


def _unpacked(content: bytes) -> dict[str, Any]:
    """Let another process read the file; it has limits and none of our secrets."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_UNPACK)],
            input=content,
            capture_output=True,
            env=environment,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"wrong": "size"}
    if done.returncode != 0:
        return {"wrong": "ended"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _why(wrong: str) -> str:
    return {
        "password": _("檔案設有密碼，無法讀取；請另存為沒有密碼的檔案"),
        "size": _("檔案太大：工作表、列、欄或文字過多，無法讀取"),
        "ended": _("檔案內容異常，無法讀取；請以試算表軟體開啟後另存新檔"),
        "kind": _("檔案已損毀或不是試算表；請上傳 xlsx、xls 或 ods 檔"),
    }[wrong]


def _sheet(title: str, rows: list[list[str]]) -> Sheet:
    cells = [[_clean(cell).strip() for cell in row] for row in rows]
    while cells and not any(cells[-1]):
        cells.pop()
    width = max((at + 1 for row in cells for at, c in enumerate(row) if c), default=0)
    head, *body = [(*row, *[""] * width)[:width] for row in cells] or [()]
    return Sheet(title, head, body)


def _clean(text: str) -> str:
    """Leave out what a spreadsheet cannot hold: control characters, half characters.

    >>> _clean("a\\x00b\\r\\nc")
    'ab\\nc'
    """
    kept = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in kept if c in "\n\t" or not _is_unwritable(c))


def _is_unwritable(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs") or character in "\ufffe\uffff"


# writing


def _titles(sheets: Sequence[Sheet]) -> list[str]:
    """Return a title for each sheet that both kinds allow, no two the same."""
    found: list[str] = []
    for at, sheet in enumerate(sheets, 1):
        plain = "".join(c for c in _clean(sheet.title) if c not in "[]:*?/\\'\n\t")
        title = plain.strip()[:_LONGEST_TITLE] or f"{at}"
        if title.lower() in (one.lower() for one in found):
            title = f"{title[: _LONGEST_TITLE - 4]} {at}"
        found.append(title)
    return found


def _widths(sheet: Sheet) -> list[int]:
    """Return how wide the columns are, counting a Chinese character as two."""
    widths = [_width(name) for name in sheet.columns]
    for row in sheet.rows:
        for at, cell in enumerate(row[: len(widths)]):
            widths[at] = max(widths[at], _width(str(cell)))
    return [min(width + 2, _WIDEST) for width in widths]


def _width(text: str) -> int:
    return max(sum(1 + (c > "\u2e80") for c in line) for line in text.split("\n"))


def _write_xlsx(sheets: Sequence[Sheet]) -> bytes:
    file = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"created": _MADE})
        # text, so that a code typed into an empty cell keeps its zeros
        text = book.add_format({"num_format": "@", "valign": "top"})
        number = book.add_format({"num_format": "0", "valign": "top"})
        bold = book.add_format({"bold": True, "num_format": "@"})
        for title, sheet in zip(_titles(sheets), sheets, strict=True):
            page = book.add_worksheet(title)
            page.freeze_panes(1, 0)
            for at, width in enumerate(_widths(sheet)):
                page.set_column(at, at, width, text)
                page.write_string(0, at, _clean(sheet.columns[at]), bold)
            for line, row in enumerate(sheet.rows, 1):
                for at, cell in enumerate(row):
                    if isinstance(cell, int):
                        page.write_number(line, at, cell, number)
                    else:
                        page.write_string(line, at, _clean(cell), text)
    return file.getvalue()


def _write_ods(sheets: Sequence[Sheet]) -> bytes:
    document = Document("spreadsheet")
    document.body.clear()
    widths = {width for sheet in sheets for width in _widths(sheet)}
    for style in (*_TEXT_STYLES, *map(_column_style, sorted(widths))):
        document.insert_style(style, automatic=True)
    for title, sheet in zip(_titles(sheets), sheets, strict=True):
        # made outside of odfdo, whose own cells take a minute for a large sheet
        table = ElementTree.tostring(_table(title, sheet), "unicode")
        document.body.append(Element.from_tag(table))
    file = io.BytesIO()
    document.save(file)
    return _always_the_same(file)


_NAMES: Final = {
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
}
_TEXT_STYLES: Final = (
    '<number:text-style style:name="N100"><number:text-content/></number:text-style>',
    '<style:style style:name="text" style:family="table-cell" '
    'style:data-style-name="N100"/>',
    '<style:style style:name="head" style:family="table-cell" '
    'style:data-style-name="N100"><style:text-properties fo:font-weight="bold"/>'
    "</style:style>",
)


def _column_style(width: int) -> str:
    return (
        f'<style:style style:name="wide{width}" style:family="table-column">'
        f'<style:table-column-properties style:column-width="{width * 2}mm"/>'
        "</style:style>"
    )


def _tag(name: str) -> str:
    space, _colon, word = name.partition(":")
    return f"{{{_NAMES[space]}}}{word}"


def _table(title: str, sheet: Sheet) -> ElementTree.Element:
    table = ElementTree.Element(_tag("table:table"), {_tag("table:name"): title})
    for width in _widths(sheet):
        style = {
            _tag("table:style-name"): f"wide{width}",
            _tag("table:default-cell-style-name"): "text",
        }
        ElementTree.SubElement(table, _tag("table:table-column"), style)
    head = ElementTree.SubElement(table, _tag("table:table-header-rows"))
    _add_row(head, sheet.columns, "head")
    for row in sheet.rows:
        _add_row(table, row, "text")
    return table


def _add_row(
    table: ElementTree.Element, cells: Sequence[str | int], style: str
) -> None:
    row = ElementTree.SubElement(table, _tag("table:table-row"))
    for cell in cells:
        value = _clean(str(cell))
        if isinstance(cell, int):
            kept = {"office:value-type": "float", "office:value": value}
        else:
            kept = {"office:value-type": "string", "office:string-value": value}
            kept["table:style-name"] = style
        attributes = {_tag(name): text for name, text in kept.items()}
        added = ElementTree.SubElement(row, _tag("table:table-cell"), attributes)
        ElementTree.SubElement(added, _tag("text:p")).text = value


def _always_the_same(file: io.BytesIO) -> bytes:
    """Return the file without the moment it was made, which differs each time."""
    whole = io.BytesIO()
    with zipfile.ZipFile(file) as made, zipfile.ZipFile(whole, "w") as again:
        for part in made.infolist():
            kept = zipfile.ZipInfo(part.filename, _ZIP_MADE)
            kept.compress_type = part.compress_type
            again.writestr(kept, made.read(part))
    return whole.getvalue()
