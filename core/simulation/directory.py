"""The Ministry's school directories, read as they are published.

A directory is a CSV file with the columns 代碼, 學校名稱, 公/私立 and 縣市名稱, in any
order and beside any others; 地址 or 鄉鎮市區 tell the township. Only public schools are
taken. The file of classes and staff (學校代碼, 鄉鎮市區, 男專任教師, 女專任教師) does
not say which schools are public: beside a directory it adds townships and teachers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import polars as pl

from jiepin.core import errors, terms
from jiepin.core.simulation import places

_HEADERS = {
    "school": ("代碼", "學校代碼", "code"),
    "name": ("學校名稱", "校名", "name"),
    "ownership": ("公/私立", "公私立"),
    "county": ("縣市名稱", "縣市", "county"),
    "township": ("鄉鎮市區", "鄉鎮市區名稱", "town"),
    "address": ("地址",),
    "teachers": ("專任教師", "teachers"),
    "men": ("男專任教師",),
    "women": ("女專任教師",),
}
_COLUMN_OF = {text: column for column, texts in _HEADERS.items() for text in texts}
_REQUIRED = ("school", "name", "county")
_STAFF = ("teachers", "men", "women")
_PUBLIC_SCHOOLS_ALONE = "code"  # the joined table heads its codes so; all are public

_PUBLIC, _PRIVATE = "公立", "私立"
_CODE = re.compile(r"[0-9A-Za-z]{6}[0-9A-Za-z-]*")
_BRACKET = re.compile(r"^\[\d*\]")  # [01]新北市 or the postal code of an address

_KINDERGARTEN = re.compile("幼兒園|幼稚園")
_JOINT = re.compile(r"國\(中\)小|國中\(小\)|國民\(中\)小學|國民中\(小\)學|國民?中小學?")
_ONE_LEVEL = re.compile("國小|小學|附小|實小|國中|國民中學")
_LEVEL_OF_DIGIT = {
    "5": terms.JUNIOR_HIGH,
    **dict.fromkeys("678", terms.ELEMENTARY),
}


def read_directories(files: Iterable[str | Path]) -> pl.DataFrame:
    """Read directories, and staff files beside them, into one table of public schools.

    One row per school in code order: school, name, short_name, county (code of the 22),
    township ("" where the file does not tell), level, tags (of the township), address
    and teachers (null where not told). Raises BadDirectory for the first thing that is
    wrong, with file, line, column and value.
    """
    opened = [_open(Path(file)) for file in files]
    staff = [file for file in opened if file.is_staff]
    directories = [file for file in opened if not file.is_staff]
    if not directories:
        _refuse_staff_alone(staff)
    schools: dict[str, _School] = {}
    for file in directories:
        _add_schools(file, schools)
    for file in staff:
        _add_staff(file, schools)
    return _frame(list(schools.values()))


@dataclass(frozen=True, slots=True)
class _File:
    """A CSV file as read: which of our columns stands where, and the rows by line."""

    name: str
    place_of: dict[str, int]
    header: list[str]
    rows: list[tuple[int, list[str]]]

    @property
    def is_staff(self) -> bool:
        """Does the file count teachers, silent about which schools are public?"""
        counted = any(column in self.place_of for column in _STAFF)
        return counted and "ownership" not in self.place_of and not self.all_public

    @property
    def all_public(self) -> bool:
        """Are all schools of the file public ones, without a column that says so?"""
        joined = _PUBLIC_SCHOOLS_ALONE in self.header
        return joined and "ownership" not in self.place_of

    def cell(self, row: Sequence[str], column: str) -> str:
        """Return the text of a cell; empty where the file has no such column."""
        place = self.place_of.get(column)
        return "" if place is None else row[place].strip()

    def refuse(self, line: int, column: str, value: str, expected: str) -> NoReturn:
        """Raise BadDirectory for one cell."""
        heading = self.header[self.place_of[column]]
        raise errors.BadDirectory(
            f"{self.name} line {line}, column {heading}: found {value!r}; "
            f"expected {expected}"
        )


@dataclass(slots=True)
class _School:
    """One public school, and where it was read."""

    file: str
    line: int
    school: str
    name: str
    short_name: str
    county: str
    township: str
    level: str
    address: str
    teachers: int | None = None


def _open(path: Path) -> _File:
    records = _records(path)
    if not records:
        raise errors.BadDirectory(
            f"{path}: the file is empty; expected a directory with the columns "
            + ", ".join(_HEADERS[column][0] for column in (*_REQUIRED, "ownership"))
        )
    header = ["".join(text.split()).replace("／", "/") for text in records[0][1]]
    file = _File(str(path), _places(str(path), header), header, records[1:])
    _check_columns(file)
    for line, row in file.rows:
        if len(row) != len(header):
            raise errors.BadDirectory(
                f"{path} line {line}: {len(row)} cells; expected {len(header)}, "
                "as many as the header has"
            )
    return file


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Return the records that are not blank, with the line each begins on."""
    text = io.StringIO(_text(path), newline="")
    reader = csv.reader(text, strict=True)
    records, line = [], 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                records.append((line, record))
            line = reader.line_num + 1
    except csv.Error as error:
        raise errors.BadDirectory(
            f"{path} line {line}: {error}; expected a CSV table"
        ) from None
    return records


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise errors.BadDirectory(
            f"{path}: {error.strerror}; expected a CSV file with a school directory"
        ) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = content[error.start : error.end].hex(" ")
        raise errors.BadDirectory(
            f"{path} line {line}: found the bytes {found}; expected text in UTF-8 "
            "(in a spreadsheet, save the file as CSV UTF-8)"
        ) from None


