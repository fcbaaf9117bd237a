"""Spreadsheets: text stays text both ways, and a file made with ill intent ends."""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from jiepin.web.documents import spreadsheets, unpack
from jiepin.web.documents.spreadsheets import Kind, NotASpreadsheet, Sheet

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "tables"
KINDS: tuple[Kind, ...] = ("xlsx", "ods")
RISKY = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "=cmd|'/c calc'!A1",
    "{=1}",
    "https://a.b",
)
TEXTS = st.builds(
    str.__add__,
    st.sampled_from(("", "=", "+", "-", "@", "{=", "\t=", " ", "0", *RISKY)),
    st.text(st.characters(codec="utf-8"), max_size=20),
)


def part(content: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return file.read(name).decode("utf-8")


def kept(text: str) -> str:
    """Return a text without what no spreadsheet can hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c
        for c in text
        if c in "\n\t" or (unicodedata.category(c) != "Cc" and c not in "\ufffe\uffff")
    ).strip()


def cells(content: bytes) -> list[list[str]]:
    return unpack.sheets(content)["sheets"][0][1]  # type: ignore[index,no-any-return]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_asvs_1_2_10_any_text_comes_back_and_is_never_a_formula(
    texts: list[str],
) -> None:
    sheet = Sheet("表", ("甲",), [[text] for text in texts])
    for kind in KINDS:
        content = spreadsheets.write(kind, [sheet])
        found = [row[0].strip() if row else "" for row in cells(content)[1:]]
        expected = [kept(text) for text in texts]
        while expected and not expected[-1]:
            expected.pop()
        escaped = any(re.search("_x[0-9A-Fa-f]{4}_", text) for text in texts)
        if not escaped:  # Excel's own way to write a character, read back as one
            assert found[: len(expected)] == expected
        if kind == "xlsx":
            assert "<f" not in part(content, "xl/worksheets/sheet1.xml")
        else:
            xml = part(content, "content.xml")
            assert "table:formula" not in xml
            assert 'office:value-type="float"' not in xml


@pytest.mark.parametrize("kind", KINDS)
def test_what_looks_like_something_else_stays_text(kind: Kind) -> None:
    texts = [*RISKY, "00000", "1e5", "2026-04-20", "TRUE", "012345678901234567890"]
    content = spreadsheets.write(kind, [Sheet("表", ("甲",), [[t] for t in texts])])
    [sheet] = spreadsheets.read(content)
    assert [row[0] for row in sheet.rows] == [text.strip() for text in texts]
    assert sheet.title == "表"
    assert sheet.columns == ("甲",)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_numbers_and_come_back_exactly(kind: Kind) -> None:
    content = spreadsheets.write(kind, [Sheet("a", ("n",), [[0], [650], [10**14]])])
    [sheet] = spreadsheets.read(content)
    assert [row[0] for row in sheet.rows] == ["0", "650", "100000000000000"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_sheets_give_the_same_bytes(kind: Kind) -> None:
    sheets = [Sheet("a", ("x", "y"), [["1", 2]]), Sheet("a", ("z",), [])]
    assert spreadsheets.write(kind, sheets) == spreadsheets.write(kind, sheets)
    first, second = spreadsheets.read(spreadsheets.write(kind, sheets))
    assert (first.title, second.title) == ("a", "a 2")


def test_cells_of_excel_are_read_as_a_person_sees_them() -> None:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        page = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        page.write_row(0, 0, ["a", "b", "c", "d", "e"])
        page.write_datetime(1, 0, datetime(1985, 3, 9), day)
        page.write_number(1, 1, 12.5)
        page.write_number(1, 2, 133601)
        page.write_boolean(1, 3, True)
        page.write_formula(1, 4, "=1+1", None, 2)
        page.write_string(3, 1, "after an empty row")
    [sheet] = spreadsheets.read(file.getvalue())
    assert sheet.rows[0] == ("1985-03-09", "12.5", "133601", "true", "2")
    assert sheet.rows[1] == ("", "", "", "", "")
    assert sheet.rows[2][1] == "after an empty row"
    assert unpack.text(date(1985, 3, 9)) == "1985-03-09"
    assert unpack.text(datetime(1985, 3, 9, 1, tzinfo=UTC)).startswith("1985-03-09T01")


def changed(kind: Kind, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a file of which one part is other than it was written."""
    content, whole = (
        spreadsheets.write(kind, [Sheet("x", ("a",), [["b"]])]),
        io.BytesIO(),
    )
    deflated = zipfile.ZIP_DEFLATED
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(whole, "w", deflated) as new,
    ):
        for entry in old.infolist():
            found = old.read(entry)
            new.writestr(entry, change(found) if entry.filename == name else found)
    assert whole.getvalue() != content
    return whole.getvalue()


def far(xml: bytes) -> bytes:
    return xml.replace(b'r="A2"', b'r="XFD1048576"')


def repeated(xml: bytes) -> bytes:
    cell = b"<table:table-cell "
    many = b'<table:table-cell table:number-columns-repeated="16384" '
    row = b"<table:table-row>"
    return xml.replace(cell, many).replace(
        row, b'<table:table-row table:number-rows-repeated="1048576">'
    )


def long(xml: bytes) -> bytes:
    return xml.replace(b"<t>b</t>", b"<t>" + b"x" * 100_000_000 + b"</t>")


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00 a program with another name",
        b"a,b\n1,2\n",
        b"",
        b"PK\x03\x04 no archive at all",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        changed("xlsx", "xl/worksheets/sheet1.xml", far),
        changed("ods", "content.xml", repeated),
        changed("xlsx", "xl/sharedStrings.xml", long),
    ],
    ids=["exe", "csv", "empty", "zip", "xls", "far", "repeated", "long"],
)
def test_asvs_5_2_2_what_is_no_spreadsheet_is_refused_with_a_sentence(
    content: bytes,
) -> None:
    with pytest.raises(NotASpreadsheet, match=r"試算表|檔案"):
        spreadsheets.read(content)


def test_asvs_5_2_3_too_many_rows_columns_or_sheets_are_refused() -> None:
    wide = Sheet("x", tuple(f"c{n}" for n in range(unpack.MOST_COLUMNS + 1)), [])
    tall = Sheet("x", ("a",), [["b"]] * unpack.MOST_ROWS)
    small = Sheet("x", ("a",), [])
    for sheets in ([wide], [tall], [small] * (unpack.MOST_SHEETS + 1)):
        with pytest.raises(NotASpreadsheet, match="檔案太大"):
            spreadsheets.read(spreadsheets.write("xlsx", sheets))


def test_asvs_5_4_1_file_names_are_safe() -> None:
    found = spreadsheets.headers('115\r\n"../../etc', "ods")["content-disposition"]
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9-]+\.ods"', found)


def test_old_excel_files_are_read() -> None:
    """The file was written once by xlwt: nothing here writes that kind any more."""
    [sheet] = spreadsheets.read((FIXTURES / "seats.xls").read_bytes())
    assert sheet.columns == ("學校代碼", "科(類)別", "缺額總數", "提列他縣市")
    assert sheet.rows[0] == ("123601", "普通", "5", "3")
    assert sheet.rows[1] == ("00000", "=1+1", "12.5", "")
