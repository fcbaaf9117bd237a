"""How a Round under Rules becomes int32 arrays, and what their indices mean.

Positions are numbered by subject and school, applicants by home position and
teacher_id, claims by home position and claim order: those who sit together lie
together in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import checks, errors, frames, terms
from jiepin.core.kernels import encode as kernel
from jiepin.core.kernels.compiling import FlagArray, IndexArray
from jiepin.core.kernels.encode import Forms, Lists
from jiepin.core.kernels.exchange import Graph
from jiepin.core.round import Round
from jiepin.core.rules import Rules
from jiepin.core.workers import Workers

_WIDEST = np.iinfo(np.int64).max
_LAST_DATE = np.iinfo(np.int32).max  # a missing birth date comes after all others


class Market(NamedTuple):
    """One market for the whole machine; kernels read it, nobody writes it."""

    graph: Graph
    home_of: IndexArray  # shape (n_applicants,): position
    seats: npt.NDArray[np.int64]  # shape (n_positions,): open seats before any stage
    claim_order: IndexArray  # shape (n_claims,): claims, the first to be tried first
    rank_of: IndexArray  # shape (n_claims,): place of a claim in that order
    wish_choice: IndexArray  # shape (n_wishes,): 1-based number of the school listed
    list_start: IndexArray  # shape (n_applicants + 1,)
    list_wish: IndexArray  # shape (n_wishes,): wishes of an applicant in wish order

    @property
    def n_positions(self) -> int:
        return len(self.graph.claim_start) - 1

    @property
    def n_applicants(self) -> int:
        return len(self.home_of)

    @property
    def n_claims(self) -> int:
        return len(self.claim_order)


@dataclass(frozen=True)
class Encoded:
    """A market together with the round its indices stand for."""

    market: Market
    round_: Round
    by_id: npt.NDArray[np.int64]  # the applicants in the order of their teacher_id
    row_of: IndexArray  # applicant -> row of round_.teachers
    school_of: IndexArray  # position -> row of round_.schools
    subject_of: IndexArray  # position -> row of round_.subjects
    rules: Rules
    seed: int  # of the lottery

    @cached_property
    def swap_only(self) -> FlagArray:
        """Return 1 for each position at a school that takes part in exchanges alone."""
        return self.at_schools_tagged(terms.SWAP_ONLY)

    def at_schools_tagged(self, tag: str) -> FlagArray:
        """Return 1 for each position whose school has the tag, shape (n_positions,)."""
        tagged = self.round_.schools["tags"].list.contains(tag).to_numpy()
        return tagged[self.school_of].astype(np.uint8)

    def in_group(self, group: str) -> FlagArray:
        """Return 1 for each applicant of a priority group, shape (n_applicants,)."""
        belongs = self.round_.teachers["groups"].list.contains(group).to_numpy()
        return belongs[self.row_of].astype(np.uint8)

    @cached_property
    def home_points(self) -> npt.NDArray[np.int64]:
        """Return the points each applicant has at home, or NOBODY where none are given.

        Hundredths, shape (n_applicants,). They stand as given under either priority:
        what somebody lists does not change how well he holds his seat.
        """
        if "home_points" not in self.round_.teachers.columns:
            return np.full(self.market.n_applicants, terms.NOBODY, dtype=np.int64)
        points = self.round_.teachers["home_points"].fill_null(terms.NOBODY)
        return points.to_numpy().astype(np.int64)[self.row_of]

    def check_home_points(self, mechanism: str) -> None:
        """Raise NoHomePoints, naming the mechanism, unless all who wish have them.

        Those who wish nothing keep their seats and need none.
        """
        wishes = np.diff(self.market.list_start) > 0
        rows = np.sort(self.row_of[wishes & (self.home_points == terms.NOBODY)])
        if len(rows):
            first = self.round_.teachers["teacher_id"][int(rows[0])]
            raise errors.NoHomePoints(
                mechanism, len(rows), int(wishes.sum()), int(rows[0]) + 1, first
            )

    @cached_property
    def ranks_with_home(self) -> tuple[IndexArray, IndexArray]:
        """Return the ranks of the claims, and of all applicants at home, lower first.

        One order of both, by points and tie-break: the rank of applicant i at home
        compares with that of a claim for i's home position. Shapes (n_claims,) and
        (n_applicants,).
        """
        # points are worked out once more here: most who encode need none
        id_order = self.row_of[self.by_id]
        forms = _forms(self.round_, self.rules, Homes.of(self.round_, id_order))
        claims, n_claims = count_claims(forms, Workers()), self.market.n_claims
        order = _rank_claims(
            self.round_.teachers,
            np.concatenate([claims.row, self.row_of]),
            np.concatenate([claims.points, self.home_points]),
            id_order,
            self.rules.tie_break,
            self.seed,
        )
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        in_claim_order = np.sort(rank[:n_claims])
        return in_claim_order[self.market.rank_of], rank[n_claims:]


def encode(
    round_: Round, rules: Rules, seed: int = 0, workers: Workers | None = None
) -> Encoded:
    """Return the market of a round under rules; seed is that of the lottery.

    Raises BadRound when a teacher wishes more than the limits of the rules allow,
    BadArray when the frames cannot be computed with.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> market = encode(round_, Rules.load("taiwan-110")).market
    >>> market.n_applicants, market.n_positions, market.home_of.tolist()
    (3, 2, [0, 1, 1])
    """
    frames.check_round(round_)
    if round_.limits != rules.limits:
        checks.hold_to_limits(
            round_.schools, round_.subjects, round_.teachers, rules.limits
        )
    workers = workers or Workers()
    # UTF-8 bytes, by which Polars compares, sort as code points do
    id_order = round_.teachers["teacher_id"].arg_sort().to_numpy()
    homes = Homes.of(round_, id_order)
    forms = _forms(round_, rules, homes)
    claims = count_claims(forms, workers)
    order = _rank_claims(
        round_.teachers, claims.row, claims.points, id_order, rules.tie_break, seed
    )
    return Encoded(
        market=lay_out(forms, homes, claims, order, workers),
        round_=round_,
        by_id=homes.applicant_of[id_order],
        row_of=homes.row_of,
        school_of=homes.school_of,
        subject_of=homes.subject_of,
        rules=rules,
        seed=seed,
    )


@dataclass(frozen=True)
class Homes:
    """The positions of a market, those held and those with open seats; who sits where.

    Applicants are numbered by home position.
    """

    position_at: IndexArray  # subject * n_schools + school -> position or NOWHERE
    school_of: IndexArray
    subject_of: IndexArray
    seats: npt.NDArray[np.int64]  # position -> open seats
    home_of_row: IndexArray  # row of the teachers -> position
    row_of: IndexArray  # applicant -> row of the teachers

    @cached_property
    def home_of(self) -> IndexArray:
        """The home position of each applicant."""
        return self.home_of_row[self.row_of]

    @cached_property
    def applicant_of(self) -> IndexArray:
        """The applicant of each row."""
        applicant_of = np.empty_like(self.row_of)
        applicant_of[self.row_of] = np.arange(len(applicant_of), dtype=np.int32)
        return applicant_of

    @classmethod
    def of(cls, round_: Round, id_order: npt.NDArray[np.integer]) -> Homes:
        """Number the positions, and the applicants by home and teacher_id."""
        n_schools = round_.schools.height
        held = _place(round_.teachers, n_schools)
        vacant = _place(round_.vacancies, n_schools)
        position_at = np.full(
            round_.subjects.height * n_schools, kernel.NOWHERE, dtype=np.int32
        )
        position_at[held] = position_at[vacant] = 0
        places = np.flatnonzero(position_at == 0)
        position_at[places] = np.arange(len(places), dtype=np.int32)
        seats = np.zeros(len(places), dtype=np.int64)
        seats[position_at[vacant]] = round_.vacancies["seats"].to_numpy()
        subject_of, school_of = np.divmod(places, max(1, n_schools))
        home_of_row = position_at[held]
        by_home = np.empty_like(home_of_row)
        first = np.empty(len(places) + 1, dtype=np.int32)
        kernel.group(home_of_row[id_order], first, by_home)
        return cls(
            position_at=position_at,
            school_of=school_of.astype(np.int32),
            subject_of=subject_of.astype(np.int32),
            seats=seats,
            home_of_row=home_of_row,
            row_of=id_order[by_home].astype(np.int32),
        )


def _place(frame: pl.DataFrame, n_schools: int) -> npt.NDArray[np.int64]:
    subject = checks.index_of(frame["subject"]).astype(np.int64)
    return subject * n_schools + checks.index_of(frame["school"])


def _starts(lengths: npt.NDArray[np.integer]) -> IndexArray:
    """Return where parts of these lengths begin, and where the last one ends."""
    starts = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _forms(round_: Round, rules: Rules, homes: Homes) -> Forms:
    county = round_.schools["county"]
    codes = checks.Codes.of(county)
    frames.check_counties(round_.teachers, codes)
    return Forms(
        lists=_lists(round_.teachers),
        home_of=homes.home_of_row,
        position_at=homes.position_at,
        county_of_school=checks.index_of(codes.encode(county)),
        best=rules.priority == terms.BEST,
    )


def _lists(teachers: pl.DataFrame) -> Lists:
    choices = checks.Lists.of(teachers["choices"])
    subjects = checks.Lists.of(teachers["subjects"])
    counties = checks.Lists.of(teachers["counties"])
    points = checks.Lists.of(teachers["points"])
    return Lists(
        choice_start=choices.starts,
        choices=checks.index_of(choices.flat),
        subject_start=subjects.starts,
        subjects=checks.index_of(subjects.flat),
        county_start=counties.starts,
        counties=checks.index_of(counties.flat),
        points=points.flat.to_numpy().astype(np.int64),
    )


@dataclass(frozen=True)
class Claims:
    """The claims of all rows, row by row."""

    slot: npt.NDArray[np.intp]
    row: IndexArray
    points: npt.NDArray[np.int64]  # hundredths
    length: IndexArray  # number of wishes
    n_wishes: IndexArray  # shape (n_rows,)


def count_claims(forms: Forms, workers: Workers) -> Claims:
    """Find the claims of all rows and count their wishes."""
    n_rows, n_slots = len(forms.home_of), len(forms.lists.counties)
    slots = kernel.Slots(
        points=np.empty(n_slots, dtype=np.int64),
        length=np.empty(n_slots, dtype=np.int32),
        n_wishes=np.empty(n_rows, dtype=np.int32),
    )
    bounds = np.linspace(0, n_rows, workers.n + 1).astype(np.int64)
    workers.each(
        lambda part: kernel.count_wishes(forms, slots, bounds[part], bounds[part + 1])
    )
    slot = np.flatnonzero(slots.length)
    rows = np.arange(n_rows, dtype=np.int32)
    return Claims(
        slot=slot,
        row=np.repeat(rows, np.diff(forms.lists.county_start))[slot],
        points=slots.points[slot],
        length=slots.length[slot],
        n_wishes=slots.n_wishes,
    )


def _rank_claims(
    teachers: pl.DataFrame,
    row: IndexArray,
    points: npt.NDArray[np.int64],
    id_order: npt.NDArray[np.integer],
    tie_break: Sequence[str],
    seed: int,
) -> npt.NDArray[np.int64]:
    """Return the claims in claim order: points, then the tie-break keys, then id.

    row is the row of each claim in teachers.
    """
    drawn = terms.LOTTERY in tie_break
    n_before = tie_break.index(terms.LOTTERY) if drawn else len(tie_break)
    keys = [_tie_key(teachers, key)[row] for key in tie_break if key != terms.LOTTERY]
    merit = _folded([-points, *keys[:n_before]])
    n_claims = len(merit)
    order = np.sort(_folded([merit, np.arange(n_claims)])) % max(1, n_claims)
    tied = _tied(merit[order])
    even = order[tied]
    # lots are drawn for these alone: no other pair of claims is ever compared by lot
    ids = teachers["teacher_id"].gather(row[even]) if drawn else pl.Series([])
    lots = [_lots(ids.to_list(), seed)] if drawn else []
    rest: list[npt.NDArray[Any]] = [
        merit[even],
        *lots,
        *(key[even] for key in keys[n_before:]),
    ]
    id_rank = np.empty(len(id_order), dtype=np.int32)
    id_rank[id_order] = np.arange(len(id_order), dtype=np.int32)
    # of the keys of lexsort the last decides first
    order[tied] = even[np.lexsort([id_rank[row[even]], *rest[::-1]])]
    return order


def _tied(merit: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return the places of sorted merits that a neighbour shares."""
    differs = np.diff(merit, prepend=-1, append=-1) != 0
    return np.flatnonzero(~(differs[1:] & differs[:-1]))