def _places(file: str, header: Sequence[str]) -> dict[str, int]:
    place_of: dict[str, int] = {}
    for place, heading in enumerate(header):
        column = _COLUMN_OF.get(heading)
        if column in place_of:
            raise errors.BadDirectory(
                f"{file} line 1: the columns {header[place_of[column]]} and {heading} "
                "mean the same; expected one of them"
            )
        if column is not None:
            place_of[column] = place
    return place_of


def _check_columns(file: _File) -> None:
    tells_ownership = not file.is_staff and not file.all_public
    for column in _REQUIRED + ("ownership",) * tells_ownership:
        if column not in file.place_of:
            raise errors.BadDirectory(
                f"{file.name} line 1: no column {' or '.join(_HEADERS[column])}; "
                f"found {', '.join(file.header)}"
            )


def _refuse_staff_alone(staff: Sequence[_File]) -> NoReturn:
    if not staff:
        raise errors.BadDirectory("no school directory was given; expected a CSV file")
    raise errors.BadDirectory(
        f"{staff[0].name} line 1: no column 公/私立, so it does not say which schools "
        "are public; give the directory of the same schools (代碼, 學校名稱, 公/私立, "
        "縣市名稱 …) together with it"
    )


def _add_schools(file: _File, schools: dict[str, _School]) -> None:
    n_before = len(schools)
    for line, row in file.rows:
        if _is_public(file, line, row):
            school = _school(file, line, row)
            _refuse_repeated(schools.get(school.school), school)
            schools[school.school] = school
    if len(schools) == n_before:
        raise errors.BadDirectory(
            f"{file.name}: no public school in {len(file.rows)} rows; "
            f"expected rows with {_PUBLIC} in the column {_HEADERS['ownership'][0]}"
        )


def _is_public(file: _File, line: int, row: Sequence[str]) -> bool:
    if file.all_public:
        return True
    ownership = file.cell(row, "ownership")
    if ownership not in (_PUBLIC, _PRIVATE):
        file.refuse(line, "ownership", ownership, f"{_PUBLIC} or {_PRIVATE}")
    return ownership == _PUBLIC


def _school(file: _File, line: int, row: Sequence[str]) -> _School:
    code, name = _code(file, line, row), file.cell(row, "name")
    level = level_of(code, name)
    if level is None:
        expected = "a name with 國小, 國中 or 幼兒園, or a code that tells the level"
        file.refuse(line, "name", name, expected)
    county_name, county = _county(file, line, row)
    address = _BRACKET.sub("", file.cell(row, "address"))
    township = places.written_alike(file.cell(row, "township"))
    township = township or _township(address, county_name, county)
    short_name = _short_name(name, county_name, township)
    school = _School(
        file.name, line, code, name, short_name, county, township, level, address
    )
    school.teachers = _teachers(file, line, row)
    return school


