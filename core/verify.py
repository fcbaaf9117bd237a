"""Is an outcome lawful? Held against the rules alone, in plain Python.

A result of another mechanism is held against what that one promises.

The moves are followed stage by stage as the outcome tells them. Before each stage the
standing is that of the outcome, so one false move is named where it happened and does
not make everything after it look false.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from jiepin.core import errors, promises, terms
from jiepin.core import violations as v
from jiepin.core.options import Options
from jiepin.core.outcome import COUNTED, Outcome
from jiepin.core.plain import (
    Claim,
    ExchangeGraph,
    Key,
    Place,
    PlainRound,
    Standing,
    StepLimitError,
    one_way_passes,
)
from jiepin.core.promises import Unproved
from jiepin.core.round import Round
from jiepin.core.rules import Limits, Stage
from jiepin.core.violations import Violation

MOST_WISHES = 3_000_000  # of the teachers not yet moved, for exchanges to be replayed
MOST_STEPS = 500_000_000  # of the searches of one stage; some minutes
_REPORT_EVERY = 100  # claims
_ANY_SIZE = 0  # of the exchanges of a stage that stands for another mechanism

Advance = Callable[[str, int, int], None]  # stage name, claims done, claims in all


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A check that was left out because the round is too large for it."""

    stage: str
    applicants: int  # who had not moved before the stage
    done: int  # their claims that were replayed

    def text(self, lang: str) -> str:
        """Return what was left out, in Chinese ("zh") or English ("en")."""
        label = terms.stage_label(self.stage)
        if lang == "zh":
            return (
                f"{label.zh}：規模過大（尚有 {self.applicants:,} 人），僅重算前 "
                f"{self.done:,} 組志願；其餘未檢查是否漏案、是否為依序最先之案。"
            )
        return (
            f"Stage {label.en}: too large ({self.applicants:,} applicants left), only "
            f"the first {self.done:,} claims were replayed; whether others should have "
            "made an exchange, or another one, was not checked."
        )

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.text('zh')} {self.text('en')}"


@dataclass(frozen=True)
class Verification:
    """What was found: the first hundred violations of each class, and how many of each.

    `unchecked` lists what was left out; when it is empty, an outcome without a
    violation is the one that the rules give, move for move.
    """

    violations: tuple[Violation, ...]
    counts: Mapping[str, int]  # class name -> violations of that class
    unchecked: tuple[Unchecked | Unproved, ...]

    @property
    def lawful(self) -> bool:
        """Tell whether nothing was found."""
        return not self.violations

    @property
    def n_violations(self) -> int:
        """Return how many violations there are, those not listed included."""
        return sum(self.counts.values())

    def lines(self) -> Iterator[str]:
        """Yield the report: violations, how many more there are, what was left out."""
        yield from map(str, self.violations)
        for name, count in self.counts.items():
            if count > errors.MAX_SHOWN:
                more = count - errors.MAX_SHOWN
                yield f"{name}: … 另有 {more} 筆。 … and {more} more."
        yield from map(str, self.unchecked)


def verify(
    round_: Round,
    outcome: Outcome,
    most_wishes: int | None = MOST_WISHES,
    most_steps: int | None = MOST_STEPS,
    report: Advance | None = None,
) -> Verification:
    """Hold an outcome against the rules and name every departure from them.

    Whatever the tables of the outcome say, the answer is a report. Exchanges are not
    replayed in a stage that begins with more than `most_wishes` wishes, and no further
    than `most_steps` steps of search; the report says so. None lifts a limit.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> verify(round_, outcome).lawful
    True
    >>> from dataclasses import replace
    >>> late = replace(outcome, assignments=outcome.assignments.head(2))
    >>> sorted(verify(round_, late).counts)
    ['MembersDisagree', 'RowMissing', 'SeatCountMismatch']
    """
    found = _Findings()
    _check_digests(round_.digests, outcome.digests, found)
    _check_summary(outcome, found)
    _check_limits(round_, outcome.rules.limits, found)
    plain = PlainRound.of(round_, outcome.rules, outcome.seed)
    limits = (most_wishes, most_steps)
    unchecked: Sequence[Unchecked | Unproved]
    if outcome.mechanism != terms.STAGED:
        unchecked = _check_promises(round_, outcome, plain, found, limits)
    else:
        stages = outcome.rules.stages
        record = _Rows(plain, stages, found).read(outcome.assignments)
        made = _Exchanges(plain, stages, record, found).read(outcome.exchanges)
        replay = _Replay(plain, record, made, found, limits, report)
        replay.run()
        unchecked = replay.unchecked
    return Verification(tuple(found.shown), dict(found.counts), tuple(unchecked))


