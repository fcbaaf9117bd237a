"""Lawful outcomes pass; every corruption is named by its own class."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from small_rounds import (
    EXCHANGES,
    ONE_WAY,
    Row,
    Teacher,
    edited,
    exchanges_of,
    random_round,
    random_rules,
    read_round,
    rows_of,
    rules_of,
)

from jiepin.core import Limits, Outcome, Round, Rules, Stage, solve
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, EXCHANGE_SCHEMA
from jiepin.core.plain import Place
from jiepin.core.verify import verify
from jiepin.core.violations import (
    BlockingPair,
    BrokenExchange,
    ChainBroken,
    ExchangeLeftUndone,
    ExchangePassedOver,
    FilterBroken,
    InputChanged,
    InputExtra,
    InputMissing,
    LimitExceeded,
    MembersDisagree,
    MovedTwice,
    NotAtHome,
    NotAWish,
    NotDeferredAcceptance,
    NotFirstExchange,
    NotInGroup,
    OpenSeatRefused,
    OutOfOrder,
    RowMissing,
    RowsOutOfOrder,
    RowTwice,
    SameHome,
    SchoolNotTagged,
    SeatCountMismatch,
    SeatOverFilled,
    SwapOnlySchool,
    UnknownExchangeStage,
    UnknownStage,
    UnknownTeacherRow,
    Violation,
    WrongChoice,
    WrongInitiator,
    WrongNumber,
    WrongSize,
    WrongSubject,
)

N_ROUNDS = 120
N_MUTATIONS = 240

INDIGENOUS = Stage(
    "indigenous", "one-way", applicants="indigenous", schools="indigenous"
)
RULES = rules_of(INDIGENOUS, ONE_WAY, EXCHANGES[2], EXCHANGES[3])
SCHOOLS = {
    "A": "01",
    "B": "02",
    "C": "03",
    "D": "04 indigenous",
    "E": "05 swap-only",
    "F": "06",
    "G": "07",
}
TEACHERS = [
    Teacher("I1", "A", "BDF", 60, groups="indigenous"),  # indigenous, to D
    Teacher("M1", "A", "B", 90, subjects="gm"),  # mutual with M2
    Teacher("M2", "B", "AFC", 80),
    Teacher("N1", "F", "E", 75),  # mutual with N2, whose school only swaps
    Teacher("N2", "E", "FC", 70),
    Teacher("S1", "G", "AE"),  # stays: nobody left wishes to go to G
    Teacher("S2", "B", "G", 40, subjects="gm"),  # stays: behind W1
    Teacher("T1", "A", "B", 65),  # three-way with T2 and T3
    Teacher("T2", "B", "C", 64),
    Teacher("T3", "C", "A", 63),
    Teacher("W1", "C", "GB", 95),  # one-way to G
    Teacher("Z1", "C"),  # no wishes
]
SEATS = {"Dg": 1, "Gg": 1, "Eg": 1}


@dataclass(frozen=True)
class Case:
    round_: Round
    outcome: Outcome

    def check(self, outcome: Outcome) -> dict[str, int]:
        return dict(verify(self.round_, outcome).counts)

    def with_row(self, teacher: str, **cells: object) -> Outcome:
        rows = [
            {**row, **cells} if row["teacher_id"] == teacher else row
            for row in rows_of(self.outcome)
        ]
        return edited(self.outcome, rows)

    def with_rows(self, change: Callable[[list[Row]], list[Row]]) -> Outcome:
        return edited(self.outcome, change(rows_of(self.outcome)))

    def with_exchange(self, number: int, **cells: object) -> Outcome:
        exchanges = [
            {**row, **cells} if row["exchange"] == number else row
            for row in exchanges_of(self.outcome)
        ]
        return edited(self.outcome, exchanges=exchanges)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("round")
    round_ = read_round(folder, SCHOOLS, TEACHERS, SEATS)
    return Case(round_, solve(round_, RULES))


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Case]:
    """Return a maker of cases with their lawful outcomes."""

    def make(rules: Rules, schools: dict[str, str], teachers: list[Teacher]) -> Case:
        seats = {f"{code}g": 1 for code in schools if code in "XY"}
        round_ = read_round(tmp_path, schools, teachers, seats)
        return Case(round_, solve(round_, rules))

    return make


def test_the_case_is_as_described(case: Case) -> None:
    moved = {row["teacher_id"]: row["stage"] for row in rows_of(case.outcome)}
    assert moved == {
        "I1": "indigenous",
        "M1": "mutual",
        "M2": "mutual",
        "N1": "mutual",
        "N2": "mutual",
        "S1": None,
        "S2": None,
        "T1": "three-way",
        "T2": "three-way",
        "T3": "three-way",
        "W1": "one-way",
        "Z1": None,
    }
    assert case.outcome.exchanges["teachers"].to_list() == [
        ["M1", "M2"],
        ["N1", "N2"],
        ["T1", "T2", "T3"],
    ]
    report = verify(case.round_, case.outcome)
    assert report.lawful
    assert report.n_violations == 0
    assert list(report.lines()) == []


# rows of assignments.csv


def test_row_missing(case: Case) -> None:
    outcome = case.with_rows(lambda rows: [r for r in rows if r["teacher_id"] != "Z1"])
    assert case.check(outcome) == {"RowMissing": 1}
    assert verify(case.round_, outcome).violations == (RowMissing("Z1"),)


def test_unknown_teacher_row(case: Case) -> None:
    ghost = {**rows_of(case.outcome)[-1], "teacher_id": "ZZ"}
    outcome = case.with_rows(lambda rows: [*rows, ghost])
    assert verify(case.round_, outcome).violations == (UnknownTeacherRow("ZZ"),)


def test_row_twice(case: Case) -> None:
    outcome = case.with_rows(lambda rows: [*rows, rows[-1]])
    assert verify(case.round_, outcome).violations == (RowTwice("Z1"),)


def test_moved_twice_by_rows(case: Case) -> None:
    again = {**rows_of(case.outcome)[-2], "stage": "indigenous"}
    outcome = case.with_rows(lambda rows: [*rows[:-1], again, rows[-1]])
    assert verify(case.round_, outcome).violations == (
        RowTwice("W1"),
        MovedTwice("W1", "one-way", "indigenous"),
    )


def test_rows_out_of_order(case: Case) -> None:
    outcome = case.with_rows(lambda rows: [*rows[:-2], rows[-1], rows[-2]])
    assert verify(case.round_, outcome).violations == (RowsOutOfOrder("W1", "Z1"),)


def test_unknown_stage(case: Case) -> None:
    found = verify(case.round_, case.with_row("W1", stage="raffle")).violations
    assert UnknownStage("W1", "raffle") in found


def test_not_at_home(case: Case) -> None:
    outcome = case.with_row("Z1", school="A")
    place = Place("01", "A", "A校", "g", "g科"), Place("03", "C", "C校", "g", "g科")
    assert verify(case.round_, outcome).violations == (NotAtHome("Z1", *place),)


@pytest.mark.parametrize("school", ["F", "C", "nowhere", None])
def test_not_a_wish(case: Case, school: str | None) -> None:
    found = verify(case.round_, case.with_row("W1", school=school)).violations
    assert NotAWish in map(type, found)
    assert {v.teacher for v in found if isinstance(v, NotAWish)} == {"W1"}


def test_wrong_subject(case: Case) -> None:
    outcome = case.with_row("W1", subject="m")
    assert WrongSubject in map(type, verify(case.round_, outcome).violations)


@pytest.mark.parametrize(
    ("teacher", "found", "expected"),
    [("M2", 2, 1), ("M2", None, 1), ("Z1", 1, None), ("I1", 1, 2)],
)
def test_wrong_choice(
    case: Case, teacher: str, found: int | None, expected: int | None
) -> None:
    outcome = case.with_row(teacher, choice=found)
    assert verify(case.round_, outcome).violations == (
        WrongChoice(teacher, found, expected),
    )


def test_not_in_group(case: Case) -> None:
    found = verify(case.round_, case.with_row("W1", stage="indigenous")).violations
    assert NotInGroup("W1", "indigenous", "indigenous") in found
    assert SchoolNotTagged in map(type, found)
    assert issubclass(NotInGroup, FilterBroken)


def test_school_not_tagged(case: Case) -> None:
    outcome = case.with_row("I1", school="B", choice=1)
    assert SchoolNotTagged in map(type, verify(case.round_, outcome).violations)


@pytest.mark.parametrize(
    ("teacher", "school"), [("S1", "E"), ("N2", "C")], ids=["into", "out of"]
)
def test_swap_only_school(case: Case, teacher: str, school: str) -> None:
    outcome = case.with_row(
        teacher, stage="one-way", school=school, choice=2, exchange=None
    )
    found = verify(case.round_, outcome).violations
    assert [v.teacher for v in found if isinstance(v, SwapOnlySchool)] == [teacher]


# one-way stages


def test_seat_over_filled(case: Case) -> None:
    outcome = case.with_row("S2", stage="one-way", school="G", choice=1)
    place = Place("07", "G", "G校", "g", "g科")
    found = verify(case.round_, outcome).violations
    assert found[0] == SeatOverFilled("one-way", place, 2, 1)


def test_blocking_pair(case: Case) -> None:
    def change(rows: list[Row]) -> list[Row]:
        by_id = {row["teacher_id"]: row for row in rows}
        by_id["S2"].update(stage="one-way", school="G", choice=1)
        by_id["W1"].update(stage=None, school="C", choice=None)
        return rows

    wished = Place("07", "G", "G校", "g", "g科")
    ended = Place("03", "C", "C校", "g", "g科")
    found = verify(case.round_, case.with_rows(change)).violations
    assert found[0] == BlockingPair("one-way", "W1", wished, ended, "S2")
    assert "G校（G）" in str(found[0])
    assert "C校 (C)" in str(found[0])


def test_open_seat_refused(case: Case) -> None:
    outcome = case.with_row("W1", stage=None, school="C", choice=None)
    found = verify(case.round_, outcome).violations
    assert [v.teacher for v in found if isinstance(v, OpenSeatRefused)] == ["S2", "W1"]


def test_stable_but_not_deferred_acceptance(small: Callable[..., Case]) -> None:
    crossed = small(
        rules_of(ONE_WAY),
        {"A": "01", "X": "02", "Y": "03"},
        [
            Teacher("T1", "A", "XY", {"02": 50, "03": 90}),
            Teacher("T2", "A", "YX", {"02": 90, "03": 50}),
        ],
    )
    assert crossed.outcome.assignments["school"].to_list() == ["X", "Y"]

    def swap(rows: list[Row]) -> list[Row]:
        rows[0].update(school="Y", choice=2)
        rows[1].update(school="X", choice=2)
        return rows

    found = verify(crossed.round_, crossed.with_rows(swap)).violations
    assert [type(v) for v in found] == [NotDeferredAcceptance] * 2


def test_passes_of_reopen(small: Callable[..., Case]) -> None:
    stage = Stage("remote", "one-way", reopen=True)
    chain = small(
        rules_of(stage),
        {"A": "01", "B": "02", "X": "03"},
        [Teacher("T1", "A", "X"), Teacher("T2", "B", "A"), Teacher("T3", "B", "A", 40)],
    )
    assert chain.outcome.moves["teacher_id"].to_list() == ["T1", "T2"]
    assert chain.check(chain.outcome) == {}

    def take_other(rows: list[Row]) -> list[Row]:
        rows[1], rows[2] = (
            {**rows[2], "teacher_id": "T2"},
            {**rows[1], "teacher_id": "T3"},
        )
        return rows

    assert chain.check(chain.with_rows(take_other)) == {"NotDeferredAcceptance": 2}
    both = chain.with_row("T3", stage="remote", school="A", choice=1)
    assert chain.check(both) == {"SeatOverFilled": 1}


# exchanges


def test_unknown_exchange_stage(case: Case) -> None:
    found = verify(case.round_, case.with_exchange(1, stage="one-way")).violations
    assert UnknownExchangeStage(1, "one-way") in found


def test_wrong_number(case: Case) -> None:
    found = verify(case.round_, case.with_exchange(3, exchange=7)).violations
    assert WrongNumber(7, 3) in found


def test_wrong_size_said(case: Case) -> None:
    outcome = case.with_exchange(1, size=3)
    assert WrongSize(1, "mutual", 3, 2, 2) in verify(case.round_, outcome).violations


def test_exchange_of_the_wrong_size_for_its_stage(case: Case) -> None:
    def change(rows: list[Row]) -> list[Row]:
        for row in rows:
            if row["stage"] == "three-way":
                row["stage"] = "mutual"
        return rows

    outcome = case.with_rows(change)
    exchanges = exchanges_of(outcome)
    exchanges[2]["stage"] = "mutual"
    found = verify(case.round_, edited(outcome, exchanges=exchanges)).violations
    assert WrongSize(3, "mutual", 3, 3, 2) in found


@pytest.mark.parametrize("teachers", [["M1", "ZZ"], ["M1", "S2"], ["M1", ""], []])
def test_members_disagree(case: Case, teachers: list[str]) -> None:
    found = verify(case.round_, case.with_exchange(1, teachers=teachers)).violations
    assert MembersDisagree(1, "M2") in found
    assert issubclass(MembersDisagree, BrokenExchange)


@pytest.mark.parametrize(
    ("teacher", "exchange"), [("M1", 2), ("M1", None), ("W1", 1), ("Z1", 1)]
)
def test_exchange_number_of_a_row(
    case: Case, teacher: str, exchange: int | None
) -> None:
    found = verify(case.round_, case.with_row(teacher, exchange=exchange)).violations
    assert MembersDisagree(exchange, teacher) in found


def test_exchange_listed_only_in_assignments(case: Case) -> None:
    outcome = edited(case.outcome, exchanges=exchanges_of(case.outcome)[:2])
    found = verify(case.round_, outcome).violations
    assert [v.teacher for v in found if isinstance(v, MembersDisagree)] == [
        "T1",
        "T2",
        "T3",
    ]


def test_chain_broken_and_seat_counts(case: Case) -> None:
    outcome = case.with_row("M2", school="F", choice=2)
    place_a = Place("01", "A", "A校", "g", "g科")
    found = verify(case.round_, outcome).violations
    assert ChainBroken(1, "M2", "M1") in found
    assert SeatCountMismatch("mutual", place_a, 0, 1) in found


def test_chain_broken_by_order(case: Case) -> None:
    outcome = case.with_exchange(3, teachers=["T1", "T3", "T2"])
    found = verify(case.round_, outcome).violations
    broken = [v.teacher for v in found if isinstance(v, ChainBroken)]
    assert broken == ["T1", "T3", "T2"]


def test_same_home(small: Callable[..., Case]) -> None:
    pairs = small(
        rules_of(EXCHANGES[4]),
        {"A": "01", "B": "02"},
        [Teacher(f"T{n}", "AB"[n % 2], "BA"[n % 2], 90 - n) for n in range(4)],
    )
    assert pairs.outcome.exchanges.is_empty()
    rows = [
        {**row, "stage": "four-way", "exchange": 1, "school": "BA"[n % 2], "choice": 1}
        for n, row in enumerate(rows_of(pairs.outcome))
    ]
    teachers = ["T0", "T1", "T2", "T3"]
    made = [{"exchange": 1, "stage": "four-way", "size": 4, "teachers": teachers}]
    assert pairs.check(edited(pairs.outcome, rows, made)) == {"SameHome": 2}
    assert issubclass(SameHome, BrokenExchange)


def test_moved_twice_by_exchanges(case: Case) -> None:
    exchanges = exchanges_of(case.outcome)
    again = {**exchanges[0], "exchange": 4}
    found = verify(
        case.round_, edited(case.outcome, exchanges=[*exchanges, again])
    ).violations
    assert MovedTwice("M1", "exchanges.csv 1", "exchanges.csv 4") in found


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1)], ids=["claims", "stages"])
def test_out_of_order(case: Case, order: tuple[int, ...]) -> None:
    exchanges = exchanges_of(case.outcome)
    moved = [{**exchanges[old], "exchange": new + 1} for new, old in enumerate(order)]
    number_of = {t: row["exchange"] for row in moved for t in row["teachers"]}
    rows = [
        {**row, "exchange": number_of.get(row["teacher_id"])}
        for row in rows_of(case.outcome)
    ]
    first_bad = 2 if order[0] else 3
    found = verify(case.round_, edited(case.outcome, rows, moved)).violations
    assert found == (OutOfOrder(first_bad, first_bad - 1),)


def test_wrong_initiator(case: Case) -> None:
    outcome = case.with_exchange(3, teachers=["T2", "T3", "T1"])
    assert verify(case.round_, outcome).violations == (WrongInitiator(3, "T2", "T1"),)


THREE = [
    Teacher("T1", "A", "B", 90),
    Teacher("T2", "B", "A", 80),
    Teacher("T3", "B", "A", 70),
]


def test_not_the_first_exchange(small: Callable[..., Case]) -> None:
    three = small(rules_of(EXCHANGES[2]), {"A": "01", "B": "02"}, THREE)

    def change(rows: list[Row]) -> list[Row]:
        rows[1], rows[2] = (
            {**rows[2], "teacher_id": "T2"},
            {**rows[1], "teacher_id": "T3"},
        )
        return rows

    rows = change(rows_of(three.outcome))
    made = [{**exchanges_of(three.outcome)[0], "teachers": ["T1", "T3"]}]
    assert verify(three.round_, edited(three.outcome, rows, made)).violations == (
        NotFirstExchange(1, "mutual", ("T1", "T3"), ("T1", "T2")),
    )


def test_exchange_passed_over(small: Callable[..., Case]) -> None:
    people = [
        Teacher("T1", "A", "B", 90),
        Teacher("T2", "B", "A", 80),
        Teacher("T3", "A", "B", 70),
    ]
    three = small(rules_of(EXCHANGES[2]), {"A": "01", "B": "02"}, people)
    rows = rows_of(three.outcome)
    rows[0], rows[2] = {**rows[2], "teacher_id": "T1"}, {**rows[0], "teacher_id": "T3"}
    made = [{**exchanges_of(three.outcome)[0], "teachers": ["T2", "T3"]}]
    assert verify(three.round_, edited(three.outcome, rows, made)).violations == (
        NotFirstExchange(1, "mutual", ("T2", "T3"), ("T2", "T1")),
        ExchangePassedOver("mutual", "T1", "90", ("T1", "T2")),
    )


def test_exchange_left_undone(small: Callable[..., Case]) -> None:
    three = small(rules_of(EXCHANGES[2]), {"A": "01", "B": "02"}, THREE)
    rows = [
        {**row, "stage": None, "exchange": None, "school": at, "choice": None}
        for row, at in zip(rows_of(three.outcome), "ABB", strict=True)
    ]
    assert verify(three.round_, edited(three.outcome, rows, [])).violations == (
        ExchangeLeftUndone("mutual", "T1", "90", ("T1", "T2")),
        ExchangeLeftUndone("mutual", "T3", "70", ("T3", "T1")),
    )


# files, limits, the report


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ({"schools.csv": "0"}, InputChanged("schools.csv")),
        ({"old.csv": "0"}, InputMissing("old.csv")),
        ({"schools.csv": None}, InputExtra("schools.csv")),
    ],
)
def test_digest_mismatch(
    case: Case, digests: dict[str, str | None], expected: Violation
) -> None:
    changed = {**case.outcome.digests, **digests}
    kept = {file: value for file, value in changed.items() if value is not None}
    outcome = replace(case.outcome, digests=kept)
    assert verify(case.round_, outcome).violations == (expected,)


@pytest.mark.parametrize(
    ("limits", "teacher", "limit"),
    [
        (Limits(2, 0, 0, True), "I1", "counties ≤ 2"),
        (Limits(0, 1, 0, True), "M1", "subjects ≤ 1"),
        (Limits(0, 0, 2, True), "I1", "choices ≤ 2"),
    ],
)
def test_limits(case: Case, limits: Limits, teacher: str, limit: str) -> None:
    outcome = replace(case.outcome, rules=replace(RULES, limits=limits))
    found = verify(case.round_, outcome).violations
    assert LimitExceeded(teacher, limit) in found
    assert {type(violation) for violation in found} == {LimitExceeded}


def test_home_county_wished(small: Callable[..., Case]) -> None:
    local = small(rules_of(ONE_WAY), {"A": "01", "B": "01"}, [Teacher("T1", "A", "B")])
    limits = Limits(home_county=False)
    outcome = replace(local.outcome, rules=replace(local.outcome.rules, limits=limits))
    assert verify(local.round_, outcome).violations == (
        LimitExceeded("T1", "home_county = false"),
    )


def test_only_a_hundred_of_a_class_are_listed(small: Callable[..., Case]) -> None:
    people = [Teacher(f"T{number:03d}", "A") for number in range(130)]
    crowd = small(rules_of(ONE_WAY), {"A": "01"}, people)
    report = verify(crowd.round_, edited(crowd.outcome, []))
    assert len(report.violations) == 100
    assert report.n_violations == report.counts["RowMissing"] == 130
    assert list(report.lines())[-1] == "RowMissing: … 另有 30 筆。 … and 30 more."


def test_every_violation_speaks_both_languages(case: Case) -> None:
    found = verify(case.round_, case.with_row("M2", school="F", choice=2)).violations
    for violation in found:
        name = type(violation).__name__
        zh, en = violation.text("zh"), violation.text("en")
        assert str(violation) == f"{name}: {zh} {en}"
        assert zh.endswith("。")
        assert en.endswith(".")
        assert "{" not in zh + en


def test_what_is_left_out_is_said(case: Case) -> None:
    report = verify(case.round_, case.outcome, most_wishes=0)
    assert report.lawful
    assert [(one.stage, one.done) for one in report.unchecked] == [
        ("mutual", 0),
        ("three-way", 0),
    ]
    assert "互調" in str(report.unchecked[0])
    assert "only the first 0 claims" in next(report.lines())


def test_a_search_that_takes_too_long_is_said(case: Case) -> None:
    undone = [
        {**row, "stage": None, "exchange": None, "school": t.at, "choice": None}
        for row, t in zip(rows_of(case.outcome), TEACHERS, strict=True)
    ]
    report = verify(case.round_, edited(case.outcome, undone, []), most_steps=5)
    assert not report.lawful
    assert [one.stage for one in report.unchecked] == ["mutual", "three-way"]
    assert 0 < report.unchecked[0].done < report.unchecked[0].applicants


def test_progress_is_reported(case: Case) -> None:
    seen: list[str] = []
    verify(case.round_, case.outcome, report=lambda stage, *_: seen.append(stage))
    assert list(dict.fromkeys(seen)) == [stage.name for stage in RULES.stages]


# many rounds


@pytest.fixture(scope="module")
def random_case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Case]:
    """Return a maker of random cases; the same seed gives the same case."""
    folder = tmp_path_factory.mktemp("rounds")

    @cache
    def make(seed: int) -> Case:
        round_ = random_round(folder / str(seed), seed)
        return Case(round_, solve(round_, random_rules(seed), seed=seed))

    return make


@pytest.mark.parametrize("seed", range(N_ROUNDS))
def test_what_the_engine_does_is_lawful(
    random_case: Callable[[int], Case], seed: int
) -> None:
    case = random_case(seed)
    report = verify(case.round_, case.outcome)
    assert report.violations == ()
    assert report.unchecked == ()


def mutated(rng: random.Random, outcome: Outcome) -> Outcome:
    """Return an outcome with one thing changed, as far as chance changes anything."""
    rows, made = rows_of(outcome), exchanges_of(outcome)
    kinds = ["cell", "cell", "row", "swap", "undo"]
    kind = rng.choice([*kinds, "exchange", "exchanges"] if made else kinds)
    if kind == "cell":
        column = rng.choice(list(ASSIGNMENT_SCHEMA))
        rng.choice(rows)[column] = rng.choice(rows)[column]
    elif kind == "row":
        rng.choice((rows.remove, rows.append))(rng.choice(rows))
    elif kind == "swap":
        one, other = rng.choice(rows), rng.choice(rows)
        for column in ("stage", "exchange", "school", "subject", "choice"):
            one[column], other[column] = other[column], one[column]
    elif kind == "undo":
        rng.choice(rows).update(stage=None, exchange=None, choice=None)
    elif kind == "exchange":
        row = rng.choice(made)
        column = rng.choice(list(EXCHANGE_SCHEMA))
        row[column] = rng.choice(made)[column]
        if column == "teachers":
            rng.shuffle(row["teachers"])
    else:
        rng.choice((made.remove, made.append))(rng.choice(made))
    return edited(outcome, rows, made)


@pytest.mark.parametrize("seed", range(N_MUTATIONS))
def test_every_change_is_reported(
    random_case: Callable[[int], Case], seed: int
) -> None:
    case = random_case(seed % N_ROUNDS)
    rng = random.Random(seed)
    for _ in range(5):
        outcome = mutated(rng, case.outcome)
        same = outcome.assignments.equals(
            case.outcome.assignments
        ) and outcome.exchanges.equals(case.outcome.exchanges)
        assert verify(case.round_, outcome).lawful == same


@pytest.mark.parametrize("seed", range(N_ROUNDS))
def test_the_outcome_of_slightly_other_rules(
    random_case: Callable[[int], Case], seed: int
) -> None:
    """Consistent in itself, and still not what the rules give."""
    case = random_case(seed)
    rules = case.outcome.rules
    others = [
        replace(rules, tie_break=rules.tie_break[::-1]),
        replace(rules, priority="best" if rules.priority != "best" else "per-county"),
        *(
            replace(rules, stages=(*rules.stages[:n], changed, *rules.stages[n + 1 :]))
            for n, stage in enumerate(rules.stages)
            if stage.kind == "one-way"
            for changed in (
                replace(stage, reopen=not stage.reopen),
                replace(stage, applicants=None, schools=None),
            )
        ),
    ]
    for other in others:
        outcome = solve(case.round_, other, seed=seed)
        same = outcome.assignments.equals(
            case.outcome.assignments
        ) and outcome.exchanges.equals(case.outcome.exchanges)
        assert verify(case.round_, replace(outcome, rules=rules)).lawful == same


@pytest.mark.parametrize("seed", range(20))
def test_the_outcome_of_another_round(
    random_case: Callable[[int], Case], seed: int
) -> None:
    one = random_case(seed)
    other = random_case(seed + 1)
    report = verify(one.round_, replace(other.outcome, rules=one.outcome.rules))
    assert {"InputChanged"} <= set(report.counts)
    assert all(str(violation) for violation in report.violations)


@pytest.mark.parametrize("seed", range(30))
def test_garbage_is_reported_not_raised(
    random_case: Callable[[int], Case], seed: int
) -> None:
    case = random_case(seed)
    rng = random.Random(seed)
    ids = [*case.round_.teachers["teacher_id"].to_list(), "x", None]
    names = [stage.name for stage in case.outcome.rules.stages]
    stages = [*names, "x", "{stage}", None]
    numbers = [None, -1, 0, 1, 2, 99]
    rows = [
        {
            "teacher_id": rng.choice(ids),
            "stage": rng.choice(stages),
            "exchange": rng.choice(numbers),
            "school": rng.choice(["A", "B", "C", "?", None]),
            "subject": rng.choice(["g", "m", "?", None]),
            "choice": rng.choice(numbers),
        }
        for _ in range(40)
    ]
    made = [
        {
            "exchange": rng.choice(numbers),
            "stage": rng.choice(stages),
            "size": rng.choice(numbers),
            "teachers": rng.choice([None, rng.choices(ids, k=rng.randint(0, 5))]),
        }
        for _ in range(8)
    ]
    report = verify(case.round_, edited(case.outcome, rows, made))
    assert not report.lawful
    assert all(str(violation) for violation in report.violations)


def test_nothing_at_all(case: Case) -> None:
    empty = replace(
        case.outcome,
        assignments=pl.DataFrame(schema=ASSIGNMENT_SCHEMA),
        exchanges=pl.DataFrame(schema=EXCHANGE_SCHEMA),
        digests={},
    )
    counts = case.check(empty)
    assert counts["RowMissing"] == len(TEACHERS)
    assert counts["InputExtra"] == 4
