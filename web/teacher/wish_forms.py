"""What step 5 reads from addresses and forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from jiepin.web.teacher import wish_list
from jiepin.web.teacher.wish_list import Edit, Insert, WishList
from jiepin.web.teacher.wish_page import View
from jiepin.web.teacher.wish_work import Seen

Fields = Mapping[str, object]  # form or query; a later field of a name wins

_ASKS = ("clear", "restore")
_LONGEST = 40  # characters of a keyword


def text(fields: Fields, name: str) -> str:
    """Return a field as text, empty where it is missing or a file."""
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def number(fields: Fields, name: str, default: int = 1) -> int:
    """Return a field as a whole number, the default where it is none."""
    digits = text(fields, name)
    return int(digits) if digits.isdecimal() and len(digits) < 7 else default


def read_view(fields: Fields) -> View:
    """Read how the pool is filtered and what is open; nonsense is as if left out."""
    mode = text(fields, "insert")
    ask = text(fields, "ask")
    return View(
        county=text(fields, "county"),
        township=text(fields, "township"),
        keyword=text(fields, "keyword")[:_LONGEST],
        insert=Insert(
            mode if mode in wish_list.INSERT_MODES else wish_list.LAST,
            max(number(fields, "n"), 1),
        ),
        menu=number(fields, "at", 0),
        ask=ask if ask in _ASKS else "",
    )


def read_edit(fields: Fields) -> Edit | None:
    """Read one action; None when the form only says how to insert from now on."""
    if school := text(fields, "add"):
        return Edit("add", school, insert=read_view(fields).insert)
    action = text(fields, "action")
    if action not in wish_list.ACTIONS:
        return None
    return Edit(action, text(fields, "school"), number(fields, "place"))


def read_schools(fields: Fields) -> WishList:
    """Read the whole list that a page holds; what stands in it twice counts once."""
    return WishList(tuple(dict.fromkeys(text(fields, "schools").split())))


def read_seen(fields: Fields) -> Seen:
    """Read what the page was made from."""
    return Seen(number(fields, "version", 0), text(fields, "draft"))


def read_counties(fields: Fields) -> tuple[str, ...]:
    """Read the counties chosen, 甲 first; those not chosen are left out."""
    chosen = (text(fields, "county1"), text(fields, "county2"))
    return tuple(county for county in chosen if county)


def address(page: str, view: View) -> str:
    """Return the address of the page that shows this.

    >>> address("/teacher/wishes", View("13", "屏東市", menu=2))
    '/teacher/wishes?county=13&township=%E5%B1%8F%E6%9D%B1%E5%B8%82&at=2'
    """
    fields = {
        "county": view.county,
        "township": view.township,
        "keyword": view.keyword,
        "insert": "" if view.insert == wish_list.AT_THE_END else view.insert.mode,
        "n": view.insert.n if view.insert.mode == wish_list.BEFORE else "",
        "at": view.menu or "",
        "ask": view.ask,
    }
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{page}?{query}" if query else page


def after(view: View, edit: Edit, wishes: WishList) -> View:
    """Return what to show after an action: the menu stays open while a school moves."""
    if edit.action in wish_list.MOVES and edit.school in wishes:
        return replace(view, menu=wishes.choice(edit.school), ask="")
    return replace(view, menu=0, ask="")