def _check_promises(
    round_: Round,
    outcome: Outcome,
    plain: PlainRound,
    found: _Findings,
    limits: promises.Limits,
) -> Sequence[Unproved]:
    """Check rows and exchanges, and if these are right what the mechanism promises."""
    if outcome.mechanism not in terms.MECHANISMS:
        found.add(v.UnknownMechanism(outcome.mechanism))
        return ()
    before = found.counts.total()
    stages = (Stage(outcome.mechanism, terms.EXCHANGE, size=_ANY_SIZE),)
    record = _Rows(plain, stages, found).read(outcome.assignments)
    made = _Exchanges(plain, stages, record, found).read(outcome.exchanges)
    if found.counts.total() > before:
        return ()
    homes = enumerate(plain.homes)
    moves = record.moves[outcome.mechanism]
    plan = promises.Plan(
        plain=plain,
        mechanism=outcome.mechanism,
        after=[moves.get(applicant, home) for applicant, home in homes],
        exchanges={
            number: exchange.members for number, exchange in enumerate(made, start=1)
        },
        home_points=_home_points(round_),
        options=outcome.options or Options(),
        bound=outcome.bound,
        add=found.add,
    )
    return promises.check(plan, limits)


def _home_points(round_: Round) -> list[int | None]:
    teachers = round_.teachers.sort("teacher_id")
    if "home_points" not in teachers.columns:
        return [None] * teachers.height
    return teachers["home_points"].to_list()


@dataclass
class _Findings:
    """The violations so far: the first hundred of a class are kept, all are counted."""

    shown: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, violation: Violation) -> None:
        name = type(violation).__name__
        self.counts[name] += 1
        if self.counts[name] <= errors.MAX_SHOWN:
            self.shown.append(violation)


def _check_digests(
    now: Mapping[str, str], then: Mapping[str, str], found: _Findings
) -> None:
    for file in sorted({*now, *then}):
        if file not in now:
            found.add(v.InputMissing(file))
        elif file not in then:
            found.add(v.InputExtra(file))
        elif now[file] != then[file]:
            found.add(v.InputChanged(file))


def _check_summary(outcome: Outcome, found: _Findings) -> None:
    """Hold what the summary tells against the tables and the mechanism."""
    best = outcome.mechanism == terms.OPTIMUM
    if (outcome.bound is not None) != best:
        stated = "a number" if best else None
        found.add(v.SummaryDisagrees("bound", _json(outcome.bound), _json(stated)))
    if outcome.options is not None and not best:
        options = _json(outcome.options.to_dict())
        found.add(v.SummaryDisagrees("options", options, None))
    if outcome.told is None:
        return
    counted = outcome.counted()
    for entry in COUNTED:
        told, expected = outcome.told.get(entry), counted.get(entry)
        if _json(told) != _json(expected):
            found.add(v.SummaryDisagrees(entry, _json(told), _json(expected)))


