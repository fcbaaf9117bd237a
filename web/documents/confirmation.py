"""The confirmation of points (積分確認單): what the teacher signs at the review.

An official paper, and Chinese; set as the personal sheet is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from jiepin.web.clock import moment_text
from jiepin.web.documents.sheet import (
    LEVELS,
    PRACTICE,
    RANKS,
    SUBJECTS_SHOWN,
    County,
    Pair,
    qr_code,
    short_digest,
    typeset,
)
from jiepin.web.language import CHINESE

LAYOUT: Final = Path(__file__).with_name("confirmation.typ").read_bytes()
NOT_FINAL: Final = "審核尚未完成　積分以審核通過者為準"
DECLARATION: Final = "本人已詳閱以上各項積分，確認無誤，並了解審核通過後不得更改。"
HEADS: Final = ("積分項目", "積分", "備註")
SIGNATURES: Final = ("申請教師簽名", "審核人員簽章", "單位主管簽章", "日期")


@dataclass(frozen=True, slots=True)
class Item:
    """One item as printed: its name, its points, and the reviewer's note."""

    label: str
    points: str
    note: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The points of one application when the paper is printed.

    `masked_id` tells people apart without giving the ID away; `totals` has one line
    for each wish county; `version` is that of the application the points belong to.
    """

    year: int
    level: str
    serial: str
    name: str
    masked_id: str
    home_school: str
    subjects: tuple[str, ...]
    counties: tuple[County, ...]
    items: tuple[Item, ...]
    totals: tuple[Pair, ...]
    version: int
    digest: str
    approved: bool
    practice: bool
    printed_at: datetime


def points_digest(application: str, version: int, points: Mapping[str, int]) -> str:
    """Return a digest of the points of a version; other points give another one.

    >>> points_digest("a", 1, {"awards": 5})[:8]
    '7573d5e0'
    """
    table = {"application": application, "version": version, "points": dict(points)}
    text = json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def pdf(paper: Confirmation) -> bytes:
    """Set the paper as PDF/A; raises NoChineseFont. Call it in a thread."""
    stamp = f"JIEPIN/POINTS/{paper.year}/{paper.level}/{paper.version}/{paper.digest}"
    drawings = {"qr": qr_code(stamp.upper()).svg()}
    return typeset(LAYOUT, texts(paper), drawings, paper.printed_at)


def texts(paper: Confirmation) -> dict[str, object]:
    """Return every text of the paper, by the names that the layout knows."""
    remarks = [PRACTICE] if paper.practice else []
    if not paper.approved:
        remarks.append(NOT_FINAL)
    service = f"{paper.year}年公立國民中小學暨幼兒園介聘他縣市服務"
    return {
        "title": [service, f"{LEVELS[paper.level]}教師積分確認單"],
        "printed": f"印表時間：{_moment(paper.printed_at)}",
        "remarks": remarks,
        "rows": _rows(paper),
        "heads": HEADS,
        "items": [[item.label, item.points, item.note] for item in paper.items],
        "totals": paper.totals,
        "declaration": DECLARATION,
        "signatures": SIGNATURES,
        "version": f"申請資料第 {paper.version} 版",
        "digest": f"積分校驗碼 {short_digest(paper.digest)}",
        "qr_says": "二維條碼：申請資料版本及積分校驗碼",
        "notes": [],
    }


def _rows(paper: Confirmation) -> list[list[Pair]]:
    filled = [*paper.subjects, *["無"] * (SUBJECTS_SHOWN - len(paper.subjects))]
    subjects = "　".join(f"{n}.{name}" for n, name in enumerate(filled, 1))
    counties = "　".join(
        f"({rank}) {county.name}（代碼：{county.code}）"
        for rank, county in zip(RANKS, paper.counties, strict=False)
    )
    return [
        [("姓名", paper.name), ("身分證統一編號", paper.masked_id)],
        [("電腦編號", paper.serial or "(待審)"), ("服務學校", paper.home_school)],
        [("應聘科類別", subjects)],
        [("志願縣市", counties)],
    ]


def _moment(moment: datetime) -> str:
    return f"民國{moment_text(moment, CHINESE, seconds=True)}"
