"""Who falls when somebody who moved drops out (放棄、未報到、拒絕聘任).

A move stands as long as the seat that it leads to is there. An exchange gives each
member the seat of the next one; a one-way move takes a seat that was open at the start
or, with `reopen`, one that an earlier mover left. So everybody who stays at home after
all takes back one seat, and at most one other move falls for it, then one for that one,
and so on. Nobody is moved anew: a seat that falls free stays empty.

Source: 公立國民小學及國民中學教師介聘辦法 §11.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from jiepin.core import errors
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, ASSIGNMENTS, Outcome
from jiepin.core.plain import Key, PlainRound
from jiepin.core.round import Round

_Turn = tuple[int, Key]  # number of the stage, then who comes first in it


def dependents(round_: Round, outcome: Outcome, teacher: str) -> tuple[str, ...]:
    """Return whose moves fall with that of a teacher, the nearest first.

    That is when the county opens no extra seat. The round is needed because an outcome
    tells where people are afterwards, not which seats they left. Raises UnknownTeacher,
    BadArgument when the teacher did not move, BadResult when the outcome is not one of
    this round.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/reopen")
    >>> rules = Rules.load("fixtures/rounds/reopen/rules.toml")
    >>> dependents(round_, solve(round_, rules), "T1")
    ('T2', 'T4')
    """
    return tuple(_Seats(round_, outcome).falling([teacher], ()))


def void(
    round_: Round,
    outcome: Outcome,
    teachers: Iterable[str],
    opened: Iterable[str] = (),
) -> Outcome:
    """Return the outcome after some who moved have dropped out.

    teachers  all who dropped out since the run; give the outcome of the run itself
    opened    those of them at whose home position the county opens one extra seat: who
              would have had the seat that they now keep takes the extra one

    They and all whose moves fall stay at home. An exchange of which no move is left is
    gone; any other keeps its number and its members as made, and the assignments tell
    who of them stays. All else is as it was, and so is what was given. Raises
    UnknownTeacher, BadArgument for somebody who did not move and for a seat opened for
    somebody who did not drop out, BadResult when the outcome is not one of this round.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/reopen")
    >>> outcome = solve(round_, Rules.load("fixtures/rounds/reopen/rules.toml"))
    >>> void(round_, outcome, ["T1"]).moves["teacher_id"].to_list()
    []
    >>> void(round_, outcome, ["T1"], opened=["T1"]).moves["teacher_id"].to_list()
    ['T2', 'T4']
    """
    dropped, extra = sorted(set(teachers)), sorted(set(opened))
    for teacher in extra:
        if teacher not in dropped:
            raise errors.BadArgument(
                f"a seat opened for {teacher!r}, who is not among those who drop out; "
                "expected one of them"
            )
    staying = {*dropped, *_Seats(round_, outcome).falling(dropped, extra)}
    return _without(round_, outcome, staying)


def _without(round_: Round, outcome: Outcome, staying: Collection[str]) -> Outcome:
    """Return an outcome in which those who are staying sit at home."""
    homes = round_.teachers.select(
        "teacher_id",
        pl.col("school", "subject").cast(pl.String).name.prefix("home_"),
    )
    stays = pl.col("teacher_id").is_in(sorted(staying))
    blank = pl.when(~stays).then(pl.col("stage", "exchange", "choice"))
    assignments = outcome.assignments.join(
        homes, on="teacher_id", maintain_order="left"
    )
    assignments = assignments.with_columns(
        blank,
        *(
            pl.when(stays).then(f"home_{column}").otherwise(column).alias(column)
            for column in ("school", "subject")
        ),
    ).select(list(ASSIGNMENT_SCHEMA))
    standing = assignments["exchange"].drop_nulls().unique()
    exchanges = outcome.exchanges.filter(pl.col("exchange").is_in(standing.implode()))
    return replace(outcome, assignments=assignments, exchanges=exchanges)


class _Seats:
    """Which moves still stand, and which seats there are for them."""

    def __init__(self, round_: Round, outcome: Outcome) -> None:
        self.plain = PlainRound.of(round_, outcome.rules, outcome.seed)
        self.applicant_of = {teacher: i for i, teacher in enumerate(self.plain.ids)}
        self.reopens: dict[int, bool] = {}  # mover -> does his seat open again?
        self.before: dict[int, int] = {}  # member -> who moves to the seat he leaves
        self.arrivals: dict[int, list[tuple[_Turn, int]]] = {}  # position -> movers
        self.seats = Counter(self.plain.seats)  # open to one-way moves, taken or not
        outcome.check_teachers(self.plain.ids)
        try:
            self._read_exchanges(outcome)
            self._read_moves(outcome)
        except (KeyError, ValueError) as error:
            raise errors.BadResult(
                f"{ASSIGNMENTS}: {error} is not of this round and its rules; "
                "run jiepin verify"
            ) from None

    def _read_exchanges(self, outcome: Outcome) -> None:
        for teachers in outcome.exchanges["teachers"].to_list():
            members = [self.applicant_of[teacher] for teacher in teachers]
            self.before.update(zip(members, members[-1:] + members[:-1], strict=True))

    def _read_moves(self, outcome: Outcome) -> None:
        """Note who moved, and in which turn the one-way moves came to each position.

        In one stage, who has the lower priority at a position came in a later pass, or
        in the same one: everybody who is not kept in a pass has asked wherever a seat
        was open, so whoever comes later was turned down there for those before.
        """
        plain, stages = (
            self.plain,
            {stage.name: stage for stage in outcome.rules.stages},
        )
        turns = {name: turn for turn, name in enumerate(stages)}
        schools = {school.code: n for n, school in enumerate(plain.schools)}
        subjects = {subject.code: n for n, subject in enumerate(plain.subjects)}
        columns = ("teacher_id", "stage", "exchange", "school", "subject")
        for teacher, stage, exchange, school, subject in outcome.moves[columns].rows():
            applicant = self.applicant_of[teacher]
            self.reopens[applicant] = stages[stage].reopen
            self.seats[plain.homes[applicant]] += stages[stage].reopen
            if exchange is None:
                position = schools[school] * len(subjects) + subjects[subject]
                turn = turns[stage], plain.key(applicant, position)
                self.arrivals.setdefault(position, []).append((turn, applicant))
        for arrived in self.arrivals.values():
            arrived.sort()

    def falling(self, dropped: Sequence[str], opened: Sequence[str]) -> Iterator[str]:
        """Yield whose moves fall, in the order in which they lose their seats."""
        waiting = deque(self._mover(teacher) for teacher in dropped)
        extra = {self.applicant_of[teacher] for teacher in opened}
        staying = set(waiting)
        while waiting:
            stays = waiting.popleft()
            if stays in extra:
                continue
            self.seats[self.plain.homes[stays]] -= self.reopens[stays]
            falls = self._without_seat(stays, staying)
            if falls is not None:
                staying.add(falls)
                waiting.append(falls)
                yield self.plain.ids[falls]

    def _without_seat(self, stays: int, staying: Collection[int]) -> int | None:
        """Return who of those still moving has no seat because somebody stays."""
        if stays in self.before:
            before = self.before[stays]
            return None if before in staying else before
        home = self.plain.homes[stays]
        arrived = [i for _, i in self.arrivals.get(home, ()) if i not in staying]
        return arrived[-1] if len(arrived) > self.seats[home] else None

    def _mover(self, teacher: str) -> int:
        """Return the number of somebody who moved."""
        if teacher not in self.applicant_of:
            raise errors.UnknownTeacher(
                f"{teacher!r} is no teacher_id of the round's teachers"
            )
        applicant = self.applicant_of[teacher]
        if applicant not in self.reopens:
            raise errors.BadArgument(
                f"{teacher!r} did not move; expected somebody who did"
            )
        return applicant
