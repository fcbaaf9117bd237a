"""What the other mechanisms promise: results pass, and what is changed is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from small_rounds import (
    EXCHANGES,
    ONE_WAY,
    Teacher,
    edited,
    exchanges_of,
    read_round,
    rows_of,
    rules_of,
)
from strategies import Case, cases
from test_cli import MUTUAL, run

from jiepin.core import Outcome, Round, Rules, errors, explain, solve, terms
from jiepin.core import violations as v
from jiepin.core.options import Options
from jiepin.core.promises import cycle_in, negative_cycle
from jiepin.core.report.figures import figures
from jiepin.core.verify import Verification, verify

DA, TTC, BLOCK = "deferred_acceptance", "top_trading_cycles", "block_exchange"
OTHERS = [name for name in terms.MECHANISMS if name != terms.STAGED]
RULES = rules_of(ONE_WAY, EXCHANGES[2])
OPEN = {"Dg": 1}
SWAPS_ALONE = rules_of(EXCHANGES[2])
SCHOOLS = {
    **{code: f"0{n}" for n, code in enumerate("ABCDFGHK")},
    "E": "09 swap-only",
}
TEACHERS = [
    Teacher("A1", "A", "B", 60),  # swaps with B1
    Teacher("B1", "B", "A", 60),
    Teacher("C1", "C", "D", 70),  # gets the open seat
    Teacher("C2", "C", "D", 40),
    Teacher("D1", "D"),
    Teacher("E1", "E", "D", 10),  # sits where seats are only swapped
    Teacher("F1", "F", "G", 60),  # three in a circle
    Teacher("G1", "G", "H", 60),
    Teacher("H1", "H", "F", 60),
    Teacher("K1", "K", "C", 30),  # gets the seat that C1 leaves, where seats reopen
]


@pytest.fixture(scope="module")
def round_(tmp_path_factory: pytest.TempPathFactory) -> Round:
    found = read_round(tmp_path_factory.mktemp("round"), SCHOOLS, TEACHERS, {"Dg": 1})
    return with_home_points(found, 1000)


def with_home_points(round_: Round, points: int | None) -> Round:
    column = pl.lit(points, pl.Int64).alias("home_points")
    return replace(round_, teachers=round_.teachers.with_columns(column))


def solved(round_: Round, mechanism: str, options: Options | None = None) -> Outcome:
    return solve(round_, RULES, mechanism=mechanism, options=options)


def found_in(round_: Round, outcome: Outcome) -> set[str]:
    return set(verify(round_, outcome).counts)


def placed(outcome: Outcome, **at: str | None) -> Outcome:
    """Return an outcome with people elsewhere, None: home; their exchanges are gone."""
    gone = {row["exchange"] for row in rows_of(outcome) if row["teacher_id"] in at} - {
        None
    }
    homes = {teacher.teacher_id: teacher.at for teacher in TEACHERS}
    rows = rows_of(outcome)
    for row in rows:
        if row["exchange"] in gone:
            row["exchange"] = None
        if row["teacher_id"] in at:
            school = at[row["teacher_id"]]
            moved = school is not None
            row["school"] = school if moved else homes[row["teacher_id"]]
            row["stage"] = outcome.mechanism if moved else None
            row["choice"] = 1 if moved else None
    left = [made for made in exchanges_of(outcome) if made["exchange"] not in gone]
    number = {made["exchange"]: n for n, made in enumerate(left, start=1)}
    for entry in (*rows, *left):
        entry["exchange"] = number.get(entry["exchange"])
    return edited(outcome, rows, left)


# What the mechanisms give is lawful


@pytest.mark.parametrize("mechanism", OTHERS)
def test_the_result_of_every_mechanism_passes(round_: Round, mechanism: str) -> None:
    verification = verify(round_, solved(round_, mechanism))
    assert verification == Verification((), {}, ())


@pytest.mark.parametrize("mechanism", OTHERS)
@given(case=cases())
@settings(max_examples=6 if numba.config.DISABLE_JIT else 12, deadline=None)
def test_drawn_results_pass(mechanism: str, case: Case) -> None:
    drawn = with_home_points(case.round_, 5000)
    outcome = solve(drawn, case.rules, case.seed, mechanism=mechanism)
    assert list(verify(drawn, outcome).lines()) == []


@pytest.mark.parametrize("objective", ["points", "rank"])
@given(case=cases())
@settings(max_examples=6 if numba.config.DISABLE_JIT else 12, deadline=None)
def test_drawn_optima_pass(objective: str, case: Case) -> None:
    options = Options(objective=objective, keep=terms.STAGED)
    outcome = solve(
        case.round_, case.rules, case.seed, mechanism=terms.OPTIMUM, options=options
    )
    verification = verify(case.round_, outcome)
    assert verification.lawful, list(verification.lines())
    unproved = [type(entry).__name__ for entry in verification.unchecked]
    assert unproved == ["Unproved"] * (2 if objective == "rank" else 1)


# What is changed is named


Change = Callable[[Outcome], Outcome]


def apart(outcome: Outcome) -> Outcome:
    """Let those of the first exchange stay at home."""
    return placed(outcome, A1=None, B1=None)


def unlisted(outcome: Outcome) -> Outcome:
    """Let everybody go where he goes, and list no exchange."""
    rows = [row | {"exchange": None} for row in rows_of(outcome)]
    return edited(outcome, rows, [])


def listed(outcome: Outcome) -> Outcome:
    """List the swap as an exchange."""
    rows = rows_of(outcome)
    for row in rows[:2]:
        row["exchange"] = 1
    made = {"exchange": 1, "stage": outcome.mechanism, "size": 2}
    return edited(outcome, rows, [made | {"teachers": ["A1", "B1"]}])


def sized(outcome: Outcome) -> Outcome:
    made = exchanges_of(outcome)
    made[0]["size"] = 9
    return edited(outcome, exchanges=made)


def with_row(**cells: object) -> Change:
    def change(outcome: Outcome) -> Outcome:
        rows = rows_of(outcome)
        rows[2] |= cells  # that of C1, who moves alone
        return edited(outcome, rows)

    return change


def to_d(teacher: str, c1: str | None = None) -> Change:
    """Give the open seat to somebody else."""
    return lambda outcome: placed(outcome, **{"C1": c1, "K1": None, teacher: "D"})


def seat_left_open(outcome: Outcome) -> Outcome:
    return placed(outcome, C1=None, K1=None)


def bounded(max_size: int, rules: Rules = RULES) -> Change:
    """Say that the optimum was asked for with a size limit."""
    options = Options(max_size=max_size)
    return lambda outcome: replace(outcome, options=options, rules=rules)


def for_points(change: Change) -> Change:
    options = Options(objective="points")
    return lambda outcome: replace(change(outcome), options=options)


def keeping(change: Change) -> Change:
    options = Options(keep=terms.STAGED)
    return lambda outcome: replace(change(outcome), options=options)


CHANGES: list[tuple[str, Change, type[v.Violation]]] = [
    *((name, to_d("E1"), v.SwapOnlySeatFree) for name in OTHERS),
    *((name, to_d("C2", "D"), v.SeatsExceeded) for name in OTHERS),
    *((name, with_row(choice=7), v.WrongChoice) for name in (DA, TTC)),
    *((name, with_row(school="F"), v.NotAWish) for name in (DA, TTC)),
    (TTC, with_row(stage="mutual"), v.UnknownStage),
    (TTC, sized, v.WrongSize),
    (TTC, with_row(exchange=1), v.MembersDisagree),
    (DA, seat_left_open, v.OpenSeatEnvied),
    (DA, to_d("C2"), v.JustifiedEnvy),
    (DA, to_d("C2"), v.NotByTheMechanism),
    (DA, apart, v.NotByTheMechanism),
    (DA, listed, v.NotAnExchange),
    (TTC, apart, v.TradeLeft),
    (TTC, seat_left_open, v.ChainLeft),
    (TTC, to_d("C2"), v.NotByTheMechanism),
    (TTC, unlisted, v.ExchangeNotListed),
    (BLOCK, apart, v.BlockingExchangeLeft),
    ("teacher_optimal_block_exchange", apart, v.BlockingExchangeLeft),
    ("teacher_optimal_block_exchange", apart, v.NotByTheMechanism),
    ("one_sided_block_exchange", apart, v.BlockingExchangeLeft),
    (terms.OPTIMUM, apart, v.BetterPlan),
    (terms.OPTIMUM, seat_left_open, v.BetterPlan),
    (terms.OPTIMUM, for_points(apart), v.BetterPlan),
    (terms.OPTIMUM, lambda o: replace(o, bound=6), v.MoreThanTheBound),
    (terms.OPTIMUM, lambda o: replace(o, bound=8), v.BoundNotReached),
    (terms.OPTIMUM, keeping(to_d("C2")), v.KeptLess),
    (terms.OPTIMUM, keeping(seat_left_open), v.KeptLess),
    (terms.OPTIMUM, bounded(2), v.ExchangeTooLarge),
    (terms.OPTIMUM, bounded(3), v.SeatOverFilled),
    (terms.OPTIMUM, bounded(3, SWAPS_ALONE), v.NoSuchOneWayMove),
    (TTC, lambda o: replace(o, mechanism="best"), v.UnknownMechanism),
]


@pytest.mark.parametrize(
    ("mechanism", "change", "kind"),
    CHANGES,
    ids=[f"{name}-{kind.__name__}-{n}" for n, (name, _, kind) in enumerate(CHANGES)],
)
def test_every_change_is_named(
    round_: Round, mechanism: str, change: Change, kind: type[v.Violation]
) -> None:
    outcome = change(solved(round_, mechanism))
    verification = verify(round_, outcome)
    assert kind.__name__ in verification.counts
    for line in verification.lines():
        assert "{" not in line


def test_a_seat_that_went_down_is_named(round_: Round) -> None:
    """With the holders' points above all others nobody moves; then two swap."""
    strong = with_home_points(round_, 9000)
    outcome = solved(strong, BLOCK)
    assert outcome.moves.height == 0
    swapped = listed(placed(outcome, A1="B", B1="A"))
    assert found_in(strong, swapped) == {"SeatWentDown"}