def _json(value: object) -> str | None:
    """Return a value as the summary writes it; None for an entry that is not there."""
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _check_limits(round_: Round, limits: Limits, found: _Findings) -> None:
    teachers = round_.teachers.sort("teacher_id")
    for column, most in (
        ("counties", limits.counties),
        ("subjects", limits.subjects),
        ("choices", limits.choices),
    ):
        if most > 0:
            over = teachers.filter(pl.col(column).list.len() > most)
            for teacher in over["teacher_id"].to_list():
                found.add(v.LimitExceeded(teacher, f"{column} ≤ {most}"))
    if not limits.home_county:
        county_of = dict(round_.schools.select("school", "county").iter_rows())
        for teacher, school, counties in teachers.select(
            "teacher_id", "school", "counties"
        ).iter_rows():
            if county_of[school] in counties:
                found.add(v.LimitExceeded(teacher, "home_county = false"))


class _Row(NamedTuple):
    """A row of assignments.csv; empty cells are None."""

    teacher_id: str | None
    stage: str | None
    exchange: int | None
    school: str | None
    subject: str | None
    choice: int | None


@dataclass
class _Record:
    """What the outcome says, as far as it can be understood."""

    rows: dict[int, _Row] = field(default_factory=dict)  # applicant -> its first row
    moves: dict[str, dict[int, int]] = field(default_factory=dict)  # by stage name
    lawful_moves: set[int] = field(default_factory=set)  # to a wish, stage open to it

    def position_after(self, applicant: int, stage: str) -> int | None:
        return self.moves.get(stage, {}).get(applicant)


class _Rows:
    """Checks assignments.csv row by row."""

    def __init__(
        self, plain: PlainRound, stages: Sequence[Stage], found: _Findings
    ) -> None:
        self.plain = plain
        self.add = found.add
        self.record = _Record({}, {stage.name: {} for stage in stages})
        self.stages = {stage.name: stage for stage in stages}
        self.school_of = {s.code: n for n, s in enumerate(plain.schools)}
        self.subject_of = {s.code: n for n, s in enumerate(plain.subjects)}

    def read(self, assignments: pl.DataFrame) -> _Record:
        applicant_of = {teacher: i for i, teacher in enumerate(self.plain.ids)}
        rows = [_Row(*row) for row in assignments.select(_Row._fields).iter_rows()]
        self.check_order([row.teacher_id or "" for row in rows])
        for row in rows:
            applicant = applicant_of.get(row.teacher_id or "")
            if applicant is None:
                self.add(v.UnknownTeacherRow(row.teacher_id or ""))
            elif applicant in self.record.rows:
                self.check_second(self.record.rows[applicant], row)
            else:
                self.record.rows[applicant] = row
                self.check(applicant, row)
        for applicant, teacher in enumerate(self.plain.ids):
            if applicant not in self.record.rows:
                self.add(v.RowMissing(teacher))
        return self.record

    def check_order(self, teachers: Sequence[str]) -> None:
        for before, teacher in pairwise(teachers):
            if teacher < before:
                self.add(v.RowsOutOfOrder(teacher, before))
                return

    def check_second(self, first: _Row, second: _Row) -> None:
        teacher = first.teacher_id or ""
        self.add(v.RowTwice(teacher))
        if first.stage is not None and second.stage is not None:
            self.add(v.MovedTwice(teacher, first.stage, second.stage))

    def check(self, applicant: int, row: _Row) -> None:
        """Check one row and note its move."""
        teacher = self.plain.ids[applicant]
        position = self.position(row)
        if row.stage is None:
            self.check_unmoved(applicant, row, position)
        elif row.stage not in self.stages:
            self.add(v.UnknownStage(teacher, row.stage))
        elif position is None:
            self.add(v.NotAWish(teacher, self.found(row)))
        else:
            self.record.moves[row.stage][applicant] = position
            if self.is_wish(applicant, row, position) and self.is_open(
                applicant, row, position
            ):
                self.record.lawful_moves.add(applicant)

    def position(self, row: _Row) -> int | None:
        school = self.school_of.get(row.school or "")
        subject = self.subject_of.get(row.subject or "")
        if school is None or subject is None:
            return None
        return school * len(self.plain.subjects) + subject

    def found(self, row: _Row) -> Place:
        """Return where a row says its teacher is, known or not."""
        position = self.position(row)
        if position is not None:
            return self.plain.place(position)
        return Place("", row.school or "", "", row.subject or "", "")

    def check_unmoved(self, applicant: int, row: _Row, position: int | None) -> None:
        teacher, home = self.plain.ids[applicant], self.plain.homes[applicant]
        if position != home:
            self.add(v.NotAtHome(teacher, self.found(row), self.plain.place(home)))
        if row.choice is not None:
            self.add(v.WrongChoice(teacher, row.choice, None))

    def is_wish(self, applicant: int, row: _Row, position: int) -> bool:
        plain, teacher = self.plain, self.plain.ids[applicant]
        school, subject = divmod(position, len(plain.subjects))
        if school not in plain.choices[applicant] or position == plain.homes[applicant]:
            self.add(v.NotAWish(teacher, self.found(row)))
            return False
        if subject not in plain.applied[applicant]:
            self.add(v.WrongSubject(teacher, self.found(row)))
            return False
        choice = plain.choice(applicant, position)
        if row.choice != choice:
            self.add(v.WrongChoice(teacher, row.choice, choice))
        return True

    def is_open(self, applicant: int, row: _Row, position: int) -> bool:
        """Tell whether a one-way stage is open to applicant and position."""
        plain, stage = self.plain, self.stages[row.stage or ""]
        if stage.kind != terms.ONE_WAY:
            return True
        teacher, home = plain.ids[applicant], plain.homes[applicant]
        broken: list[Violation] = [
            v.SwapOnlySchool(teacher, stage.name, plain.place(place))
            for place in (home, position)
            if plain.swap_only(place)
        ]
        group, tag = stage.applicants, stage.schools
        if group is not None and group not in plain.groups[applicant]:
            broken.append(v.NotInGroup(teacher, stage.name, group))
        if tag is not None and tag not in plain.school_at(position).tags:
            place = plain.place(position)
            broken.append(v.SchoolNotTagged(teacher, stage.name, place, tag))
        for violation in broken:
            self.add(violation)
        return not broken


