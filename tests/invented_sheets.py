"""Invented people's sheets, small and large."""

from __future__ import annotations

from datetime import UTC, date, datetime

from jiepin.web.documents.sheet import County, Sheet, Wish

NAMES = (
    "樟樹",
    "大埤",
    "斗南",
    "金美",
    "地磨兒國小德文分校",
    "屏東大學附設實驗小學",
    "長樂百合",
    "永光",
    "福山",
    "平和",
)
MARKS = ("", "△", "▲◎", "◆", "★")
COUNTIES = (County("01", "新北市"), County("09", "雲林縣"))

SHEET = Sheet(
    year=115,
    level="elementary",
    name="林小明",
    national_id="A123456789",
    sex="M",
    birth_date=date(1985, 3, 9),
    phones=("07-1234567#89", ""),
    email="lin@example.org",
    home_school="高雄市 新興區新興國小",
    area="一般地區(無限制)",
    service_years=5,
    subjects=("普通",),
    priority=False,
    counties=COUNTIES,
    wishes=(),
    points=(),
    serial="",
    filed=True,
    practice=False,
    version=3,
    digest="0123456789abcdef" * 4,
    saved_at=datetime(2026, 4, 20, 1, 2, 3, tzinfo=UTC),
    printed_at=datetime(2026, 4, 20, 4, 5, 6, tzinfo=UTC),
)


def wishes(n: int) -> tuple[Wish, ...]:
    """Return so many wishes; no two neighbours look the same."""
    return tuple(
        Wish(
            NAMES[i % len(NAMES)],
            MARKS[i // 2 % len(MARKS)],
            COUNTIES[i % len(COUNTIES)].code,
        )
        for i in range(n)
    )
