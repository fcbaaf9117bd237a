"""Long lists, a page of them at a time: what their addresses say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

DIGITS = 6  # of the greatest number of an entry that a page may begin with


def first_of(query: Mapping[str, str]) -> int:
    """Return from which entry on a page of them is asked for.

    >>> first_of({"first": "50"}), first_of({"first": "-3"}), first_of({})
    (50, 0, 0)
    """
    text = query.get("first", "")
    usable = text.isascii() and text.isdigit() and len(text) <= DIGITS
    return int(text) if usable else 0


def address(path: str, fields: Mapping[str, str], first: int = 0) -> str:
    """Return where a list is, with what is asked for, from one entry on.

    >>> address("/audit", {"action": "", "of": "7"}, 50), address("/audit", {})
    ('/audit?of=7&first=50', '/audit')
    """
    begins = {"first": str(first)} if first > 0 else {}
    asked = {name: value for name, value in fields.items() if value} | begins
    return f"{path}?{urlencode(asked)}" if asked else path


def turns(
    address_of: Callable[[int], str], first: int, total: int, on_a_page: int
) -> tuple[str, str]:
    """Return where the pages before and after this one are; "" where there is none.

    >>> turns(lambda first: f"?first={first}", 50, 101, 50), turns(str, 0, 50, 50)
    (('?first=0', '?first=100'), ('', ''))
    """
    last = first + on_a_page
    before = address_of(first - on_a_page) if first else ""
    return before, address_of(last) if last < total else ""
