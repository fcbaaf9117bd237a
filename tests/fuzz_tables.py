"""Files sent as spreadsheets that are none, are torn, or are made with ill intent.

Run as a program it reads the worst of them and tells what memory that took:

    .venv/bin/python tests/fuzz_tables.py
"""

from __future__ import annotations

import io
import json
import re
import resource
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import strategies as st

from jiepin.web.county.table_rows import read_lines
from jiepin.web.county.tables import TABLES
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import NotASpreadsheet, Sheet

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SHEET, WORDS, BOOK = (
    "xl/worksheets/sheet1.xml",
    "xl/sharedStrings.xml",
    "xl/workbook.xml",
)
CONTENT = "content.xml"
PASSWD = b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
SPACE = b"<worksheet><sheetData>"
ROSTER = Sheet(
    "名冊",
    ("身分證統一編號", "階段別", "現任學校"),
    [["A123456789", "國小", "新興國小"], ["B123456780", "國小", "𡍼"]],
)
XLSX, ODS = (spreadsheets.write(kind, [ROSTER]) for kind in ("xlsx", "ods"))
XLS = next((FIXTURES / "tables").glob("*.xls")).read_bytes()

Change = Callable[[bytes], bytes]


def changed(content: bytes, changes: Mapping[str, Change]) -> bytes:
    """Return a zip file with some of its parts changed, or added where it has none."""
    whole = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        names = old.namelist()
        for name in names:
            new.writestr(name, changes.get(name, bytes)(old.read(name)))
        for name in changes.keys() - set(names):
            new.writestr(name, changes[name](b""))
    return whole.getvalue()


def entities() -> bytes:
    """Return XML in which each word stands for ten of another: a gigabyte in all."""
    words = b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
    )
    head = b'<!DOCTYPE l [<!ENTITY a "lollollol">' + words + b"]>"
    return head + b"<sst><si><t>&j;</t></si></sst>"


def spaces() -> bytes:
    """Return a workbook with a sheet of a gibibyte of spaces, in a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(SPACE) + packer.flush(zlib.Z_FULL_FLUSH)
    mega = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush()
    size = len(SPACE) + (1 << 30)
    with zipfile.ZipFile(io.BytesIO(XLSX)) as old:
        parts = [(n, _deflated(old.read(n))) for n in old.namelist() if n != SHEET]
        parts = [(n, (d, zlib.crc32(old.read(n)), len(old.read(n)))) for n, d in parts]
    return _zip([*parts, (SHEET, (start + mega * 1024 + end, 0, size))])


def overlapping() -> bytes:
    """Return a zip whose thousand names all lead to the same hundred megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(100 << 20)) + packer.flush()
    part = (data, zlib.crc32(bytes(100 << 20)), 100 << 20)
    names = [BOOK, *(f"xl/worksheets/sheet{n}.xml" for n in range(999))]
    return _zip([(name, part) for name in names], shared=True)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _zip(
    parts: list[tuple[str, tuple[bytes, int, int]]], shared: bool = False
) -> bytes:
    """Write a zip file by hand: packed data, its sum and its size, true or not."""
    body, listed = b"", b""
    for name, (data, crc, size) in parts:
        told = (20, 0, 8, 0, 0, crc, len(data), size, len(name), 0)
        at = 0 if shared else len(body)
        if not (shared and body):
            body += struct.pack("<4s5H3I2H", b"PK\3\4", *told) + name.encode() + data
        more = (0, 0, 0, 0, at)
        listed += struct.pack("<4sH5H3I2H3H2I", b"PK\1\2", 20, *told, *more)
        listed += name.encode()
    n = len(parts)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, n, n, len(listed), len(body), 0)
    return body + listed + end


def lying() -> bytes:
    """Return a workbook whose parts say that they are four gigabytes."""
    whole = bytearray(XLSX)
    at = whole.find(b"PK\1\2")
    while at >= 0:
        struct.pack_into("<II", whole, at + 20, 0xFFFFFFF0, 0xFFFFFFF0)
        at = whole.find(b"PK\1\2", at + 4)
    return bytes(whole)


def sheets(n: int) -> Change:
    one = '<sheet name="s{0}" sheetId="{0}" r:id="rId1"/>'
    many = "".join(one.format(number) for number in range(1, n + 1)).encode()
    return lambda xml: xml.replace(b"</sheets>", many + b"</sheets>")


def swapped(old: bytes, new: bytes) -> Change:
    return lambda xml: xml.replace(old, new)


def instead(new: bytes) -> Change:
    return lambda _xml: new


def before(new: bytes, old: bytes = b"", word: bytes = b"") -> Change:
    return lambda xml: new + (xml.replace(old, word) if old else xml)


