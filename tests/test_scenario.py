"""A scenario is read whole or refused with everything that is wrong with it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from jiepin.core import Rules, errors, terms
from jiepin.core.measures import MEASURES, WITHOUT_OPTIMUM
from jiepin.core.options import Options
from jiepin.core.simulation.cases import Generated, Given, Uniform
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.toml_text import toml_text
from jiepin.core.simulation.uniform import Shape

ROOT = Path(__file__).resolve().parents[1]
ROUND = "fixtures/rounds/two-claims"


def table(**entries: Any) -> dict[str, Any]:
    """Return the tables of a good scenario, with some entries of its top changed."""
    return {
        "name": "sizes",
        "title": "規則與最佳解",
        "replications": 20,
        "seed": 7,
        "measures": ["moves", "choices"],
        "population": {"kind": "generated", "teachers": 400},
        "case": [case("official"), case("half", seats=0.5)],
        **entries,
    }


def case(name: str, **entries: Any) -> dict[str, Any]:
    return {"name": name, "rules": "taiwan-110", **entries}


def scenario(**entries: Any) -> Scenario:
    return Scenario.from_toml(toml_text(table(**entries)), ROOT)


def optimum(**entries: Any) -> dict[str, Any]:
    return case("best", mechanism="optimum", **entries)


def test_everything_is_read() -> None:
    found = scenario(
        title_en="The rules against the optimum",
        baseline="half",
        population={"kind": "uniform", "teachers": 900, "scores": "distinct"},
        case=[
            case("half", seats=0.5, label="半數", label_en="half"),
            optimum(max_size=4, keep="staged", effort=2),
        ],
    )
    assert found.baseline == "half"
    assert found.population == Uniform(Shape(900), "distinct")
    half, best = found.cases
    assert (half.seats, half.label, half.label_en) == (0.5, "半數", "half")
    assert (half.mechanism, half.options) == (terms.STAGED, None)
    assert half.rules == Rules.load("taiwan-110")
    assert best.options == Options(max_size=4, keep="staged", effort=2)


def test_what_is_absent() -> None:
    entries = table()
    del entries["measures"]
    found = Scenario.from_toml(toml_text(entries))
    assert found.measures == WITHOUT_OPTIMUM
    assert found.baseline == "official"
    assert found.population == Generated(400, tuple(terms.LEVELS))
    assert (found.title_en, found.cases[0].seats) == ("", 1.0)
    assert scenario(case=[optimum()]).cases[0].options == Options()


def test_measures_and_levels_stand_in_one_order() -> None:
    levels = ["elementary", "junior-high"]
    population = {"kind": "generated", "teachers": 400, "levels": levels}
    found = scenario(measures=["choices", "moves"], population=population)
    assert found.measures == ("moves", "choices")
    assert found.population == Generated(400, ("junior-high", "elementary"))


@pytest.mark.parametrize(
    "population",
    [
        {"kind": "generated", "teachers": 10, "levels": ["kindergarten"]},
        {"kind": "uniform", "teachers": 5000, "wishes": 3, "counties": 9, "seats": 2},
        {"kind": "round", "folder": ROUND, "resample": ["points", "wishes"]},
        {"kind": "round", "folder": ROUND, "resample": []},
    ],
)
def test_its_toml_needs_no_other_file(population: dict[str, Any]) -> None:
    found = scenario(
        population=population,
        case=[
            case("plain", label='two\nlines, a "quote" and \x7f'),
            optimum(max_size=3),
            case("own", rules=RULES),
        ],
    )
    text = found.to_toml()
    again = Scenario.from_toml(text, "/nowhere")
    assert again == found
    assert again.digest == found.digest
    assert again.to_toml() == text
    assert ROUND not in text
    assert tomllib.loads(text) == found.to_dict()


def test_paths_start_from_the_folder_of_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(toml_text(RULES), "utf-8")
    (tmp_path / "round").symlink_to(ROOT / ROUND)
    text = toml_text(
        table(
            population={"kind": "round", "folder": "round"},
            case=[case("own", rules="own.toml")],
        )
    )
    (tmp_path / "scenario.toml").write_text("\ufeff" + text, "utf-8")
    found = Scenario.load(tmp_path / "scenario.toml")
    assert found.cases[0].rules.name == "own"
    assert isinstance(found.population, Given)
    assert found.population.folder == ROOT / ROUND
    assert set(found.population.digests) >= {"schools.csv", "teachers.csv"}


RULES = {"name": "own", "stage": [{"name": "one-way", "kind": "one-way"}]}
UNIFORM = {"kind": "uniform", "teachers": 900}
GIVEN = {"kind": "round", "folder": ROUND}
BAD = [
    ({"name": "two words"}, "name", "two words"),
    ({"name": ""}, "name", ""),
    ({"title": 3}, "title", 3),
    ({"title_en": ["x"]}, "title_en", ["x"]),
    ({"replications": 0}, "replications", 0),
    ({"replications": 1.5}, "replications", 1.5),
    ({"replications": True}, "replications", True),
    ({"seed": "1"}, "seed", "1"),
    ({"seed": False}, "seed", False),
    ({"measures": []}, "measures", []),
    ({"measures": ["moves", "luck"]}, "measures", ["moves", "luck"]),
    ({"measures": ["moves", "moves"]}, "measures", ["moves", "moves"]),
    ({"measures": "moves"}, "measures", "moves"),
    ({"baseline": "none"}, "baseline", "none"),
    ({"speed": 1}, "unknown key", "speed"),
    ({"population": 5}, "population", 5),
    ({"population": {"teachers": 10}}, "population, kind", None),
    ({"population": {"kind": ["round"]}}, "population, kind", ["round"]),
    *(
        ({"population": {"kind": kind, "teachers": 900, key: value}}, entry, value)
        for kind, key, value, entry in [
            ("generated", "teachers", 9, "population, teachers"),
            ("generated", "levels", ["high"], "population, levels"),
            ("uniform", "teachers", 10**8, "population, teachers"),
            ("uniform", "wishes", 0, "population, wishes"),
            ("uniform", "wishes", 30, "population, wishes"),
            ("uniform", "counties", 2, "population, counties"),
            ("uniform", "seats", 0.5, "population, seats"),
            ("uniform", "scores", "one", "population, scores"),
        ]
    ),
    ({"population": UNIFORM | {"levels": []}}, "population, unknown key", "levels"),
    ({"population": GIVEN | {"folder": "no"}}, "population, folder", "no"),
    ({"population": GIVEN | {"folder": 1}}, "population, folder", 1),
    (
        {"population": GIVEN | {"digests": {"teachers.csv": "0" * 64}}},
        "population, folder",
        ROUND,
    ),
    (
        {"population": GIVEN | {"digests": {"teachers.csv": "0"}}},
        "population, digests",
        {"teachers.csv": "0"},
    ),
    (
        {"population": GIVEN | {"resample": ["luck"]}},
        "population, resample",
        ["luck"],
    ),
    ({"case": "official"}, "case", "official"),
    ({"case": [5]}, "case", [5]),
    ({"case": [case("a"), case("a")]}, "case 2, name", "a"),
    ({"case": [case("a b")]}, "case 1, name", "a b"),
    ({"case": [case("a", rules=5)]}, "case 1, rules", 5),
    ({"case": [case("a", mechanism="luck")]}, "case 1, mechanism", "luck"),
    ({"case": [case("a", seats=-0.1)]}, "case 1, seats", -0.1),
    ({"case": [case("a", seats=0.00001)]}, "case 1, seats", 0.00001),
    ({"case": [case("a", seats=float("inf"))]}, "case 1, seats", float("inf")),
    ({"case": [case("a", seats=True)]}, "case 1, seats", True),
    ({"case": [case("a", label=1)]}, "case 1, label", 1),
    ({"case": [case("a", max_size=3)]}, "case 1, unknown key", "max_size"),
    ({"case": [optimum(max_size=1)]}, "case 1, max_size", 1),
    ({"case": [optimum(max_size=[2])]}, "case 1, max_size", [2]),
    ({"case": [optimum(objective="luck")]}, "case 1, objective", "luck"),
    ({"case": [optimum(keep="all")]}, "case 1, keep", "all"),
    ({"case": [optimum(effort=0)]}, "case 1, effort", 0),
    (
        {"case": [case("a", rules=RULES | {"limits": {"choices": 5}})]},
        "case 1, rules, limits, choices",
        5,
    ),
]


@pytest.mark.parametrize(("entries", "entry", "value"), BAD)
def test_each_wrong_entry(entries: dict[str, Any], entry: str, value: object) -> None:
    text = toml_text(table(**entries)).replace("Infinity", "inf")
    with pytest.raises(errors.BadScenario) as caught:
        Scenario.from_toml(text, ROOT, "my.toml")
    (problem,) = caught.value.problems
    assert isinstance(problem, errors.ScenarioProblem)
    assert (problem.source, problem.entry, problem.value) == ("my.toml", entry, value)
    assert str(problem).startswith(f"my.toml 的 {entry}「{value}」：")
    assert f"my.toml: {entry} {value!r}; expected {problem.expected}" in str(problem)
    assert str(problem) in str(caught.value)


@pytest.mark.parametrize("key", ["name", "replications", "seed", "population", "case"])
def test_each_entry_that_must_be_there(key: str) -> None:
    entries = table()
    del entries[key]
    with pytest.raises(errors.BadScenario) as caught:
        Scenario.from_toml(toml_text(entries))
    (problem,) = caught.value.problems
    assert type(problem) is errors.MissingEntry
    assert problem.value == key


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(errors.BadScenario, match="有 7 個問題。 7 problems") as caught:
        scenario(
            name="a b",
            replications=0,
            population={"kind": "generated", "teachers": 1},
            case=[
                case("a", rules="no-such-rules"),
                case("a", rules={"name": "x", "stage": []}),
                optimum(max_size=3, objective="points"),
            ],
        )
    kinds = [type(problem).__name__ for problem in caught.value.problems]
    assert kinds == [
        *["BadEntry"] * 3,
        *["UnknownPreset", "NoStage", "BadArgument", "BadEntry"],
    ]
    assert "case 2, rules: stage []" in str(caught.value)
    assert "case 3, max_size 3" in str(caught.value) or "points" in str(caught.value)


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", None])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "scenario.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(errors.BadScenario) as caught:
        Scenario.load(file)
    (problem,) = caught.value.problems
    assert type(problem) is errors.BrokenScenario
    assert str(file) in str(caught.value)


def test_the_digest_is_of_what_decides_the_figures() -> None:
    first = scenario().digest
    same = [
        scenario(name="other", title="", title_en="x", replications=9),
        scenario(baseline="half"),
        scenario(measures=["choices", "moves"]),
        scenario(case=[case("official", label="甲"), case("half", seats=0.5)]),
    ]
    assert {found.digest for found in same} == {first}
    given = {"kind": "round", "folder": ROUND}
    others = [
        scenario(seed=8),
        scenario(measures=["moves"]),
        scenario(measures=list(MEASURES)),
        scenario(population={"kind": "generated", "teachers": 401}),
        scenario(population={"kind": "uniform", "teachers": 900}),
        scenario(population={"kind": "uniform", "teachers": 900, "scores": "distinct"}),
        scenario(population=given),
        scenario(population=given | {"resample": ["points"]}),
        scenario(population=given | {"folder": "fixtures/rounds/mutual"}),
        scenario(case=[case("half", seats=0.5), case("official")]),
        scenario(case=[case("official"), case("half", seats=0.6)]),
        scenario(case=[case("official"), case("third", seats=0.5)]),
        scenario(case=[case("official"), optimum()]),
        scenario(case=[case("official"), optimum(max_size=3)]),
        scenario(case=[case("official"), case("half", rules=RULES, seats=0.5)]),
    ]
    digests = {found.digest for found in others} | {first}
    assert len(digests) == len(others) + 1