def _folded(keys: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return one number per row that compares as the rows of keys do.

    If the last key starts from 0, it is the remainder by its width.
    """
    folded, span = np.zeros(len(keys[0]), dtype=np.int64), 1
    for key in keys:
        low = int(key.min(initial=0))
        width = int(key.max(initial=0)) - low + 1
        if span * width > _WIDEST:
            folded = np.unique(folded, return_inverse=True)[1]
            span = len(folded)
        folded = folded * width + (key - low)
        span *= width
    return folded


def _tie_key(teachers: pl.DataFrame, key: str) -> npt.NDArray[np.int64]:
    """Return a tie-break key per applicant, lower first."""
    if key == terms.SERVICE_YEARS:
        return -teachers[key].fill_null(0).to_numpy().astype(np.int64)
    days = teachers[key].to_physical().cast(pl.Int64)
    return days.fill_null(_LAST_DATE).to_numpy().astype(np.int64)


def _lots(ids: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    digests = [
        hashlib.blake2b(f"{seed}:{teacher_id}".encode(), digest_size=8).digest()
        for teacher_id in ids
    ]
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def lay_out(
    forms: Forms,
    homes: Homes,
    claims: Claims,
    order: npt.NDArray[np.int64],
    workers: Workers,
) -> Market:
    """Number the claims by home and claim order, the wishes by claim; build the arrays.

    order holds the claims in claim order.
    """
    n_rows, n_claims = len(homes.row_of), len(order)
    n_wishes = int(claims.length.sum(dtype=np.int64))
    frames.check_count("wishes", n_wishes, frames.MOST_ENTRIES)
    claim_start = np.empty(len(homes.seats) + 1, dtype=np.int32)
    rank_of = np.empty(n_claims, dtype=np.int32)
    kernel.group(homes.home_of_row[claims.row[order]], claim_start, rank_of)
    by_number = order[rank_of]
    numbers = np.arange(n_claims, dtype=np.int32)
    claim_order = np.empty_like(numbers)
    claim_order[rank_of] = numbers
    claim_of_slot = np.empty(len(forms.lists.counties), dtype=np.int32)
    claim_of_slot[claims.slot[by_number]] = numbers
    holder_of = homes.applicant_of[claims.row[by_number]]
    wish_start = _starts(claims.length[by_number])
    list_start = _starts(claims.n_wishes[homes.row_of])
    layout = kernel.Layout(
        claim_of_slot=claim_of_slot,
        cursor=wish_start[:-1].copy(),
        list_cursor=list_start[homes.applicant_of],
        wish_position=np.empty(n_wishes, dtype=np.int32),
        wish_choice=np.empty(n_wishes, dtype=np.int32),
        wish_claim=np.empty(n_wishes, dtype=np.int32),
        list_wish=np.empty(n_wishes, dtype=np.int32),
    )
    bounds = np.linspace(0, n_rows, workers.n + 1).astype(np.int64)
    workers.each(
        lambda part: kernel.fill_wishes(forms, layout, bounds[part], bounds[part + 1])
    )
    return Market(
        graph=Graph(
            claim_start=claim_start,
            holder_of=holder_of,
            home_of_claim=homes.home_of[holder_of],
            wish_start=wish_start,
            wish_position=layout.wish_position,
            wish_claim=layout.wish_claim,
        ),
        home_of=homes.home_of,
        seats=homes.seats,
        claim_order=claim_order,
        rank_of=rank_of,
        wish_choice=layout.wish_choice,
        list_start=list_start,
        list_wish=layout.list_wish,
    )
