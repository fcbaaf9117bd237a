"""Two tables of a county: its schools, and their seats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import aiosqlite

from jiepin.web.access import Actor
from jiepin.web.county import school_forms
from jiepin.web.county.roster import SchoolNames
from jiepin.web.county.school_forms import TAG_NAMES
from jiepin.web.county.schools import subject_name
from jiepin.web.county.table_rows import (
    YES_NO,
    Column,
    Fault,
    Line,
    Plan,
    both,
    fingerprint,
    headings,
    in_turns,
    meaning,
    plain,
    words,
)
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.language import _, mark, said
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import school_changes, schools
from jiepin.web.store.schools import LEVEL_NAMES, Record, Seats, Subject

CODE = Column("code", mark("學校代碼"), needed=True)
LEVEL = Column("level", mark("階段別"), needed=True)
NAME = Column("name", mark("校名"), needed=True)
SHORT_NAME = Column("short_name", mark("簡稱"))
TOWNSHIP = Column("township", mark("鄉鎮市區"), needed=True)
TAGS = Column("tags", mark("註記"))
ADDRESS = Column("address", mark("地址"))
NOTICE = Column("notice", mark("學校說明"))
OPEN = Column("open", mark("開放介聘"))
TAUGHT = Column("taught", mark("設有科(類)別"))
SUBJECT = Column("subject", mark("科(類)別"), needed=True)
TOTAL = Column("total", mark("缺額總數"))
SEATS = Column("seats", mark("提列他縣市"), needed=True)


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows of a county refer to: its schools, all subjects by level.

    `names` are those of the subjects of a level, as they are compared.
    """

    records: Mapping[str, Record]
    subjects: Mapping[str, Mapping[str, Subject]]
    names: Mapping[str, Mapping[str, str]]
    elsewhere: frozenset[str]  # codes of schools that are not the county's to change

    def subject(self, level: str, text: str) -> str | None:
        """Return the subject that a code or a name means at a level."""
        return self.names[level].get(plain(text))


async def known(
    db: aiosqlite.Connection, actor: Actor, codes: Iterable[str] = ()
) -> Known:
    """Read what rows refer to; `codes` are those that they name."""
    records = await schools.records(db, actor.county, actor.levels)
    others = (await schools.by_codes(db, codes)).keys() - records.keys()
    subjects = {level: await schools.subjects(db, level) for level in actor.levels}
    names = {
        level: {
            plain(name): one.code
            for one in known.values()
            for name in (one.name, one.name_en, one.code)
        }
        for level, known in subjects.items()
    }
    return Known(records, subjects, names, frozenset(others))


def level_of(actor: Actor, text: str) -> str | None:
    """Return the level that a word means, of those that the actor acts for."""
    names = {level: both(LEVEL_NAMES[level]) for level in actor.levels}
    return meaning(text, names)


def level_text() -> str:
    return _("不是您可辦理的階段別；請填國中、國小或幼兒園")


def twice_text() -> str:
    return _("與前面的列重複")


class Schools:
    """The list of schools; of one that is there, only the columns given change."""

    name = "schools"
    title = mark("學校清單")
    replaces = True
    columns = (
        CODE,
        LEVEL,
        NAME,
        SHORT_NAME,
        TOWNSHIP,
        TAGS,
        ADDRESS,
        NOTICE,
        OPEN,
        TAUGHT,
    )

    async def current(
        self, db: aiosqlite.Connection, _site: Site, actor: Actor
    ) -> Sheet:
        found = await known(db, actor)
        rows = [_school_cells(record, found) for record in found.records.values()]
        return Sheet(said(self.title), headings(self.columns), rows)

    async def plan(
        self,
        db: aiosqlite.Connection,
        site: Site,
        actor: Actor,
        lines: Sequence[Line],
        replace: bool,
    ) -> Plan:
        found = await known(db, actor, map(_code, lines))
        after: dict[str, Record] = {}
        faults: list[Fault] = []
        async for line in in_turns(lines):
            code = _code(line)
            read = _read_school(line, code, actor, found)
            if code in after:
                faults.append(line.fault(CODE, twice_text()))
            elif isinstance(read, Record):
                after[code] = read
            else:
                faults += read
        if replace:
            after = _closed(found, after) | after
        return await _plan(db, site, actor, found, after, faults)


def _code(line: Line) -> str:
    return line.cells["code"].upper()


def _closed(found: Known, after: Mapping[str, Record]) -> dict[str, Record]:
    """Take the schools off that are not named, at the levels that are."""
    levels = {record.school.level for record in after.values()}
    return {
        code: _with_open(record, False)
        for code, record in found.records.items()
        if code not in after and record.school.level in levels
    }


