"""The entries of a scenario file, each held against what may stand there."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jiepin.core import errors, terms
from jiepin.core.measures import MEASURES, WITHOUT_OPTIMUM
from jiepin.core.options import MOST_EFFORT, Options
from jiepin.core.round import FILES
from jiepin.core.rules import Rules
from jiepin.core.simulation import uniform
from jiepin.core.simulation.cases import Case, Generated, Given, Population, Uniform
from jiepin.core.simulation.population import FEWEST, MOST

MOST_REPLICATIONS = 1_000_000
SEAT_PARTS = 10_000  # shares of seats have four decimals
RESAMPLED = ("wishes", "points", "vacancies")

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KEYS = (
    "name",
    "title",
    "title_en",
    "replications",
    "seed",
    "measures",
    "baseline",
    "population",
    "case",
)
_CASE_KEYS = ("name", "label", "label_en", "rules", "mechanism", "seats")
_OPTION_KEYS = ("max_size", "objective", "keep", "effort")
_MOST_SEATS = 100
_NO_RULES: Mapping[str, Any] = {
    "name": "none",
    "stage": [{"name": "none", "kind": terms.ONE_WAY}],
}

Value = TypeVar("Value")


class Reader:
    """Reads the tables of one scenario; notes all that is wrong and reads on.

    Where a value cannot be used, one that can stands in for it: it is never seen,
    since a scenario with problems is refused.
    """

    def __init__(self, source: str, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self.problems: list[errors.Refusal] = []

    def bad(self, entry: str, value: object, expected: str) -> None:
        self.problems.append(errors.BadEntry(self.source, entry, value, expected))

    def keys(
        self, table: Mapping[str, Any], known: Collection[str], where: str = ""
    ) -> None:
        for key in table:
            if key not in known:
                expected = f"only {', '.join(known)}"
                problem = errors.UnknownEntry(
                    self.source, f"{where}unknown key", key, expected
                )
                self.problems.append(problem)

    def missing(self, entry: str, expected: str) -> None:
        self.problems.append(
            errors.MissingEntry(self.source, "missing key", entry, expected)
        )

    def take(
        self,
        table: Mapping[str, Any],
        key: str,
        good: Callable[[Any], bool],
        expected: str,
        default: Value,
        where: str = "",
        required: bool = False,
    ) -> Value:
        """Return a value that is good, else the default; note what is wrong."""
        if key not in table:
            if required:
                self.missing(where + key, expected)
            return default
        value: Value = table[key]
        if good(value):
            return value
        self.bad(where + key, value, expected)
        return default

    def whole(
        self,
        table: Mapping[str, Any],
        key: str,
        low: int,
        high: int,
        default: int | None = None,
        where: str = "",
    ) -> int:
        """Return a whole number from low to high; needed if there is no default."""
        expected = f"a whole number from {low:,} to {high:,}"
        return self.take(
            table,
            key,
            lambda value: _is_whole(value) and low <= value <= high,
            expected,
            low if default is None else default,
            where,
            required=default is None,
        )

    def text(self, table: Mapping[str, Any], key: str, where: str = "") -> str:
        return self.take(
            table, key, lambda value: isinstance(value, str), "a text", "", where
        )

    def name(self, table: Mapping[str, Any], where: str = "") -> str:
        return self.take(
            table,
            "name",
            lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
            "letters, digits, - and _",
            "unnamed",
            where,
            required=True,
        )

    def one_of(
        self,
        table: Mapping[str, Any],
        key: str,
        known: Collection[str],
        default: str,
        where: str = "",
    ) -> str:
        expected = f"one of {', '.join(known)}"
        return self.take(
            table,
            key,
            lambda value: isinstance(value, str) and value in known,
            expected,
            default,
            where,
        )

    def some_of(
        self,
        table: Mapping[str, Any],
        key: str,
        known: Collection[str],
        default: tuple[str, ...],
        where: str = "",
        empty: bool = False,
    ) -> tuple[str, ...]:
        """Return texts out of `known`, each once, in the order of `known`."""

        def good(value: Any) -> bool:
            texts = isinstance(value, list) and all(isinstance(v, str) for v in value)
            return texts and set(value) <= set(known) and len(set(value)) == len(value)

        expected = f"a list out of {', '.join(known)}, each once"
        value = self.take(table, key, good, expected, default, where)
        if not value and not empty:
            self.bad(where + key, value, expected)
        return tuple(word for word in known if word in value)

    def fields(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a Scenario."""
        self.keys(table, _KEYS)
        fields: dict[str, Any] = {
            "name": self.name(table),
            "title": self.text(table, "title"),
            "title_en": self.text(table, "title_en"),
            "replications": self.whole(table, "replications", 1, MOST_REPLICATIONS),
            "seed": self.take(table, "seed", _is_whole, "a whole number", 0, "", True),
            "measures": self.some_of(table, "measures", MEASURES, WITHOUT_OPTIMUM),
            "population": self.population(table),
            "cases": self.cases(table),
        }
        names = [case.name for case in fields["cases"]]
        first = names[0] if names else ""
        fields["baseline"] = self.one_of(table, "baseline", names, first)
        self.limits_fit(fields["population"], fields["cases"])
        return fields

    def population(self, table: Mapping[str, Any]) -> Population:
        nothing: Mapping[str, Any] = {}
        population = self.take(
            table, "population", _is_table, "a table [population]", nothing, "", True
        )
        readers: dict[str, Callable[[Mapping[str, Any]], Population]] = {
            "generated": self.generated,
            "uniform": self.uniform,
            "round": self.given,
        }
        kind = population.get("kind")
        if isinstance(kind, str) and kind in readers:
            return readers[kind](population)
        if _is_table(table.get("population")):
            self.bad("population, kind", kind, f"one of {', '.join(readers)}")
        return Generated(FEWEST)

    def generated(self, table: Mapping[str, Any]) -> Generated:
        where = "population, "
        self.keys(table, ("kind", "teachers", "levels"), where)
        known = tuple(terms.LEVELS)
        return Generated(
            self.whole(table, "teachers", FEWEST, MOST, where=where),
            self.some_of(table, "levels", known, known, where),
        )

    def uniform(self, table: Mapping[str, Any]) -> Uniform:
        where = "population, "
        sizes = ("teachers", "wishes", "counties", "seats")
        self.keys(table, ("kind", *sizes, "scores"), where)
        n_problems = len(self.problems)
        shape = uniform.Shape(
            teachers=self.whole(table, "teachers", FEWEST, MOST, where=where),
            wishes=self.whole(table, "wishes", 1, 250, 12, where),
            counties=self.whole(table, "counties", 3, 100, 22, where),
            seats=self.whole(table, "seats", 1, 1_000, 3, where),
        )
        if len(self.problems) == n_problems and shape.wishes > shape.most_wishes:
            expected = (
                f"at most {shape.most_wishes}, the positions of the two smallest "
                "counties, or more teachers"
            )
            self.bad(where + "wishes", shape.wishes, expected)
        scores = self.one_of(table, "scores", uniform.SCORES, uniform.COMMON, where)
        return Uniform(shape, scores)

    def given(self, table: Mapping[str, Any]) -> Given:
        where = "population, "
        self.keys(table, ("kind", "folder", "resample", "digests"), where)
        resample = self.some_of(table, "resample", RESAMPLED, (), where, empty=True)
        digests: Mapping[str, str] = self.take(
            table, "digests", _is_digests, "a SHA-256 for each file", {}, where
        )
        text = self.take(
            table,
            "folder",
            lambda value: isinstance(value, str) and bool(value),
            "the path of a round folder",
            "",
            where,
            required=not digests,
        )
        if not text:
            return Given(digests, resample)
        try:
            folder = (self.folder / text).resolve()
            found = file_digests(folder)
        except (OSError, RuntimeError, ValueError):  # no path, or links in a circle
            folder, found = self.folder, {}
        if not found:
            expected = "a folder with schools, subjects and teachers"
            self.bad(where + "folder", text, expected)
        elif digests and found != digests:
            self.bad(where + "folder", text, "the files whose digests are given")
        return Given(found, resample, folder)

    def cases(self, table: Mapping[str, Any]) -> tuple[Case, ...]:
        nothing: list[Mapping[str, Any]] = []
        expected = "at least one [[case]]"
        tables = self.take(table, "case", _is_tables, expected, nothing, "", True)
        cases = [self.case(case, number) for number, case in enumerate(tables, 1)]
        seen: set[str] = set()
        for number, case in enumerate(cases, 1):
            if case.name in seen:
                self.bad(f"case {number}, name", case.name, "a name for each case")
            seen.add(case.name)
        return tuple(cases)

    def case(self, table: Mapping[str, Any], number: int) -> Case:
        where = f"case {number}, "
        known = terms.MECHANISMS
        mechanism = self.one_of(table, "mechanism", known, terms.STAGED, where)
        optimum = mechanism == terms.OPTIMUM
        self.keys(table, _CASE_KEYS + (_OPTION_KEYS if optimum else ()), where)
        seats = self.take(
            table,
            "seats",
            _is_share,
            f"a number from 0 to {_MOST_SEATS} with at most four decimals",
            1.0,
            where,
        )
        return Case(
            name=self.name(table, where),
            rules=self.rules(table, number),
            mechanism=mechanism,
            options=self.options(table, where) if optimum else None,
            seats=float(seats),
            label=self.text(table, "label", where),
            label_en=self.text(table, "label_en", where),
        )

    def rules(self, table: Mapping[str, Any], number: int) -> Rules:
        """Read the rules of a case: a preset, a file, or written out."""
        expected = "a preset, a TOML file, or a table [case.rules]"
        value: str | Mapping[str, Any] = self.take(
            table,
            "rules",
            lambda value: isinstance(value, str | Mapping),
            expected,
            _NO_RULES,
            f"case {number}, ",
            required=True,
        )
        try:
            if not isinstance(value, str):
                return Rules.from_dict(value, f"{self.source}, case {number}, rules")
            file = self.folder / value
            return Rules.load(file if os.path.isfile(file) else value)  # never raises
        except errors.BadRules as error:
            self.problems.append(error)
            return Rules.from_dict(_NO_RULES)

    def options(self, table: Mapping[str, Any], where: str) -> Options:
        default = Options()
        objective = self.one_of(
            table, "objective", terms.OBJECTIVES, default.objective, where
        )
        keep = self.one_of(table, "keep", ("", terms.STAGED), default.keep, where)
        size = self.take(
            table,
            "max_size",
            lambda value: value == 0 or value in terms.EXCHANGE_SIZES,
            f"0 (any) or a whole number from {terms.EXCHANGE_SIZES[0]} to "
            f"{terms.EXCHANGE_SIZES[-1]}",
            default.max_size,
            where,
        )
        effort = self.whole(table, "effort", 1, MOST_EFFORT, default.effort, where)
        try:
            return Options(size, objective, keep, effort)
        except errors.BadArgument as error:
            text = f"{self.source}: {where}{error.english}"
            self.problems.append(errors.BadArgument(text))
            return default

    def limits_fit(self, population: Population, cases: tuple[Case, ...]) -> None:
        """Refuse rules that allow less than invented applicants wish."""
        if isinstance(population, Given):
            return
        wished = population.limits
        for number, case in enumerate(cases, 1):
            for key in ("counties", "subjects", "choices"):
                most, most_wished = (
                    getattr(case.rules.limits, key),
                    getattr(wished, key),
                )
                if 0 < most < most_wished:
                    self.bad(
                        f"case {number}, rules, limits, {key}",
                        most,
                        f"0 (no limit) or at least {most_wished}, which applicants of "
                        f"the population {population.kind!r} wish",
                    )


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a round folder; empty if it has none."""
    digests = {}
    for name in sorted(FILES):
        if (folder / name).is_file():
            with (folder / name).open("rb") as content:
                digests[name] = hashlib.file_digest(content, "sha256").hexdigest()
    return digests


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: object) -> bool:
    tables = isinstance(value, list) and all(map(_is_table, value))
    return tables and bool(value)


def _is_share(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    parts = value * SEAT_PARTS
    return 0 <= value <= _MOST_SEATS and math.isclose(parts, round(parts))


def _is_digests(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text)
        for text in value.values()
    )
