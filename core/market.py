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

from jiepin.core import checks, terms
from jiepin.core.kernels import encode as kernel
from jiepin.core.kernels.compiling import FlagArray, IndexArray
from jiepin.core.kernels.encode import Wishes
from jiepin.core.kernels.exchange import Graph
from jiepin.core.round import Round
from jiepin.core.rules import Rules

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


def encode(round_: Round, rules: Rules, seed: int = 0) -> Encoded:
    """Return the market of a round under rules; seed is that of the lottery.

    Raises BadRound when a teacher wishes more than the limits of the rules allow.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> market = encode(round_, Rules.load("taiwan-110")).market
    >>> market.n_applicants, market.n_positions, market.home_of.tolist()
    (3, 2, [0, 1, 1])
    """
    checks.hold_to_limits(
        round_.schools, round_.subjects, round_.teachers, rules.limits
    )
    id_rank = _id_rank(round_.teachers["teacher_id"])
    homes = Homes.of(round_, id_rank)
    wishes = _wishes(round_, homes, rules.priority == terms.BEST)
    order = _rank_claims(round_, homes, wishes, id_rank, rules.tie_break, seed)
    return Encoded(
        market=lay_out(homes, wishes, order),
        round_=round_,
        by_id=np.argsort(id_rank[homes.row_of]),
        row_of=homes.row_of,
        school_of=homes.school_of,
        subject_of=homes.subject_of,
    )


def _id_rank(ids: pl.Series) -> IndexArray:
    """Return the place of each row in the order of ids by code points."""
    # UTF-8 bytes, by which Polars compares, sort as code points do
    rank = np.empty(len(ids), dtype=np.int32)
    rank[ids.arg_sort().to_numpy()] = np.arange(len(ids), dtype=np.int32)
    return rank


@dataclass(frozen=True)
class Homes:
    """The positions of a market: those held and those with open seats."""

    row_of: IndexArray  # applicant -> row of the teachers
    n_schools: int
    position_at: IndexArray  # subject * n_schools + school -> position or NOWHERE
    school_of: IndexArray
    subject_of: IndexArray
    home_of_row: IndexArray  # row of the teachers -> position
    home_of: IndexArray  # applicant -> position
    seats: npt.NDArray[np.int64]  # position -> open seats

    @classmethod
    def of(cls, round_: Round, id_rank: IndexArray) -> Homes:
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
        row_of = np.lexsort((id_rank, home_of_row)).astype(np.int32)
        return cls(
            row_of=row_of,
            n_schools=n_schools,
            position_at=position_at,
            school_of=school_of.astype(np.int32),
            subject_of=subject_of.astype(np.int32),
            home_of_row=home_of_row,
            home_of=home_of_row[row_of],
            seats=seats,
        )


def _place(frame: pl.DataFrame, n_schools: int) -> npt.NDArray[np.int64]:
    subject = checks.index_of(frame["subject"]).astype(np.int64)
    return subject * n_schools + checks.index_of(frame["school"])


def _wishes(round_: Round, homes: Homes, best: bool) -> Wishes:
    lists = _lists(round_.teachers)
    n_wishes = np.empty(len(homes.home_of), dtype=np.int32)
    where = (homes.position_at, homes.n_schools)
    kernel.count_wishes(lists, homes.home_of_row, *where, n_wishes)
    list_start = np.zeros(len(n_wishes) + 1, dtype=np.int32)
    np.cumsum(n_wishes[homes.row_of], out=list_start[1:])
    n, most_claims = int(list_start[-1]), len(lists.counties)
    wishes = Wishes(
        list_start=list_start,
        position=np.empty(n, dtype=np.int32),
        choice=np.empty(n, dtype=np.int32),
        claim=np.empty(n, dtype=np.int32),
        points=np.empty(most_claims, dtype=np.int64),
        holder=np.empty(most_claims, dtype=np.int32),
        length=np.empty(most_claims, dtype=np.int32),
    )
    county_of_school = _indices(_county_codes(round_))
    applicant_of = np.empty_like(homes.row_of)
    applicant_of[homes.row_of] = np.arange(len(applicant_of), dtype=np.int32)
    rows = (applicant_of, homes.home_of_row)
    n_claims = kernel.fill_wishes(lists, *rows, *where, county_of_school, best, wishes)
    return wishes._replace(
        points=wishes.points[:n_claims],
        holder=wishes.holder[:n_claims],
        length=wishes.length[:n_claims],
    )


def _county_codes(round_: Round) -> pl.Series:
    return checks.Codes.of(round_.schools["county"]).encode(round_.schools["county"])


