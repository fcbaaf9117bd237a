"""Tables as TOML text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile("[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Any]) -> str:
    """Return tables of texts, numbers, booleans, lists of them and tables as TOML.

    >>> print(toml_text({"name": "a", "case": [{"seats": 0.5}, {"rules": {"n": 1}}]}))
    name = "a"
    <BLANKLINE>
    [[case]]
    seats = 0.5
    <BLANKLINE>
    [[case]]
    <BLANKLINE>
    [case.rules]
    n = 1
    <BLANKLINE>
    """
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the lines of one table: its own entries first, then those below it."""
    for key, value in table.items():
        if not _tables(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        name = path + _key(key)
        header = f"[{name}]" if isinstance(value, Mapping) else f"[[{name}]]"
        for below in _tables(value):
            yield ""
            yield header
            yield from _lines(below, name + ".")


def _tables(value: object) -> list[Mapping[str, Any]]:
    """Return the tables that a value is, if it is any."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return value
    return []


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    # JSON's texts, numbers, booleans and lists of texts are TOML, but for one character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