class _Exchange(NamedTuple):
    """An exchange in which everything fits together, its first claim first."""

    number: int | None
    stage: int  # number of the stage
    members: tuple[int, ...]
    key: Key  # of the initiating claim
    points: int


class _Exchanges:
    """Checks exchanges.csv against assignments.csv."""

    def __init__(
        self,
        plain: PlainRound,
        stages: Sequence[Stage],
        record: _Record,
        found: _Findings,
    ) -> None:
        self.plain = plain
        self.record = record
        self.found = found
        self.add = found.add
        self.stages = {
            stage.name: (number, stage)
            for number, stage in enumerate(stages)
            if stage.kind == terms.EXCHANGE
        }
        self.in_turn = all(stage.size != _ANY_SIZE for _, stage in self.stages.values())
        self.applicant_of = {teacher: i for i, teacher in enumerate(plain.ids)}
        self.listed: dict[int, int | None] = {}  # applicant -> number of its exchange

    def read(self, exchanges: pl.DataFrame) -> list[_Exchange]:
        columns = ("exchange", "stage", "size", "teachers")
        whole: list[_Exchange] = []
        for expected, (number, stage, size, teachers) in enumerate(
            exchanges.select(columns).iter_rows(), start=1
        ):
            if number != expected:
                self.add(v.WrongNumber(number, expected))
            exchange = self.check(number, stage or "", size, teachers or [])
            if exchange is not None:
                whole.append(exchange)
        self.check_rows()
        if self.in_turn:
            self.check_order(whole)
        return whole

    def check(
        self,
        number: int | None,
        stage_name: str,
        size: int | None,
        teachers: Sequence[str | None],
    ) -> _Exchange | None:
        """Check one exchange; return it if nothing about it is wrong."""
        before = self.found.counts.total()
        stage = self.stages.get(stage_name, (0, None))[1]
        if stage is None:
            self.add(v.UnknownExchangeStage(number, stage_name))
        else:
            n = len(teachers)
            expected = stage.size or max(n, terms.EXCHANGE_SIZES[0])
            if not n == size == expected:
                self.add(v.WrongSize(number, stage_name, size, n, expected))
        members = [self.member(number, stage_name, name or "") for name in teachers]
        known = [applicant for applicant in members if applicant is not None]
        if len(known) == len(members):
            self.check_circle(number, stage_name, known)
        clean = self.found.counts.total() == before
        if not clean or not self.record.lawful_moves.issuperset(known):
            return None
        return self.whole(number, stage_name, known)

    def member(self, number: int | None, stage: str, teacher: str) -> int | None:
        """Return the applicant of a name after holding it against its row."""
        applicant = self.applicant_of.get(teacher)
        row = None if applicant is None else self.record.rows.get(applicant)
        if applicant is None or row is None:
            self.add(v.MembersDisagree(number, teacher))
            return None
        if applicant in self.listed:
            both = (self.listed[applicant], number)
            first, second = (f"exchanges.csv {entry or ''}".strip() for entry in both)
            self.add(v.MovedTwice(teacher, first, second))
        elif (row.stage, row.exchange) != (stage, number) or row.exchange is None:
            self.add(v.MembersDisagree(number, teacher))
        self.listed.setdefault(applicant, number)
        return applicant

    def check_circle(
        self, number: int | None, stage: str, members: Sequence[int]
    ) -> None:
        """Check that each moves to the home of the next, and that all homes differ."""
        ids, homes = self.plain.ids, self.plain.homes
        for member, following in zip(members, _rotated(members, 1), strict=True):
            if self.record.position_after(member, stage) != homes[following]:
                self.add(v.ChainBroken(number, ids[member], ids[following]))
        times = Counter(homes[member] for member in members)
        for home in sorted(times):
            if times[home] > 1:
                self.add(v.SameHome(number, self.plain.place(home)))

    def whole(
        self, number: int | None, stage: str, members: Sequence[int]
    ) -> _Exchange:
        """Return an exchange with the first of its claims leading."""
        moves = self.record.moves[stage]
        keys = [self.plain.key(member, moves[member]) for member in members]
        lead = keys.index(min(keys)) if self.in_turn else 0
        if lead:
            ids = self.plain.ids
            self.add(v.WrongInitiator(number, ids[members[0]], ids[members[lead]]))
        return _Exchange(
            number=number,
            stage=self.stages[stage][0],
            members=tuple(_rotated(members, lead)),
            key=keys[lead],
            points=-keys[lead][0],
        )

    def check_rows(self) -> None:
        """Check that every row with an exchange, or in such a stage, is listed."""
        for applicant, row in sorted(self.record.rows.items()):
            alone = not self.in_turn or row.stage not in self.stages
            if row.exchange is None and alone:
                continue
            listed = applicant in self.listed
            if not listed or row.exchange != self.listed[applicant]:
                self.add(v.MembersDisagree(row.exchange, self.plain.ids[applicant]))

    def check_order(self, whole: Sequence[_Exchange]) -> None:
        for before, exchange in pairwise(whole):
            if (exchange.stage, exchange.key) < (before.stage, before.key):
                self.add(v.OutOfOrder(exchange.number, before.number))