def _code(file: _File, line: int, row: Sequence[str]) -> str:
    code = file.cell(row, "school")
    if not _CODE.fullmatch(code):
        expected = (
            "a code of six characters (a spreadsheet may have dropped leading "
            "zeros: take the file as it was published)"
        )
        file.refuse(line, "school", code, expected)
    return code


def _county(file: _File, line: int, row: Sequence[str]) -> tuple[str, str]:
    """Return the county's name and its one code of the 22, whatever the prefix says."""
    found = file.cell(row, "county")
    name = places.written_alike(_BRACKET.sub("", found))
    code = places.county_codes().get(name)
    if code is None:
        expected = "one of the 22 counties by name, as 新北市 or [01]新北市"
        file.refuse(line, "county", found, expected)
    return name, code


def _township(address: str, county_name: str, county: str) -> str:
    """Return the township of the county that the address names, or ""."""
    rest = places.written_alike(address).removeprefix(county_name)
    for township in places.townships_of(county):
        if rest.startswith(township):
            return township
    return ""


def _teachers(file: _File, line: int, row: Sequence[str]) -> int | None:
    """Return the full-time teachers of a school, None where the file is silent."""
    counted = [column for column in _STAFF if file.cell(row, column)]
    for column in counted:
        value = file.cell(row, column)
        if not re.fullmatch("[0-9]{1,4}", value):
            file.refuse(line, column, value, "a number of teachers from 0 to 9999")
    return sum(int(file.cell(row, column)) for column in counted) if counted else None


def level_of(code: str, name: str) -> str | None:
    """Return the level of a school by its name, else by its code; None when unknown.

    A joint school (國中小) is of the level its code belongs to.

    >>> level_of("014684", "市立烏來國(中)小"), level_of("014511", "市立福營國中")
    ('elementary', 'junior-high')
    >>> level_of("034529", "市立仁美國中附設華德福國小部")
    'elementary'
    """
    plain = name.replace("（", "(").replace("）", ")")
    if _KINDERGARTEN.search(plain):
        return terms.KINDERGARTEN
    by_code = _LEVEL_OF_DIGIT.get(code[3:4])
    joint, words = _JOINT.search(plain), _ONE_LEVEL.findall(plain)
    if joint:
        outside = re.sub(r"\(.\)", "", joint.group())
        by_name = terms.ELEMENTARY if "小" in outside else terms.JUNIOR_HIGH
        return by_code or by_name
    if words:  # a part of a school comes last in its name: 國中附設國小部
        return terms.ELEMENTARY if "小" in words[-1] else terms.JUNIOR_HIGH
    return by_code


def _short_name(name: str, county_name: str, township: str) -> str:
    """Return the name without the words that all have: 北大 of 市立北大國小."""
    short = re.sub("^[市縣國]?立", "", name.removeprefix(county_name))
    short = short.removeprefix(township)
    short = re.sub("國民中?小學附設幼兒園$", "附幼", short)
    return re.sub("(國小|國中)$", "", short) or name


def _refuse_repeated(first: _School | None, again: _School) -> None:
    if first is not None:
        raise errors.BadDirectory(
            f"{again.file} line {again.line}: the code {again.school!r} ({again.name}) "
            f"stands already in {first.file} line {first.line} ({first.name}); "
            "expected each school once"
        )


def _add_staff(file: _File, schools: dict[str, _School]) -> None:
    for line, row in file.rows:
        school = schools.get(file.cell(row, "school"))
        if school is not None:
            township = places.written_alike(file.cell(row, "township"))
            school.township = school.township or township
            school.teachers = _teachers(file, line, row)


def _frame(schools: Sequence[_School]) -> pl.DataFrame:
    schema = {k: kind for k, kind in places.DIRECTORY_SCHEMA.items() if k != "tags"}
    frame = pl.DataFrame(
        {name: [getattr(school, name) for school in schools] for name in schema},
        schema=schema,
    )
    return places.with_tags(frame.sort("school")).select(list(places.DIRECTORY_SCHEMA))