def test_a_chain_begins_where_a_seat_may_fall_free(tmp_path: Path) -> None:
    """E only swaps: E1 alone may not take the open seat, after A1 has come he may."""
    alone = read_round(tmp_path / "1", SCHOOLS, [Teacher("E1", "E", "D", 10)], OPEN)
    outcome = solved(alone, TTC)
    assert (outcome.moves.height, found_in(alone, outcome)) == (0, set())
    people = [Teacher("A1", "A", "E", 60), Teacher("E1", "E", "D", 10)]
    both = read_round(tmp_path / "2", SCHOOLS, people, OPEN)
    outcome = solved(both, TTC)
    assert (outcome.moves.height, found_in(both, outcome)) == (2, set())
    rows = [
        row | {"stage": None, "choice": None, "school": row["teacher_id"][0]}
        for row in rows_of(outcome)
    ]
    at_home = verify(both, edited(outcome, rows))
    assert set(at_home.counts) == {"ChainLeft", "NotByTheMechanism"}
    assert "A1 → E1" in at_home.violations[0].text("en")


def test_a_new_complaint_is_named(tmp_path: Path) -> None:
    """B2 comes to A, where B1 outranks him and did not outrank A1."""
    people = [
        Teacher("A1", "A", "B", 60),
        Teacher("B1", "B", "A", 50),
        Teacher("B2", "B", "A", 40),
    ]
    drawn = read_round(tmp_path / "round", SCHOOLS, people, {})
    points = pl.Series("home_points", [5500, 1000, 1000])
    round_ = replace(drawn, teachers=drawn.teachers.with_columns(points))
    outcome = solved(round_, "one_sided_block_exchange")
    assert outcome.exchanges["teachers"].to_list() == [["A1", "B1"]]
    assert found_in(round_, outcome) == set()
    made = {"exchange": 1, "stage": outcome.mechanism, "size": 2}
    rows = rows_of(outcome)
    rows[1], rows[2] = (
        rows[2] | {"teacher_id": "B1"},
        rows[1] | {"teacher_id": "B2"},
    )
    other = edited(outcome, rows, [made | {"teachers": ["A1", "B2"]}])
    assert "JustifiedEnvy" in found_in(round_, other)


