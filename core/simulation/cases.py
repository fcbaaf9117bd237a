"""What a scenario is made of: populations to draw from, cases to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jiepin.core import terms
from jiepin.core.options import Options
from jiepin.core.rules import Limits, Rules
from jiepin.core.simulation import uniform

# of generated rounds: what their applicants may wish, at most
GENERATED_LIMITS = Limits(counties=2, subjects=3, choices=250)


@dataclass(frozen=True)
class Generated:
    """Invented rounds of realistic shape: the country is one, the applicants differ."""

    teachers: int
    levels: tuple[str, ...] = tuple(terms.LEVELS)
    kind: str = field(init=False, default="generated")

    @property
    def limits(self) -> Limits:
        """Return what the applicants wish at most."""
        return GENERATED_LIMITS

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "teachers": self.teachers,
            "levels": list(self.levels),
        }


@dataclass(frozen=True)
class Uniform:
    """Yardstick markets of one shape."""

    shape: uniform.Shape
    scores: str = uniform.COMMON
    kind: str = field(init=False, default="uniform")

    @property
    def limits(self) -> Limits:
        """Return what the applicants wish at most."""
        return Limits(counties=2, subjects=1, choices=self.shape.wishes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "teachers": self.shape.teachers,
            "wishes": self.shape.wishes,
            "counties": self.shape.counties,
            "seats": self.shape.seats,
            "scores": self.scores,
        }


@dataclass(frozen=True)
class Given:
    """A round that is there, and what of it is drawn anew in each replication.

    `folder` is where it lies on this machine; None when only its digests are known.
    """

    digests: Mapping[str, str]
    resample: tuple[str, ...] = ()
    folder: Path | None = field(default=None, compare=False)
    kind: str = field(init=False, default="round")

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "resample": list(self.resample),
            "digests": dict(sorted(self.digests.items())),
        }


Population = Generated | Uniform | Given


@dataclass(frozen=True)
class Case:
    """One thing to be compared: rules, a mechanism, and how many seats are offered."""

    name: str
    rules: Rules
    mechanism: str = terms.STAGED
    options: Options | None = None  # of an optimum
    seats: float = 1.0  # share of each open seat
    label: str = ""
    label_en: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the tables of its TOML, every entry spelled out."""
        labels = {"label": self.label, "label_en": self.label_en}
        return {
            "name": self.name,
            **{key: text for key, text in labels.items() if text},
            "mechanism": self.mechanism,
            **(self.options.to_dict() if self.options else {}),
            "seats": self.seats,
            "rules": self.rules.to_dict(),
        }