def _rotated(members: Sequence[int], by: int) -> list[int]:
    return [*members[by:], *members[:by]]


class _Replay:
    """Goes through the stages and holds the moves of each against the rules."""

    def __init__(
        self,
        plain: PlainRound,
        record: _Record,
        made: Sequence[_Exchange],
        found: _Findings,
        limits: tuple[int | None, int | None],
        report: Advance | None,
    ) -> None:
        self.plain = plain
        self.record = record
        self.made = made
        self.found = found
        self.add = found.add
        self.most_wishes, self.most_steps = limits
        self.report = report or _silent
        self.standing = Standing(plain)
        self.unchecked: list[Unchecked] = []
        self.graph: ExchangeGraph | None = None

    def run(self) -> None:
        for number, stage in enumerate(self.plain.rules.stages):
            moves = self.record.moves[stage.name]
            if stage.kind == terms.ONE_WAY:
                self.report(stage.name, 0, 1)
                self.check_one_way(stage, moves)
            else:
                self.check_exchanges(number, stage, moves)
            self.standing.close(stage, moves)
            if self.graph is not None:
                for applicant in moves:
                    self.graph.leave(applicant)

    def check_one_way(self, stage: Stage, moves: Mapping[int, int]) -> None:
        passes = one_way_passes(self.standing, stage)
        expected = {i: position for one in passes for i, position in one.moves.items()}
        if moves == expected:
            return
        before = self.found.counts.total()
        self.check_seats(stage, moves)
        if not stage.reopen:  # between passes a seat may rightly go to fewer points
            for violation in self.blocking_pairs(stage, moves):
                self.add(violation)
        if self.found.counts.total() == before:
            self.name_differences(stage, moves, expected)

    def check_seats(self, stage: Stage, moves: Mapping[int, int]) -> None:
        seats = Counter(self.standing.seats)
        if stage.reopen:
            seats.update(self.plain.homes[applicant] for applicant in moves)
        taken = Counter(moves.values())
        for position in sorted(taken):
            n_open = max(0, seats[position])
            if taken[position] > n_open:
                place = self.plain.place(position)
                n_taken = taken[position]
                self.add(v.SeatOverFilled(stage.name, place, n_taken, n_open))

    def blocking_pairs(
        self, stage: Stage, moves: Mapping[int, int]
    ) -> Iterator[Violation]:
        """Yield for each applicant the first wish that it should have had instead."""
        plain, last, free = self.plain, self.last_kept(moves), self.seats_left(moves)
        offered = {
            p
            for p in free
            if plain.is_offered(p, stage) and self.standing.seats.get(p, 0) > 0
        }
        for i in self.standing.applicants():
            if not plain.takes_part(i, stage):
                continue
            ended = moves.get(i, plain.homes[i])
            for wished in plain.wishes(i):
                if wished == ended:
                    break
                if wished not in offered:
                    continue
                where = (plain.place(wished), plain.place(ended))
                if free[wished] > 0:
                    yield v.OpenSeatRefused(stage.name, plain.ids[i], *where, None)
                    break
                behind = last.get(wished)
                if behind is not None and plain.key(i, wished) < behind[0]:
                    instead = plain.ids[behind[1]]
                    yield v.BlockingPair(stage.name, plain.ids[i], *where, instead)
                    break

    def last_kept(self, moves: Mapping[int, int]) -> dict[int, tuple[Key, int]]:
        """Return for each position the worst of those who moved there by a wish."""
        last: dict[int, tuple[Key, int]] = {}
        for i, position in sorted(moves.items()):
            if i in self.record.lawful_moves:
                kept = (self.plain.key(i, position), i)
                last[position] = max(last.get(position, kept), kept)
        return last

    def seats_left(self, moves: Mapping[int, int]) -> dict[int, int]:
        taken = Counter(moves.values())
        return {p: n - taken[p] for p, n in self.standing.seats.items()}

    def name_differences(
        self, stage: Stage, moves: Mapping[int, int], expected: Mapping[int, int]
    ) -> None:
        plain = self.plain
        for i in sorted({*moves, *expected}):
            home = plain.homes[i]
            said, right = moves.get(i, home), expected.get(i, home)
            if said != right:
                where = (plain.place(said), plain.place(right))
                self.add(v.NotDeferredAcceptance(stage.name, plain.ids[i], *where))

    def check_exchanges(
        self, number: int, stage: Stage, moves: Mapping[int, int]
    ) -> None:
        self.check_counts(stage, moves)
        made = {
            (exchange.members[0], exchange.points): exchange
            for exchange in self.made
            if exchange.stage == number
        }
        graph = self.graph_now()
        if graph is None:
            self.leave_out(stage, 0)
            return
        circled = {i for exchange in made.values() for i in exchange.members}
        for applicant in sorted(moves.keys() - circled):
            graph.leave(applicant)  # when it left cannot be told
        _StageReplay(self, graph, stage, made).run()

    def check_counts(self, stage: Stage, moves: Mapping[int, int]) -> None:
        came = Counter(moves.values())
        left = Counter(self.plain.homes[applicant] for applicant in moves)
        for position in sorted({*came, *left}):
            if came[position] != left[position]:
                place = self.plain.place(position)
                self.add(
                    v.SeatCountMismatch(
                        stage.name, place, came[position], left[position]
                    )
                )

    def leave_out(self, stage: Stage, done: int) -> None:
        n_applicants = len(self.standing.applicants())
        self.unchecked.append(Unchecked(stage.name, n_applicants, done))

    def graph_now(self) -> ExchangeGraph | None:
        """Return the graph of those not yet moved, None where it would be too large."""
        if self.graph is None:
            staying = self.standing.applicants()
            n_wishes = sum(map(self.plain.n_wishes, staying))
            if self.most_wishes is None or n_wishes <= self.most_wishes:
                self.graph = ExchangeGraph(self.plain, staying, self.most_steps)
        return self.graph


