"""The result in figures and pictures, and the report of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import downloads
from jiepin.web.clock import moment_text
from jiepin.web.language import ENGLISH, _, current, said
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.result_tables import (
    Counties,
    Figures,
    Option,
    county_options,
    county_text,
    figures,
    in_force,
    report_folder,
    stage_text,
)
from jiepin.web.site import Site
from jiepin.web.store import result_lists, results, schools
from jiepin.web.store.result_lists import Balance
from jiepin.web.store.results import Publication
from jiepin.web.store.schools import LEVELS, Subject
from jiepin.web.teacher.status import tenths

PICTURES: Final = ("flows", "stages", "choices")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what it is about, and its numbers."""

    label: str
    cells: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Flows:
    """How many went from which county (rows) to which (columns)."""

    columns: Sequence[str]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures of the result; cut-offs are those of one county."""

    applicants: int
    moved: int
    levels: Sequence[Row]
    stages: Sequence[Row]
    choices: Sequence[Row]
    flows: Flows
    cut_offs: Sequence[Row]


@dataclass(frozen=True, slots=True)
class StatisticsPage:
    """`published` is empty before there is a result; `balances` are as of now.

    The statistics are those of the run, None where it left no figures.
    """

    published: str
    balances: Sequence[Row]
    statistics: Statistics | None
    pictures: Sequence[str]
    county: str
    counties: Sequence[Option]


async def statistics(request: Request) -> Response:
    """Show the result in figures and pictures."""
    site: Site = request.app.state.site
    county = request.query_params.get("county", "")
    balances: Sequence[Balance] = ()
    async with site.database.reading() as db:
        counties = await schools.counties(db)
        subjects = {
            code: subject
            for level in LEVELS
            for code, subject in (await schools.subjects(db, level)).items()
        }
        publication = await results.newest(db, site.clock.now())
        if publication:
            balances = await result_lists.balances(db, publication.run)
    found = await figures(site, publication) if publication else None
    page = StatisticsPage(
        published=moment_text(publication.publish_at, current()) if publication else "",
        balances=[_balance(one, counties) for one in balances],
        statistics=_statistics(found, counties, subjects, county) if found else None,
        pictures=await _pictures(site, publication) if publication else (),
        county=county,
        counties=county_options(counties),
    )
    return await render(request, "public/statistics.html", page)


def _balance(one: Balance, counties: Counties) -> Row:
    net = one.into - one.out
    change = f"{net:+d}" if net else "0"
    return Row(
        county_text(counties, one.county), (one.applied, one.out, one.into, change)
    )


def _statistics(
    found: Figures, counties: Counties, subjects: Mapping[str, Subject], county: str
) -> Statistics:
    return Statistics(
        found["applicants"],
        found["moved"],
        [
            Row(said(LEVEL_NAMES[one["level"]]), (one["applicants"], one["moved"]))
            for one in found["levels"]
        ],
        [
            Row(stage_text(one["stage"]), (one["exchanges"] or "—", one["moved"]))
            for one in found["stages"]
        ],
        [Row(_band(one), (one["moved"],)) for one in found["choices"]],
        _flows(found["flows"], counties),
        [
            _cut_off(one, subjects)
            for one in found["cut_offs"]
            if one["county"] == county
        ],
    )


def _band(one: Figures) -> str:
    first, last = str(one["first"]), one["last"]
    if last is None:
        return _("第 %(first)s 志願以後", first=first)
    if last == one["first"]:
        return _("第 %(first)s 志願", first=first)
    return _("第 %(first)s 至 %(last)s 志願", first=first, last=str(last))


def _flows(flows: Sequence[Figures], counties: Counties) -> Flows:
    moved = {(one["origin"], one["destination"]): one["moved"] for one in flows}
    codes = sorted({code for pair in moved for code in pair})
    names = [county_text(counties, code) for code in codes]
    rows = [
        Row(name, tuple(moved.get((code, to), "") for to in codes))
        for code, name in zip(codes, names, strict=True)
    ]
    return Flows(names, rows)


def _cut_off(one: Figures, subjects: Mapping[str, Subject]) -> Row:
    subject = subjects.get(one["subject"])
    known = subject.name_en if subject and current() == ENGLISH else one["subject_name"]
    points = "—" if one["points"] is None else tenths(one["points"])
    label = f"{said(LEVEL_NAMES[one['level']])} {known}"
    return Row(label, (one["seats"], one["moved"], points))


async def _pictures(site: Site, publication: Publication) -> Sequence[str]:
    folder = report_folder(site, publication, _spoken())

    def there() -> Sequence[str]:
        return [name for name in PICTURES if (folder / f"{name}.svg").is_file()]

    return await asyncio.to_thread(there)


def _spoken() -> str:
    return "en" if current() == ENGLISH else "zh"


async def picture(request: Request) -> Response:
    """Give a picture of the result in force."""
    name = request.path_params["name"]
    if name not in PICTURES:
        raise HTTPException(404)
    return await _of_report(request, f"{name}.svg", "image/svg+xml")


async def report(request: Request) -> Response:
    """Give the whole report, a page by itself."""
    return await _of_report(request, "report.html", "text/html")


async def _of_report(request: Request, name: str, media_type: str) -> Response:
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        publication = await in_force(db, site)
    file = report_folder(site, publication, _spoken()) / name
    return await downloads.of_report(file, media_type)
