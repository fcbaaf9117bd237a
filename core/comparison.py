"""Two results of one year, person by person (更正後重行辦理, 辦法 §14)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import polars as pl

from jiepin.core.outcome import Outcome
from jiepin.core.rules import Rules
from jiepin.core.terms import Label, label_in, stage_label


class Change(Enum):
    """How a person's row in B differs from that in A."""

    SAME = "same"
    ONLY_A = "only-a"
    ONLY_B = "only-b"
    OTHER_PLACE = "other-place"
    OTHER_WAY = "other-way"
    OTHER_HOME = "other-home"
    MISSING_A = "missing-a"
    MISSING_B = "missing-b"

    @property
    def label(self) -> Label:
        """Return the words for people."""
        return _LABELS[self]


_LABELS = {
    Change.SAME: Label("結果相同", "the same in both"),
    Change.ONLY_A: Label("只在 A 達成", "moved only in A"),
    Change.ONLY_B: Label("只在 B 達成", "moved only in B"),
    Change.OTHER_PLACE: Label("調入不同的學校或科(類)別", "moved to another place"),
    Change.OTHER_WAY: Label(
        "同校同科(類)別，階段或志願序不同", "another stage or choice"
    ),
    Change.OTHER_HOME: Label("都未達成，現職不同", "moved in neither, another home"),
    Change.MISSING_A: Label("只在 B 的名單中", "not in A at all"),
    Change.MISSING_B: Label("只在 A 的名單中", "not in B at all"),
}
_NOT_MOVED = Label("未達成", "not moved")
_NOTHING = "—"  # where one of the two has no such row, entry or file
_DIGITS = 12  # of a digest that are shown


@dataclass(frozen=True, slots=True)
class Setting:
    """Something other than people in which two results differ."""

    label: Label
    a: str
    b: str


@dataclass(frozen=True)
class Comparison:
    """Two results side by side.

    people    one row per person of either, sorted by teacher_id: teacher_id, change
              (value of a Change), then stage, school, subject and choice in A and in B,
              as stage_a … choice_b; null where not moved or not there
    settings  what else differs: mechanism, its options, rules, seed, version and input
              files
    """

    people: pl.DataFrame
    settings: tuple[Setting, ...]

    @cached_property
    def differences(self) -> pl.DataFrame:
        """Return the rows of those who differ."""
        return self.people.filter(pl.col("change") != Change.SAME.value)

    @property
    def equal(self) -> bool:
        """Tell whether every person has the same result in both."""
        return self.differences.is_empty()

    @cached_property
    def counts(self) -> dict[Change, int]:
        """Return how many people there are of each kind, in the order of the kinds."""
        found = dict(self.people.group_by("change").len().iter_rows())
        return {change: found.get(change.value, 0) for change in Change}

    def text(self, lang: str = "zh") -> str:
        """Return a summary as lines, in Chinese ("zh") or English ("en").

        First what else differs, then how many people there are of each kind.
        """
        return "\n".join([*self._settings_lines(lang), *self._count_lines(lang)])

    def _settings_lines(self, lang: str) -> Iterator[str]:
        for setting in self.settings:
            name = label_in(setting.label, lang)
            colon = "：" if lang == "zh" else ": "
            yield f"{name}{colon}{setting.a} → {setting.b}"

    def _count_lines(self, lang: str) -> Iterator[str]:
        for change, count in self.counts.items():
            if count or change is Change.SAME:
                name = label_in(change.label, lang)
                yield f"{name}：{count:,} 人" if lang == "zh" else f"{name}: {count:,}"


def compare(a: Outcome, b: Outcome) -> Comparison:
    """Compare two results person by person; which exchange it was does not count.

    The number of an exchange says only how many were made before it, so it differs as
    soon as one is made more or less. Between two mechanisms the stage does not count
    either: the stages of one are not those of the other.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> one, other = (solve(round_, Rules.load("taiwan-110"), seed) for seed in (0, 1))
    >>> print(compare(one, other).text("en"))
    seed: 0 → 1
    the same in both: 3
    """
    both = _side(a, "a").join(_side(b, "b"), on="teacher_id", how="full", coalesce=True)
    columns = [
        f"{name}_{side}"
        for side in ("a", "b")
        for name in ("stage", "school", "subject", "choice")
    ]
    people = both.sort("teacher_id").select(
        "teacher_id", _change(a.mechanism == b.mechanism).alias("change"), *columns
    )
    return Comparison(people, tuple(_settings(a, b)))


