"""Tables of results: the same lines on pages and in files to take away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiosqlite
from starlette.exceptions import HTTPException

from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import ENGLISH, current, mark, said
from jiepin.web.masked import masked
from jiepin.web.rendering import LEVEL_NAMES
from jiepin.web.round_run import REPORTS
from jiepin.web.site import Site
from jiepin.web.store import results
from jiepin.web.store.result_lists import Place, Placed
from jiepin.web.store.results import Publication
from jiepin.web.store.schools import County

STAGES: Final = {
    "indigenous": mark("原民調"),
    "remote": mark("偏遠調"),
    "one-way": mark("單調"),
    "mutual": mark("互調"),
    "three-way": mark("三角調"),
    "four-way": mark("四角調"),
    "five-way": mark("五角調"),
}
NOTES: Final = {
    "": "",
    "dropped-out": mark("放棄、未報到或未獲聘任"),
    "void": mark("連帶失效，留任原校"),
    "kept": mark("因增開缺額而維持"),
}
PER_PAGE: Final = 50

Counties = Mapping[str, County]
Figures = dict[str, Any]  # as `jiepin report` writes them


@dataclass(frozen=True, slots=True)
class Line:
    """One result as people read it; `there` is empty for who stays."""

    number: str
    name: str
    level: str
    home: str
    subject: str
    there: str
    to_subject: str
    stage: str
    choice: str
    note: str


@dataclass(frozen=True, slots=True)
class Pages:
    """Where one is in a long list, and the addresses of the pages beside it."""

    page: int
    last: int
    total: int
    before: str
    after: str

    @property
    def offset(self) -> int:
        return (self.page - 1) * PER_PAGE


@dataclass(frozen=True, slots=True)
class Option:
    """Something to choose."""

    code: str
    name: str


def county_text(counties: Counties, code: str) -> str:
    """Return the name of a county in the language spoken."""
    if code not in counties:
        return ""
    return counties[code].name_en if current() == ENGLISH else counties[code].name


def county_options(counties: Counties) -> list[Option]:
    return [Option(code, county_text(counties, code)) for code in counties]


def stage_text(stage: str) -> str:
    """Return what a stage is called; one of a free name is called by it."""
    return said(STAGES[stage]) if stage in STAGES else stage


def place_text(place: Place, counties: Counties) -> str:
    county = county_text(counties, place.county)
    gap = " " if current() == ENGLISH else ""
    return f"{county}{gap}{place.township} {place.name}".strip()


def subject_text(place: Place) -> str:
    return place.subject_en if current() == ENGLISH else place.subject


def line(placed: Placed, counties: Counties) -> Line:
    """Return a result for those who may know whose it is."""
    there = placed.there
    return Line(
        placed.number,
        placed.name,
        said(LEVEL_NAMES[placed.level]),
        place_text(placed.home, counties),
        subject_text(placed.home),
        place_text(there, counties) if there else "",
        subject_text(there) if there else "",
        stage_text(placed.stage),
        str(placed.choice or ""),
        said(NOTES[placed.note]),
    )


def masked_line(placed: Placed, counties: Counties) -> Line:
    """Return a result for everybody: no number, no note, half of the name."""
    found = line(placed, counties)
    name = masked(placed.name)
    plain = (found.level, found.home, found.subject, found.there, found.to_subject)
    return Line("", name, *plain, found.stage, "", "")


def pages(url: str, asked: Mapping[str, str], page: int, total: int) -> Pages:
    """Return the pages of a list of `total`; `asked` narrows it and stays in links."""
    last = max(1, -(-total // PER_PAGE))
    now = min(max(page, 1), last)

    def address(number: int) -> str:
        if not 1 <= number <= last:
            return ""
        kept = {name: value for name, value in asked.items() if value}
        return f"{url}?{urlencode(kept | {'page': str(number)})}"

    return Pages(now, last, total, address(now - 1), address(now + 1))


def page_number(text: str) -> int:
    """Return the page that is asked for, the first when it is no number.

    >>> page_number("3"), page_number("x"), page_number("²")
    (3, 1, 1)
    """
    return int(text[:6]) if text.isdecimal() else 1


async def in_force(db: aiosqlite.Connection, site: Site) -> Publication:
    """Return the publication that everybody sees; before there is one, nothing is."""
    found = await results.newest(db, site.clock.now())
    if found is None:
        raise HTTPException(404)
    return found


# to take away

COLUMNS: Final = {
    "number": mark("電腦編號"),
    "name": mark("姓名"),
    "level": mark("階段別"),
    "home": mark("原服務學校"),
    "subject": mark("原科(類)別"),
    "there": mark("調入學校"),
    "to_subject": mark("調入科(類)別"),
    "stage": mark("介聘方式"),
    "choice": mark("志願序"),
    "note": mark("備註"),
}
FOR_EVERYBODY: Final = (
    "name",
    "level",
    "home",
    "subject",
    "there",
    "to_subject",
    "stage",
)


def sheet(
    title: str, lines: Sequence[Line], columns: Sequence[str] = tuple(COLUMNS)
) -> Sheet:
    """Return a list as a sheet with these columns."""
    return Sheet(
        title,
        tuple(said(COLUMNS[name]) for name in columns),
        [tuple(getattr(one, name) for name in columns) for one in lines],
    )


# figures


def report_folder(site: Site, publication: Publication, lang: str) -> Path:
    """Return where the run has left its report in a language: "zh" or "en"."""
    return site.settings.data / f"{publication.run_folder}{REPORTS[lang]}"


async def figures(site: Site, publication: Publication) -> Figures | None:
    """Return the figures of a run as it was made, None where it left none."""
    file = report_folder(site, publication, "zh") / "figures.json"

    def read() -> Figures | None:
        if not file.is_file():
            return None
        found: Figures = json.loads(file.read_text("utf-8"))
        return found

    return await asyncio.to_thread(read)
