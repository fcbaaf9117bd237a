"""`Scenario`: what a simulation compares, read from TOML and written to it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jiepin.core import errors
from jiepin.core.simulation.cases import Case, Population
from jiepin.core.simulation.entries import Reader
from jiepin.core.simulation.toml_text import toml_text


@dataclass(frozen=True)
class Scenario:
    """What a simulation draws, compares and measures, how often, and from which seed.

    >>> scenario = Scenario.from_toml('''
    ... name = "open-seats"
    ... replications = 100
    ... seed = 1
    ... [population]
    ... kind = "generated"
    ... teachers = 4000
    ... [[case]]
    ... name = "today"
    ... rules = "taiwan-110"
    ... [[case]]
    ... name = "half"
    ... rules = "taiwan-110"
    ... seats = 0.5
    ... ''')
    >>> [case.seats for case in scenario.cases], scenario.baseline
    ([1.0, 0.5], 'today')
    >>> Scenario.from_toml(scenario.to_toml()) == scenario
    True
    """

    name: str
    replications: int
    seed: int
    population: Population
    cases: tuple[Case, ...]
    measures: tuple[str, ...]
    baseline: str  # the name of the case that the others are compared with
    title: str = ""
    title_en: str = ""

    @classmethod
    def load(cls, file: str | Path) -> Scenario:
        """Read a scenario; paths in it start from its folder.

        Raises BadScenario with everything that is wrong.
        """
        path = Path(file)
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            problem = errors.BrokenScenario(
                str(path), "cannot be read:", reason, "a scenario, TOML in UTF-8"
            )
            raise errors.BadScenario([problem]) from None
        return cls.from_toml(text, path.parent, str(path))

    @classmethod
    def from_toml(
        cls, text: str, folder: str | Path = ".", source: str = "scenario"
    ) -> Scenario:
        """Read a scenario from TOML text; `source` names it in errors."""
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # not all of it says TOML
            problem = errors.BrokenScenario(
                source, "not TOML:", str(error), "a scenario as in docs/simulation.md"
            )
            raise errors.BadScenario([problem]) from None
        reader = Reader(source, Path(folder))
        fields = reader.fields(table)
        if reader.problems:
            raise errors.BadScenario(reader.problems)
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """Return the tables of its TOML, every entry spelled out, no path in them."""
        titles = {"title": self.title, "title_en": self.title_en}
        return {
            "name": self.name,
            **{key: text for key, text in titles.items() if text},
            "replications": self.replications,
            "seed": self.seed,
            "measures": list(self.measures),
            "baseline": self.baseline,
            "population": self.population.to_dict(),
            "case": [case.to_dict() for case in self.cases],
        }

    def to_toml(self) -> str:
        """Return the scenario as TOML text that needs no other file.

        Of a round the digests of its files are told, not where it lies.
        """
        return toml_text(self.to_dict())

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of all that decides the figures of a replication.

        Not in it: how many replications there are, titles, labels, the baseline.
        """
        cases = [case.to_dict() for case in self.cases]
        for case in cases:
            case.pop("label", None)
            case.pop("label_en", None)
        decisive = {
            "seed": self.seed,
            "measures": self.measures,
            "population": self.population.to_dict(),
            "case": cases,
        }
        text = json.dumps(decisive, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