def _with_open(record: Record, is_open: bool) -> Record:
    return replace(record, school=replace(record.school, open=is_open))


def _school_cells(record: Record, found: Known) -> tuple[str, ...]:
    school = record.school
    subjects = found.subjects[school.level]
    return (
        school.code,
        said(LEVEL_NAMES[school.level]),
        school.name,
        school.short_name,
        school.township,
        "、".join(said(name) for tag, name in TAG_NAMES.items() if tag in school.tags),
        school.address,
        school.notice,
        _("是") if school.open else _("否"),
        "、".join(one for one in subjects if one in record.taught),
    )


def _read_school(
    line: Line, code: str, actor: Actor, found: Known
) -> Record | list[Fault]:
    level = level_of(actor, line.cells["level"])
    before = found.records.get(code)
    if code in found.elsewhere:
        return [line.fault(CODE, _("這所學校不屬於貴縣市或您的階段別"))]
    if level is None:
        return [line.fault(LEVEL, level_text())]
    if before is not None and before.school.level != level:
        return [line.fault(LEVEL, _("與系統中這所學校的階段別不同"))]
    before = before or school_forms.blank(code, actor.county, level)
    form, faults = _form(line, before, found)
    subjects = found.subjects[level]
    seats = {code: told for code, told in before.seats.items() if code in subjects}
    read = school_forms.read(form, before, subjects)
    if isinstance(read, Record):
        return faults or replace(read, seats=seats)
    return faults + [_fault(line, problem) for problem in read]


def _form(
    line: Line, before: Record, found: Known
) -> tuple[dict[str, str], list[Fault]]:
    """Return the form that a person would have filled in as the row says."""
    form = school_forms.values(before)
    faults = []
    for column in (NAME, SHORT_NAME, TOWNSHIP, ADDRESS, NOTICE):
        form[column.key] = line.cells.get(column.key, form[column.key])
    if line.cells.get("open"):
        chosen = meaning(line.cells["open"], YES_NO)
        form["open"] = "yes" if chosen == "yes" else ""
        if chosen is None:
            faults.append(line.fault(OPEN, _("請填是或否")))
    if "tags" in line.cells:
        names = {tag: both(name) for tag, name in TAG_NAMES.items()}
        faults += _tick(form, "tag", line, TAGS, names)
    if "taught" in line.cells:
        subjects = found.subjects[before.school.level].values()
        names = {one.code: (one.name, one.name_en) for one in subjects}
        faults += _tick(form, "taught", line, TAUGHT, names)
    return form, faults


def _tick(
    form: dict[str, str],
    prefix: str,
    line: Line,
    column: Column,
    names: Mapping[str, Sequence[str]],
) -> list[Fault]:
    """Tick what the words of a cell name and nothing else; return the unknown ones."""
    text = line.cells[column.key]
    # a name may itself hold a sign that parts words
    listed = [text] if meaning(text, names) else words(text)
    chosen = [meaning(word, names) for word in listed]
    for code in names:
        form[f"{prefix}-{code}"] = "yes" if code in chosen else ""
    unknown = [word for word, code in zip(listed, chosen, strict=True) if code is None]
    if not unknown:
        return []
    return [
        line.fault(column, _("不認得：%(words)s", words=_("、").join(unknown)[:50]))
    ]


_COLUMN_OF: Final = {
    "code": CODE,
    "name": NAME,
    "short_name": SHORT_NAME,
    "township": TOWNSHIP,
    "address": ADDRESS,
    "notice": NOTICE,
    "tag": TAGS,
    "taught": TAUGHT,
    "total": TOTAL,
    "seats": SEATS,
}


def _fault(line: Line, problem: Problem) -> Fault:
    """Return a problem of the form at the column that it comes from."""
    field = problem.field.partition("-")[0]
    column = (
        TAUGHT if field == "seats" and "taught" in line.cells else _COLUMN_OF[field]
    )
    return line.fault(column, problem.text)