def _side(outcome: Outcome, side: str) -> pl.DataFrame:
    columns = pl.col("stage", "school", "subject", "choice")
    return outcome.assignments.select("teacher_id", columns.name.suffix(f"_{side}"))


def _change(stages_compare: bool) -> pl.Expr:
    """Tell of each row of two joined results how it changed."""
    moved_a, moved_b = (pl.col(f"stage_{side}").is_not_null() for side in ("a", "b"))
    elsewhere = _differs("school") | _differs("subject")
    another_stage = _differs("stage") & stages_compare
    cases = (
        (pl.col("school_a").is_null(), Change.MISSING_A),
        (pl.col("school_b").is_null(), Change.MISSING_B),
        (moved_a & ~moved_b, Change.ONLY_A),
        (~moved_a & moved_b, Change.ONLY_B),
        (elsewhere & moved_a, Change.OTHER_PLACE),
        (elsewhere, Change.OTHER_HOME),
        (another_stage | _differs("choice"), Change.OTHER_WAY),
    )
    return pl.coalesce(
        *(pl.when(case).then(pl.lit(change.value)) for case, change in cases),
        pl.lit(Change.SAME.value),
    )


def _differs(column: str) -> pl.Expr:
    return pl.col(f"{column}_a").ne_missing(pl.col(f"{column}_b"))


def _settings(a: Outcome, b: Outcome) -> Iterator[Setting]:
    """Yield what the two runs were given that is not the same."""
    if a.mechanism != b.mechanism:
        yield Setting(Label("機制", "mechanism"), a.mechanism, b.mechanism)
    for key, *values in _unlike(_options(a), _options(b)):
        yield Setting(Label(f"選項 {key}", f"options, {key}"), *values)
    for key, *values in _unlike(_entries(a.rules), _entries(b.rules)):
        yield Setting(Label(f"規則 {key}", f"rules, {key}"), *values)
    if a.seed != b.seed:
        yield Setting(Label("抽籤種子", "seed"), str(a.seed), str(b.seed))
    if a.version != b.version:
        yield Setting(Label("程式版本", "version"), a.version, b.version)
    for file, *digests in _unlike(a.digests, b.digests):
        shown = [digest[:_DIGITS] for digest in digests]
        yield Setting(Label(f"輸入檔 {file}", f"input file {file}"), *shown)


def _entries(rules: Rules) -> dict[str, str]:
    """Return a rule set as one text per entry, each stage being one."""
    table = rules.to_dict()
    limits, stages = table.pop("limits"), table.pop("stage")
    numbered = {f"stage {n}": stage for n, stage in enumerate(stages, start=1)}
    entries = {**table, **limits, **numbered}
    return {key: json.dumps(entries[key], ensure_ascii=False) for key in entries}


def _options(outcome: Outcome) -> dict[str, str]:
    """Return what an optimum was asked for, one text per option."""
    options = {} if outcome.options is None else outcome.options.to_dict()
    return {key: json.dumps(options[key]) for key in options}


def _unlike(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield the keys whose values differ, with both values."""
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            yield key, a.get(key, _NOTHING), b.get(key, _NOTHING)


def result_text(row: Mapping[str, Any], side: str, lang: str) -> str:
    """Return the result of a person in A ("a") or B ("b") in a few words.

    >>> row = {"stage_a": None, "school_a": "B", "subject_a": "g", "choice_a": None}
    >>> result_text(row, "a", "zh")
    '未達成 B g'
    """
    stage, school, subject, choice = (
        row[f"{column}_{side}"] for column in ("stage", "school", "subject", "choice")
    )
    if school is None:
        return _NOTHING
    if stage is None:
        return f"{label_in(_NOT_MOVED, lang)} {school} {subject}"
    number = f"第 {choice} 志願" if lang == "zh" else f"choice {choice}"
    return f"{label_in(stage_label(stage), lang)} {school} {subject} {number}"
