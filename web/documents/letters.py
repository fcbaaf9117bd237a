"""Letters (函) about results that have changed: one page for each person, as PDF.

They are official papers and stay Chinese. Day and number of dispatch are left to the
office that sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jiepin.web.clock import moment_text
from jiepin.web.documents.sheet import LEVELS, Pair, plain, typeset
from jiepin.web.language import CHINESE

LAYOUT: Final = Path(__file__).with_name("letters.typ").read_bytes()
PRACTICE: Final = "練習站　本函僅供練習，不得發送"
NUMERALS: Final = "一二三四五六七八九"


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter: to whom, about what, and the points of its explanation."""

    number: str
    name: str
    level: str
    school: str
    subject: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sender:
    """The office that sends them; `printed` is aware."""

    organiser: str
    practice: bool
    printed: datetime


def pdf(letters: Sequence[Letter], sender: Sender) -> bytes:
    """Set the letters, one on each page; the same letters give the same bytes.

    Raises NoChineseFont. Takes some milliseconds a letter: call it in a thread.
    """
    texts: dict[str, Any] = {
        "title": f"{sender.organiser}函",
        "subject": "主旨：",
        "explanation": "說明：",
        "remarks": [PRACTICE] if sender.practice else [],
        "letters": [_texts(letter, sender) for letter in letters],
        "notes": [],
    }
    return typeset(LAYOUT, texts, {}, sender.printed)


def _texts(letter: Letter, sender: Sender) -> dict[str, Any]:
    to = f"{letter.name} 教師（{LEVELS[letter.level]}，電腦編號 {letter.number}）"
    top: Sequence[Pair] = (
        ("受文者：", plain(to)),
        ("發文日期：", "中華民國　　年　　月　　日"),
        ("發文字號：", "　　　　字第　　　　　　　　號"),
        ("附件：", "無"),
    )
    points = zip(NUMERALS, letter.points, strict=False)
    return {
        "head": f"{plain(sender.organiser)}　函",
        "top": top,
        "subject": plain(letter.subject),
        "points": [(f"{numeral}、", plain(point)) for numeral, point in points],
        "copies": (
            ("正本：", plain(f"{letter.name} 教師")),
            ("副本：", plain(letter.school)),
        ),
        "foot": f"製表時間：民國{moment_text(sender.printed, CHINESE)}",
    }
