"""Rounds and markets made by hand: what kernels cannot take is refused before they run.

Run with NUMBA_BOUNDSCHECK=1 as well, where a kernel that reads or writes beside an
array raises IndexError instead of going on.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_rounds import ANY_LIMITS, random_round
from strategies import cases

from jiepin.core import Outcome, Round, Rules, frames, reference, solve, terms
from jiepin.core.bounds import check_market
from jiepin.core.errors import BadArgument, BadArray, JiepinError
from jiepin.core.kernels.exchange import Graph
from jiepin.core.market import Claims, Encoded, Homes, Market, _forms, encode, lay_out
from jiepin.core.measures.situation import Background, Situation
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.options import Options
from jiepin.core.solve import clear
from jiepin.core.workers import Workers

ROUNDS = Path(__file__).resolve().parents[1] / "fixtures" / "rounds"
PRESET = Rules.load("taiwan-110")
RULES = Rules("any", PRESET.stages, limits=ANY_LIMITS)
# the others take long to compile, once more with bounds checks
CHECKED = ("staged", "top_trading_cycles", "deferred_acceptance")
FAST = [
    name
    for name in terms.MECHANISMS
    if name in CHECKED
    or (name != terms.OPTIMUM and os.environ.get("NUMBA_BOUNDSCHECK") != "1")
]

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def round_(tmp_path_factory: pytest.TempPathFactory) -> Round:
    """A small round in which everything occurs."""
    return random_round(tmp_path_factory.mktemp("random") / "round", seed=5)


# ---- Rounds


def put(column: str, value: object, row: int = 0) -> Change:
    """Change one cell; the type of the column stays."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        cells = frame[column].to_list()
        cells[row] = value
        return frame.with_columns(pl.Series(column, cells, dtype=frame.schema[column]))

    return change


def of_kind(column: str, kind: Any) -> Change:
    return lambda frame: frame.with_columns(
        pl.Series(column, [], dtype=kind).extend_constant(None, frame.height)
    )


def as_texts(column: str) -> Change:
    return lambda frame: frame.with_columns(pl.col(column).cast(pl.List(pl.String)))


def drop(column: str) -> Change:
    return lambda frame: frame.drop(column)


