"""What was typed at the review desk: a value, or the problems to mend. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from jiepin.web.county.eligibility import CHECKS, NO, NOT_APPLICABLE, YES, Answer
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.store.applications import Application
from jiepin.web.store.review import (
    LONGEST_NOTE,
    LONGEST_REASON,
    Entry,
    Seen,
    Work,
    items_of,
)

Typed = Mapping[str, str]

_POINTS = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")
_WHOLE = re.compile(r"[0-9]{1,9}")
_SHORT = re.compile(r"[0-9a-f]{16,64}")
_STAMP = re.compile(r"jiepin/([0-9]{2,3})/([a-z-]+)/([0-9]{1,9})/([0-9a-f]{64})")


def parse_points(text: str) -> int | None:
    """Return what was typed in hundredths, exactly; None when it is no such number.

    Digits of full width are digits.

    >>> [parse_points(text) for text in ("65.5", "０.25", "7", "1.005", "-1", "1e2")]
    [6550, 25, 700, None, None, None]
    """
    found = _POINTS.fullmatch(_half_width(text))
    if found is None:
        return None
    whole, parts = found.groups()
    return int(whole) * 100 + int((parts or "").ljust(2, "0"))


def points_text(hundredths: int) -> str:
    """Write points for a field: as short as can be, and read back the same.

    >>> points_text(6550), points_text(700), points_text(5)
    ('65.5', '7', '0.05')
    """
    return f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".")


def _half_width(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a sheet says which version it is: its short digest, or its QR code."""

    digest: str
    year: int | None = None
    level: str = ""
    version: int | None = None

    def suits(self, application: Application, version: int) -> bool:
        """Tell whether everything the QR code says suits a version.

        >>> Stamp("0123456789abcdef").version is None
        True
        """
        if self.version is None:
            return True
        own = (application.year, application.level, version)
        return (self.year, self.level, self.version) == own


def read_stamp(text: str) -> Stamp | None:
    """Read a typed digest or a scanned QR code; None when it is neither.

    >>> read_stamp("0123 4567 89AB CDEF")
    Stamp(digest='0123456789abcdef', year=None, level='', version=None)
    >>> read_stamp("JIEPIN/115/ELEMENTARY/7/" + "0A" * 32).version
    7
    >>> read_stamp("林小明") is None
    True
    """
    plain = "".join(_half_width(text).lower().split())
    if _SHORT.fullmatch(plain):
        return Stamp(plain)
    found = _STAMP.fullmatch(plain)
    if found is None:
        return None
    year, level, version, digest = found.groups()
    return Stamp(digest, int(year), level, int(version))


def read_seen(form: Typed) -> Seen:
    """Return the versions that a page was made from; 0 where it does not say."""
    return Seen(_number(form, "version"), _number(form, "review"))


def _number(form: Typed, field: str) -> int:
    text = form.get(field, "")
    return int(text) if _WHOLE.fullmatch(text) else 0


def read_work(form: Typed, application: Application) -> tuple[Work, Problems]:
    """Read points, answers and notes: what could be read, and what has to be mended."""
    problems: list[Problem] = []
    points: dict[str, Entry] = {}
    for item in items_of(application):
        _read_item(form, item, points, problems)
    answers: dict[str, Answer] = {}
    for check in CHECKS:
        given = form.get(f"check-{check.item}", "")
        allowed = (YES, NO, NOT_APPLICABLE) if check.optional else (YES, NO)
        note = read_note(form, f"note-{check.item}", problems)
        if given in allowed:
            answers[check.item] = Answer(given, note)
    note = read_note(form, "review-note", problems, LONGEST_REASON)
    return Work(points, answers, note), Problems(tuple(problems))


def _read_item(
    form: Typed, item: str, points: dict[str, Entry], problems: list[Problem]
) -> None:
    text = form.get(item, "").strip()
    note = read_note(form, f"note-{item}", problems)
    if not text:
        return
    value = parse_points(text)
    if value is None:
        wrong = _("積分請填 0 以上、至多兩位小數的數字，例如 12.5")
        problems.append(Problem(item, wrong))
    else:
        points[item] = (value, note)


def read_note(
    form: Typed, field: str, problems: list[Problem], longest: int = LONGEST_NOTE
) -> str:
    """Read a note of one line or several; one too long is a problem."""
    note = form.get(field, "").replace("\r\n", "\n").strip()
    if len(note) > longest:
        problems.append(Problem(field, _("備註至多 %(n)s 個字", n=str(longest))))
    return note


def read_reason(form: Typed, field: str) -> str | Problem:
    """Read the reason that a decision needs."""
    reason = form.get(field, "").replace("\r\n", "\n").strip()
    if not reason:
        return Problem(field, _("請填寫原因"))
    if len(reason) > LONGEST_REASON:
        return Problem(field, _("原因至多 %(n)s 個字", n=str(LONGEST_REASON)))
    return reason
