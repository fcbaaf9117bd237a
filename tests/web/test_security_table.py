"""docs/security.md names a test for each requirement, and every named test exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
# ASVS 5.0, levels 1 and 2, as far as they apply to the site
REQUIREMENTS = """
1.2.1-1.2.4 1.2.10 1.3.7 1.3.11 2.3.1 2.3.3 2.3.4 2.4.1 3.2.2 3.3.1-3.3.4 3.4.1-3.4.6
3.5.1-3.5.4 3.7.1 5.1.1 5.2.1-5.2.3 5.3.2 5.4.1 6.1.1 6.2.1-6.2.12 6.3.1 6.3.3 6.4.1
6.4.2 6.4.3 6.5.1-6.5.5 6.6.2 7.2.1-7.2.4 7.3.1 7.3.2 7.4.1-7.4.5 7.5.1 8.1.1 8.1.2
8.2.1-8.2.3 8.3.1 8.4.1 11.3.1-11.3.3 11.4.2 14.1.1 14.2.1 14.2.4 14.2.6 14.3.2
16.2.1-16.2.5 16.3.1-16.3.3 16.4.1 16.4.2 16.5.1-16.5.4
""".split()  # noqa: SIM905
ATTACKS = 12  # on the reader, from a page
ROW = re.compile(r"^\| (\d[\d.–]*) \|.*\|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`((?:web|reader)/[\w/]+\.py)::(test_\w+)`")
NUMBERS = re.compile(r"\d+_\d+_\d+")


def between(text: str) -> Iterator[str]:
    """Give the numbers of a requirement, or of several with a dash between.

    >>> list(between("6.5.1-6.5.3"))
    ['6.5.1', '6.5.2', '6.5.3']
    """
    first, _dash, last = text.replace("–", "-").partition("-")
    chapter, _dot, number = first.rpartition(".")
    for one in range(int(number), int((last or first).rpartition(".")[2]) + 1):
        yield f"{chapter}.{one}"


def named(test: str) -> set[str]:
    """Return the requirements that the name of a test carries.

    >>> sorted(named("test_asvs_3_3_1_to_3_3_3_every_cookie"))
    ['3.3.1', '3.3.2', '3.3.3']
    """
    if not test.startswith("test_asvs_"):
        return set()
    dotted = [found.replace("_", ".") for found in NUMBERS.findall(test)]
    if "_to_" in test and len(dotted) > 1:
        dotted = list(between(f"{dotted[0]}-{dotted[1]}"))
    return set(dotted)


def table() -> dict[str, list[tuple[str, str]]]:
    """Return the tests of each requirement, as the page has them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for numbers, tests in ROW.findall(PAGE.read_text("utf-8")):
        for number in between(numbers):
            found.setdefault(number, []).extend(TEST.findall(tests))
    return found


@cache
def tests_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef))


def test_every_requirement_has_a_test_of_its_name() -> None:
    wanted = {number for text in REQUIREMENTS for number in between(text)}
    rows = table()
    assert wanted - rows.keys() == set()
    for number, tests in rows.items():
        carried = {one for _file, test in tests for one in named(test)}
        assert number in carried or number not in wanted, number


def test_every_test_that_is_named_exists() -> None:
    found = TEST.findall(PAGE.read_text("utf-8"))
    assert len(found) > 100
    missing = [f"{file}::{test}" for file, test in found if test not in tests_in(file)]
    assert missing == []


def test_every_numbered_test_stands_in_the_table() -> None:
    rows = table()
    for path in sorted((ROOT / "tests" / "web").glob("test_*.py")):
        file = path.relative_to(ROOT / "tests").as_posix()
        for test in sorted(tests_in(file)):
            for number in named(test):
                assert (file, test) in rows.get(number, []), f"{file}::{test}"


def test_every_attack_on_the_reader_has_its_tests() -> None:
    text = PAGE.read_text("utf-8")
    part = text[text.index("## 讀卡機 The reader") : text.index("What the card proves")]
    rows = [line for line in part.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == ATTACKS
    for row in rows:
        assert TEST.findall(row), row