def turned(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.reverse()


def shorter(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(frame.height - 1)


OTHER_CODES = pl.Enum(["Z", "A"])
BAD_FRAMES: list[tuple[str, Change, str]] = [
    ("schools", turned, 'schools["school"][0]: '),
    ("schools", shorter, 'schools["school"]: '),
    ("schools", drop("county"), 'schools["county"]: no such column; expected String'),
    ("schools", put("county", None), 'schools["county"][0]: None; expected a value'),
    ("schools", of_kind("school", pl.String), "expected an Enum of its own codes"),
    ("schools", of_kind("tags", pl.String), "expected List(String)"),
    ("subjects", turned, 'subjects["subject"][0]: '),
    ("vacancies", put("seats", -1), 'vacancies["seats"][0]: -1; expected 0 to 9,0'),
    ("vacancies", put("seats", 2**63 - 1), 'vacancies["seats"][0]: 92233'),
    ("vacancies", put("seats", None), 'vacancies["seats"][0]: None'),
    ("vacancies", put("school", None), 'vacancies["school"][0]: None'),
    ("vacancies", of_kind("school", OTHER_CODES), 'vacancies["school"]: Enum'),
    ("vacancies", of_kind("seats", pl.Float64), 'vacancies["seats"]: Float64'),
    ("teachers", of_kind("school", pl.Int32), 'teachers["school"]: Int32'),
    ("teachers", of_kind("choices", pl.List(OTHER_CODES)), 'teachers["choices"]: '),
    ("teachers", as_texts("counties"), 'teachers["counties"]: List(String); expected'),
    ("teachers", put("school", None, 2), 'teachers["school"][2]: None'),
    ("teachers", put("teacher_id", None, 1), 'teachers["teacher_id"][1]: None'),
    ("teachers", put("choices", None, 1), 'teachers["choices"][1]: None'),
    ("teachers", put("choices", [None], 3), 'teachers["choices"][3]: [None]'),
    ("teachers", put("subjects", [None], 1), 'teachers["subjects"][1]: [None]'),
    ("teachers", put("groups", None), 'teachers["groups"][0]: None'),
    ("teachers", put("points", [1] * 9, 2), 'teachers["points"][2]: 9; expected '),
    ("teachers", put("points", [-1], 1), 'teachers["points"][1]: -1; expected 0 to'),
    ("teachers", put("points", [2**63 - 1], 1), 'teachers["points"][1]: 922'),
    ("teachers", put("service_years", -(2**63)), 'teachers["service_years"][0]: -92'),
    ("teachers", put("home_points", 2**63 - 1), 'teachers["home_points"][0]: 9223'),
    ("teachers", drop("birth_date"), 'teachers["birth_date"]: no such column'),
]


@pytest.mark.parametrize(("table", "change", "told"), BAD_FRAMES)
def test_frames_that_do_not_fit_are_refused(
    round_: Round, table: str, change: Change, told: str
) -> None:
    bad = replace(round_, **{table: change(getattr(round_, table))})
    with pytest.raises(BadArray, match="沒有開始計算") as caught:
        solve(bad, RULES)
    assert told in str(caught.value)
    assert caught.value.array.startswith(table)


def test_a_table_of_places_has_a_limit() -> None:
    """Sixty thousand schools and subjects would need a table of 14 GB."""
    round_ = Round.read(ROUNDS / "mutual")
    codes = pl.Series([f"{number:05d}" for number in range(17_000)])
    own = codes.cast(pl.Enum(codes))

    def many(frame: pl.DataFrame, column: str) -> pl.DataFrame:
        return pl.concat([frame.head(1)] * len(codes)).with_columns(own.alias(column))

    bad = replace(
        round_,
        schools=many(round_.schools, "school"),
        subjects=many(round_.subjects, "subject"),
    )
    told = "schools × subjects: 289,000,000; expected at most 268,435,456"
    with pytest.raises(BadArray, match=told):
        solve(bad, RULES)


def test_more_wishes_than_can_be_numbered(round_: Round) -> None:
    """Each list is short enough; all together they are not."""
    encoded = encode(round_, RULES)
    n_claims = encoded.market.n_claims
    lengths = np.full(n_claims, 2**31 // n_claims + 1, dtype=np.int32)
    claims = Claims(
        slot=np.arange(n_claims),
        row=np.zeros(n_claims, dtype=np.int32),
        points=np.zeros(n_claims, dtype=np.int64),
        length=lengths,
        n_wishes=lengths,
    )
    homes = Homes.of(round_, round_.teachers["teacher_id"].arg_sort().to_numpy())
    order = np.arange(n_claims)
    with pytest.raises(BadArray, match=r"wishes: 2,14.*; expected at most 2,147,"):
        lay_out(_forms(round_, RULES, homes), homes, claims, order, Workers())


@pytest.mark.parametrize("mechanism", FAST)
@pytest.mark.parametrize("seats", [2**31 - 1, 2**31, 10**9, 10**15, 2**53])
def test_as_many_seats_as_can_be_told(
    round_: Round, mechanism: str, seats: int
) -> None:
    """More seats than wishes are as good as one for each wish."""
    many, enough = (with_numbers(round_, n) for n in (seats, 1_000))
    found = solve(many, RULES, mechanism=mechanism)
    assert found.assignments.equals(
        solve(enough, RULES, mechanism=mechanism).assignments
    )


def with_numbers(round_: Round, seats: int) -> Round:
    open_seats = pl.lit(seats, dtype=pl.Int64).alias("seats")
    points = pl.lit(4_100, dtype=pl.Int64).alias("home_points")
    return replace(
        round_,
        vacancies=round_.vacancies.with_columns(open_seats),
        teachers=round_.teachers.with_columns(points),
    )


@settings(max_examples=40)
@given(cases(), st.randoms(use_true_random=False))
def test_a_round_with_wrong_cells_is_refused_or_solved_as_the_reference_does(
    case: Any, rng: random.Random
) -> None:
    damaged = case.round_
    for _ in range(rng.choice((1, 1, 2))):
        damaged = with_a_wrong_cell(damaged, rng)
    try:
        found = solve(damaged, case.rules, case.seed)
    except JiepinError:
        return
    expected = reference.solve(damaged, case.rules, case.seed)
    assert found.assignments.equals(expected.assignments)
    assert found.exchanges.equals(expected.exchanges)


NUMBERS = (-1, 0, 1, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), None)


def with_a_wrong_cell(round_: Round, rng: random.Random) -> Round:
    table = rng.choice(("vacancies", "teachers", "teachers", "schools"))
    frame = getattr(round_, table)
    columns = {
        "vacancies": ("seats",),
        "teachers": ("points", "service_years", "choices", "home_points", "subjects"),
        "schools": ("county", "tags"),
    }[table]
    if not frame.height:
        return round_
    column, row = rng.choice(columns), rng.randrange(frame.height)
    kind = frame.schema[column]
    if kind == pl.Int64:
        value: object = rng.choice(NUMBERS)
    elif kind == pl.List(pl.Int64):
        value = [rng.choice(NUMBERS) for _ in range(len(frame[column][row]))]
    else:
        value = None
    return replace(round_, **{table: put(column, value, row)(frame)})


# ---- Markets


@pytest.fixture(scope="module")
def encoded(round_: Round) -> Encoded:
    return encode(round_, RULES)


def array(market: Market, name: str) -> Any:
    return getattr(market if hasattr(market, name) else market.graph, name)


def with_array(market: Market, name: str, changed: Any) -> Market:
    if hasattr(market, name):
        return market._replace(**{name: changed})
    return market._replace(graph=market.graph._replace(**{name: changed}))


ARRAYS = (
    *("home_of", "seats", "claim_order", "rank_of", "wish_choice"),
    *("list_start", "list_wish", "claim_start", "holder_of", "home_of_claim"),
    *("wish_start", "wish_position", "wish_claim"),
)
WRONG: dict[str, Callable[[Any], Any]] = {
    "another type": lambda array: array.astype(np.int16),
    "floats": lambda array: array.astype(np.float64) * np.nan,
    "bytes in another order": lambda array: array.astype(array.dtype.newbyteorder()),
    "two dimensions": lambda array: array.reshape(1, -1),
    "every second entry": lambda array: np.repeat(array, 2)[::2],
    "a list": lambda array: array.tolist(),
    "nothing": lambda _array: None,
    "one more": lambda array: np.append(array, array[-1:]),
    "one less": lambda array: array[:-1],
    "a negative entry": lambda array: changed(array, 1, -1),
    "the largest entry": lambda array: changed(array, -1, np.iinfo(array.dtype).max),
    "the smallest entry": lambda array: changed(array, -1, np.iinfo(array.dtype).min),
}


def changed(array: Any, index: int, value: int) -> Any:
    copied = array.copy()
    copied[index] = value
    return copied


def test_every_array_of_a_market_is_looked_at() -> None:
    fields = {*Market._fields, *Market.__annotations__} - {"graph"}
    assert fields | set(Graph._fields) == set(ARRAYS)


# the number of a choice is told to people, never looked up: any number from 1 will do
TAKEN = {("wish_choice", "the largest entry")}
PAIRS = [(name, wrong) for name in ARRAYS for wrong in WRONG]


@pytest.mark.parametrize(
    ("name", "wrong"), [pair for pair in PAIRS if pair not in TAKEN]
)
def test_an_array_that_does_not_fit_is_refused(
    encoded: Encoded, name: str, wrong: str
) -> None:
    market = encoded.market
    bad = with_array(market, name, WRONG[wrong](array(market, name)))
    with pytest.raises(BadArray) as caught:
        clear(replace(encoded, market=bad), RULES)
    assert caught.value.array
    assert "; expected " in str(caught.value)


def test_the_place_of_a_wrong_entry_is_told(encoded: Encoded) -> None:
    market = encoded.market
    n = market.n_positions
    bad = with_array(market, "wish_position", changed(market.graph.wish_position, 2, n))
    with pytest.raises(BadArray) as caught:
        clear(replace(encoded, market=bad), RULES)
    error = caught.value
    assert (error.array, error.index, error.found) == ("wish_position", 2, n)
    assert error.expected == f"0 to {n - 1}"


def test_arrays_nobody_may_write_are_taken(encoded: Encoded) -> None:
    market = encoded.market
    for name in ARRAYS:
        kept = array(market, name).copy()
        kept.setflags(write=False)
        market = with_array(market, name, kept)
    check_market(market)


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_a_damaged_market_is_refused_or_cleared(
    encoded: Encoded, rng: random.Random
) -> None:
    """Whatever is let through keeps kernels inside their arrays."""
    market = encoded.market
    for _ in range(rng.choice((1, 1, 2, 3))):
        market = damaged_market(market, rng)
    before = [array(market, name).copy() for name in ARRAYS]
    try:
        for mechanism in CHECKED:
            moves = clear(replace(encoded, market=market), RULES, mechanism=mechanism)
            assert_moves(market, moves)
    except BadArray:
        pass
    after = [array(market, name) for name in ARRAYS]
    assert all(map(np.array_equal, before, after)), "nobody writes a market"


def damaged_market(market: Market, rng: random.Random) -> Market:
    name = rng.choice(ARRAYS)
    entries = array(market, name).copy()
    if not len(entries):
        return market
    at, other = rng.randrange(len(entries)), rng.randrange(len(entries))
    how = rng.randrange(4)
    if how == 0:
        entries[at], entries[other] = entries[other], entries[at]
    elif how == 1:
        entries[at] = entries[other]
    elif how == 2:
        entries[at] += rng.choice((-1, 1))
    else:
        entries[at] = rng.choice((-1, 0, len(entries), 2**31 - 1, -(2**31)))
    return with_array(market, name, entries)


def assert_moves(market: Market, moves: Moves) -> None:
    used = moves.moved_by[moves.moved_by != terms.NOBODY]
    assert ((used >= 0) & (used < len(market.list_wish))).all()


# ---- Results as arrays, options


def moves_of(encoded: Encoded) -> Moves:
    return clear(encoded, RULES)


@pytest.mark.parametrize(
    ("field", "change", "told"),
    [
        ("moved_by", lambda array: array[:-1], "moved_by: "),
        ("moved_by", lambda array: changed(array, 0, 10**6), r"moved_by\[0\]: 10000"),
        (
            "moved_by",
            lambda array: changed(array, 0, -2),
            r"moved_by\[0\]: -2; exp",
        ),
        ("moved_by", lambda array: np.roll(array, 1), "holder of moved_by"),
        (
            "stage_of",
            lambda array: changed(array, 0, 99),
            r"stage_of\[0\]: 99; exp",
        ),
        ("stage_of", lambda array: np.roll(array, 1), "stage_of, who moved"),
        ("starts", lambda array: changed(array, -1, 10**9), "sizes"),
    ],
)
def test_moves_of_another_market_are_refused(
    encoded: Encoded, field: str, change: Callable[[Any], Any], told: str
) -> None:
    moves = moves_of(encoded)
    Situation.of(Background(encoded), RULES, moves)
    bad = replace(moves, **{field: change(getattr(moves, field))})
    with pytest.raises(BadArray, match=told):
        Situation.of(Background(encoded), RULES, bad)


@pytest.mark.parametrize(
    "bad",
    [
        *({"max_size": size} for size in (1, 11, -2, 3.0, True, "3", 2**70)),
        *({"max_size": 3, "effort": n} for n in (0, -1, 1_001, 2**63, 1.5, None)),
        *({"objective": text} for text in ("", "all", 3)),
        {"keep": "all"},
    ],
)
def test_options_that_do_not_count(bad: dict[str, Any]) -> None:
    with pytest.raises(BadArgument, match="expected"):
        Options(**bad)


def test_an_outcome_of_nobody() -> None:
    """The smallest arrays there are: no teachers, no wishes, no positions."""
    round_ = Round.read(ROUNDS / "mutual")
    nobody = replace(
        round_, teachers=round_.teachers.clear(), vacancies=round_.vacancies.clear()
    )
    for mechanism in FAST:
        outcome: Outcome = solve(nobody, RULES, mechanism=mechanism)
        assert outcome.assignments.height == outcome.exchanges.height == 0
    assert frames.MOST == 2**53
