"""異動紀錄: what both audit pages ask for, and what staff call an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final

from jiepin.web.clock import TAIPEI
from jiepin.web.language import mark, said
from jiepin.web.staff import lists
from jiepin.web.teacher.own_data import ACTIONS as TEACHER_ACTIONS

ON_A_PAGE, MOST_LINES = 50, 50_000
ACTIONS: Final = TEACHER_ACTIONS | {
    "opened": mark("開啟申請資料"),
    "year-begun": mark("開始年度"),
    "settings-changed": mark("變更年度設定"),
    "texts-changed": mark("變更公告文字"),
    "schedule-changed": mark("變更作業日程"),
    "rules-changed": mark("變更介聘規則"),
    "list-changed": mark("變更縣市或科(類)別清單"),
    "frozen": mark("凍結資料"),
    "freeze-withdrawn": mark("撤回凍結"),
    "run-asked": mark("要求計算"),
    "run-done": mark("計算完成"),
    "run-failed": mark("計算失敗"),
    "run-cancelled": mark("取消計算"),
    "run-approved": mark("核可計算"),
    "run-approval-withdrawn": mark("撤回核可"),
    "publication-planned": mark("排定公告"),
    "publication-retracted": mark("撤回公告"),
    "differences-exported": mark("下載差異清單或函"),
    "letters-exported": mark("下載通知函"),
    "archived": mark("封存並清除個人資料"),
    "restored": mark("自備份還原"),
    "roster": mark("更正名冊"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for, as typed; a day that is none counts for nothing."""

    action: str
    county: str
    since: str
    until: str
    of: str

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Asked:
        """Read it from an address."""
        return cls(
            query.get("action", "")[:40],
            query.get("county", "")[:2],
            query.get("since", "")[:10],
            query.get("until", "")[:10],
            query.get("of", "").strip()[:60],
        )

    def address(self, path: str, first: int = 0) -> str:
        """Return where the same is asked for, from one entry on."""
        return lists.address(path, asdict(self), first)


def day_of(text: str, days: int = 0) -> datetime | None:
    """Return when a day begins in Taiwan, so many days later; None for no day.

    >>> day_of("2026-04-20").isoformat(), day_of("20 April")
    ('2026-04-20T00:00:00+08:00', None)
    """
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return datetime(day.year, day.month, day.day, tzinfo=TAIPEI)


def action_name(action: str) -> str:
    """Return what staff call an action; what has no name goes by its word."""
    return said(ACTIONS[action]) if action in ACTIONS else action
