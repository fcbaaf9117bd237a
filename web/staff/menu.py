"""What each end of the staff has on its menu, in order."""

from __future__ import annotations

from typing import Final

from jiepin.web.language import mark

END_OF: Final = {"county": "city", "host": "host"}  # kinds of actor, parts of addresses
KIND_OF: Final = {end: kind for kind, end in END_OF.items()}
END_NAMES: Final = {"city": mark("縣市管理端"), "host": mark("承辦縣市端")}
ROLE_NAMES: Final = {
    "clerk": mark("承辦人"),
    "reviewer": mark("審核人"),
    "head": mark("主管"),
}
MENUS: Final = {
    "city": (
        ("/city/home", mark("總覽")),
        ("/city/applications", mark("審核")),
        ("/city/schools", mark("學校與缺額")),
        ("/city/roster", mark("介聘名冊")),
        ("/city/tables", mark("匯入匯出")),
        ("/city/results", mark("介聘結果")),
        ("/city/dropouts", mark("放棄與開缺")),
        ("/city/staff", mark("人員帳號")),
        ("/city/audit", mark("異動紀錄")),
    ),
    "host": (
        ("/host/home", mark("作業進度")),
        ("/host/round", mark("年度設定")),
        ("/host/rules", mark("介聘規則")),
        ("/host/runs", mark("凍結與計算")),
        ("/host/results", mark("結果與公告")),
        ("/host/dropouts", mark("放棄與更正")),
        ("/host/staff", mark("人員帳號")),
        ("/host/audit", mark("異動紀錄與封存")),
    ),
}
# pages that belong to an item of the menu and lie elsewhere
BELOW: Final = {"/host/corrections": "/host/dropouts", "/host/archive": "/host/audit"}
HEADS_ONLY: Final = ("/city/staff", "/host/staff")  # not on the menu of others


def end_of_path(path: str) -> str:
    """Return which end an address belongs to: teacher, city, host or none.

    >>> end_of_path("/city/applications"), end_of_path("/results/")
    ('city', '')
    """
    first = path.split("/")[1]
    return first if first in ("teacher", *MENUS) else ""


def is_below(path: str, url: str) -> bool:
    """Tell whether a page belongs to an item of the menu.

    >>> is_below("/host/corrections/7", "/host/dropouts"), is_below("/host/x", "/host")
    (True, True)
    """
    for elsewhere, item in BELOW.items():
        if item == url and is_below(path, elsewhere):
            return True
    return path == url or path.startswith(url + "/")
