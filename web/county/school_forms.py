"""What was typed about a school: a record, or the problems to mend. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from jiepin.web.language import _, mark
from jiepin.web.problems import Problem, Problems
from jiepin.web.store.schools import Record, School, Seats, half

TAG_NAMES: Final = {
    "remote": mark("偏遠"),
    "special-remote": mark("特偏"),
    "extreme-remote": mark("極偏"),
    "correctional": mark("中途或矯正"),
    "indigenous": mark("原民校"),
    "swap-only": mark("僅參加互調"),
}
REMOTENESS: Final = frozenset(("remote", "special-remote", "extreme-remote"))
LONGEST: Final = {
    "name": 50,
    "short_name": 20,
    "township": 20,
    "address": 100,
    "notice": 200,
}
NEEDED: Final = {
    "name": mark("請填寫校名"),
    "township": mark("請填寫鄉鎮市區"),
}
MOST_SEATS: Final = 999
_CODE = re.compile(r"[0-9A-Z]{4,10}")
_WHOLE = re.compile(r"[0-9]{1,3}")

Typed = Mapping[str, str]


def blank(code: str, county: str, level: str) -> Record:
    """Return a school that nothing has been told of yet."""
    school = School(code, "", "", county, "", level, (), "", "", open=True, version=0)
    return Record(school, frozenset(), {})


def values(record: Record) -> dict[str, str]:
    """Return what the fields of the form show for a school.

    >>> school = blank("133601", "13", "elementary").school
    >>> values(Record(school, frozenset(["E01"]), {"E01": Seats(3, 2)}))["seats-E01"]
    '2'
    """
    school = record.school
    found = {name: getattr(school, name) for name in LONGEST} | {"code": school.code}
    found["open"] = "yes" if school.open else ""
    found |= {f"tag-{tag}": "yes" for tag in school.tags}
    found |= {f"taught-{subject}": "yes" for subject in record.taught}
    for subject, seats in record.seats.items():
        found[f"total-{subject}"] = "" if seats.total is None else str(seats.total)
        found[f"seats-{subject}"] = str(seats.seats)
    return found


def read(form: Typed, before: Record, subjects: Collection[str]) -> Record | Problems:
    """Read the form of one school; what it does not show stays as it was."""
    seats, problems = read_seats(form, subjects)
    texts = {name: " ".join(form.get(name, "").split()) for name in LONGEST}
    others = tuple(tag for tag in before.school.tags if tag not in TAG_NAMES)
    school = replace(
        before.school,
        code=before.school.code or form.get("code", "").strip().upper(),
        name=texts["name"],
        short_name=texts["short_name"] or texts["name"][: LONGEST["short_name"]],
        township=texts["township"],
        address=texts["address"],
        notice=texts["notice"],
        tags=tuple(tag for tag in TAG_NAMES if form.get(f"tag-{tag}")) + others,
        open=bool(form.get("open")),
    )
    taught = frozenset(code for code in subjects if form.get(f"taught-{code}"))
    record = Record(school, taught, seats)
    return problems + wrong(record) or record


def read_seats(
    form: Typed, subjects: Collection[str]
) -> tuple[dict[str, Seats], Problems]:
    """Read the seats of one school by subject: `total-…` and `seats-…`."""
    found: dict[str, Seats] = {}
    problems: list[Problem] = []
    for subject in subjects:
        total, opened = (form.get(f"{n}-{subject}", "").strip() for n in _SEATS)
        if not total and not opened:
            continue
        wrong = seats_problem(total, opened)
        if wrong:
            problems.append(Problem(f"{wrong.field}-{subject}", wrong.text))
        else:
            found[subject] = Seats(int(total) if total else None, int(opened))
    return found, Problems(tuple(problems))


_SEATS: Final = ("total", "seats")


def seats_problem(total: str, opened: str) -> Problem | None:
    """Return what is wrong with two numbers of seats as typed."""
    if total and not _WHOLE.fullmatch(total):
        return Problem("total", _("缺額總數須為 0 至 %(n)s 的整數", n=str(MOST_SEATS)))
    if not _WHOLE.fullmatch(opened):
        return Problem(
            "seats", _("提列他縣市缺額須為 0 至 %(n)s 的整數", n=str(MOST_SEATS))
        )
    if total and int(opened) > int(total):
        return Problem("seats", _("提列他縣市缺額不可多於缺額總數"))
    return None


def halved(form: Typed) -> dict[str, str]:
    """Return the form with half of each total, rounded up, as the seats for others.

    >>> halved({"total-E01": "5", "seats-E01": "", "total-E02": "?", "name": "a"})
    {'total-E01': '5', 'seats-E01': '3', 'total-E02': '?', 'name': 'a'}
    """
    found = dict(form)
    for name, value in form.items():
        kind, _dash, rest = name.partition("-")
        if kind == "total" and _WHOLE.fullmatch(value.strip()):
            found[f"seats-{rest}"] = str(half(int(value)))
    return found


def wrong(record: Record) -> Problems:
    """Return what does not hold about a school, each at its field."""
    school = record.school
    checks = [
        None if _CODE.fullmatch(school.code) else Problem("code", _code_text()),
        *(_text_problem(school, name) for name in LONGEST),
        _tags_problem(school),
        *(_subject_problem(record, subject) for subject in record.seats),
    ]
    return Problems.of(*checks)


def _code_text() -> str:
    return _("學校代碼須為 4 至 10 個數字或大寫字母")


def _text_problem(school: School, name: str) -> Problem | None:
    text: str = getattr(school, name)
    if not text and name in NEEDED:
        return Problem(name, _(NEEDED[name]))
    if len(text) > LONGEST[name] or not text.isprintable():
        return Problem(name, _("至多 %(n)s 個字元", n=str(LONGEST[name])))
    return None


def _tags_problem(school: School) -> Problem | None:
    if len(REMOTENESS.intersection(school.tags)) > 1:
        return Problem("tag-remote", _("偏遠、特偏、極偏只能擇一"))
    return None


def _subject_problem(record: Record, subject: str) -> Problem | None:
    field = f"seats-{subject}"
    if subject not in record.taught:
        return Problem(field, _("未勾選設有此科(類)別，不能填寫缺額"))
    if record.seats[subject].seats and "swap-only" in record.school.tags:
        return Problem(field, _("僅參加互調的學校不能提列他縣市缺額"))
    return None
