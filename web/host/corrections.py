"""§14: mend what was wrong after the freeze, run again, tell whom it concerns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web import after_run, downloads
from jiepin.web.clock import moment_text
from jiepin.web.documents.letters import Letter
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.host import after_letters
from jiepin.web.host.backed_up import no_backup
from jiepin.web.host.dropouts import Option, may, plain, reason_of
from jiepin.web.language import CHINESE, _, current, mark, said, speaking
from jiepin.web.problems import Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff.desk import at_desk, see
from jiepin.web.staff.dropped import Names, id_of
from jiepin.web.store import corrections as store
from jiepin.web.store import dropouts, results, runs, schools, snapshots
from jiepin.web.store.applications import Absent, Refused
from jiepin.web.store.corrections import Person
from jiepin.web.store.dropouts import Dropout
from jiepin.web.store.results import Publication
from jiepin.web.store.runs import Run
from jiepin.web.teacher.forms import Typed, typed
from jiepin.web.teacher.status import STATES

PAGE = "/host/corrections"
CHANGES = {
    "only-a": mark("原達成，更正後未達成"),
    "only-b": mark("原未達成，更正後達成"),
    "other-place": mark("改至其他學校或科(類)別"),
    "other-way": mark("學校相同，階段或志願序不同"),
    "other-home": mark("現職學校或科(類)別更正"),
    "missing-a": mark("更正後新列入"),
    "missing-b": mark("更正後不再列入"),
}


@dataclass(frozen=True, slots=True)
class OpenLine:
    """An application that its county may mend now."""

    application: str
    number: str
    name: str
    place: str
    state: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class CountyLine:
    """A county that may mend its schools and seats now."""

    county: str
    name: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunLine:
    """A lawful run of a corrected snapshot."""

    url: str
    run: int
    snapshot: int
    finished: str
    state: str


@dataclass(frozen=True, slots=True)
class CorrectionsPage:
    """What may be mended, the form to freeze again, and the runs after it."""

    may: bool
    frozen: bool
    opened: Sequence[OpenLine]
    left_out: Sequence[Option]
    opened_counties: Sequence[CountyLine]
    counties: Sequence[Option]
    runs: Sequence[RunLine]
    form: Typed
    problems: Problems


@dataclass(frozen=True, slots=True)
class Difference:
    """Somebody whose result differs: before, and after the correction."""

    number: str
    name: str
    place: str
    change: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class DifferencesPage:
    """What a run changes of what was published."""

    url: str
    run: int
    before: int
    lines: Sequence[Difference]
    letters: int
    may: bool


@at_desk()
async def corrections(request: Request) -> Response:
    """Show the steps of a correction, or open an application for it."""
    if request.method != "POST":
        return await _show(request, {}, Problems())
    form = typed(await request.form())
    site, actor = request.app.state.site, request.state.colleague.actor
    number, application = plain(form, "number"), form.get("application", "")
    try:
        await store.open_for(site, actor, number, application, reason_of(form))
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(PAGE)


@at_desk("correct")
async def close(request: Request) -> Response:
    """Close an application again."""
    application = typed(await request.form()).get("application", "")
    actor = request.state.colleague.actor
    await store.close(request.app.state.site, actor, application)
    return see(PAGE)


@at_desk("correct")
async def open_schools(request: Request) -> Response:
    """Open the schools and seats of a county."""
    form = typed(await request.form())
    site, actor = request.app.state.site, request.state.colleague.actor
    county, reason = form.get("county", ""), reason_of(form, "county_reason")
    try:
        await store.open_county(site, actor, county, reason)
    except Refused as refused:
        return await _show(request, form, refused.problems)
    return see(PAGE)


@at_desk("correct")
async def close_schools(request: Request) -> Response:
    """Close the schools and seats of a county again."""
    county = typed(await request.form()).get("county", "")
    actor = request.state.colleague.actor
    await store.close_county(request.app.state.site, actor, county)
    return see(PAGE)


@at_desk("freeze")
async def freeze(request: Request) -> Response:
    """Freeze the corrected round beside the one before it."""
    form = typed(await request.form())
    site, actor = request.app.state.site, request.state.colleague.actor
    reason = form.get("why", "").strip()
    if problems := await no_backup(request, form):
        return await _show(request, form, problems)
    try:
        await snapshots.freeze(site, actor, "correction", reason)
    except Refused as refused:
        return await _show(request, form, _at_why(refused.problems))
    return see("/host/runs")


def _at_why(problems: Problems) -> Problems:
    """Let problems of the freeze stand at its field: `reason` is another form's."""
    return Problems(tuple(type(one)("why", one.text) for one in problems))


