"""The measures against their slow twins, on cases worked by hand, and from files."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Case, Draft, Place, School, Teacher, cases, round_of

from jiepin.core import (
    Limits,
    Outcome,
    Round,
    Rules,
    Stage,
    reference_measures,
    solve,
    terms,
)
from jiepin.core.errors import BadArgument, BadResult
from jiepin.core.market import Encoded, encode
from jiepin.core.measures import (
    MEASURES,
    WITHOUT_OPTIMUM,
    Background,
    Row,
    Situation,
    check_names,
    key_label,
    measure,
    situation,
    situation_of,
)
from jiepin.core.mechanisms.moves import Moves, assignments_of, exchanges_of
from jiepin.core.solve import clear, stage_names

ROOT = Path(__file__).resolve().parents[1]
MEANS = ("regret", "remote_years", "indigenous_years")
COUNTS = [name for name in WITHOUT_OPTIMUM if name not in MEANS]
COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"
EXAMPLES = 60 if COMPILED else 30

# Who proposes gets the seat unless it is full of holders and of those who come first;
# nobody is left who could trade after top trading cycles. Nobody leaves a swap-only
# school by deferred acceptance.
PROMISED = {
    "deferred_acceptance": [("envy", ""), ("waste", "")],
    "top_trading_cycles": [
        ("waste", ""),
        ("blocking_pairs", ""),
        ("blocking_circles", ""),
    ],
}


def assert_same(found: list[Row], expected: list[tuple[str, str, float]]) -> None:
    """Compare all rows; a mean may differ in the last digit."""
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for (name, key, value), (_, _, other) in zip(found, expected, strict=True):
        if name in MEANS:
            assert value == pytest.approx(other, rel=1e-14), (name, key)
        else:
            assert value == other, (name, key)


@pytest.mark.parametrize(
    "mechanism", [terms.STAGED, "top_trading_cycles", "deferred_acceptance"]
)
@given(case=cases())
@settings(max_examples=EXAMPLES)
def test_same_as_the_slow_twin(mechanism: str, case: Case) -> None:
    round_ = case.round_
    outcome = solve(round_, case.rules, case.seed, mechanism=mechanism)
    expected = reference_measures.measure(round_, outcome)
    assert_same(measure(situation_of(round_, outcome)), expected)
    encoded = encode(round_, case.rules, case.seed)
    moves = clear(encoded, case.rules, mechanism=mechanism)
    direct = Situation.of(Background(encoded), case.rules, moves, mechanism)
    found = measure(direct)
    assert_same(found, expected)
    if not encoded.swap_only.any():
        left = {(name, key) for name, key, value in found if value}
        assert left.isdisjoint(PROMISED.get(mechanism, ()))


@given(case=cases(), every=st.integers(1, 3))
@settings(max_examples=EXAMPLES)
def test_a_result_with_moves_missing(case: Case, every: int) -> None:
    """Look at results that no mechanism gives: more is envied and more left open."""
    round_, rules = case.round_, case.rules
    encoded = encode(round_, rules, case.seed)
    whole = clear(encoded, rules)
    dropped = np.arange(len(whole.moved_by)) % every == 0
    moves = replace(
        whole,
        moved_by=np.where(dropped, terms.NOBODY, whole.moved_by).astype(np.int32),
        stage_of=np.where(dropped, terms.NOBODY, whole.stage_of).astype(np.int32),
    )
    names = stage_names(rules, terms.STAGED)
    outcome = Outcome(
        rules=rules,
        seed=case.seed,
        assignments=assignments_of(encoded, names, moves),
        exchanges=exchanges_of(encoded, names, moves),
    )
    expected = reference_measures.measure(round_, outcome)
    assert_same(measure(situation_of(round_, outcome)), expected)
    background = Background(encoded)
    assert_same(measure(Situation.of(background, rules, moves)), expected)
    keys, others = (
        [row[:2] for row in measure(Situation.of(background, rules, result), COUNTS)]
        for result in (whole, moves)
    )
    assert keys == others


# ---- By hand

Seats = tuple[tuple[Place, int], ...]


def draft(
    *teachers: Teacher, seats: tuple[tuple[tuple[str, str], int], ...] = ()
) -> Draft:
    """Return a round of four schools in counties 1 and 2; who sits there wishes."""
    return Draft(
        schools=(
            School("A", "1", terms.ELEMENTARY, ("remote",)),
            School("B", "1", terms.ELEMENTARY, ("special-remote", "indigenous")),
            School("C", "2", terms.ELEMENTARY, ("extreme-remote",)),
            School("D", "2", terms.ELEMENTARY),
        ),
        subjects=(("g", terms.ELEMENTARY),),
        seats=seats,
        teachers=teachers,
    )


def teacher(
    name: str, home: str, choices: str, points: int, years: int | None
) -> Teacher:
    return Teacher(
        teacher_id=name,
        school=home,
        subjects=("g",),
        points=(("1", points), ("2", points)),
        choices=tuple(choices),
        service_years=years,
    )


ANY_LIMITS = Limits(counties=0, subjects=0, choices=0, home_county=True)
ONE_WAY = Rules("one", (Stage("one-way", terms.ONE_WAY),), limits=ANY_LIMITS)
MUTUAL = Rules("two", (Stage("mutual", terms.EXCHANGE, 2),), limits=ANY_LIMITS)


def figures(round_: Round, rules: Rules, *names: str) -> dict[tuple[str, str], float]:
    rows = measure(situation_of(round_, solve(round_, rules)), names)
    return {(name, key): value for name, key, value in rows}


def test_three_in_a_circle() -> None:
    """With pairs alone nobody moves, and all three could trade."""
    three = draft(
        teacher("T1", "A", "B", 30, 100),
        teacher("T2", "B", "C", 20, 200),
        teacher("T3", "C", "A", 10, None),
    )
    names = ("moves", "blocking_pairs", "blocking_circles", "regret", "envy")
    found = figures(round_of(three), MUTUAL, *names)
    assert found["moves", ""] == 0
    assert found["blocking_pairs", ""] == 0
    assert found["blocking_circles", ""] == 3
    assert found["envy", ""] == 0
    assert [key for name, key in found if name == "regret"] == ["", "1", "4", "7"]
    assert found["regret", ""] == 1


def test_every_degree_of_remote() -> None:
    """T1 (ten years) leaves remote A for D; T2 (two) comes to C, which is remote."""
    round_ = round_of(
        draft(
            teacher("T1", "A", "D", 30, 1000),
            teacher("T2", "D", "C", 20, 200),
            teacher("T3", "B", "", 20, None),
            seats=((("D", "g"), 1), (("C", "g"), 1)),
        )
    )
    found = figures(round_, ONE_WAY, *WITHOUT_OPTIMUM)
    assert found["remote_applicants", "before"] == 2
    assert found["remote_applicants", "after"] == 2
    assert found["remote_years", "before"] == 5
    assert found["remote_years", "after"] == 1
    assert found["remote_experience_lost", ""] == 8
    assert found["indigenous_years", "after"] == 0
    assert found["flows", "1>2"] == 1
    assert found["flows", "2>2"] == 1
    assert found["county_net", "2"] == 1
    assert found["county_within", ""] == 1
    assert found["regret", "1"] == 0


def test_envy_of_one_who_swapped() -> None:
    """T3 has the most points for B, but T2 came there in exchange."""
    round_ = round_of(
        draft(
            teacher("T1", "B", "A", 10, 0),
            teacher("T2", "A", "B", 20, 0),
            teacher("T3", "D", "CB", 30, 0),
        )
    )
    found = figures(round_, MUTUAL, "envy", "waste")
    assert found == {
        ("envy", ""): 1,
        ("envy", "applicants"): 1,
        ("waste", ""): 0,
        ("waste", "applicants"): 0,
    }


def test_a_seat_left_open() -> None:
    """T1 is placed by a first stage, before the seat she likes best opens to all.

    That two others swap, one of them to the same school, leaves the seat open.
    """
    rules = replace(
        ONE_WAY,
        stages=(
            Stage("remote", terms.ONE_WAY, schools="indigenous"),
            *MUTUAL.stages,
            Stage("one-way", terms.ONE_WAY),
        ),
    )
    round_ = round_of(
        draft(
            teacher("T1", "A", "DB", 10, 0),
            teacher("T2", "D", "C", 10, 0),
            teacher("T3", "C", "D", 10, 0),
            seats=((("D", "g"), 1), (("B", "g"), 1)),
        )
    )
    found = figures(round_, rules, "stages", "waste", "choices")
    assert found["stages", "remote"] == 1
    assert found["stages", "mutual"] == 2
    assert found["choices", "2"] == 1
    assert found["waste", ""] == found["waste", "applicants"] == 1


# ---- Results from files


@pytest.fixture
def round_() -> Round:
    return Round.read(ROOT / "fixtures" / "rounds" / "several-subjects")


def test_a_result_that_was_written(round_: Round, tmp_path: Path) -> None:
    outcome = solve(round_, Rules.load("taiwan-110"))
    outcome.write(tmp_path / "result")
    read = Outcome.read(tmp_path / "result")
    assert measure(situation_of(round_, read)) == measure(situation_of(round_, outcome))


@pytest.mark.parametrize(
    ("column", "value"), [("school", "A"), ("subject", "x"), ("stage", "later")]
)
def test_a_result_of_another_round(round_: Round, column: str, value: str) -> None:
    outcome = solve(round_, Rules.load("taiwan-110"))
    wrong = outcome.assignments.with_columns(
        pl.when(pl.col("stage").is_not_null())
        .then(pl.lit(value))
        .otherwise(pl.col(column))
        .alias(column)
    )
    with pytest.raises(BadResult, match="expected a wish and a stage of this round"):
        situation_of(round_, replace(outcome, assignments=wrong))


def test_a_result_of_others(round_: Round) -> None:
    outcome = solve(round_, Rules.load("taiwan-110"))
    fewer = replace(outcome, assignments=outcome.assignments.head(1))
    with pytest.raises(BadResult, match="not those of the round"):
        situation_of(round_, fewer)


# ---- The optimum


def test_the_optimum_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = MUTUAL
    round_ = round_of(
        draft(
            teacher("T1", "A", "B", 30, 0),
            teacher("T2", "B", "CA", 20, 0),
            teacher("T3", "C", "A", 10, 0),
        )
    )
    calls = []

    def best(encoded: Encoded, rules: Rules, mechanism: str) -> Moves:
        calls.append(mechanism)
        return clear(encoded, rules, mechanism=mechanism)

    monkeypatch.setattr(situation, "clear", best)
    encoded = encode(round_, rules)
    background = Background(encoded)
    for _ in range(2):
        state = Situation.of(background, rules, clear(encoded, rules))
        rows = measure(state, ["optimum_share", "optimum"])
        assert rows == [("optimum_share", "", 2 / 3), ("optimum", "", 3.0)]
    assert calls == [terms.OPTIMUM]


def test_what_an_optimum_proves(round_: Round) -> None:
    rules = Rules.load("taiwan-110")
    staged = situation_of(round_, solve(round_, rules))
    assert measure(staged, ["bound", "gap"]) == []
    best = replace(solve(round_, rules, mechanism=terms.OPTIMUM), bound=8)
    moved = best.moves.height
    rows = measure(situation_of(round_, best), ["bound", "gap"])
    assert rows == [("bound", "", 8), ("gap", "", (8 - moved) / 8)]


def test_nobody_can_move() -> None:
    round_ = round_of(draft(teacher("T1", "A", "", 30, 0)))
    background = Background(encode(round_, MUTUAL), _most=[0])
    state = Situation.of(background, MUTUAL, clear(background.encoded, MUTUAL))
    assert measure(state, ["optimum_share"]) == [("optimum_share", "", 1.0)]


# ---- What there is


def test_unknown_measures() -> None:
    with pytest.raises(BadArgument, match="measure 'joy'; expected one of moves, sha"):
        check_names(["moves", "joy"])


def test_everything_has_words(round_: Round) -> None:
    rows = measure(situation_of(round_, solve(round_, Rules.load("taiwan-110"))))
    words = [
        label for one in MEASURES.values() for label in (one.label, one.unit, one.about)
    ]
    words += [key_label(name, key) for name, key, _ in rows]
    assert all(label.zh and label.en for label in words)
    assert key_label("stages", "mutual").zh == "互調"
    assert key_label("exchanges", "11–").en == "11-way and larger"
    assert key_label("choices", "4–5").zh == "第 4–5 志願"
    assert key_label("flows", "63>65").en == "63>65"
    assert [*MEASURES] == [*WITHOUT_OPTIMUM, "optimum", "optimum_share"]


@pytest.mark.parametrize("half", ["中文", "English"])
def test_the_page_defines_all(half: str) -> None:
    page = (ROOT / "docs" / "measures.md").read_text("utf-8")
    section = page.partition(f"## {half}")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert named == [*MEASURES]
