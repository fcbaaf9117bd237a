"""Rule sets: the presets to the letter, defaults, the way out and back, refusals."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiepin.core import BadRules, Limits, Rules, Stage, errors, terms
from jiepin.core.rules import PRESETS

SMALLEST = 'name = "x"\n[[stage]]\nname = "s"\nkind = "one-way"\n'
STAGE = {"name": "s", "kind": "one-way"}


def one_way(name: str, group: str | None = None, reopen: bool = False) -> Stage:
    return Stage(name, "one-way", applicants=group, schools=group, reopen=reopen)


def exchange(name: str, size: int) -> Stage:
    return Stage(name, "exchange", size=size)


def test_taiwan_110() -> None:
    assert Rules.load("taiwan-110") == Rules(
        name="taiwan-110",
        priority="per-county",
        tie_break=("service_years", "birth_date", "lottery"),
        limits=Limits(counties=2, subjects=3, choices=0, home_county=False),
        stages=(
            one_way("indigenous", "indigenous"),
            one_way("one-way"),
            exchange("mutual", 2),
            exchange("three-way", 3),
            exchange("four-way", 4),
            exchange("five-way", 5),
        ),
    )


def test_county_internal() -> None:
    assert Rules.load("county-internal") == Rules(
        name="county-internal",
        priority="per-county",
        tie_break=("service_years", "birth_date", "lottery"),
        limits=Limits(counties=1, subjects=2, choices=0, home_county=True),
        stages=(
            one_way("remote", "remote", reopen=True),
            one_way("one-way"),
            exchange("mutual", 2),
            exchange("three-way", 3),
        ),
    )


def test_every_stage_of_the_presets_has_a_chinese_name() -> None:
    names = {stage.name for name in PRESETS for stage in Rules.load(name).stages}
    assert {terms.stage_label(name).zh for name in names} == {
        *("原民調", "偏遠調", "單調", "互調", "三角調", "四角調", "五角調"),
    }


def test_defaults() -> None:
    rules = Rules.from_toml(SMALLEST)
    assert rules.priority == "per-county"
    assert rules.tie_break == ("service_years", "birth_date", "lottery")
    assert rules.limits == Limits(2, 3, 0, False)
    assert rules.stages == (Stage("s", "one-way", 0, None, None, False),)


def test_an_empty_tie_break_is_kept() -> None:
    rules = Rules.from_toml("tie_break = []\n" + SMALLEST)
    assert rules.tie_break == ()
    assert Rules.from_toml(rules.to_toml()) == rules


def test_limits_may_be_given_in_part() -> None:
    rules = Rules.from_toml(SMALLEST + "[limits]\nchoices = 30\n")
    assert rules.limits == Limits(2, 3, 30, False)


def test_load_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALLEST.encode())
    assert Rules.load(file) == Rules.load(str(file)) == Rules.from_toml(SMALLEST)


TEXTS = st.text(min_size=1)
STAGES = st.builds(
    Stage,
    name=TEXTS,
    kind=st.just(terms.ONE_WAY),
    applicants=TEXTS | st.none(),
    schools=TEXTS | st.none(),
    reopen=st.booleans(),
) | st.builds(
    Stage,
    name=TEXTS,
    kind=st.just(terms.EXCHANGE),
    size=st.sampled_from(terms.EXCHANGE_SIZES),
)
COUNTS = st.integers(0, 2**62)
RULES = st.builds(
    Rules,
    name=TEXTS,
    stages=st.lists(
        STAGES, min_size=1, max_size=6, unique_by=lambda stage: stage.name
    ).map(tuple),
    priority=st.sampled_from([terms.PER_COUNTY, terms.BEST]),
    tie_break=st.lists(st.sampled_from(list(terms.TIE_KEYS)), unique=True).map(tuple),
    limits=st.builds(
        Limits,
        counties=COUNTS,
        subjects=COUNTS,
        choices=COUNTS,
        home_county=st.booleans(),
    ),
)


@settings(deadline=None)
@given(RULES)
def test_toml_and_dictionaries_there_and_back(rules: Rules) -> None:
    assert Rules.from_toml(rules.to_toml()) == rules
    assert Rules.from_dict(rules.to_dict()) == rules
    assert tomllib.loads(rules.to_toml()) == rules.to_dict()


def refused(table: Any) -> BadRules:
    with pytest.raises(BadRules) as caught:
        Rules.from_dict(table, "own.toml")
    assert f"\n    own.toml: {caught.value.entry} " in str(caught.value)
    return caught.value


def found(table: Any) -> tuple[str, str, object]:
    problem = refused(table)
    return type(problem).__name__, problem.entry, problem.value


def rules_with(**changed: Any) -> dict[str, Any]:
    return {"name": "x", "stage": [STAGE], **changed}


def stage_with(**changed: Any) -> dict[str, Any]:
    """Return a rule set whose second stage is changed."""
    return rules_with(
        stage=[{"name": "first", "kind": "one-way"}, {**STAGE, **changed}]
    )


@pytest.mark.parametrize(
    ("table", "kind", "entry", "value"),
    [
        (rules_with(colour=1), "UnknownKey", "unknown key", "colour"),
        (
            rules_with(limits={"teachers": 1}),
            "UnknownKey",
            "limits, unknown key",
            "teachers",
        ),
        (stage_with(size=2), "UnknownKey", "stage 2, unknown key", "size"),
        ({"stage": [STAGE]}, "MissingKey", "missing key", "name"),
        (
            rules_with(stage=[{"name": "s"}]),
            "MissingKey",
            "stage 1, missing key",
            "kind",
        ),
        (
            rules_with(stage=[{"kind": "one-way"}]),
            *("MissingKey", "stage 1, missing key", "name"),
        ),
        (
            rules_with(stage=[{"name": "s", "kind": "exchange"}]),
            *("MissingKey", "stage 1, missing key", "size"),
        ),
        (stage_with(kind="swap"), "UnknownKind", "stage 2, kind", "swap"),
        (stage_with(kind=2), "BadRuleValue", "stage 2, kind", 2),
        (rules_with(stage=[STAGE, STAGE]), "StageNameUsedTwice", "stage 2, name", "s"),
        ({"name": "x"}, "NoStage", "stage", []),
        (rules_with(stage=[]), "NoStage", "stage", []),
        (rules_with(stage={"name": "s"}), "BadRuleValue", "stage", {"name": "s"}),
        (rules_with(stage=["s"]), "BadRuleValue", "stage", "s"),
        (rules_with(name=""), "BadRuleValue", "name", ""),
        (rules_with(name=1), "BadRuleValue", "name", 1),
        (rules_with(priority="first"), "BadRuleValue", "priority", "first"),
        (rules_with(priority=["best"]), "BadRuleValue", "priority", ["best"]),
        (rules_with(tie_break="lottery"), "BadRuleValue", "tie_break", "lottery"),
        (rules_with(tie_break=["age"]), "BadRuleValue", "tie_break", "age"),
        (
            rules_with(tie_break=["lottery", "lottery"]),
            *("BadRuleValue", "tie_break", ["lottery", "lottery"]),
        ),
        (rules_with(limits=3), "BadRuleValue", "limits", 3),
        (rules_with(limits={"choices": -1}), "BadRuleValue", "limits, choices", -1),
        (rules_with(limits={"choices": 1.0}), "BadRuleValue", "limits, choices", 1.0),
        (rules_with(limits={"choices": True}), "BadRuleValue", "limits, choices", True),
        (
            rules_with(limits={"home_county": 1}),
            *("BadRuleValue", "limits, home_county", 1),
        ),
        (stage_with(reopen="yes"), "BadRuleValue", "stage 2, reopen", "yes"),
        (stage_with(applicants=""), "BadRuleValue", "stage 2, applicants", ""),
        (
            stage_with(schools=["remote"]),
            "BadRuleValue",
            "stage 2, schools",
            ["remote"],
        ),
        ([], "BadRuleValue", "rules", []),
    ],
)
def test_refusals(table: Any, kind: str, entry: str, value: object) -> None:
    assert found(table) == (kind, entry, value)


@pytest.mark.parametrize("size", [1, 11, 0, -2, 2.0, "2", True, None, [2]])
def test_sizes_outside_2_to_10(size: object) -> None:
    table = rules_with(stage=[{"name": "s", "kind": "exchange", "size": size}])
    assert found(table) == ("BadSize", "stage 1, size", size)
    assert "a whole number from 2 to 10" in str(refused(table))


@pytest.mark.parametrize("size", range(2, 11))
def test_sizes_from_2_to_10(size: int) -> None:
    table = rules_with(stage=[{"name": "s", "kind": "exchange", "size": size}])
    assert Rules.from_dict(table).stages == (exchange("s", size),)


def test_neither_preset_nor_file(tmp_path: Path) -> None:
    for name in ("taiwan-111", str(tmp_path), str(tmp_path / "none.toml")):
        with pytest.raises(errors.UnknownPreset, match="taiwan-110, county-internal"):
            Rules.load(name)


def test_files_that_are_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[limits\n")
    with pytest.raises(errors.BrokenToml, match="at line 1, column 8") as caught:
        Rules.load(file)
    assert caught.value.source == str(file)
    file.write_bytes(SMALLEST.encode() + "# 介聘".encode("big5"))
    with pytest.raises(
        errors.BrokenToml, match=f"not UTF-8 at byte {len(SMALLEST) + 2}"
    ):
        Rules.load(file)