async def _show(request: Request, form: Typed, problems: Problems) -> Response:
    site: Site = request.app.state.site
    settings = request.state.round
    year = settings.year if settings else 0
    async with site.database.reading() as db:
        names = await Names.read(db)
        opened = await store.opened(db, year)
        left_out = await store.left_out(db, year)
        mending = await store.opened_counties(db, year)
        counties = await schools.taking_part(db, year)
        runs_done = await _corrected(db, year)
    page = CorrectionsPage(
        may=may(request),
        frozen=settings is not None and settings.frozen is not None,
        opened=[_open_line(one, names) for one in opened],
        left_out=[
            Option(one.application, f"{_place(one, names)} {one.name}")
            for one in left_out
        ],
        opened_counties=[_county_line(one, names) for one in mending],
        counties=[
            Option(code, names.counties[code])
            for code in counties
            if code not in {one.county for one in mending}
        ],
        runs=runs_done,
        form=form,
        problems=problems,
    )
    status = 422 if problems else 200
    return await render(request, "host/corrections.html", page, status)


def _place(one: store.Open | store.LeftOut | Person, names: Names) -> str:
    return f"{names.counties[one.county]} {said(LEVEL_NAMES[one.level])}"


def _open_line(one: store.Open, names: Names) -> OpenLine:
    return OpenLine(
        application=one.application,
        number=one.number,
        name=one.name,
        place=_place(one, names),
        state=said(STATES[one.state]),
        since=moment_text(one.since, current()),
        reason=one.reason,
    )


def _county_line(one: store.OpenCounty, names: Names) -> CountyLine:
    since = moment_text(one.since, current())
    return CountyLine(one.county, names.counties[one.county], since, one.reason)


async def _corrected(db: aiosqlite.Connection, year: int) -> list[RunLine]:
    """Return the lawful runs of corrected snapshots."""
    corrected = {
        one.id
        for one in await snapshots.of_year(db, year)
        if one.kind == "correction" and not one.withdrawn
    }
    return [
        _run_line(run, await runs.approved(db, run.id))
        for run in await runs.of_year(db, year)
        if run.lawful and run.snapshot in corrected
    ]


def _run_line(run: Run, approved: bool) -> RunLine:
    return RunLine(
        url=f"{PAGE}/{run.id}",
        run=run.id,
        snapshot=run.snapshot,
        finished=moment_text(run.finished, current()) if run.finished else "",
        state=_("已核可") if approved else _("待核可"),
    )


# what a run changes