def test_a_home_is_once_in_an_exchange(tmp_path: Path) -> None:
    """Two pairs who swap between the same positions are no exchange of four."""
    people = [
        *(Teacher(f"A{n}", "A", "B", 60) for n in (1, 2)),
        *(Teacher(f"B{n}", "B", "A", 60) for n in (1, 2)),
    ]
    round_ = read_round(tmp_path / "round", SCHOOLS, people, {})
    outcome = solved(round_, terms.OPTIMUM)
    assert (outcome.exchanges.height, found_in(round_, outcome)) == (2, set())
    made = {"exchange": 1, "stage": outcome.mechanism, "size": 4}
    rows = [row | {"exchange": 1} for row in rows_of(outcome)]
    four = edited(outcome, rows, [made | {"teachers": ["A1", "B1", "A2", "B2"]}])
    assert found_in(round_, four) == {"SameHome"}


def test_home_points_are_missed(round_: Round) -> None:
    outcome = solved(round_, BLOCK)
    without = with_home_points(round_, None)
    assert found_in(without, outcome) == {"HomePointsMissing"}


def test_a_bound_is_told_as_unproved(round_: Round) -> None:
    """What the plan keeps is lawful: without K1, who takes a seat that is left."""
    outcome = bounded(3)(placed(solved(round_, terms.OPTIMUM), K1=None))
    verification = verify(round_, outcome)
    assert verification.lawful
    [line] = verification.lines()
    assert line.startswith("Unproved: 上界 7 ")


