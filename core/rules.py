"""`Rules` and `Stage`: what a rule set is, read from TOML and written to it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jiepin.core import errors, terms

PRESETS = ("taiwan-110", "county-internal")

_STAGE_KEYS = {
    terms.ONE_WAY: ("name", "kind", "applicants", "schools", "reopen"),
    terms.EXCHANGE: ("name", "kind", "size"),
}
_RULE_KEYS = ("name", "priority", "tie_break", "limits", "stage")
_LIMIT_KEYS = ("counties", "subjects", "choices", "home_county")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one applicant may wish; 0 means no limit."""

    counties: int = 2
    subjects: int = 3
    choices: int = 0
    home_county: bool = False  # may the home county be wished?


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a run: a one-way stage with its filters, or exchanges of one size."""

    name: str
    kind: str  # terms.ONE_WAY or terms.EXCHANGE
    size: int = 0  # people per exchange; 0 for one-way
    applicants: str | None = None  # only this priority group
    schools: str | None = None  # only schools with this tag
    reopen: bool = False  # are the seats left behind offered again?


@dataclass(frozen=True, slots=True)
class Rules:
    """A rule set: who comes first, what may be wished, and the stages in order.

    >>> rules = Rules.load("taiwan-110")
    >>> [stage.name for stage in rules.stages][:3]
    ['indigenous', 'one-way', 'mutual']
    >>> Rules.from_toml(rules.to_toml()) == rules
    True
    """

    name: str
    stages: tuple[Stage, ...]
    priority: str = terms.PER_COUNTY
    tie_break: tuple[str, ...] = tuple(terms.TIE_KEYS)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def load(cls, name_or_file: str | Path) -> Rules:
        """Read a preset by name, or a TOML file by path.

        Raises UnknownPreset when there is neither, another BadRules for its content.
        """
        if str(name_or_file) in PRESETS:
            preset = files("jiepin.core") / "presets" / f"{name_or_file}.toml"
            return cls.from_toml(preset.read_text("utf-8"), str(name_or_file))
        path = Path(name_or_file)
        try:
            return cls.from_toml(path.read_text("utf-8-sig"), str(path))
        except UnicodeDecodeError as error:
            raise errors.BrokenToml(
                str(path), "not UTF-8 at byte", error.start, "TOML text in UTF-8"
            ) from None
        except (OSError, ValueError) as error:  # no path may hold a NUL
            raise errors.UnknownPreset(
                str(path),
                "cannot be opened:",
                getattr(error, "strerror", str(error)),
                f"a TOML file or one of {', '.join(PRESETS)}",
            ) from None

    @classmethod
    def from_toml(cls, text: str, source: str = "rules") -> Rules:
        """Read a rule set from TOML text; `source` names it in errors."""
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # not all of it says TOML
            raise errors.BrokenToml(
                source, "not TOML:", str(error), "a rule set as in docs/rules.md"
            ) from None
        return cls.from_dict(table, source)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], source: str = "rules") -> Rules:
        """Build a rule set from the tables of its TOML, checking every entry."""
        check = _Check(source)
        table = check.table(table, "rules")
        check.keys(table, _RULE_KEYS)
        stages = check.tables(table.get("stage", []), "stage")
        if not stages:
            raise errors.NoStage(source, "stage", [], "at least one [[stage]]")
        limits = check.table(table.get("limits", {}), "limits")
        rules = cls(
            name=check.text(table, "name"),
            stages=tuple(
                _Check(source, f"stage {number}, ").stage(stage)
                for number, stage in enumerate(stages, start=1)
            ),
            priority=check.one_of(
                table.get("priority", terms.PER_COUNTY),
                "priority",
                (terms.PER_COUNTY, terms.BEST),
            ),
            tie_break=check.tie_break(table.get("tie_break", list(terms.TIE_KEYS))),
            limits=_Check(source, "limits, ").limits(limits),
        )
        check.names_differ(rules.stages)
        return rules

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables that `from_dict` and a JSON file understand."""
        limits = {key: getattr(self.limits, key) for key in Limits.__slots__}
        return {
            "name": self.name,
            "priority": self.priority,
            "tie_break": list(self.tie_break),
            "limits": limits,
            "stage": [_stage_dict(stage) for stage in self.stages],
        }

    def to_toml(self) -> str:
        """Return the rule set as TOML text, every entry spelled out."""
        table = self.to_dict()
        limits, stages = table.pop("limits"), table.pop("stage")
        parts = [_toml_lines(table), "[limits]\n" + _toml_lines(limits)]
        parts += ["[[stage]]\n" + _toml_lines(stage) for stage in stages]
        return "\n".join(parts)