class _StageReplay:
    """Gives every claim its turn, with the exchanges that the outcome made."""

    def __init__(
        self,
        replay: _Replay,
        graph: ExchangeGraph,
        stage: Stage,
        made: Mapping[tuple[int, int], _Exchange],
    ) -> None:
        self.replay = replay
        self.graph = graph
        self.stage = stage
        self.made = made
        self.passed: list[tuple[Claim, tuple[int, ...]]] = []

    def run(self) -> None:
        claims = [c for c in self.graph.claims if self.graph.holds(c.applicant)]
        self.graph.steps = 0
        for done, claim in enumerate(claims):
            if done % _REPORT_EVERY == 0:
                self.replay.report(self.stage.name, done, len(claims))
            try:
                self.turn(claim)
            except StepLimitError:
                self.replay.leave_out(self.stage, done)
                break
        self.name_passed()

    def turn(self, claim: Claim) -> None:
        if not self.graph.holds(claim.applicant):
            return
        first = self.graph.first(claim, self.stage.size)
        exchange = self.made.get((claim.applicant, claim.points))
        if exchange is None:
            if first is not None:
                self.passed.append((claim, first))
            return
        if first is not None and first != exchange.members:
            made, expected = self.names(exchange.members), self.names(first)
            self.replay.add(
                v.NotFirstExchange(exchange.number, self.stage.name, made, expected)
            )
        for member in exchange.members:
            self.graph.leave(member)

    def name_passed(self) -> None:
        """Name each exchange that was passed over once, not once per member."""
        named: set[tuple[int, ...]] = set()
        for claim, first in self.passed:
            still = self.still_open(claim)
            kind = v.ExchangePassedOver if still is None else v.ExchangeLeftUndone
            members = still or first
            circle = tuple(sorted(members))
            if circle not in named:
                named.add(circle)
                teacher = self.replay.plain.ids[claim.applicant]
                points = terms.points_text(claim.points)
                names = self.names(members)
                self.replay.add(kind(self.stage.name, teacher, points, names))

    def still_open(self, claim: Claim) -> tuple[int, ...] | None:
        """Return the exchange that a claim may still make after the stage."""
        if not self.graph.holds(claim.applicant):
            return None
        try:
            return self.graph.first(claim, self.stage.size)
        except StepLimitError:
            return None

    def names(self, members: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.replay.plain.ids[member] for member in members)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
