"""The engine against the reference on drawn rounds, and the theorems of the rules.

JIEPIN_EXAMPLES sets how many whole results are compared (2,000; without the JIT 300);
each theorem gets a tenth of that, those on files a fortieth. What happened how often
is told by `pytest tests/test_properties.py --hypothesis-show-statistics`.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import networkx as nx
import numba
import polars as pl
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from strategies import (
    GAPLESS_STAGES,
    Case,
    Draft,
    cases,
    cases_and_second_drafts,
    rule_sets,
)

from jiepin.core import Outcome, Round, Stage, reference, solve, terms
from jiepin.core.mechanisms import exchange_stage
from jiepin.core.reference import Applicant, Position, Step, Wish

DEFAULT = 300 if numba.config.DISABLE_JIT else 2000
EXAMPLES = int(os.environ.get("JIEPIN_EXAMPLES", DEFAULT))
ENOUGH = 1500  # results compared, for every kind of move to be among them
UNHURRIED = settings(  # the first example may compile, and the machine may be busy
    deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
WHOLE = settings(UNHURRIED, max_examples=EXAMPLES)
THEOREM = settings(UNHURRIED, max_examples=max(1, EXAMPLES // 10))
BY_FILES = settings(UNHURRIED, max_examples=max(1, EXAMPLES // 40))
THREADS = st.sampled_from((1, 2, 4))
LONGEST_CIRCLE = 5  # listing all longer circles of wishes takes too long


def assert_same(found: Outcome, expected: Outcome) -> None:
    """Compare all that was decided."""
    assert_frame_equal(found.assignments, expected.assignments)
    assert_frame_equal(found.exchanges, expected.exchanges)


def solved(case: Case, threads: int = 1) -> Outcome:
    return solve(case.round_, case.rules, case.seed, threads)


# ---- The whole result


SEEN: Counter[str] = Counter()  # in how many results each kind of move was compared


@WHOLE
@given(cases(), THREADS)
def test_engine_equals_reference(case: Case, threads: int) -> None:
    found = solved(case, threads)
    expected = reference.solve(case.round_, case.rules, case.seed)
    assert_same(found, expected)
    SEEN["results"] += 1
    for kind in kinds_of_moves(expected):
        SEEN[kind] += 1
        event(kind)


def test_moves_of_every_kind_were_compared() -> None:
    """A comparison in which no five people ever exchange would say nothing of it."""
    if SEEN["results"] < ENOUGH:
        pytest.skip(f"{SEEN['results']} results compared, {ENOUGH} would tell")
    kinds = {f"exchange of {size}" for size in (2, 3, 4, 5)}
    kinds |= {"one-way", "one-way, filter", "one-way, reopen"}
    assert not kinds - SEEN.keys(), SEEN


# As few claims at once as one, as many as there are; lists made anew seldom or always;
# scouts far ahead or close by; one block or many.
BATCHES = st.fixed_dictionaries(
    {
        "SMALLEST": st.sampled_from((1, 2, 3, 1024)),
        "SHARE": st.sampled_from((1, 4, 1 << 20)),
        "SHRUNK": st.sampled_from((0.01, 0.5, 0.75, 1.0)),
        "LEAD": st.sampled_from((1, 2, 3, 32)),
        "FEW": st.sampled_from((0, 5, 1 << 15)),
        "SMALLEST_BLOCK": st.sampled_from((1, 4, 1 << 13)),
    }
)


@WHOLE
@given(cases(), THREADS, BATCHES)
def test_batches_and_threads_do_not_matter(
    case: Case, threads: int, sizes: dict[str, float]
) -> None:
    with mock.patch.multiple(exchange_stage, **sizes):
        found = solved(case, threads)
    assert_same(found, reference.solve(case.round_, case.rules, case.seed))


def kinds_of_moves(outcome: Outcome) -> Iterator[str]:
    """Name what happened: which kinds of stages moved somebody."""
    moved = outcome.moved_per_stage()
    for size in outcome.exchanges["size"].unique().sort().to_list():
        yield f"exchange of {size}"
    for stage in outcome.rules.stages:
        if stage.kind == terms.ONE_WAY and moved[stage.name]:
            filtered = stage.applicants is not None or stage.schools is not None
            yield f"one-way{', filter' * filtered}{', reopen' * stage.reopen}"
    if not outcome.moves.height:
        yield "nobody moves"


# ---- The theorems


@dataclass(frozen=True)
class Played:
    """One stage of an outcome: how things stood before it, and who moved in it."""

    stage: Stage
    unmoved: Mapping[str, Applicant]  # by teacher_id
    seats: Mapping[Position, int]
    movers: tuple[Step, ...]

    @property
    def arrivals(self) -> Counter[Position]:
        return Counter(step.wish.position for step in self.movers)

    @property
    def departures(self) -> Counter[Position]:
        return Counter(step.applicant.home for step in self.movers)

    @property
    def seats_after(self) -> dict[Position, int]:
        seats = Counter(self.seats)
        if self.stage.kind == terms.ONE_WAY:
            seats.subtract(self.arrivals)
            seats.update(self.departures if self.stage.reopen else {})
        return dict(seats)

    def came_to(self, position: Position) -> list[Step]:
        return [step for step in self.movers if step.wish.position == position]

    @property
    def left_over(self) -> dict[str, Applicant]:
        moved = {step.applicant.teacher_id for step in self.movers}
        return {key: who for key, who in self.unmoved.items() if key not in moved}


def played(case: Case, outcome: Outcome) -> list[Played]:
    """Return the stages of an outcome, one after the other."""
    round_ = case.round_
    everyone = reference.applicants_of(round_, case.rules, case.seed)
    unmoved = {applicant.teacher_id: applicant for applicant in everyone}
    seats: Mapping[Position, int] = reference.open_seats_of(round_)
    stages = []
    for stage in case.rules.stages:
        moves = outcome.moves.filter(stage=stage.name)
        rows = moves.select("teacher_id", "school", "subject").iter_rows()
        movers = tuple(
            Step(unmoved[key], wish_for(unmoved[key], Position(*place)))
            for key, *place in rows
        )
        stages.append(Played(stage, unmoved, seats, movers))
        unmoved, seats = stages[-1].left_over, stages[-1].seats_after
    return stages


def wish_for(applicant: Applicant, position: Position) -> Wish:
    """Return the one wish of an applicant for a position."""
    (wish,) = (wish for wish in applicant.wishes if wish.position == position)
    return wish


@THEOREM
@given(cases())
def test_everybody_moves_by_a_wish_or_stays(case: Case) -> None:
    outcome = solved(case)
    everyone = reference.applicants_of(case.round_, case.rules, case.seed)
    rows = outcome.assignments.rows(named=True)
    assert len(rows) == len(everyone)
    for row, applicant in zip(rows, everyone, strict=True):
        place = Position(row["school"], row["subject"])
        assert row["teacher_id"] == applicant.teacher_id
        if row["stage"] is None:
            assert place == applicant.home
            assert row["exchange"] is row["choice"] is None
        else:
            assert place != applicant.home
            assert row["choice"] == wish_for(applicant, place).choice


@THEOREM
@given(cases())
def test_each_seat_is_held_once(case: Case) -> None:
    for part in played(case, solved(case)):
        if part.stage.kind == terms.EXCHANGE:
            assert part.arrivals == part.departures
        assert all(seats >= 0 for seats in part.seats_after.values())


@THEOREM
@given(cases())
def test_one_way_moves_keep_to_filters(case: Case) -> None:
    tags = {school.code: school.tags for school in case.draft.schools}
    for part in one_way_parts(case):
        group, tag = part.stage.applicants, part.stage.schools
        for applicant, wish in part.movers:
            assert group is None or group in applicant.groups
            assert tag is None or tag in tags[wish.position.school]
            assert terms.SWAP_ONLY not in tags[applicant.home.school]
            assert terms.SWAP_ONLY not in tags[wish.position.school]


def one_way_parts(case: Case) -> Iterator[Played]:
    stages = played(case, solved(case))
    return (part for part in stages if part.stage.kind == terms.ONE_WAY)


@THEOREM
@given(cases())
def test_no_blocking_pair(case: Case) -> None:
    """Whoever did not get a wish lost every seat there to somebody better.

    With `reopen` that is true of the seats that were open before the first pass, and
    for those who stay of all seats and all who came.
    """
    tags = {school.code: school.tags for school in case.draft.schools}
    for part in one_way_parts(case):
        stays = part.left_over
        for applicant in proposers(part, tags):
            for wish in missed(part, applicant, tags):
                seats = part.seats.get(wish.position, 0)
                came = [
                    step for step in part.movers if step.wish.position == wish.position
                ]
                better = [step for step in came if beats(step, Step(applicant, wish))]
                assert len(better) >= seats
                if applicant.teacher_id in stays or not part.stage.reopen:
                    assert part.seats_after.get(wish.position, 0) == 0
                    assert better == came


def proposers(part: Played, tags: Mapping[str, tuple[str, ...]]) -> list[Applicant]:
    group = part.stage.applicants
    return [
        applicant
        for applicant in part.unmoved.values()
        if terms.SWAP_ONLY not in tags[applicant.home.school]
        and (group is None or group in applicant.groups)
    ]


def missed(
    part: Played, applicant: Applicant, tags: Mapping[str, tuple[str, ...]]
) -> Iterator[Wish]:
    """Yield the wishes that were offered and are better than what was got."""
    got = [step.wish for step in part.movers if step.applicant is applicant]
    for wish in applicant.wishes:
        if wish in got:
            return
        there = tags[wish.position.school]
        tag = part.stage.schools
        if terms.SWAP_ONLY not in there and (tag is None or tag in there):
            yield wish


def beats(one: Step, other: Step) -> bool:
    return (-one.wish.points, one.applicant.tie) < (
        -other.wish.points,
        other.applicant.tie,
    )


@THEOREM
@given(cases())
def test_exchanges_are_rings_of_strangers(case: Case) -> None:
    outcome = solved(case)
    steps = {
        step.applicant.teacher_id: step
        for part in played(case, outcome)
        for step in part.movers
    }
    number_of = dict(outcome.assignments.select("teacher_id", "exchange").iter_rows())
    sizes = {stage.name: stage.size for stage in case.rules.stages}
    for number, row in enumerate(outcome.exchanges.rows(named=True), start=1):
        ring = [steps[teacher_id] for teacher_id in row["teachers"]]
        homes = [step.applicant.home for step in ring]
        assert row["exchange"] == number
        assert row["size"] == sizes[row["stage"]] == len(ring) == len(set(homes))
        assert [step.wish.position for step in ring] == homes[1:] + homes[:1]
        assert [number_of[key] for key in row["teachers"]] == [number] * len(ring)


@THEOREM
@given(cases())
def test_the_highest_points_initiate(case: Case) -> None:
    outcome = solved(case)
    for part in played(case, outcome):
        steps = {step.applicant.teacher_id: step for step in part.movers}
        made = outcome.exchanges.filter(stage=part.stage.name)
        first = [steps[teachers[0]] for teachers in made["teachers"].to_list()]
        assert all(beats(one, other) for one, other in pairwise(first))


@THEOREM
@given(cases(rule_sets(GAPLESS_STAGES)))
def test_no_shorter_exchange_is_left_in_a_gapless_run(case: Case) -> None:
    for part in played(case, solved(case)):
        if part.stage.kind == terms.EXCHANGE:
            assert not circles(part.left_over.values(), part.stage.size)


@THEOREM
@given(cases())
def test_no_exchange_of_a_size_that_ran_is_left(case: Case) -> None:
    stages = played(case, solved(case))
    sizes = {part.stage.size for part in stages if part.stage.kind == terms.EXCHANGE}
    left = circles(stages[-1].left_over.values(), LONGEST_CIRCLE)
    assert not [circle for circle in left if len(circle) in sizes]


def circles(applicants: Iterable[Applicant], longest: int) -> list[list[Position]]:
    """Return the circles of wishes among those who have not moved."""
    graph = nx.DiGraph(
        (applicant.home, wish.position)
        for applicant in applicants
        for wish in applicant.wishes
    )
    return list(nx.simple_cycles(graph, length_bound=longest))


# ---- Other names, other orders, other company


SAME: Mapping[str, str] = MappingProxyType({})  # every name stays


def renamed(
    draft: Draft,
    teachers: Mapping[str, str] = SAME,
    schools: Mapping[str, str] = SAME,
    subjects: Mapping[str, str] = SAME,
    counties: Mapping[str, str] = SAME,
) -> Draft:
    """Return a round with other names; a name that is not given stays."""
    teacher, school, subject, county = (
        partial(new_name, names) for names in (teachers, schools, subjects, counties)
    )
    return Draft(
        schools=tuple(
            replace(row, code=school(row.code), county=county(row.county))
            for row in draft.schools
        ),
        subjects=tuple((subject(code), level) for code, level in draft.subjects),
        seats=tuple(
            ((school(place[0]), subject(place[1])), seats)
            for place, seats in draft.seats
        ),
        teachers=tuple(
            replace(
                row,
                teacher_id=teacher(row.teacher_id),
                school=school(row.school),
                subjects=tuple(map(subject, row.subjects)),
                points=tuple((county(code), points) for code, points in row.points),
                choices=tuple(map(school, row.choices)),
            )
            for row in draft.teachers
        ),
    )


def new_name(names: Mapping[str, str], name: str) -> str:
    return names.get(name, name)


def renamed_outcome(
    outcome: Outcome,
    teachers: Mapping[str, str] = SAME,
    schools: Mapping[str, str] = SAME,
    subjects: Mapping[str, str] = SAME,
) -> Outcome:
    """Return an outcome with other names, its rows in the order of the new ids."""
    assignments = outcome.assignments.with_columns(
        pl.col("teacher_id").replace(teachers),
        pl.col("school").replace(schools),
        pl.col("subject").replace(subjects),
    )
    exchanges = outcome.exchanges.with_columns(
        pl.col("teachers").list.eval(pl.element().replace(teachers))
    )
    return replace(
        outcome, assignments=assignments.sort("teacher_id"), exchanges=exchanges
    )


def shuffled(data: st.DataObject, names: Iterable[str]) -> dict[str, str]:
    """Draw which of some names each of them is called from now on."""
    old = sorted(set(names))
    return dict(zip(old, data.draw(st.permutations(old)), strict=True))


def by_rules(case: Case, **settings: Any) -> Case:
    return replace(case, rules=replace(case.rules, **settings))


@THEOREM
@given(cases(), st.data())
def test_places_may_be_called_otherwise(case: Case, data: st.DataObject) -> None:
    schools = shuffled(data, (school.code for school in case.draft.schools))
    counties = shuffled(data, (school.county for school in case.draft.schools))
    subjects = shuffled(data, (code for code, _ in case.draft.subjects))
    other = renamed(case.draft, schools=schools, subjects=subjects, counties=counties)
    assert_same(
        solved(replace(case, draft=other)),
        renamed_outcome(solved(case), schools=schools, subjects=subjects),
    )


@THEOREM
@given(cases())
def test_teachers_may_be_called_otherwise_in_the_same_order(case: Case) -> None:
    """Without the lottery, whose lots are drawn by id."""
    keys = tuple(key for key in case.rules.tie_break if key != terms.LOTTERY)
    case = by_rules(case, tie_break=keys)
    ids = sorted(teacher.teacher_id for teacher in case.draft.teachers)
    teachers = {old: f"{number:02}" for number, old in enumerate(ids)}
    assert_same(
        solved(replace(case, draft=renamed(case.draft, teachers=teachers))),
        renamed_outcome(solved(case), teachers=teachers),
    )


@THEOREM
@given(cases(), st.data())
def test_teachers_may_be_called_anything_where_nobody_ties(
    case: Case, data: st.DataObject
) -> None:
    draft = replace(
        case.draft,
        teachers=tuple(
            replace(teacher, service_years=years)
            for years, teacher in enumerate(case.draft.teachers)
        ),
    )
    keys = (terms.SERVICE_YEARS, terms.LOTTERY)
    case = replace(by_rules(case, tie_break=keys), draft=draft)
    teachers = shuffled(data, (teacher.teacher_id for teacher in draft.teachers))
    assert_same(
        solved(replace(case, draft=renamed(draft, teachers=teachers))),
        renamed_outcome(solved(case), teachers=teachers),
    )


@THEOREM
@given(cases_and_second_drafts())
def test_two_markets_solved_together_are_the_union(
    drawn: tuple[Case, Draft],
) -> None:
    case, second = drawn
    parts = [marked(case.draft, "1"), marked(second, "2")]
    both = Draft(
        schools=parts[0].schools + parts[1].schools,
        subjects=tuple(dict.fromkeys(parts[0].subjects + parts[1].subjects)),
        seats=parts[0].seats + parts[1].seats,
        teachers=parts[0].teachers + parts[1].teachers,
    )
    together = solved(replace(case, draft=both))
    alone = [solved(replace(case, draft=part)) for part in parts]
    assert_frame_equal(
        together.assignments.drop("exchange"),
        pl.concat(outcome.assignments.drop("exchange") for outcome in alone).sort(
            "teacher_id"
        ),
    )
    for mark, outcome in zip("12", alone, strict=True):
        here = pl.col("teachers").list.first().str.ends_with(mark)
        assert_frame_equal(
            together.exchanges.filter(here).drop("exchange"),
            outcome.exchanges.drop("exchange"),
        )


def marked(draft: Draft, mark: str) -> Draft:
    """Return a draft whose teachers, schools and counties all end in a mark."""
    return renamed(
        draft,
        teachers={row.teacher_id: row.teacher_id + mark for row in draft.teachers},
        schools={row.code: row.code + mark for row in draft.schools},
        counties={row.county: row.county + mark for row in draft.schools},
    )


@THEOREM
@given(cases(), st.data())
def test_the_order_of_teachers_does_not_matter(case: Case, data: st.DataObject) -> None:
    teachers = data.draw(st.permutations(case.draft.teachers))
    other = replace(case.draft, teachers=tuple(teachers))
    assert_same(solved(replace(case, draft=other)), solved(case))


# ---- By way of files


@BY_FILES
@given(cases())
def test_drafts_are_what_reading_gives(case: Case) -> None:
    """So the rounds drawn here are lawful, and no frame differs from those read."""
    with tempfile.TemporaryDirectory() as folder:
        case.round_.write(Path(folder) / "round")
        read = Round.read(Path(folder) / "round", case.rules.limits)
    for name in ("schools", "subjects", "vacancies", "teachers"):
        assert_frame_equal(getattr(case.round_, name), getattr(read, name))


@BY_FILES
@given(cases(), st.data())
def test_the_order_of_lines_does_not_matter(case: Case, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "round"
        case.round_.write(path)
        for file in sorted(path.glob("*.csv")):
            header, *lines = file.read_text("utf-8").splitlines()
            lines = data.draw(st.permutations(lines))
            file.write_text("\n".join([header, *lines]) + "\n", "utf-8")
        found = solve(Round.read(path), case.rules, case.seed)
    assert_same(found, solved(case))