def _stage_dict(stage: Stage) -> dict[str, Any]:
    if stage.kind == terms.EXCHANGE:
        return {"name": stage.name, "kind": stage.kind, "size": stage.size}
    filters = {"applicants": stage.applicants, "schools": stage.schools}
    return {
        "name": stage.name,
        "kind": stage.kind,
        **{key: value for key, value in filters.items() if value is not None},
        "reopen": stage.reopen,
    }


def _toml_lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in table.items())


def _toml_value(value: object) -> str:
    # JSON's texts, numbers, booleans and lists of texts are TOML, but for one character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True, slots=True)
class _Check:
    """Checks the entries of one TOML table and names the first bad one."""

    source: str
    where: str = ""  # goes before the name of an entry, as in "stage 2, size"

    def bad(self, entry: str, value: object, expected: str) -> errors.BadRuleValue:
        return errors.BadRuleValue(self.source, self.where + entry, value, expected)

    def keys(self, table: Mapping[str, Any], known: Collection[str]) -> None:
        for key in table:
            if key not in known:
                raise errors.UnknownKey(
                    self.source,
                    self.where + "unknown key",
                    key,
                    f"only {', '.join(known)}",
                )

    def value(self, table: Mapping[str, Any], key: str) -> Any:
        if key not in table:
            raise errors.MissingKey(
                self.source, self.where + "missing key", key, "a value for it"
            )
        return table[key]

    def table(self, value: object, entry: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.bad(entry, value, f"a table [{entry}]")
        return value

    def tables(self, value: object, entry: str) -> list[Mapping[str, Any]]:
        if not isinstance(value, list):
            raise self.bad(entry, value, f"a list of tables [[{entry}]]")
        return [self.table(item, entry) for item in value]

    def text(self, table: Mapping[str, Any], key: str) -> str:
        value = self.value(table, key)
        if not isinstance(value, str) or not value:
            raise self.bad(key, value, "a text that is not empty")
        return value

    def optional_text(self, table: Mapping[str, Any], key: str) -> str | None:
        return self.text(table, key) if key in table else None

    def flag(self, table: Mapping[str, Any], key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise self.bad(key, value, "true or false")
        return value

    def one_of(self, value: object, entry: str, allowed: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise self.bad(entry, value, f"one of {', '.join(allowed)}")
        return value

    def tie_break(self, value: object) -> tuple[str, ...]:
        allowed = tuple(terms.TIE_KEYS)
        if not isinstance(value, list):
            raise self.bad("tie_break", value, f"a list out of {', '.join(allowed)}")
        keys = tuple(self.one_of(key, "tie_break", allowed) for key in value)
        if len(set(keys)) < len(keys):
            raise self.bad("tie_break", value, "each key once")
        return keys

    def limits(self, table: Mapping[str, Any]) -> Limits:
        self.keys(table, _LIMIT_KEYS)
        default = Limits()
        counts = {}
        for key in ("counties", "subjects", "choices"):
            value = table.get(key, getattr(default, key))
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise self.bad(key, value, "a whole number from 0 (no limit)")
            counts[key] = value
        return Limits(**counts, home_county=self.flag(table, "home_county"))

    def stage(self, table: Mapping[str, Any]) -> Stage:
        kind = self.text(table, "kind")
        if kind not in _STAGE_KEYS:
            raise errors.UnknownKind(
                self.source, self.where + "kind", kind, " or ".join(_STAGE_KEYS)
            )
        self.keys(table, _STAGE_KEYS[kind])
        return Stage(
            name=self.text(table, "name"),
            kind=kind,
            size=self.size(table) if kind == terms.EXCHANGE else 0,
            applicants=self.optional_text(table, "applicants"),
            schools=self.optional_text(table, "schools"),
            reopen=self.flag(table, "reopen"),
        )

    def size(self, table: Mapping[str, Any]) -> int:
        size = self.value(table, "size")
        low, high = terms.EXCHANGE_SIZES[0], terms.EXCHANGE_SIZES[-1]
        whole = isinstance(size, int) and not isinstance(size, bool)
        if not whole or size not in terms.EXCHANGE_SIZES:
            raise errors.BadSize(
                self.source,
                self.where + "size",
                size,
                f"a whole number from {low} to {high}",
            )
        return int(size)

    def names_differ(self, stages: tuple[Stage, ...]) -> None:
        seen: set[str] = set()
        for number, stage in enumerate(stages, start=1):
            if stage.name in seen:
                raise errors.StageNameUsedTwice(
                    self.source, f"stage {number}, name", stage.name, "a name per stage"
                )
            seen.add(stage.name)
