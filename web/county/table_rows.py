"""What every table that is put in has: columns, rows, faults, and a plan. Pure."""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

import aiosqlite

from jiepin.web.access import Actor
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import LANGUAGES, _, said, speaking
from jiepin.web.site import Site
from jiepin.web.store import audit
from jiepin.web.store.school_changes import Touched

FIRST_ROW: Final = 2  # of a file; the names of the columns stand in the first
AT_ONCE: Final = 20  # rows, after which others are answered
SPLIT: Final = "、,，;；|\n"
YES_NO: Final = {
    "yes": ("是", "y", "true", "1"),
    "no": ("否", "n", "false", "0"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `name` is marked for translation; both languages are understood."""

    key: str
    name: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file: its number there, and its cells by key of the column."""

    number: int
    cells: Mapping[str, str]

    def fault(self, column: Column, text: str) -> Fault:
        return Fault(self.number, said(column.name), text)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: in which row and column of the file, and what it is.

    Never what a person is: the row says where to look.
    """

    row: int
    column: str
    text: str


async def _nothing(_db: aiosqlite.Connection) -> None:
    """Write nothing: the plan has faults."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What putting in a table would do: rows by what becomes of them, or the faults.

    `fingerprint` covers what is stored and what it becomes, so that nothing is put in
    that differs from what was shown. `write` is for the transaction it was made in.
    """

    faults: tuple[Fault, ...] = ()
    new: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0
    notes: tuple[str, ...] = ()
    touched: tuple[Touched, ...] = ()
    fingerprint: str = ""
    write: Callable[[aiosqlite.Connection], Awaitable[None]] = field(
        default=_nothing, compare=False
    )

    @property
    def empty(self) -> bool:
        """Whether putting it in would change nothing."""
        return not (self.new or self.changed or self.removed)


class Table(Protocol):
    """A kind of table: roster, schools, seats or points."""

    @property
    def name(self) -> str:
        """What it is called in addresses."""
        ...

    @property
    def title(self) -> str:
        """What people call it; marked for translation."""
        ...

    @property
    def columns(self) -> Sequence[Column]: ...

    @property
    def replaces(self) -> bool:
        """Whether what is missing in a file may be taken away."""
        ...

    async def current(
        self, db: aiosqlite.Connection, site: Site, actor: Actor
    ) -> Sheet:
        """Return what is stored as a sheet, to be filled in or mended."""
        ...

    async def plan(
        self,
        db: aiosqlite.Connection,
        site: Site,
        actor: Actor,
        lines: Sequence[Line],
        replace: bool,
    ) -> Plan:
        """Say what putting in these lines would do."""
        ...


def headings(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of columns in the language spoken now."""
    return tuple(said(column.name) for column in columns)


def fingerprint(value: object) -> str:
    """Return what stands for a value that JSON can write."""
    return hashlib.sha256(audit.canonical(value).encode("utf-8")).hexdigest()


def read_lines(
    columns: Sequence[Column], sheets: Sequence[Sheet]
) -> tuple[list[Line], list[Fault]]:
    """Return the rows of the first sheet that has the needed columns.

    Empty rows are left out, columns of other names are not looked at.
    """
    missing: list[str] = [said(one.name) for one in columns if one.needed]
    for sheet in sheets:
        places, faults = _places(columns, sheet.columns)
        lacking = [c for c in columns if c.needed and c.key not in places]
        if not lacking:
            return ([] if faults else _lines(sheet, places)), faults
        missing = min(missing, [said(one.name) for one in lacking], key=len)
    text = _("找不到欄位：%(names)s；第一列須為欄名", names=_("、").join(missing))
    return [], [Fault(FIRST_ROW - 1, "", text)]


def _places(
    columns: Sequence[Column], names: Sequence[str]
) -> tuple[dict[str, int], list[Fault]]:
    """Return at which place each column stands, and those that stand there twice."""
    places: dict[str, int] = {}
    faults = []
    known = {name: one.key for one in columns for name in _names(one)}
    for place, name in enumerate(names):
        key = known.get(plain(name))
        if key in places:
            faults.append(Fault(FIRST_ROW - 1, name, _("同名的欄位出現兩次")))
        elif key is not None:
            places[key] = place
    return places, faults


def _names(column: Column) -> list[str]:
    return [plain(name) for name in both(column.name)]


def _lines(sheet: Sheet, places: Mapping[str, int]) -> list[Line]:
    return [
        Line(number, {key: str(row[place]).strip() for key, place in places.items()})
        for number, row in enumerate(sheet.rows, FIRST_ROW)
        if any(str(row[place]).strip() for place in places.values())
    ]


async def in_turns(lines: Sequence[Line]) -> AsyncIterator[Line]:
    """Give the rows one by one, and let others be answered in between."""
    for at, line in enumerate(lines, 1):
        if at % AT_ONCE == 0:
            await asyncio.sleep(0)
        yield line


def plain(text: str) -> str:
    """Write a word as it is compared: half-width, small, without spaces.

    >>> plain("科(類)別"), plain("科（類）別 "), plain("School code")
    ('科(類)別', '科(類)別', 'schoolcode')
    """
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def words(text: str) -> list[str]:
    """Return the words of a cell that holds several.

    >>> words("偏遠、 原民校,"), words("")
    (['偏遠', '原民校'], [])
    """
    for sign in SPLIT[1:]:
        text = text.replace(sign, SPLIT[0])
    return [word.strip() for word in text.split(SPLIT[0]) if word.strip()]


def meaning(text: str, names: Mapping[str, Collection[str]]) -> str | None:
    """Return the code that a code or one of its names stands for.

    >>> meaning("Ｅ０１", {"E01": ["普通", "general"]}), meaning("x", {})
    ('E01', None)
    """
    word = plain(text)
    for code, known in names.items():
        if word in (plain(code), *map(plain, known)):
            return code
    return None


@cache
def both(name: str) -> tuple[str, ...]:
    """Return a marked name in every language."""
    found = []
    for language in LANGUAGES:
        with speaking(language):
            found.append(said(name))
    return tuple(found)
