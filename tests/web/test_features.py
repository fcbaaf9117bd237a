"""Every item that the handbook shows has a test that names its number.

A test names an item in its name, as test_t405_… or test_t404_to_t408_…
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT.parent / "shared" / "features.md"
ROW = re.compile(r"\| ([GLRTPN]\d+) \|.*\| ([^|]*) \|")
NAME = re.compile(r"def (test_\w+)")
RANGE = re.compile(r"([glrtpn])(\d+)_to_\1(\d+)")
ONE = re.compile(r"(?<=_)([glrtpn])(\d{2,3})(?=_|$)")


def named(test: str) -> set[str]:
    """Return the items that the name of a test names."""
    found = {f"{letter}{number}".upper() for letter, number in ONE.findall(test)}
    for letter, first, last in RANGE.findall(test):
        width = len(first)
        numbers = range(int(first), int(last) + 1)
        found |= {f"{letter}{number:0{width}}".upper() for number in numbers}
    return found


def test_names_are_read() -> None:
    assert named("test_t404_to_t406_and_l01_") == {"T404", "T405", "T406", "L01"}


@pytest.mark.skipif(not FEATURES.exists(), reason="shared/features.md is not here")
def test_every_item_of_the_handbook_is_tested() -> None:
    rows = ROW.findall(FEATURES.read_text("utf-8"))
    shown = {number for number, kind in rows if "S" in kind}
    assert len(shown) > 60
    tests: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in NAME.findall(path.read_text("utf-8")):
            tests |= named(name)
    assert sorted(shown - tests) == []