def _lists(teachers: pl.DataFrame) -> kernel.Lists:
    choices = checks.Lists.of(teachers["choices"])
    subjects = checks.Lists.of(teachers["subjects"])
    counties = checks.Lists.of(teachers["counties"])
    points = checks.Lists.of(teachers["points"])
    return kernel.Lists(
        choice_start=choices.starts,
        choices=_indices(choices.flat),
        subject_start=subjects.starts,
        subjects=_indices(subjects.flat),
        county_start=counties.starts,
        counties=_indices(counties.flat),
        points=points.flat.to_numpy().astype(np.int64),
    )


def _indices(codes: pl.Series) -> IndexArray:
    # kernels are compiled once more for arrays that may not be written
    return np.require(checks.index_of(codes), requirements=["C", "W"])


def _rank_claims(
    round_: Round,
    homes: Homes,
    wishes: Wishes,
    id_rank: IndexArray,
    tie_break: Sequence[str],
    seed: int,
) -> npt.NDArray[np.int64]:
    """Return the claims in claim order: points, then the tie-break keys, then id."""
    teachers, row = round_.teachers, homes.row_of[wishes.holder]
    drawn = terms.LOTTERY in tie_break
    n_before = tie_break.index(terms.LOTTERY) if drawn else len(tie_break)
    keys = [_tie_key(teachers, key)[row] for key in tie_break if key != terms.LOTTERY]
    merit = _folded([-wishes.points, *keys[:n_before]])
    n_claims = len(merit)
    order = np.sort(_folded([merit, np.arange(n_claims)])) % max(1, n_claims)
    tied = _tied(merit[order])
    claims = order[tied]
    # lots are drawn for these alone: no other pair of claims is ever compared by lot
    ids = teachers["teacher_id"].gather(row[claims]) if drawn else pl.Series([])
    lots = [_lots(ids.to_list(), seed)] if drawn else []
    rest: list[npt.NDArray[Any]] = [
        merit[claims],
        *lots,
        *(key[claims] for key in keys[n_before:]),
    ]
    # of the keys of lexsort the last decides first
    order[tied] = claims[np.lexsort([id_rank[row[claims]], *rest[::-1]])]
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


def lay_out(homes: Homes, wishes: Wishes, order: npt.NDArray[np.int64]) -> Market:
    """Renumber claims by home and claim order, wishes by claim; build the arrays.

    order holds the claims of `wishes` in claim order.
    """
    n_claims, n_wishes = len(order), len(wishes.position)
    n_positions = len(homes.seats)
    claim_start = np.empty(n_positions + 1, dtype=np.int32)
    rank_of = np.empty(n_claims, dtype=np.int32)
    kernel.group(homes.home_of[wishes.holder[order]], claim_start, rank_of)
    claim_order = np.empty(n_claims, dtype=np.int32)
    claim_order[rank_of] = np.arange(n_claims, dtype=np.int32)
    old_claim = order[rank_of]
    new_claim = np.empty(n_claims, dtype=np.int32)
    new_claim[old_claim] = np.arange(n_claims, dtype=np.int32)
    holder_of = wishes.holder[old_claim]
    wish_start = np.zeros(n_claims + 1, dtype=np.int32)
    np.cumsum(wishes.length[old_claim], out=wish_start[1:])
    wish_position = np.empty(n_wishes, dtype=np.int32)
    wish_choice = np.empty(n_wishes, dtype=np.int32)
    wish_claim = np.empty(n_wishes, dtype=np.int32)
    list_wish = np.empty(n_wishes, dtype=np.int32)
    wisher_start = np.empty(n_positions + 1, dtype=np.int32)
    kernel.regroup_wishes(
        wishes,
        new_claim,
        wish_start[:-1].copy(),
        wish_position,
        wish_choice,
        wish_claim,
        list_wish,
        wisher_start,
    )
    wisher = np.empty(n_wishes, dtype=np.int32)
    kernel.fill_wishers(wish_position, wish_claim, wisher_start.copy(), wisher)
    return Market(
        graph=Graph(
            claim_start=claim_start,
            holder_of=holder_of,
            home_of_claim=homes.home_of[holder_of],
            wish_start=wish_start,
            wish_position=wish_position,
            wish_claim=wish_claim,
            wisher_start=wisher_start,
            wisher=wisher,
        ),
        home_of=homes.home_of,
        seats=homes.seats,
        claim_order=claim_order,
        rank_of=rank_of,
        wish_choice=wish_choice,
        list_start=wishes.list_start,
        list_wish=list_wish,
    )
