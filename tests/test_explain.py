"""Each reason in both languages, and every stated reason recomputed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from small_rounds import (
    EXCHANGES,
    ONE_WAY,
    Teacher,
    edited,
    exchanges_of,
    random_round,
    random_rules,
    read_round,
    rows_of,
    rules_of,
)

from jiepin.core import Outcome, Round, Rules, Stage, errors, solve
from jiepin.core.explain import Explanation, Reason, Why, WishExplained, explain

N_ROUNDS = 100

Seat = tuple[str, str]  # school, subject


class Told:
    """A round, its outcome, and what is told of each teacher."""

    def __init__(self, round_: Round, rules: Rules, seed: int = 0) -> None:
        self.round_ = round_
        self.outcome = solve(round_, rules, seed)

    def of(self, teacher_id: str) -> Explanation:
        return explain(self.round_, self.outcome, teacher_id)

    def reason(self, teacher_id: str, stage: int = 0) -> Reason:
        return self.of(teacher_id).wishes[0].reasons[stage]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Told]:
    """Return a maker: rules, schools, teachers, seats."""

    def make(
        rules: Rules,
        schools: dict[str, str],
        teachers: list[Teacher],
        seats: dict[str, int] | None = None,
    ) -> Told:
        return Told(read_round(tmp_path, schools, teachers, seats), rules)

    return make


PRIORITY = Stage("indigenous", "one-way", applicants="indigenous", schools="remote")


def test_not_in_group(told: Callable[..., Told]) -> None:
    schools, people = {"A": "01", "B": "02 remote"}, [Teacher("T1", "A", "B")]
    reason = told(rules_of(PRIORITY), schools, people).reason("T1")
    assert (reason.why, reason.word) == (Why.NOT_IN_GROUP, "indigenous")
    assert reason.text("zh") == (
        "原民調：本階段僅限「具原住民族身分並申請優先辦理」之申請教師，您不在其中。"
    )
    assert reason.text("en") == (
        "indigenous: only for applicants of the group “indigenous, applied for "
        "priority”, to which you do not belong."
    )


def test_school_not_tagged(told: Callable[..., Told]) -> None:
    people = [Teacher("T1", "A", "B", groups="indigenous")]
    reason = told(rules_of(PRIORITY), {"A": "01", "B": "02"}, people).reason("T1")
    assert (reason.why, reason.word) == (Why.SCHOOL_NOT_TAGGED, "remote")
    assert reason.text("zh") == "原民調：本階段僅辦理註記「偏遠」之學校，該校不在其中。"
    assert reason.text("en") == (
        "indigenous: only for schools marked “remote”, which this one is not."
    )


def test_swap_only_schools(told: Callable[..., Told]) -> None:
    schools = {"A": "01 swap-only", "B": "02", "C": "03 swap-only"}
    people = [Teacher("T1", "A", "B"), Teacher("T2", "B", "C")]
    case = told(rules_of(ONE_WAY), schools, people, {"Bg": 1, "Cg": 1})
    home, wished = case.reason("T1"), case.reason("T2")
    assert home.why is Why.HOME_SWAP_ONLY
    assert home.text("zh") == "單調：您現任學校僅參加互調（含多角調），不參加本階段。"
    assert home.text("en") == "one-way: your school takes part in exchanges only."
    assert wished.why is Why.SCHOOL_SWAP_ONLY
    assert wished.text("zh") == "單調：該校僅參加互調（含多角調），不參加本階段。"
    assert wished.text("en") == (
        "one-way: the wished school takes part in exchanges only."
    )


def test_no_open_seat(told: Callable[..., Told]) -> None:
    schools = {"A": "01", "B": "02"}
    reason = told(rules_of(ONE_WAY), schools, [Teacher("T1", "A", "B")]).reason("T1")
    assert reason == Reason((ONE_WAY,), Why.NO_OPEN_SEAT)
    assert reason.text("zh") == "單調：沒有缺額。"
    assert reason.text("en") == "one-way: there was no open seat."


def test_fewer_points(told: Callable[..., Told]) -> None:
    people = [
        Teacher("T1", "A", "B", 60),
        Teacher("T2", "A", "B", 70),
        Teacher("T3", "A", "B", 80),
    ]
    case = told(rules_of(ONE_WAY), {"A": "01", "B": "02"}, people, {"Bg": 2})
    reason = case.reason("T1")
    assert reason.why is Why.FEWER_POINTS
    assert (reason.seats, reason.cut_off, reason.points) == (2, 7000, 6000)
    assert reason.text("zh") == (
        "單調：缺額 2 名由積分較高者調入；最低調入積分 70，您的積分 60。"
    )
    assert reason.text("en") == (
        "one-way: the open seats (2) went to applicants with more points; the lowest "
        "who got one had 70, you had 60."
    )


@pytest.mark.parametrize(
    ("first", "second", "key", "zh", "en"),
    [
        (("5", ""), ("4", ""), "service_years", "服務年資", "years of service"),
        (
            ("5", "1980-01-01"),
            ("5", "1980-01-02"),
            "birth_date",
            "出生日期",
            "date of birth",
        ),
        (("", ""), ("", ""), "teacher_id", "教師編號", "teacher id"),
    ],
)
def test_behind_on_tie(
    told: Callable[..., Told],
    first: tuple[str, str],
    second: tuple[str, str],
    key: str,
    zh: str,
    en: str,
) -> None:
    people = [
        Teacher("T1", "A", "B", years=first[0], born=first[1]),
        Teacher("T2", "A", "B", years=second[0], born=second[1]),
    ]
    rules = rules_of(ONE_WAY, tie_break=("service_years", "birth_date"))
    case = told(rules, {"A": "01", "B": "02"}, people, {"Bg": 1})
    reason = case.reason("T2")
    assert (reason.why, reason.word) == (Why.BEHIND_ON_TIE, key)
    assert reason.text("zh") == (
        "單調：缺額 1 名由積分較高或同分比序在前者調入；"
        f"最低調入積分與您同為 50，依「{zh}」比序您在後。"
    )
    assert reason.text("en") == (
        "one-way: the open seats (1) went to applicants with more points or ahead on "
        f"equal points; the lowest who got one had 50 like you and came first by {en}."
    )


def test_behind_by_lot(told: Callable[..., Told]) -> None:
    people = [Teacher("T1", "A", "B"), Teacher("T2", "A", "B")]
    case = told(rules_of(ONE_WAY), {"A": "01", "B": "02"}, people, {"Bg": 1})
    (stayed,) = [t for t in ("T1", "T2") if case.of(t).result is None]
    assert case.reason(stayed).word == "lottery"
    assert "依「抽籤」比序" in case.reason(stayed).text("zh")


def test_passes_of_reopen(told: Callable[..., Told]) -> None:
    stage = Stage("remote", "one-way", reopen=True)
    schools = {"A": "01", "B": "02", "C": "03", "X": "04"}
    people = [
        Teacher("T1", "A", "X"),
        Teacher("T2", "B", "A", 60),
        Teacher("T3", "B", "A", 40),
        Teacher("T4", "C", "B", 40),
    ]
    case = told(rules_of(stage), schools, people, {"Xg": 1})
    reasons = case.of("T3").wishes[0].reasons
    assert [(r.why, r.passes) for r in reasons] == [
        (Why.NO_OPEN_SEAT, (1, 1)),
        (Why.FEWER_POINTS, (2, 2)),
        (Why.NO_OPEN_SEAT, (3, 4)),
    ]
    assert reasons[1].text("zh").startswith("偏遠調（第 2 輪）：缺額 1 名")
    assert reasons[2].text("zh") == "偏遠調（第 3 至 4 輪）：沒有缺額。"
    assert reasons[1].text("en").startswith("remote (pass 2): the open seats (1)")
    assert reasons[2].text("en") == "remote (passes 3 to 4): there was no open seat."


def test_reasons_stop_at_the_pass_of_the_move(told: Callable[..., Told]) -> None:
    stage = Stage("remote", "one-way", reopen=True)
    schools = {"A": "01", "B": "02", "X": "03"}
    people = [Teacher("T1", "A", "BX", 40), Teacher("T2", "B", "X", 60)]
    case = told(rules_of(stage), schools, people, {"Xg": 2})
    (wish,) = case.of("T1").wishes
    assert [(r.why, r.passes) for r in wish.reasons] == [(Why.NO_OPEN_SEAT, (1, 1))]


SIZES = rules_of(EXCHANGES[2], EXCHANGES[3])


def test_nobody_to_swap_and_no_exchange(told: Callable[..., Told]) -> None:
    schools = {"A": "01", "B": "02", "C": "03"}
    people = [Teacher("T1", "A", "BC"), Teacher("T2", "B"), Teacher("T3", "C", "B")]
    first, second = told(SIZES, schools, people).of("T1").wishes
    stages = (EXCHANGES[2], EXCHANGES[3])
    assert first.reasons == (Reason(stages, Why.NOBODY_TO_SWAP),)
    assert first.reasons[0].text("zh") == (
        "互調、三角調：該校該科(類)別沒有尚未調動且填有志願的教師。"
    )
    assert first.reasons[0].text("en") == (
        "mutual, three-way: nobody who had not moved yet and wished to leave was "
        "sitting there."
    )
    assert second.reasons == (Reason(stages, Why.NO_EXCHANGE),)
    assert second.reasons[0].text("zh") == (
        "互調、三角調：沒有任何組合能由該校該科(類)別調回您的現職。"
    )
    assert second.reasons[0].text("en") == (
        "mutual, three-way: no exchange of the allowed size led from there back to "
        "your position."
    )


def test_exchange_gone(told: Callable[..., Told]) -> None:
    schools = {"A": "01", "B": "02", "C": "03"}
    people = [
        Teacher("T1", "A", "C", 90),
        Teacher("T2", "C", "A", 80),
        Teacher("T3", "A", "B", 70),
        Teacher("T4", "B", "A", 60),
        Teacher("T5", "A", "B", 50),
    ]
    reason = told(SIZES, schools, people).reason("T5")
    assert reason == Reason((EXCHANGES[2],), Why.EXCHANGE_GONE, exchange=2)
    assert reason.text("zh") == (
        "互調：原有可行的組合，但其中教師已隨第 2 案調動，此後再無其他組合。"
    )
    assert reason.text("en") == (
        "mutual: an exchange was possible until exchange number 2 used a member."
    )


def test_lower_claim(told: Callable[..., Told]) -> None:
    schools = {"A": "01", "B": "02", "C": "03"}
    people = [
        Teacher("T1", "A", "BC", {"02": 60, "03": 80}),
        Teacher("T2", "B", "A", 40),
        Teacher("T3", "C", "A", 40),
    ]
    reason = told(SIZES, schools, people).reason("T1")
    assert reason.why is Why.LOWER_CLAIM
    assert (reason.points, reason.cut_off, reason.exchange) == (6000, 8000, 1)
    assert reason.text("zh") == (
        "互調：此志願以積分 60 計；您以積分 80 的志願發起第 1 案時，尚未輪到此志願。"
    )
    assert reason.text("en") == (
        "mutual: this wish counts with 60 points; its turn had not come when you "
        "initiated exchange number 1 with 80 points."
    )


def test_taken_before_turn(told: Callable[..., Told]) -> None:
    schools = {"A": "01", "B": "02", "C": "03"}
    people = [
        Teacher("T1", "A", "BC", 60),
        Teacher("T2", "B", "A", 40),
        Teacher("T3", "C", "A", 90),
    ]
    reason = told(SIZES, schools, people).reason("T1")
    assert reason.why is Why.TAKEN_BEFORE_TURN
    assert (reason.points, reason.exchange) == (6000, 1)
    assert reason.text("zh") == (
        "互調：輪到此志願（積分 60）之前，積分較高或同分比序在前者已發起第 1 案，"
        "您隨之調動。"
    )
    assert reason.text("en") == (
        "mutual: before the turn of this wish (60 points) came, somebody with more "
        "points, or ahead on equal points, took you into exchange number 1."
    )


def test_already_moved(told: Callable[..., Told]) -> None:
    rules = rules_of(ONE_WAY, EXCHANGES[2], Stage("last", "exchange", 3))
    schools = {"A": "01", "B": "02", "C": "03"}
    case = told(rules, schools, [Teacher("T1", "A", "BC")], {"Cg": 1})
    (wish,) = case.of("T1").wishes
    assert [r.why for r in wish.reasons] == [Why.NO_OPEN_SEAT, Why.ALREADY_MOVED]
    assert wish.reasons[1].text("zh") == ("互調、last（三角調）：您已調動，不再參加。")
    assert wish.reasons[1].text("en") == (
        "mutual, last (three-way): you had moved and took no further part."
    )


def test_an_unlawful_outcome_is_not_explained_away(told: Callable[..., Told]) -> None:
    rules = rules_of(ONE_WAY, EXCHANGES[2])
    schools = {"A": "01", "B": "02"}
    people = [Teacher("T1", "A", "B", 60), Teacher("T2", "B", "A", 50)]
    case = told(rules, schools, people)
    rows = [
        {**row, "stage": None, "exchange": None, "school": at, "choice": None}
        for row, at in zip(rows_of(case.outcome), "AB", strict=True)
    ]
    case.outcome = edited(case.outcome, rows, [])
    assert case.reason("T1", 1).why is Why.NOT_BY_THE_RULES
    assert case.reason("T1", 1).text("zh") == (
        "互調：結果與規則不符，請以 jiepin verify 檢查。"
    )
    assert case.reason("T1", 1).text("en") == (
        "mutual: the result does not follow the rules here; run jiepin verify."
    )
    rows[0].update(stage="one-way", school="B", choice=1)
    case.outcome = edited(case.outcome, rows, [])
    assert case.reason("T2", 0).why is Why.NOT_BY_THE_RULES


def test_an_exchange_whose_initiator_has_no_move(told: Callable[..., Told]) -> None:
    schools = {"A": "01", "B": "02", "C": "03"}
    people = [
        Teacher("T1", "A", "BC", 60),
        Teacher("T2", "B", "A", 40),
        Teacher("T3", "C", "A", 90),
    ]
    case = told(rules_of(EXCHANGES[2]), schools, people)
    rows = rows_of(case.outcome)
    rows[2].update(stage=None, exchange=None, school="C", choice=None)
    case.outcome = edited(case.outcome, rows, exchanges_of(case.outcome))
    assert case.reason("T1").why is Why.NOT_BY_THE_RULES


def test_first_choice_no_wishes_and_the_head(told: Callable[..., Told]) -> None:
    rules = rules_of(ONE_WAY, EXCHANGES[2])
    schools = {"A": "01", "B": "02", "C": "03"}
    people = [
        Teacher("T1", "A", "B"),
        Teacher("T2", "B", "A"),
        Teacher("T3", "B", "C"),
        Teacher("T4", "C"),
    ]
    case = told(rules, schools, people, {"Cg": 1})
    assert case.of("T1").text().splitlines() == [
        "教師 T1 於互調第 1 案達成介聘：由 01 A校（A）g科（g） "
        "調至第 1 志願 02 B校（B）g科（g）。",
        "沒有更前面的志願。",
    ]
    assert case.of("T1").text("en").splitlines() == [
        "Teacher T1 moved in stage mutual, exchange number 1: from 01 A校 (A), g科 (g) "
        "to choice 1, 02 B校 (B), g科 (g).",
        "Nothing better was listed.",
    ]
    assert case.of("T3").text().startswith("教師 T3 於單調達成介聘：")
    assert case.of("T3").text("en").startswith("Teacher T3 moved in stage one-way: ")
    assert case.of("T4").text().splitlines() == [
        "教師 T4 未達成介聘，留任 03 C校（C）g科（g）。",
        "未填志願。",
    ]
    assert case.of("T4").text("en") == (
        "Teacher T4 did not move and stays at 03 C校 (C), g科 (g).\n"
        "No wishes were listed."
    )


def test_unknown_teacher(told: Callable[..., Told]) -> None:
    case = told(rules_of(ONE_WAY), {"A": "01"}, [Teacher("T1", "A")])
    with pytest.raises(errors.UnknownTeacher, match="'T9' is no teacher_id"):
        case.of("T9")


def test_teacher_without_a_row(told: Callable[..., Told]) -> None:
    case = told(rules_of(ONE_WAY), {"A": "01"}, [Teacher("T1", "A")])
    ghost = {**rows_of(case.outcome)[0], "teacher_id": "ghost"}
    case.outcome = edited(case.outcome, [ghost])
    with pytest.raises(errors.BadResult, match="no row for 'T1'"):
        case.of("T1")


# every stated reason, recomputed from the tables


@dataclass(frozen=True)
class Person:
    home: Seat
    wishes: tuple[Seat, ...]
    points: dict[Seat, int]
    groups: list[str]
    ties: dict[str, Any]  # tie key -> value, the smaller comes first


Pass = tuple[dict[Seat, int], dict[Seat, list[str]]]  # seats before, who is kept


class World:
    """The same round read off its tables once more, slowly and on its own."""

    def __init__(self, round_: Round, outcome: Outcome) -> None:
        schools = round_.schools.to_dicts()
        self.county = {row["school"]: row["county"] for row in schools}
        self.tags = {row["school"]: row["tags"] for row in schools}
        self.best = outcome.rules.priority == "best"
        self.keys, self.seed = outcome.rules.tie_break, outcome.seed
        self.people = {
            row["teacher_id"]: self.person(row) for row in round_.teachers.to_dicts()
        }
        self.rows = {row["teacher_id"]: row for row in rows_of(outcome)}
        self.made = exchanges_of(outcome)
        self.stages = outcome.rules.stages
        self.seats: dict[Seat, int] = {
            (row["school"], row["subject"]): row["seats"]
            for row in round_.vacancies.to_dicts()
        }

    def person(self, row: dict[str, Any]) -> Person:
        subjects = row["subjects"]
        wishes = tuple((school, s) for school in row["choices"] for s in subjects)
        by_county = dict(zip(row["counties"], row["points"], strict=True))
        points = {seat: by_county[self.county[seat[0]]] for seat in wishes}
        if self.best and points:
            points = dict.fromkeys(points, max(points.values()))
        home = row["school"], row["subject"]
        return Person(home, wishes, points, row["groups"], self.ties(row))

    def ties(self, row: dict[str, Any]) -> dict[str, Any]:
        ticket = f"{self.seed}:{row['teacher_id']}".encode()
        values = {
            "service_years": -(row["service_years"] or 0),
            "birth_date": str(row["birth_date"] or "never"),
            "lottery": hashlib.blake2b(ticket, digest_size=8).hexdigest(),
            "teacher_id": row["teacher_id"],
        }
        return {key: values[key] for key in (*self.keys, "teacher_id")}

    def rank(self, teacher: str, seat: Seat) -> tuple[Any, ...]:
        person = self.people[teacher]
        return (-person.points[seat], *person.ties.values())

    def stage_of(self, teacher: str) -> int:
        names = [stage.name for stage in self.stages]
        stage = self.rows[teacher]["stage"]
        return len(names) if stage is None else names.index(stage)

    def seat_of(self, teacher: str) -> Seat:
        return self.rows[teacher]["school"], self.rows[teacher]["subject"]

    def open_seats(self, stage: int, seat: Seat) -> int:
        """Return the open seats at the start of a stage."""
        n_open = self.seats.get(seat, 0)
        for teacher, person in self.people.items():
            moved = self.stage_of(teacher)
            if moved < stage and self.stages[moved].kind == "one-way":
                n_open -= self.seat_of(teacher) == seat
                n_open += self.stages[moved].reopen and person.home == seat
        return n_open

    def passes(self, stage: int) -> list[Pass]:
        """Run a one-way stage: everybody unplaced proposes at once, again and again."""
        rule = self.stages[stage]
        asking = {
            teacher
            for teacher in self.unmoved(stage)
            if "swap-only" not in self.tags[self.people[teacher].home[0]]
            and rule.applicants in (None, *self.people[teacher].groups)
        }
        seats = {
            (school, subject): self.open_seats(stage, (school, subject))
            for school, tags in self.tags.items()
            for subject in "gmx"
            if "swap-only" not in tags and rule.schools in (None, *tags)
        }
        passes: list[Pass] = []
        while not passes or (rule.reopen and any(passes[-1][1].values())):
            kept = self.one_pass(asking, seats)
            passes.append((dict(seats), kept))
            for seat, teachers in kept.items():
                for teacher in teachers:
                    asking.remove(teacher)
                    seats[seat] -= 1
                    if self.people[teacher].home in seats:
                        seats[self.people[teacher].home] += 1
        return passes

    def one_pass(
        self, asking: Set[str], seats: dict[Seat, int]
    ) -> dict[Seat, list[str]]:
        """Return who is kept at each position, the best first."""
        lists = {
            teacher: [seat for seat in self.people[teacher].wishes if seats.get(seat)]
            for teacher in sorted(asking)
        }
        while True:
            held: dict[Seat, list[str]] = {}
            for teacher, wishes in lists.items():
                if wishes:
                    held.setdefault(wishes[0], []).append(teacher)
            refused = []
            for seat, teachers in held.items():
                teachers.sort(key=lambda teacher: self.rank(teacher, seat))
                refused += teachers[seats[seat] :]
            if not refused:
                return held
            for teacher in refused:
                lists[teacher].pop(0)

    def unmoved(self, stage: int, exchange: int = 0) -> set[str]:
        """Return who has not moved before a stage, nor by the exchanges up to one."""
        gone = {
            teacher
            for row in self.made
            if row["exchange"] <= exchange
            for teacher in row["teachers"]
        }
        return {t for t in self.people if self.stage_of(t) >= stage} - gone

    def closes(
        self, there: Set[str], size: int, start: Seat, at: Seat, path: tuple[Seat, ...]
    ) -> bool:
        """Tell whether those `there` can bring one from `at` to `start` in `size`."""
        for teacher in sorted(there):
            if self.people[teacher].home != at:
                continue
            for wish in self.people[teacher].wishes:
                if size == 1 and wish == start:
                    return True
                if (
                    size > 1
                    and wish not in (*path, start)
                    and self.closes(there, size - 1, start, wish, (*path, wish))
                ):
                    return True
        return False

    def exchange_by(self, teacher: str, wish: Seat, there: Set[str], size: int) -> bool:
        """Tell whether an exchange exists in which a teacher moves by a wish."""
        assert teacher in there
        home = self.people[teacher].home
        return wish != home and self.closes(there, size - 1, home, wish, (wish,))


def by_stage(told: WishExplained, outcome: Outcome) -> Iterator[tuple[int, Reason]]:
    """Yield the number of the stage and the reason, for every stage of a wish."""
    number = {stage.name: n for n, stage in enumerate(outcome.rules.stages)}
    for reason in told.reasons:
        for stage in reason.stages:
            yield number[stage.name], reason


def is_true(world: World, teacher: str, wish: Seat, stage: int, reason: Reason) -> bool:
    person, rule, why = world.people[teacher], world.stages[stage], reason.why
    if why is Why.NOT_IN_GROUP:
        return rule.applicants == reason.word and reason.word not in person.groups
    if why is Why.SCHOOL_NOT_TAGGED:
        return rule.schools == reason.word and reason.word not in world.tags[wish[0]]
    if why is Why.HOME_SWAP_ONLY:
        return "swap-only" in world.tags[person.home[0]]
    if why is Why.SCHOOL_SWAP_ONLY:
        return "swap-only" in world.tags[wish[0]]
    if why is Why.ALREADY_MOVED:
        return world.stage_of(teacher) < stage
    if rule.kind == "one-way":
        first, last = reason.passes or (1, 1)
        return rule.reopen == (reason.passes is not None) and all(
            pass_is_true(world, teacher, wish, one, reason)
            for one in world.passes(stage)[first - 1 : last]
        )
    return exchange_is_true(world, teacher, wish, stage, reason)


def pass_is_true(
    world: World, teacher: str, wish: Seat, one: Pass, reason: Reason
) -> bool:
    seats, kept = one[0].get(wish, 0), one[1].get(wish, [])
    if reason.why is Why.NO_OPEN_SEAT:
        return seats == 0
    last, own = world.people[kept[-1]], world.people[teacher]
    told = reason.seats, reason.cut_off, reason.points
    if told != (len(kept), last.points[wish], own.points[wish]) or seats != len(kept):
        return False
    if reason.why is Why.FEWER_POINTS:
        return last.points[wish] > own.points[wish]
    differing = next(key for key in own.ties if own.ties[key] != last.ties[key])
    return (
        reason.why is Why.BEHIND_ON_TIE
        and last.points[wish] == own.points[wish]
        and reason.word == differing
        and last.ties[differing] < own.ties[differing]
    )


def exchange_is_true(
    world: World, teacher: str, wish: Seat, stage: int, reason: Reason
) -> bool:
    size, why, number = world.stages[stage].size, reason.why, reason.exchange or 0

    def open_after(exchange: int) -> bool:
        there = world.unmoved(stage, exchange)
        return teacher in there and world.exchange_by(teacher, wish, there, size)

    if why in (Why.NO_EXCHANGE, Why.NOBODY_TO_SWAP):
        leaving = [
            t
            for t in world.unmoved(stage)
            if world.people[t].home == wish and world.people[t].wishes
        ]
        return bool(leaving) == (why is Why.NO_EXCHANGE) and not open_after(0)
    row = world.made[number - 1]
    if row["stage"] != world.stages[stage].name or not open_after(number - 1):
        return False
    if why is Why.EXCHANGE_GONE:
        return teacher not in row["teachers"] and not open_after(number)
    own = world.people[teacher].points[wish]
    lead = row["teachers"][0]
    used = world.people[lead].points[world.seat_of(lead)]
    if why is Why.LOWER_CLAIM:
        return lead == teacher and (own, used) == (reason.points, reason.cut_off)
    return (
        why is Why.TAKEN_BEFORE_TURN
        and lead != teacher
        and teacher in row["teachers"]
        and own == reason.points
        and used >= own
    )


@pytest.mark.parametrize("seed", range(N_ROUNDS))
def test_every_reason_is_true(tmp_path: Path, seed: int) -> None:
    round_ = random_round(tmp_path, seed)
    outcome = solve(round_, random_rules(seed), seed=seed)
    world = World(round_, outcome)
    for teacher, person in list(world.people.items())[seed % 3 :: 3]:
        explanation = explain(round_, outcome, teacher)
        reached = world.seat_of(teacher)
        better = (
            person.wishes[: person.wishes.index(reached)]
            if reached in person.wishes
            else person.wishes
        )
        told = [(wish.place.school, wish.place.subject) for wish in explanation.wishes]
        assert told == list(better)
        for wish, seat in zip(explanation.wishes, better, strict=True):
            stages: list[int] = []
            for stage, reason in by_stage(wish, outcome):
                assert is_true(world, teacher, seat, stage, reason), (teacher, reason)
                stages.append(stage)
            assert list(dict.fromkeys(stages)) == list(range(len(world.stages)))
        for text in (explanation.text("zh"), explanation.text("en")):
            assert not [t for t in world.people if t != teacher and t in text]
            assert "{" not in text


def test_the_sweep_meets_every_reason(tmp_path: Path) -> None:
    seen: set[Why] = set()
    for seed in range(30):
        round_ = random_round(tmp_path / str(seed), seed)
        outcome = solve(round_, random_rules(seed), seed=seed)
        for teacher in round_.teachers["teacher_id"].to_list()[::2]:
            for wish in explain(round_, outcome, teacher).wishes:
                seen.update(reason.why for reason in wish.reasons)
    assert set(Why) - seen == {Why.NOT_BY_THE_RULES}


def test_neighbours_are_joined_and_nothing_else(told: Callable[..., Told]) -> None:
    case = told(SIZES, {"A": "01", "B": "02"}, [Teacher("T1", "A", "B")])
    (reason,) = case.of("T1").wishes[0].reasons
    apart = [replace(reason, stages=(stage,)) for stage in reason.stages]
    assert [r.text("en").split(":")[0] for r in apart] == ["mutual", "three-way"]