_CELL, _ROW = b"<table:table-cell ", b"<table:table-row>"
_MANY = b'<table:table-cell table:number-columns-repeated="%s" '
_TALL = b'<table:table-row table:number-rows-repeated="%s">'
FAR = swapped(b'r="A3"', b'r="XFD1048576"')
# file by name, and whether it is read all the same, for what is harmless in it
WORST: dict[str, tuple[Callable[[], bytes], bool]] = {
    "a gibibyte of spaces": (spaces, False),
    "entities": (lambda: changed(XLSX, {WORDS: instead(entities())}), False),
    "a file of the server in xlsx": (
        lambda: changed(XLSX, {WORDS: before(PASSWD, b"A123456789", b"&a;")}),
        False,
    ),
    "a file of the server in ods": (
        lambda: changed(ODS, {CONTENT: before(PASSWD, b"A123456789", b"&a;")}),
        False,
    ),
    "the last cell there is": (lambda: changed(XLSX, {SHEET: FAR}), False),
    "an absurd dimension": (
        lambda: changed(XLSX, {SHEET: swapped(b'ref="A1:C3"', b'ref="A1:XFD1048576"')}),
        True,
    ),
    "twenty corners": (lambda: bad("twenty-corners.xlsx"), False),
    "one text everywhere": (lambda: bad("shared-text.xlsx"), False),
    "ten thousand sheets": (lambda: changed(XLSX, {BOOK: sheets(10_000)}), False),
    "many rows in ods": (
        lambda: changed(ODS, {CONTENT: swapped(_ROW, _TALL % b"1048576")}),
        False,
    ),
    "many columns in ods": (
        lambda: changed(ODS, {CONTENT: swapped(_CELL, _MANY % b"4294967295")}),
        False,
    ),
    "a million columns in ods": (
        lambda: changed(ODS, {CONTENT: swapped(_CELL, _MANY % b"1000000")}),
        False,
    ),
    "columns below nothing": (
        lambda: changed(ODS, {CONTENT: swapped(_CELL, _MANY % b"-1")}),
        False,
    ),
    "tags in tags": (
        lambda: changed(XLSX, {SHEET: instead(SPACE + b"<row>" * 2_000_000)}),
        False,
    ),
    "overlapping parts": (overlapping, False),
    "lying sizes": (lying, True),
    "names of other folders": (
        lambda: changed(XLSX, {"../../../tmp/evil": bytes, "/etc/passwd": bytes}),
        True,
    ),
    "a workbook in a workbook": (lambda: changed(XLSX, {BOOK: instead(XLSX)}), False),
    "torn": (lambda: XLSX[: len(XLSX) // 2], False),
    "torn xls": (lambda: XLS[: len(XLS) // 2], False),
    "the first four bytes": (lambda: XLSX[:4], False),
    "the first eight of xls": (lambda: XLS[:8] + bytes(4000), False),
    "a table as text": (lambda: "身分證統一編號,階段別\n".encode("utf-16"), False),
    "a page": (lambda: b"<html><table><tr><td>1", False),
    "nothing": (lambda: b"", False),
}


def bad(name: str) -> bytes:
    return (FIXTURES / "bad-tables" / name).read_bytes()


# any file


@st.composite
def _changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    whole = bytearray(content)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(whole) - 1))
        end = at + draw(st.integers(0, 8))
        whole[at:end] = draw(st.binary(max_size=8))
    return bytes(whole)


NUMBERS = st.sampled_from(
    (
        b"-1",
        b"0",
        b"1e999",
        b"NaN",
        b"4294967296",
        b"9" * 400,
        b"\xff",
        b"&#0;",
        b"1e-9",
    )
)
DAY = b'office:value-type="date" office:date-value="99999-99-99"'
SPAN = b'office:value-type="time" office:time-value="PT99999999H"'
PIECES = st.sampled_from(
    (
        b"<v>",
        b"</row>",
        b't="s"',
        b't="e"',
        b'r="ZZZ9"',
        b"<f>1/0</f>",
        b"<!--",
        b"]]>",
        b'xml:space="x"',
        "\u202e".encode(),
        DAY,
        SPAN,
    )
)


@st.composite
def _changed_part(draw: st.DrawFn, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        names = [name for name in file.namelist() if name.endswith((".xml", ".rels"))]
    part = draw(st.sampled_from([*names, SHEET, WORDS, CONTENT]))
    wrong = draw(
        st.lists(st.tuples(st.integers(0, 10**6), PIECES | NUMBERS), max_size=6)
    )

    def change(xml: bytes) -> bytes:
        for at, piece in wrong:
            place = at % (len(xml) + 1)
            digits = xml.find(b'="', place) + 2  # mostly the value of some attribute
            place = digits if at % 3 and digits > 1 else place
            xml = xml[:place] + piece + xml[place + at % 4 :]
        return xml

    return changed(content, {part: change})


FILES = st.one_of(
    st.sampled_from((XLSX, ODS, XLS)).flatmap(_changed_bytes),
    st.sampled_from((XLSX, ODS)).flatmap(_changed_part),
    st.sampled_from((XLSX, ODS)).flatmap(_changed_part),
    st.binary(max_size=300).map(lambda end: XLSX[:4] + end),
)


def read(content: bytes) -> str:
    """Read a file as the site does, and say what came of it; raises what is wrong."""
    try:
        found = spreadsheets.read(content)
    except NotASpreadsheet:
        return "refused"
    for sheet in found:
        assert all(len(row) == len(sheet.columns) for row in sheet.rows)
        for cell in (*sheet.columns, *(cell for row in sheet.rows for cell in row)):
            assert isinstance(cell, str)
            assert "\x00" not in cell
            assert "root:" not in cell
            cell.encode("utf-8")
    for table in TABLES.values():
        lines, faults = read_lines(table.columns, found)
        assert not (lines and faults)
        assert all(fault.row and fault.text for fault in faults)
    return "read"


def own_peak() -> int:
    """Return the most memory that this process has had, in KiB.

    `getrusage` would tell that of the process it was started by, if that had more.
    """
    status = Path("/proc/self/status").read_text("ascii")
    [found] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(found)


def main() -> None:
    """Read the worst; print what came of each and how much memory it took at most."""
    ends = {name: read(make()) for name, (make, _read) in WORST.items()}
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    memory = {"child": child, "self": own_peak()}
    json.dump({"ends": ends, "memory": memory}, sys.stdout)


if __name__ == "__main__":
    main()