def test_keep_is_told_as_unproved_where_the_round_is_large(round_: Round) -> None:
    outcome = keeping(lambda o: o)(solved(round_, terms.OPTIMUM))
    [unproved] = verify(round_, outcome, most_wishes=3).unchecked
    assert "run again" in unproved.text("en")
    assert verify(round_, outcome).unchecked == ()


# The folder, the command, the report


Printed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def jiepin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Printed:
    """Run the command in this process: exit code, standard output, standard error."""
    return partial(run, monkeypatch, capsys)


def test_solve_prints_and_writes_an_optimum(tmp_path: Path, jiepin: Printed) -> None:
    words = ("solve", MUTUAL, "--mechanism", "optimum", "--out", tmp_path / "out")
    code, out, _ = jiepin(*words, "--objective", "points", "--keep", "staged")
    assert code == 0
    assert "機制 mechanism: 最多人達成 optimum" in out
    assert "objective points  keep staged  effort 1" in out
    assert "上界 bound: 2  差距 gap: 0.00%" in out
    assert "互調 mutual             │              1 │          2" in out
    outcome = Outcome.read(tmp_path / "out")
    assert outcome.options == Options(objective="points", keep="staged")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert (summary["mechanism"], summary["bound"], summary["gap"]) == ("optimum", 2, 0)
    code, out, _ = jiepin("verify", MUTUAL, tmp_path / "out")
    unproved, verdict = out.splitlines()
    assert (code, unproved[:16]) == (0, "Unproved: 上界 2 未")
    assert verdict.endswith("Lawful as far as checked: 3 teachers, 2 moved.")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--mechanism", "best"),
            "'best' is not one of 'staged', 'top_trading_cycles'",
        ),
        (("--max-size", 3), "only optimum has options"),
        (("--mechanism", TTC, "--effort", 2), "only optimum has options"),
        (("--mechanism", "optimum", "--max-size", 1), "max_size 1; expected 0 or"),
        (("--mechanism", "optimum", "--effort", 0), "effort 0; expected a number"),
        (("--mechanism", "optimum", "--effort", 2), "effort 2 without a max_size"),
        (("--mechanism", "optimum", "--objective", "best"), "'best' is not one of"),
        (("--mechanism", "optimum", "--keep", "best"), "'best' is not"),
        (("--mechanism", BLOCK), "home_points missing"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, jiepin: Printed, words: tuple[object, ...], told: str
) -> None:
    code, out, err = jiepin("solve", MUTUAL, "--out", tmp_path / "out", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert not (tmp_path / "out").exists()


SUMMARIES: list[tuple[str, dict[str, object], str]] = [
    (TTC, {"teachers": 4}, "teachers"),
    (TTC, {"moved": 3}, "moved"),
    (TTC, {"moved": None}, "moved"),
    (TTC, {"moved_per_stage": {TTC: 1}}, "moved_per_stage"),
    (TTC, {"moved_per_choice": {"1": 1, "2": 1}}, "moved_per_choice"),
    (TTC, {"bound": 2, "gap": 0.0}, "bound"),
    (TTC, {"options": Options(max_size=2).to_dict()}, "options"),
    (terms.STAGED, {"moved_per_stage": {"mutual": 2}}, "moved_per_stage"),
    (terms.OPTIMUM, {"gap": 0.5}, "gap"),
    (terms.OPTIMUM, {"bound": None, "gap": None}, "bound"),
]


@pytest.mark.parametrize(("mechanism", "entries", "named"), SUMMARIES)
def test_a_changed_summary_is_found_out(
    tmp_path: Path, jiepin: Printed, mechanism: str, entries: object, named: str
) -> None:
    out = tmp_path / "out"
    assert jiepin("solve", MUTUAL, "--mechanism", mechanism, "--out", out, "-q")[0] == 0
    assert jiepin("verify", MUTUAL, out, "-q")[:2] == (0, "")
    file = out / "summary.json"
    summary = json.loads(file.read_text("utf-8")) | entries
    told = {key: value for key, value in summary.items() if value is not None}
    file.write_text(json.dumps(told), "utf-8")
    code, found, _ = jiepin("verify", MUTUAL, out, "-q")
    assert code == 1
    assert f"SummaryDisagrees: summary.json 的 {named} 為 " in found


def test_a_folder_changed_by_hand_is_found_out(tmp_path: Path, jiepin: Printed) -> None:
    out = tmp_path / "out"
    assert jiepin("solve", MUTUAL, "--mechanism", TTC, "--out", out, "-q")[0] == 0
    file = out / "exchanges.csv"
    file.write_text(file.read_text("utf-8").replace("T1|T3", "T1|T2"), "utf-8")
    code, found, _ = jiepin("verify", MUTUAL, out)
    assert code == 1
    assert "MembersDisagree: 第 1 案：教師 T2" in found
    code, _, err = jiepin("explain", MUTUAL, out, "T1")
    assert code == 2
    assert "expected one of staged" in err


def test_the_report_shows_sizes_and_no_cut_offs(
    tmp_path: Path, jiepin: Printed
) -> None:
    out, page = tmp_path / "out", tmp_path / "report.html"
    assert jiepin("solve", MUTUAL, "--mechanism", TTC, "--out", out, "-q")[0] == 0
    assert jiepin("report", MUTUAL, out, "--out", page, "--lang", "en")[0] == 0
    text = page.read_text("utf-8")
    assert "Mechanism top trading cycles" in text
    assert '<h2 id="stages">Exchanges by size</h2>' in text
    assert '<th scope="row">mutual</th><td class="number">1</td>' in text
    assert "cut-offs" not in text


def test_a_result_is_not_explained(round_: Round) -> None:
    with pytest.raises(errors.OtherMechanism, match="expected one of staged"):
        explain(round_, solved(round_, TTC), "A1")


def test_figures_count_exchanges_by_size(round_: Round) -> None:
    found = figures(round_, solved(round_, TTC))
    shown = [(s.label.en, s.size, s.exchanges, s.moved) for s in found.stages]
    assert shown == [
        ("in no exchange", 0, 0, 2),
        ("mutual", 2, 1, 2),
        ("three-way", 3, 1, 3),
    ]
    assert found.cut_offs == ()


# Of the graph


def test_a_cycle_is_found_where_there_is_one() -> None:
    rng = np.random.default_rng(7)
    n_with = 0
    for _ in range(300):
        n, m = rng.integers(2, 9), rng.integers(1, 12)
        tails, heads = rng.integers(0, n, (2, m)).astype(np.int64)
        cycle = cycle_in(tails, heads)
        assert bool(cycle) == (not is_acyclic(tails, heads))
        for arc, following in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            assert heads[arc] == tails[following]
        n_with += bool(cycle)
    assert 50 < n_with < 250


def is_acyclic(tails: np.ndarray, heads: np.ndarray) -> bool:
    left = list(zip(tails.tolist(), heads.tolist(), strict=True))
    while left:
        rest = [arc for arc in left if any(arc[1] == tail for tail, _ in left)]
        if len(rest) == len(left):
            return False
        left = rest
    return True


def test_a_negative_cycle_is_found_where_there_is_one() -> None:
    rng = np.random.default_rng(8)
    n_with = 0
    for _ in range(300):
        n, m = int(rng.integers(2, 9)), int(rng.integers(1, 16))
        tails, heads = rng.integers(0, n, (2, m)).astype(np.int64)
        costs = rng.integers(-2, 5, m).astype(np.int64)
        cycle = negative_cycle(tails, heads, costs)
        assert bool(cycle) == has_negative(n, tails, heads, costs)
        assert not cycle or costs[cycle].sum() < 0
        assert sorted(tails[cycle]) == sorted(heads[cycle])
        n_with += bool(cycle)
    assert 50 < n_with < 250


def has_negative(
    n: int, tails: np.ndarray, heads: np.ndarray, costs: np.ndarray
) -> bool:
    """Tell by the shortest ways between all pairs."""
    ways = np.full((n, n), np.inf)
    np.minimum.at(ways, (tails, heads), costs)
    for k in range(n):
        ways = np.minimum(ways, ways[:, [k]] + ways[[k], :])
    return bool((np.diag(ways) < 0).any())