@dataclass(frozen=True, slots=True)
class Folders:
    """A run, and where it lies below the data folder."""

    run: int
    snapshot: int
    round_folder: str
    run_folder: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A run after a correction, the publication before it, and who dropped out."""

    run: Folders
    before: Publication
    dropped: Sequence[Dropout]


@dataclass(frozen=True, slots=True)
class Words:
    """The names that the results of people are told with."""

    names: Names
    schools: Mapping[str, schools.School]
    people: Mapping[str, Person]

    def result(self, row: Mapping[str, Any], side: str) -> str:
        """Say where somebody is in one of the two results."""
        code = row[f"school_{side}"]
        if code is None:
            return _("未列入")
        if row[f"stage_{side}"] is None:
            return _("未達成介聘")
        school, subject = self.schools[code], row[f"subject_{side}"]
        county = self.names.counties[school.county]
        return f"{county} {school.name}（{self.names.subjects[subject]}）"

    def difference(self, row: Mapping[str, Any]) -> Difference:
        """Say how the results of somebody differ."""
        person = self.people[row["teacher_id"]]
        return Difference(
            number=person.number,
            name=person.name,
            place=_place(person, self.names),
            change=said(CHANGES[row["change"]]),
            old=self.result(row, "a"),
            new=self.result(row, "b"),
        )


async def _pair(request: Request) -> Pair:
    site: Site = request.app.state.site
    year = request.state.round.year if request.state.round else 0
    async with site.database.reading() as db:
        run = await runs.run(db, id_of(request))
        if run is None or run.year != year or run.state != "done":
            raise Absent
        snapshot = await snapshots.by_id(db, run.snapshot)
        before = store.before(await results.history(db, year), run.id)
        dropped = [one for one in await dropouts.of_year(db, year) if one.counts]
    if snapshot is None or before is None:
        raise Absent
    folders = Folders(run.id, snapshot.id, snapshot.folder, run.folder)
    return Pair(folders, before, dropped)


async def _rows(site: Site, pair: Pair) -> list[dict[str, Any]]:
    found = await after_run.differences(site, pair.before, pair.run, pair.dropped)
    return list(found.differences.iter_rows(named=True))


async def _words(
    db: aiosqlite.Connection, pair: Pair, rows: Sequence[Mapping[str, Any]]
) -> Words:
    codes = {row[f"school_{side}"] for row in rows for side in "ab"} - {None}
    numbers = [row["teacher_id"] for row in rows]
    both = (pair.before.snapshot, pair.run.snapshot)
    return Words(
        await Names.read(db),
        await schools.by_codes(db, sorted(codes)),
        await store.people(db, both, numbers),
    )


@at_desk()
async def differences(request: Request) -> Response:
    """Show person by person what a run changes of what was published before it."""
    site: Site = request.app.state.site
    pair = await _pair(request)
    rows = await _rows(site, pair)
    async with site.database.reading() as db:
        words = await _words(db, pair, rows)
    lines = [words.difference(row) for row in rows]
    page = DifferencesPage(
        url=f"{PAGE}/{pair.run.run}",
        run=pair.run.run,
        before=pair.before.run,
        lines=lines,
        letters=sum(line.old != line.new for line in lines),
        may=may(request),
    )
    return await render(request, "host/differences.html", page)


@at_desk("correct")
async def file(request: Request) -> Response:
    """Give the differences as a table, or a letter to each whose result changes."""
    kind = typed(await request.form()).get("kind", "")
    site: Site = request.app.state.site
    pair = await _pair(request)
    rows = await _rows(site, pair)
    await store.exported(
        site,
        request.state.colleague.actor,
        "differences-exported",
        {"run": pair.run.run, "before": pair.before.run, "kind": kind},
    )
    async with site.database.reading() as db:
        if kind != "pdf":
            words = await _words(db, pair, rows)
            sheet = _sheet([words.difference(row) for row in rows])
        else:
            with speaking(CHINESE):
                words = await _words(db, pair, rows)
                written = _letters(rows, words, request.state.round.year)
    if kind != "pdf":
        return await downloads.answer(kind, f"differences-{pair.run.run}", [sheet])
    return await after_letters.file(request, written, f"letters-{pair.run.run}")


def _sheet(lines: Sequence[Difference]) -> Sheet:
    columns = (
        _("電腦編號"),
        _("姓名"),
        _("縣市階段"),
        _("異動"),
        _("原結果"),
        _("更正後結果"),
    )
    fields = ("number", "name", "place", "change", "old", "new")
    rows = [[getattr(line, field) for field in fields] for line in lines]
    return Sheet(_("更正前後差異"), columns, rows)


def _letters(
    rows: Sequence[Mapping[str, Any]], words: Words, year: int
) -> list[Letter]:
    """Write to those whose place changes."""
    both = ((words.people[row["teacher_id"]], words.difference(row)) for row in rows)
    return [
        after_letters.corrected(person, words.names, year, line.old, line.new)
        for person, line in both
        if line.old != line.new
    ]