async def _plan(
    db: aiosqlite.Connection,
    site: Site,
    actor: Actor,
    found: Known,
    after: Mapping[str, Record],
    faults: Sequence[Fault],
) -> Plan:
    """Return what becomes of schools, and whom it touches."""
    changed = {
        code: record
        for code, record in after.items()
        if record != found.records.get(code)
    }
    if faults:
        return Plan(tuple(faults))
    before = {code: found.records[code] for code in changed if code in found.records}
    wishers = await school_changes.wishers(db, before)
    touched = school_changes.losses(wishers, before, changed)
    confirmed = school_changes.digest(touched)
    closed = sum(
        record.school.open and not changed[code].school.open
        for code, record in before.items()
    )
    told = {code: school_forms.values(record) for code, record in changed.items()}
    versions = {code: record.school.version for code, record in before.items()}

    async def write(db: aiosqlite.Connection) -> None:
        await school_changes.write(
            db, site, actor, before, list(changed.values()), confirmed
        )

    return Plan(
        new=len(changed) - len(before),
        changed=len(before),
        same=len(after) - len(changed),
        notes=(_("其中 %(n)s 所學校將改為未開放", n=str(closed)),) if closed else (),
        touched=touched,
        fingerprint=fingerprint([told, versions, confirmed]),
        write=write,
    )


class SeatsOfSchools:
    """Free seats of schools by subject; a row without numbers tells nothing."""

    name = "seats"
    title = mark("學校缺額")
    replaces = True
    columns = (CODE, Column("name", mark("校名")), SUBJECT, TOTAL, SEATS)

    async def current(
        self, db: aiosqlite.Connection, _site: Site, actor: Actor
    ) -> Sheet:
        """Return a row for each subject of the schools that may offer seats."""
        found = await known(db, actor)
        rows = [
            _seat_cells(record, subject)
            for record in found.records.values()
            if record.may_offer
            for subject in found.subjects[record.school.level].values()
            if subject.code in record.taught
        ]
        return Sheet(said(self.title), headings(self.columns), rows)

    async def plan(
        self,
        db: aiosqlite.Connection,
        site: Site,
        actor: Actor,
        lines: Sequence[Line],
        replace: bool,
    ) -> Plan:
        found = await known(db, actor)
        told: dict[str, dict[str, Seats | None]] = {}
        faults: list[Fault] = []
        names = SchoolNames(found.records.values())
        async for line in in_turns(lines):
            place = _place(line, found, names)
            if isinstance(place, Fault):
                faults.append(place)
                continue
            code, subject = place
            if subject in told.setdefault(code, {}):
                faults.append(line.fault(SUBJECT, twice_text()))
            told[code][subject], wrong = _read_seats(line, found.records[code], subject)
            faults += wrong
        after = {code: _with(found.records[code], told[code], replace) for code in told}
        if replace:
            after = _without_seats(found, after) | after
        return await _plan(db, site, actor, found, after, faults)


def _place(line: Line, found: Known, names: SchoolNames) -> tuple[str, str] | Fault:
    """Return the codes of school and subject that a row is about."""
    code, wrong = names.find(line.cells["code"])
    if code is None:
        return line.fault(CODE, wrong or _("請填學校代碼"))
    level = found.records[code].school.level
    subject = found.subject(level, line.cells["subject"])
    if subject is None:
        return line.fault(SUBJECT, _("此階段別沒有這個科(類)別"))
    return code, subject


def _read_seats(
    line: Line, record: Record, subject: str
) -> tuple[Seats | None, list[Fault]]:
    form = {
        f"total-{subject}": line.cells.get("total", ""),
        f"seats-{subject}": line.cells["seats"],
    }
    seats, problems = school_forms.read_seats(form, [subject])
    told = replace(record, seats=seats)
    problems += [
        Problem(problem.field, problem.text)
        for problem in school_forms.wrong(told)
        if problem.field.startswith("seats-")
    ]
    faults = [
        line.fault(TOTAL if problem.field.startswith("total-") else SEATS, problem.text)
        for problem in problems
    ]
    return seats.get(subject), faults


def _with(record: Record, told: Mapping[str, Seats | None], replaced: bool) -> Record:
    """Return a school with the seats told; others go where the table replaces all."""
    others = {} if replaced else dict(record.seats)
    numbers = {subject: seats for subject, seats in told.items() if seats is not None}
    return replace(record, seats=dict(sorted((others | numbers).items())))


def _without_seats(found: Known, after: Mapping[str, Record]) -> dict[str, Record]:
    """Take away the seats of schools that are not named, at the levels that are."""
    levels = {record.school.level for record in after.values()}
    return {
        code: replace(record, seats={})
        for code, record in found.records.items()
        if code not in after and record.seats and record.school.level in levels
    }


def _seat_cells(record: Record, subject: Subject) -> tuple[str | int, ...]:
    told = record.seats.get(subject.code)
    total = "" if told is None or told.total is None else told.total
    seats = "" if told is None else told.seats
    school = record.school
    return (school.code, school.name, subject_name(subject), total, seats)
