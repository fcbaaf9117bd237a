"""The reference on examples small enough to be worked out in the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import strategies
from polars.testing import assert_frame_equal
from small_rounds import EXCHANGES, ONE_WAY, REOPEN, Teacher, read_round, rules_of

from jiepin.core import Outcome, Round, Rules, Stage, reference, terms
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, EXCHANGE_SCHEMA
from jiepin.core.reference import Applicant

SIX_SCHOOLS = {"A": "01", "B": "02", "C": "03", "D": "04", "E": "05", "F": "06"}
MUTUAL, THREE_WAY, FOUR_WAY = EXCHANGES[2], EXCHANGES[3], EXCHANGES[4]


@dataclass(frozen=True)
class Lab:
    """Where small rounds are written, so that an example is one call."""

    folder: Path

    def round_(
        self,
        *teachers: Teacher,
        seats: Mapping[str, int] | None = None,
        schools: Mapping[str, str] = SIX_SCHOOLS,
    ) -> Round:
        return read_round(self.folder, schools, teachers, seats)

    def solve(
        self, stages: Sequence[Stage], *teachers: Teacher, seed: int = 0, **more: Any
    ) -> Outcome:
        """Solve a small round; only teacher_id decides between equal points."""
        rules = rules_of(*stages, tie_break=())
        return reference.solve(self.round_(*teachers, **more), rules, seed)

    def applicants(self, rules: Rules, *teachers: Teacher) -> list[Applicant]:
        return reference.applicants_of(self.round_(*teachers), rules, seed=0)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def places(outcome: Outcome) -> dict[str, str]:
    """Return school and subject of each who moved, as in {"t1": "Bg"}."""
    moves = outcome.moves.select("teacher_id", "school", "subject")
    return {key: school + subject for key, school, subject in moves.iter_rows()}


def rings(outcome: Outcome) -> list[list[str]]:
    return outcome.exchanges["teachers"].to_list()


# ---- Wishes, claims and who comes first


def test_wishes_are_schools_times_subjects() -> None:
    """Home and repeats are dropped, and each wish keeps the number of its school."""
    teacher = strategies.Teacher(
        "t", "A", ("m", "g"), (("01", 100), ("02", 200)), ("B", "A", "B", "C")
    )
    levels = [("A", "01"), ("B", "02"), ("C", "01")]
    draft = strategies.Draft(
        schools=tuple(strategies.School(*row, terms.ELEMENTARY) for row in levels),
        subjects=(("g", terms.ELEMENTARY), ("m", terms.ELEMENTARY)),
        seats=(),
        teachers=(teacher,),
    )
    (applicant,) = reference.applicants_of(
        strategies.round_of(draft), rules_of(MUTUAL), seed=0
    )
    assert [("".join(place), *rest) for place, *rest in applicant.wishes] == [
        ("Bm", 1, 200),
        ("Bg", 1, 200),
        ("Ag", 2, 100),
        ("Cm", 4, 100),
        ("Cg", 4, 100),
    ]


def test_two_points_values_are_two_claims(lab: Lab) -> None:
    people = (
        Teacher("t1", "A", "BCD", {"02": 50, "03": 60, "04": 50}),
        Teacher("t2", "B", "A", 55),
    )
    claims = reference.claims_of(lab.applicants(rules_of(MUTUAL), *people))
    assert [(claim.applicant.teacher_id, claim.points) for claim in claims] == [
        ("t1", 6000),
        ("t2", 5500),
        ("t1", 5000),
    ]
    listed = [[wish.choice for wish in claim.wishes] for claim in claims]
    assert listed == [[2], [1], [1, 3]]


def test_best_counts_the_highest_points_of_the_own_wishes(lab: Lab) -> None:
    people = (Teacher("t", "A", "BC", {"02": 50, "03": 60}),)
    (applicant,) = lab.applicants(rules_of(MUTUAL, priority="best"), *people)
    assert [wish.points for wish in applicant.wishes] == [6000, 6000]


def test_best_does_not_count_a_county_without_a_wish() -> None:
    teacher = strategies.Teacher("t", "A", ("g",), (("01", 900), ("02", 100)), ("B",))
    schools = (("A", "03"), ("B", "02"), ("C", "01"))
    draft = strategies.Draft(
        schools=tuple(strategies.School(*row, terms.ELEMENTARY) for row in schools),
        subjects=(("g", terms.ELEMENTARY),),
        seats=(),
        teachers=(teacher,),
    )
    (applicant,) = reference.applicants_of(
        strategies.round_of(draft), rules_of(MUTUAL, priority="best"), seed=0
    )
    assert [wish.points for wish in applicant.wishes] == [100]


@pytest.mark.parametrize(
    ("tie_break", "order"),
    [
        (("service_years",), ["t3", "t2", "t1", "t4"]),
        (("birth_date",), ["t2", "t4", "t1", "t3"]),
        (("service_years", "birth_date"), ["t3", "t2", "t4", "t1"]),
        ((), ["t1", "t2", "t3", "t4"]),
    ],
)
def test_more_service_and_earlier_birth_come_first(
    lab: Lab, tie_break: tuple[str, ...], order: list[str]
) -> None:
    people = (
        Teacher("t1", "A", "B", years="", born=""),
        Teacher("t2", "A", "B", years="2.5", born="1980-01-01"),
        Teacher("t3", "A", "B", years="10", born=""),
        Teacher("t4", "A", "B", years="0", born="1980-01-02"),
    )
    rules = rules_of(MUTUAL, tie_break=tie_break)
    claims = reference.claims_of(lab.applicants(rules, *people))
    assert [claim.applicant.teacher_id for claim in claims] == order


@pytest.mark.parametrize(
    ("seed", "order"),
    [(7, ["a", "c", "b"]), (8, ["b", "a", "c"])],
)
def test_lots_are_those_of_b2sum(lab: Lab, seed: int, order: list[str]) -> None:
    """`printf 7:a | b2sum -l 64` begins with 7c, 7:c with 8c, 7:b with b0."""
    people = [Teacher(teacher_id, "A", "B") for teacher_id in "abc"]
    round_ = lab.round_(*people)
    rules = rules_of(MUTUAL, tie_break=("lottery",))
    claims = reference.claims_of(reference.applicants_of(round_, rules, seed))
    assert [claim.applicant.teacher_id for claim in claims] == order


def test_ids_are_compared_by_code_point(lab: Lab) -> None:
    people = [Teacher(teacher_id, "A", "B") for teacher_id in ("𠮷", "～", "b", "Z10")]
    rules = rules_of(MUTUAL, tie_break=())
    found = lab.applicants(rules, *people)
    assert [applicant.teacher_id for applicant in found] == ["Z10", "b", "～", "𠮷"]
    assert reference.claims_of(found) == reference.claims_of(reversed(found))


# ---- One-way


def test_the_rejected_goes_on_to_the_next_wish(lab: Lab) -> None:
    outcome = lab.solve(
        [ONE_WAY],
        Teacher("t1", "A", "BC", 50),
        Teacher("t2", "A", "B", 60),
        Teacher("t3", "A", "C", 40),
        seats={"Bg": 1, "Cg": 1},
    )
    assert places(outcome) == {"t1": "Cg", "t2": "Bg"}
    assert outcome.moves["choice"].to_list() == [2, 1]


def test_every_seat_of_a_position_is_filled_by_points_then_tie(lab: Lab) -> None:
    people = [Teacher(f"t{n}", "A", "B", n // 2) for n in range(5)]
    outcome = lab.solve([ONE_WAY], *people, seats={"Bg": 2})
    assert places(outcome) == {"t2": "Bg", "t4": "Bg"}


@pytest.mark.parametrize(("priority", "winner"), [("per-county", "t2"), ("best", "t1")])
def test_best_decides_one_way_too(lab: Lab, priority: str, winner: str) -> None:
    people = (Teacher("t1", "A", "BC", {"02": 40, "03": 60}), Teacher("t2", "A", "B"))
    rules = rules_of(ONE_WAY, tie_break=(), priority=priority)
    outcome = reference.solve(lab.round_(*people, seats={"Bg": 1}), rules)
    assert places(outcome) == {winner: "Bg"}


def test_filters_choose_who_moves_where(lab: Lab) -> None:
    filtered = Stage("first", "one-way", applicants="remote", schools="remote")
    outcome = lab.solve(
        [filtered],
        Teacher("t1", "A", "BC", 50),
        Teacher("t2", "A", "BC", 40, groups="language|remote"),
        schools={"A": "01", "B": "02", "C": "03 indigenous remote"},
        seats={"Bg": 1, "Cg": 1},
    )
    assert places(outcome) == {"t2": "Cg"}


def test_nobody_moves_one_way_into_or_out_of_swap_only_schools(lab: Lab) -> None:
    teachers = (Teacher("t1", "A", "B", 50), Teacher("t2", "B", "AC", 40))
    schools = {"A": "01", "B": "02 swap-only", "C": "03"}
    seats = {"Bg": 1, "Cg": 1}
    outcome = lab.solve([ONE_WAY], *teachers, schools=schools, seats=seats)
    assert places(outcome) == {}
    outcome = lab.solve([MUTUAL], *teachers, schools=schools, seats=seats)
    assert places(outcome) == {"t1": "Bg", "t2": "Ag"}


CHAIN = (Teacher("t1", "A", "B"), Teacher("t2", "C", "A"), Teacher("t3", "D", "C"))


def test_the_seat_left_behind_stays_closed(lab: Lab) -> None:
    again = Stage("again", "one-way")
    outcome = lab.solve([ONE_WAY, again], *CHAIN, seats={"Bg": 1})
    assert places(outcome) == {"t1": "Bg"}


def test_reopen_goes_on_until_nobody_moves(lab: Lab) -> None:
    outcome = lab.solve([REOPEN], *CHAIN, seats={"Bg": 1})
    assert places(outcome) == {"t1": "Bg", "t2": "Ag", "t3": "Cg"}


def test_a_seat_reopened_outside_the_filter_waits_for_the_next_stage(lab: Lab) -> None:
    filtered = Stage("first", "one-way", schools="remote", reopen=True)
    schools = {"A": "01", "B": "02 remote", "C": "03", "D": "04"}
    outcome = lab.solve([filtered, ONE_WAY], *CHAIN, schools=schools, seats={"Bg": 1})
    assert outcome.moves.select("teacher_id", "stage").rows() == [
        ("t1", "first"),
        ("t2", "one-way"),
    ]


def test_seats_not_filled_are_offered_in_later_stages(lab: Lab) -> None:
    filtered = Stage("first", "one-way", applicants="remote")
    people = [Teacher("t1", "A", "B", 50), Teacher("t2", "A", "B", 40, groups="remote")]
    outcome = lab.solve([filtered, ONE_WAY], *people, seats={"Bg": 2})
    assert outcome.moves["stage"].to_list() == ["one-way", "first"]
    outcome = lab.solve([filtered, ONE_WAY], *people, seats={"Bg": 1})
    assert places(outcome) == {"t2": "Bg"}


# ---- Exchanges


def test_the_highest_points_initiate_and_take_the_first_wish(lab: Lab) -> None:
    outcome = lab.solve(
        [MUTUAL],
        Teacher("t1", "A", "BC", 50),
        Teacher("t2", "B", "A", 40),
        Teacher("t3", "C", "AB", 60),
        Teacher("t4", "B", "C", 30),
    )
    assert rings(outcome) == [["t3", "t1"]]
    assert outcome.moves["choice"].to_list() == [2, 1]


def test_at_a_position_the_first_claim_in_order_is_tried_first(lab: Lab) -> None:
    outcome = lab.solve(
        [MUTUAL],
        Teacher("t1", "A", "B", 90),
        Teacher("t2", "B", "CA", {"03": 80, "01": 30}),
        Teacher("t3", "B", "C", 99),
        Teacher("t4", "B", "A", 40),
    )
    assert rings(outcome) == [["t1", "t4"]]


def test_an_exchange_uses_any_claim_of_the_others(lab: Lab) -> None:
    outcome = lab.solve(
        [THREE_WAY],
        Teacher("t1", "A", "B", 90),
        Teacher("t2", "B", "AC", {"01": 99, "03": 10}),
        Teacher("t3", "C", "A", 20),
    )
    assert rings(outcome) == [["t1", "t2", "t3"]]
    assert outcome.exchanges["size"].to_list() == [3]


def test_the_initiator_uses_a_wish_of_the_claim_alone(lab: Lab) -> None:
    """t1 lists B first, but its points for C are tried before."""
    outcome = lab.solve(
        [MUTUAL],
        Teacher("t1", "A", "BC", {"02": 10, "03": 90}),
        Teacher("t2", "B", "A", 50),
        Teacher("t3", "C", "A", 50),
    )
    assert rings(outcome) == [["t1", "t3"]]


def test_only_the_last_step_may_come_home(lab: Lab) -> None:
    """t2 wishes A first, and would close after two steps where three are asked."""
    outcome = lab.solve(
        [THREE_WAY],
        Teacher("t1", "A", "B", 90),
        Teacher("t2", "B", "AC", 80),
        Teacher("t3", "C", "BA", 70),
    )
    assert rings(outcome) == [["t1", "t2", "t3"]]


def test_no_position_is_passed_twice(lab: Lab) -> None:
    """A-B-C-B-A is a walk of four wishes, but it comes through B twice."""
    people = (
        Teacher("t1", "A", "B"),
        Teacher("t2", "B", "C"),
        Teacher("t3", "C", "B"),
        Teacher("t4", "B", "A"),
        Teacher("t5", "C", "D"),
        Teacher("t6", "D", "C"),
    )
    assert rings(lab.solve([FOUR_WAY], *people)) == []
    found = rings(lab.solve([MUTUAL], *people))
    assert found == [["t1", "t4"], ["t2", "t3"], ["t5", "t6"]]


def test_a_wish_that_leads_nowhere_is_given_up(lab: Lab) -> None:
    outcome = lab.solve(
        [FOUR_WAY],
        Teacher("t1", "A", "B", 90),
        Teacher("t2", "B", "CD", 80),
        Teacher("t3", "C", "B", 70),
        Teacher("t4", "D", "E", 60),
        Teacher("t5", "E", "A", 50),
    )
    assert rings(outcome) == [["t1", "t2", "t4", "t5"]]


def test_a_claim_that_leads_nowhere_is_given_up(lab: Lab) -> None:
    outcome = lab.solve(
        [FOUR_WAY],
        Teacher("t1", "A", "B", 90),
        Teacher("t2", "B", "C", 80),
        Teacher("t3", "C", "B", 95),
        Teacher("t4", "C", "D", 60),
        Teacher("t5", "D", "A", 50),
    )
    assert rings(outcome) == [["t1", "t2", "t4", "t5"]]


def test_who_moved_is_not_moved_again(lab: Lab) -> None:
    outcome = lab.solve(
        [ONE_WAY, MUTUAL, THREE_WAY],
        Teacher("t1", "A", "BC", 50),
        Teacher("t2", "B", "AC", 60),
        Teacher("t3", "C", "A", 70),
        Teacher("t4", "D", "A", 80),
        Teacher("t5", "A", "D", 10),
        seats={"Bg": 1},
    )
    assert outcome.assignments.select("teacher_id", "stage", "exchange").rows() == [
        ("t1", "one-way", None),
        ("t2", None, None),
        ("t3", None, None),
        ("t4", "mutual", 1),
        ("t5", "mutual", 1),
    ]


def test_exchanges_are_numbered_through_all_stages(lab: Lab) -> None:
    pairs = [Teacher("t1", "A", "B"), Teacher("t2", "B", "A")]
    three = [Teacher("t3", "C", "D"), Teacher("t4", "D", "E"), Teacher("t5", "E", "C")]
    outcome = lab.solve([THREE_WAY, MUTUAL], *pairs, *three)
    assert outcome.exchanges.rows() == [
        (1, "three-way", 3, ["t3", "t4", "t5"]),
        (2, "mutual", 2, ["t1", "t2"]),
    ]
    assert outcome.assignments["exchange"].to_list() == [2, 2, 1, 1, 1]


@pytest.mark.parametrize("size", terms.EXCHANGE_SIZES)
def test_all_sizes(lab: Lab, size: int) -> None:
    letters = "ABCDEFGHIJ"[:size]
    schools = {letter: f"{number:02}" for number, letter in enumerate(letters)}
    ring = [
        Teacher(f"t{number}", letter, letters[(number + 1) % size])
        for number, letter in enumerate(letters)
    ]
    for tried in terms.EXCHANGE_SIZES:
        stage = Stage("ring", "exchange", tried)
        outcome = lab.solve([stage], *ring, schools=schools)
        assert len(places(outcome)) == (size if tried == size else 0)


# ---- The tables


def test_tables_have_a_row_for_everybody(lab: Lab) -> None:
    outcome = lab.solve([MUTUAL], Teacher("é", "A", "B"), Teacher("Z", "B"))
    assert outcome.assignments.rows() == [
        ("Z", None, None, "B", "g", None),
        ("é", None, None, "A", "g", None),
    ]
    assert dict(outcome.assignments.schema) == dict(ASSIGNMENT_SCHEMA)
    assert dict(outcome.exchanges.schema) == dict(EXCHANGE_SCHEMA)


def test_a_round_without_teachers(lab: Lab) -> None:
    outcome = lab.solve([ONE_WAY, MUTUAL], seats={"Ag": 1})
    assert outcome.assignments.height == outcome.exchanges.height == 0


def test_the_round_and_its_digests_stay(lab: Lab) -> None:
    round_ = lab.round_(*CHAIN, seats={"Bg": 1})
    again = Round.read(lab.folder)
    outcome = reference.solve(round_, rules_of(REOPEN), seed=5)
    assert outcome.digests == again.digests
    assert outcome.seed == 5
    assert_frame_equal(round_.teachers, again.teachers)
    assert_frame_equal(round_.vacancies, again.vacancies)
