"""Who falls when somebody drops out: worked by hand, and against all that is possible.

JIEPIN_EXAMPLES sets how many drawn rounds are tried, a fifth of it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numba
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from small_rounds import (
    EXCHANGES,
    ONE_WAY,
    REOPEN,
    Teacher,
    edited,
    exchanges_of,
    read_round,
    rows_of,
    rules_of,
)
from strategies import Case, cases, rule_sets

from jiepin.core import Outcome, Round, Stage, dependents, errors, solve, void
from jiepin.core.plain import PlainRound, Standing, one_way_passes

EXAMPLES = int(os.environ.get("JIEPIN_EXAMPLES", 1500))
MOST_MOVERS = 10  # of whom every set is tried
SCHOOLS = {code: f"0{n}" for n, code in enumerate("ABCDEF", start=1)}
UNHURRIED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    max_examples=max(1, EXAMPLES // (20 if numba.config.DISABLE_JIT else 5)),
)


def moved(outcome: Outcome) -> list[str]:
    return outcome.moves["teacher_id"].to_list()


def place(outcome: Outcome, teacher: str) -> str:
    (row,) = (row for row in rows_of(outcome) if row["teacher_id"] == teacher)
    return str(row["school"])


@pytest.fixture
def ring(tmp_path: Path) -> tuple[Round, Outcome]:
    """Five who move round in a circle, then a pair."""
    round_ = read_round(
        tmp_path / "round",
        SCHOOLS,
        [
            *(Teacher(f"T{n}", "ABCDE"[n], "BCDEA"[n], 90 - n) for n in range(5)),
            Teacher("U1", "A", "F", 20),
            Teacher("U2", "F", "A", 10),
        ],
    )
    rules = rules_of(EXCHANGES[5], EXCHANGES[2])
    return round_, solve(round_, rules)


def test_an_exchange_falls_with_any_member(ring: tuple[Round, Outcome]) -> None:
    round_, outcome = ring
    assert exchanges_of(outcome)[0]["teachers"] == ["T0", "T1", "T2", "T3", "T4"]
    assert dependents(round_, outcome, "T2") == ("T1", "T0", "T4", "T3")
    assert dependents(round_, outcome, "U1") == ("U2",)
    after = void(round_, outcome, ["T2"])
    assert moved(after) == ["U1", "U2"]
    assert exchanges_of(after) == [
        {"exchange": 2, "stage": "mutual", "size": 2, "teachers": ["U1", "U2"]}
    ]
    assert rows_of(after)[:2] == [
        {
            "teacher_id": f"T{n}",
            "stage": None,
            "exchange": None,
            "school": "AB"[n],
            "subject": "g",
            "choice": None,
        }
        for n in range(2)
    ]
    assert rows_of(after)[5:] == rows_of(outcome)[5:]


def test_an_extra_seat_keeps_the_others_moves(ring: tuple[Round, Outcome]) -> None:
    round_, outcome = ring
    after = void(round_, outcome, ["T2"], opened=["T2"])
    assert moved(after) == ["T0", "T1", "T3", "T4", "U1", "U2"]
    assert place(after, "T1") == place(after, "T2") == "C"
    assert_frame_equal(after.exchanges, outcome.exchanges)


def test_a_seat_opened_for_one_of_two(ring: tuple[Round, Outcome]) -> None:
    """T1 and T4 drop out; a seat at B keeps T0, without one at E T3 and T2 fall."""
    round_, outcome = ring
    after = void(round_, outcome, ["T4", "T1"], opened=["T1"])
    assert moved(after) == ["T0", "U1", "U2"]
    assert exchanges_of(after) == exchanges_of(outcome)
    assert place(after, "T0") == place(after, "T1") == "B"


def test_what_was_given_stays(ring: tuple[Round, Outcome]) -> None:
    round_, outcome = ring
    again = edited(outcome, rows_of(outcome), exchanges_of(outcome))
    void(round_, outcome, ["T2", "U1"], opened=["U1"])
    assert_frame_equal(outcome.assignments, again.assignments)
    assert_frame_equal(outcome.exchanges, again.exchanges)
    assert_frame_equal(void(round_, outcome, []).assignments, again.assignments)


def test_a_result_after_defaults_is_written_and_read(
    ring: tuple[Round, Outcome], tmp_path: Path
) -> None:
    round_, outcome = ring
    after = void(round_, outcome, ["T2"])
    after.write(tmp_path / "result")
    again = Outcome.read(tmp_path / "result")
    assert_frame_equal(again.assignments, after.assignments)
    assert_frame_equal(again.exchanges, after.exchanges)


@pytest.fixture
def chain(tmp_path: Path) -> Round:
    """A seat at C; T1 goes there from B, T2 from A to B, T3 from D to A."""
    return read_round(
        tmp_path / "round",
        SCHOOLS,
        [Teacher("T1", "B", "C"), Teacher("T2", "A", "B"), Teacher("T3", "D", "A")],
        {"Cg": 1},
    )


def test_whoever_took_a_seat_that_opened_again(chain: Round) -> None:
    outcome = solve(chain, rules_of(REOPEN))
    assert dependents(chain, outcome, "T1") == ("T2", "T3")
    assert dependents(chain, outcome, "T2") == ("T3",)
    assert dependents(chain, outcome, "T3") == ()
    assert moved(void(chain, outcome, ["T1"])) == []
    assert moved(void(chain, outcome, ["T1"], opened=["T1"])) == ["T2", "T3"]
    assert moved(void(chain, outcome, ["T1", "T2"], opened=["T2"])) == ["T3"]
    assert moved(void(chain, outcome, ["T1", "T2"], opened=["T1"])) == []


def test_nobody_depends_where_seats_stay_closed(chain: Round) -> None:
    outcome = solve(chain, rules_of(ONE_WAY))
    assert moved(outcome) == ["T1"]
    assert dependents(chain, outcome, "T1") == ()
    assert place(void(chain, outcome, ["T1"]), "T1") == "B"


def test_a_seat_left_in_one_stage_and_taken_in_a_later_one(tmp_path: Path) -> None:
    round_ = read_round(
        tmp_path / "round",
        {"A": "01 remote", "B": "02", "C": "03"},
        [Teacher("T1", "B", "A", groups="remote"), Teacher("T2", "C", "B")],
        {"Ag": 1},
    )
    first = Stage(
        "remote", "one-way", applicants="remote", schools="remote", reopen=True
    )
    outcome = solve(round_, rules_of(first, ONE_WAY))
    assert outcome.moved_per_stage() == {"remote": 1, "one-way": 1}
    assert dependents(round_, outcome, "T1") == ("T2",)


def test_of_several_the_last_to_come_falls(tmp_path: Path) -> None:
    """A has one seat and gets two more by T1 and T2; U1, U2 and U3 take all three.

    In the first pass U2 has the most points of those who ask; U1 has more than U3, so
    both come in the second pass, and U3 falls first although T1's seat came first.
    """
    round_ = read_round(
        tmp_path / "round",
        SCHOOLS,
        [
            Teacher("T1", "A", "B", 40),
            Teacher("T2", "A", "C", 40),
            Teacher("U1", "D", "A", 60),
            Teacher("U2", "E", "A", 70),
            Teacher("U3", "F", "A", 50),
        ],
        {"Ag": 1, "Bg": 1, "Cg": 1},
    )
    outcome = solve(round_, rules_of(REOPEN))
    assert len(moved(outcome)) == 5
    for teacher in ("T1", "T2"):
        assert dependents(round_, outcome, teacher) == ("U3",)
    assert moved(void(round_, outcome, ["T1", "T2"])) == ["U2"]
    assert moved(void(round_, outcome, ["T1", "T2"], opened=["T2"])) == ["U1", "U2"]
    # the seat that U2 does not take is there for U1
    assert moved(void(round_, outcome, ["T1", "T2", "U2"])) == ["U1"]
    assert dependents(round_, outcome, "U2") == ()


def test_a_later_stage_falls_before_fewer_points(tmp_path: Path) -> None:
    """U1 comes in the stage for a group with 10 points, U2 in the next with 90."""
    round_ = read_round(
        tmp_path / "round",
        SCHOOLS,
        [
            Teacher("T1", "A", "B", 40, groups="remote"),
            Teacher("U1", "D", "A", 10, groups="remote"),
            Teacher("U2", "E", "A", 90),
        ],
        {"Ag": 1, "Bg": 1},
    )
    first = Stage("remote", "one-way", applicants="remote", reopen=True)
    outcome = solve(round_, rules_of(first, ONE_WAY))
    assert outcome.moved_per_stage() == {"remote": 2, "one-way": 1}
    assert dependents(round_, outcome, "T1") == ("U2",)


def test_refusals(ring: tuple[Round, Outcome], chain: Round) -> None:
    round_, outcome = ring
    with pytest.raises(errors.UnknownTeacher, match="T9"):
        dependents(round_, outcome, "T9")
    with pytest.raises(errors.UnknownTeacher, match="T9"):
        void(round_, outcome, ["T1", "T9"])
    with pytest.raises(errors.BadArgument, match="opened for 'T3'"):
        void(round_, outcome, ["T1"], opened=["T3"])
    stays = solve(chain, rules_of(ONE_WAY))
    with pytest.raises(errors.BadArgument, match="'T2' did not move"):
        void(chain, stays, ["T2"])
    with pytest.raises(errors.BadResult, match="not those of the round"):
        void(round_, stays, ["T1"])


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "raffle"},
        {"school": "Z"},
        {"subject": "z"},
        {"school": "F"},  # not a wish
    ],
)
def test_a_result_of_something_else(chain: Round, change: dict[str, str]) -> None:
    outcome = solve(chain, rules_of(ONE_WAY))
    rows = rows_of(outcome)
    rows[0] |= change
    with pytest.raises(errors.BadResult, match="run jiepin verify"):
        dependents(chain, edited(outcome, rows), "T1")


# ---- Against everything that is possible


@dataclass(frozen=True)
class Move:
    """A move as the reference sees it; `turn` sorts those to one position."""

    teacher: str
    home: tuple[str, str]
    to: tuple[str, str]
    turn: tuple[int, ...]
    reopens: bool
    seat_of: str | None  # in an exchange: whose seat it leads to


def moves_of(round_: Round, outcome: Outcome) -> list[Move]:
    """Return the moves, with the passes of the one-way stages played again."""
    rules = outcome.rules
    plain = PlainRound.of(round_, rules, outcome.seed)
    standing = Standing(plain)
    homes = {
        teacher: (school, subject)
        for teacher, school, subject in round_.teachers[
            ["teacher_id", "school", "subject"]
        ].rows()
    }
    after = {row["teacher_id"]: row for row in rows_of(outcome)}
    next_of = {
        one: other
        for exchange in exchanges_of(outcome)
        for one, other in zip(
            exchange["teachers"],
            exchange["teachers"][1:] + exchange["teachers"][:1],
            strict=True,
        )
    }
    turns: dict[str, tuple[int, ...]] = {}
    for number, stage in enumerate(rules.stages):
        movers = {
            plain.ids.index(teacher): teacher
            for teacher, row in after.items()
            if row["stage"] == stage.name
        }
        moves = dict.fromkeys(movers, 0)
        if stage.kind == "one-way":
            moves = {}
            for n, one in enumerate(one_way_passes(standing, stage)):
                moves |= one.moves
                for i, position in one.moves.items():
                    turns[plain.ids[i]] = (number, n, *plain.key(i, position))
            assert moves.keys() == movers.keys()
        standing.close(stage, moves)
    reopens = {stage.name: stage.reopen for stage in rules.stages}
    return [
        Move(
            teacher,
            homes[teacher],
            (row["school"], row["subject"]),
            turns.get(teacher, ()),
            reopens[row["stage"]],
            next_of.get(teacher),
        )
        for teacher, row in after.items()
        if row["stage"] is not None
    ]


def can_stand(
    these: Collection[Move],
    moves: Sequence[Move],
    seats: dict[tuple[str, str], int],
    dropped: Collection[str],
    opened: Collection[str],
) -> bool:
    """Tell whether these moves can be made when no others are."""
    going = {move.teacher for move in these}
    if any(move.seat_of not in {None, *going, *opened} for move in these):
        return False
    for to in {move.to for move in these if move.seat_of is None}:
        came = sorted(
            (m for m in moves if m.to == to and m.seat_of is None), key=lambda m: m.turn
        )
        asking = [move.teacher for move in came if move.teacher not in dropped]
        taking = [teacher for teacher in asking if teacher in going]
        left = [
            move
            for move in moves
            if move.home == to
            and move.reopens
            and (move.teacher in going or move.teacher in opened)
        ]
        in_turn = taking == asking[: len(taking)]
        if not in_turn or len(taking) > seats.get(to, 0) + len(left):
            return False
    return True


def most_that_stands(
    round_: Round, outcome: Outcome, dropped: Collection[str], opened: Collection[str]
) -> set[str]:
    """Return all who are in any set of moves that can stand."""
    moves = moves_of(round_, outcome)
    seats = {(school, subject): n for school, subject, n in round_.vacancies.rows()}
    others = [move for move in moves if move.teacher not in dropped]
    standing: set[str] = set()
    for size in range(len(others), 0, -1):
        for these in combinations(others, size):
            names = {move.teacher for move in these}
            if not names <= standing and can_stand(
                these, moves, seats, dropped, opened
            ):
                standing |= names
    return standing


SEEN: Counter[str] = Counter()
REOPENING = st.lists(
    st.sampled_from((REOPEN, REOPEN, ONE_WAY, EXCHANGES[2], EXCHANGES[3])),
    min_size=1,
    max_size=4,
)


@st.composite
def defaults(draw: st.DrawFn) -> tuple[Case, Outcome, list[str], list[str]]:
    """Draw a case, some of those who moved, and for whom of them a seat is opened."""
    case = draw(cases(rule_sets(REOPENING)))
    outcome = solve(case.round_, case.rules, case.seed)
    moves = moves_of(case.round_, outcome)
    taken = {move.to for move in moves}
    movers = [m.teacher for m in moves if m.home in taken] or moved(outcome)
    if not movers:
        return case, outcome, [], []
    dropped = draw(
        st.lists(st.sampled_from(movers), unique=True, min_size=1, max_size=3)
    )
    opened = [teacher for teacher in dropped if draw(st.booleans())]
    return case, outcome, dropped, opened


@UNHURRIED
@given(defaults())
def test_void_equals_the_reference(
    drawn: tuple[Case, Outcome, list[str], list[str]],
) -> None:
    case, outcome, dropped, opened = drawn
    round_ = case.round_
    after = void(round_, outcome, dropped, opened)
    check_rows(round_, outcome, after)
    check_room(round_, after, opened)
    if len(moved(outcome)) <= MOST_MOVERS:
        expected = most_that_stands(round_, outcome, dropped, opened)
        assert set(moved(after)) == expected
    if len(dropped) == 1 and not opened:
        gone = {*dropped, *dependents(round_, outcome, dropped[0])}
        assert gone == set(moved(outcome)) - set(moved(after))
    SEEN.update(kinds(outcome, after, dropped, opened))


def check_rows(round_: Round, before: Outcome, after: Outcome) -> None:
    """Everybody has the row as it was, or stays at home."""
    homes = {
        teacher: (school, subject)
        for teacher, school, subject in round_.teachers[
            ["teacher_id", "school", "subject"]
        ].rows()
    }
    for old, new in zip(rows_of(before), rows_of(after), strict=True):
        if new != old:
            school, subject = homes[old["teacher_id"]]
            blank = dict.fromkeys(("stage", "exchange", "choice"))
            assert new == old | blank | {"school": school, "subject": subject}
    kept = {row["exchange"] for row in rows_of(after)} - {None}
    made = exchanges_of(before)
    assert exchanges_of(after) == [row for row in made if row["exchange"] in kept]


def check_room(round_: Round, after: Outcome, opened: Collection[str]) -> None:
    """Nowhere sit more people than there are seats."""
    homes = round_.teachers[["teacher_id", "school", "subject"]].rows()
    seats: Counter[tuple[str, str]] = Counter()
    for teacher, school, subject in homes:
        seats[school, subject] += 1 + (teacher in opened)
    for school, subject, n in round_.vacancies.rows():
        seats[school, subject] += n
    seats.subtract((row["school"], row["subject"]) for row in rows_of(after))
    assert min(seats.values(), default=0) >= 0


def kinds(
    before: Outcome, after: Outcome, dropped: list[str], opened: list[str]
) -> Iterator[str]:
    gone = set(moved(before)) - set(moved(after)) - set(dropped)
    rows = {row["teacher_id"]: row for row in rows_of(before)}
    yield "rounds"
    if any(rows[teacher]["exchange"] is None for teacher in gone):
        yield "one-way move that fell"
    if any(rows[teacher]["exchange"] is not None for teacher in gone):
        yield "exchange that fell"
    if opened and not gone:
        yield "seat that was opened"


def test_every_kind_was_compared() -> None:
    if SEEN["rounds"] < 250:
        pytest.skip(f"{SEEN['rounds']} rounds drawn, 250 would tell")
    named = ("one-way move that fell", "exchange that fell", "seat that was opened")
    assert all(SEEN[kind] for kind in named), SEEN
