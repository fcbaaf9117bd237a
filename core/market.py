"""How a Round under Rules becomes int32 arrays, and what their indices mean.

Applicants are numbered by teacher_id, positions by subject and school, claims by home
position and claim order, so that those who sit together lie together in memory.
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
from jiepin.core.kernels.exchange import Graph
from jiepin.core.round import Round
from jiepin.core.rules import Rules

_LAST_DATE = np.iinfo(np.int32).max  # a missing birth date comes after all others


class Market(NamedTuple):
    """One market for the whole machine; kernels read it, nobody writes it."""

    graph: Graph
    home_of: IndexArray  # shape (n_applicants,): position
    seats: npt.NDArray[np.int64]  # shape (n_positions,): open seats before any stage
    claim_order: IndexArray  # shape (n_claims,): claims, the first to be tried first
    wish_rank: IndexArray  # shape (n_wishes,): place of the wish's claim in that order
    wish_holder: IndexArray  # shape (n_wishes,): applicant
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
    teacher_at: npt.NDArray[np.int64]  # applicant -> row of round_.teachers
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
        return belongs[self.teacher_at].astype(np.uint8)


def encode(round_: Round, rules: Rules, seed: int = 0) -> Encoded:
    """Return the market of a round under rules; seed is that of the lottery.

    Raises BadRound when a teacher wishes more than the limits of the rules allow.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> market = encode(round_, Rules.load("taiwan-110")).market
    >>> market.n_applicants, market.n_positions, market.home_of.tolist()
    (3, 2, [0, 1, 1])
    """
    teacher_at = _by_code_point(round_.teachers["teacher_id"])
    teachers = _in_order(round_.teachers, teacher_at)
    homes = Homes.of(round_, teachers)
    wishes = _wishes(round_, teachers, homes, rules.priority == terms.BEST)
    rank_of = _rank_claims(teachers, wishes, rules.tie_break, seed)
    return Encoded(
        market=lay_out(homes, wishes, rank_of),
        round_=round_,
        teacher_at=teacher_at,
        school_of=homes.school_of,
        subject_of=homes.subject_of,
    )


def _by_code_point(ids: pl.Series) -> npt.NDArray[np.int64]:
    # UTF-8 bytes, by which Polars compares, sort as code points do
    return np.asarray(ids.arg_sort().to_numpy(), dtype=np.int64)


def _in_order(teachers: pl.DataFrame, order: npt.NDArray[np.int64]) -> pl.DataFrame:
    return teachers if np.all(np.diff(order) == 1) else teachers[order]


@dataclass(frozen=True)
class Homes:
    """The positions of a market: those held and those with open seats."""

    n_schools: int
    position_at: IndexArray  # subject * n_schools + school -> position or NOWHERE
    school_of: IndexArray
    subject_of: IndexArray
    home_of: IndexArray
    seats: npt.NDArray[np.int64]

    @classmethod
    def of(cls, round_: Round, teachers: pl.DataFrame) -> Homes:
        n_schools = round_.schools.height
        held = _place(teachers, n_schools)
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
        return cls(
            n_schools=n_schools,
            position_at=position_at,
            school_of=school_of.astype(np.int32),
            subject_of=subject_of.astype(np.int32),
            home_of=position_at[held],
            seats=seats,
        )


def _place(frame: pl.DataFrame, n_schools: int) -> npt.NDArray[np.int64]:
    subject = checks.index_of(frame["subject"]).astype(np.int64)
    return subject * n_schools + checks.index_of(frame["school"])


@dataclass(frozen=True)
class Wishes:
    """Wishes in wish order, applicant by applicant, and the claims they belong to."""

    list_start: IndexArray
    position: IndexArray
    choice: IndexArray
    claim_of: IndexArray  # wish -> claim, claims numbered applicant by applicant
    points: npt.NDArray[np.int64]  # claim -> hundredths
    holder: IndexArray  # claim -> applicant


def _wishes(round_: Round, teachers: pl.DataFrame, homes: Homes, best: bool) -> Wishes:
    lists = _lists(teachers)
    county_of_school = _indices(_county_codes(round_))
    n_wishes = np.empty(len(homes.home_of), dtype=np.int32)
    where = (homes.home_of, homes.position_at, homes.n_schools)
    kernel.count_wishes(lists, *where, n_wishes)
    list_start = _starts(n_wishes)
    n = int(list_start[-1])
    position = np.empty(n, dtype=np.int32)
    choice = np.empty(n, dtype=np.int32)
    points = np.empty(n, dtype=np.int64)
    claim_of = np.empty(n, dtype=np.int32)
    kernel.fill_wishes(
        lists, *where, county_of_school, best, list_start, position, choice, points
    )
    n_claims = kernel.number_claims(list_start, points, claim_of)
    points_of_claim = np.empty(n_claims, dtype=np.int64)
    points_of_claim[claim_of] = points
    holder = np.empty(n_claims, dtype=np.int32)
    holder[claim_of] = _owners(list_start)
    return Wishes(list_start, position, choice, claim_of, points_of_claim, holder)


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


def _starts(lengths: npt.NDArray[np.int32]) -> IndexArray:
    starts = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _owners(starts: IndexArray) -> IndexArray:
    """Return the owner of each entry of a CSR array."""
    owners = np.arange(len(starts) - 1, dtype=np.int32)
    return np.repeat(owners, np.diff(starts))


def _rank_claims(
    teachers: pl.DataFrame, wishes: Wishes, tie_break: Sequence[str], seed: int
) -> IndexArray:
    """Return the place of each claim in claim order, 0 for the first."""
    holder = wishes.holder
    drawn = tie_break.index(terms.LOTTERY) if terms.LOTTERY in tie_break else None
    before = [_tie_key(teachers, key)[holder] for key in tie_break[:drawn]]
    keys = [-wishes.points, *before]
    order = _sorted_by([*keys, holder])
    if drawn is not None:
        after = [_tie_key(teachers, key)[holder] for key in tie_break[drawn + 1 :]]
        _draw(teachers["teacher_id"], order, keys, after, holder, seed)
    rank_of = np.empty(len(order), dtype=np.int32)
    rank_of[order] = np.arange(len(order), dtype=np.int32)
    return rank_of


def _tie_key(teachers: pl.DataFrame, key: str) -> npt.NDArray[np.int64]:
    """Return a tie-break key per applicant, lower first."""
    if key == terms.SERVICE_YEARS:
        return -teachers[key].fill_null(0).to_numpy().astype(np.int64)
    days = teachers[key].to_physical().cast(pl.Int64)
    return days.fill_null(_LAST_DATE).to_numpy().astype(np.int64)


def _sorted_by(keys: Sequence[npt.NDArray[np.signedinteger]]) -> npt.NDArray[np.int64]:
    frame = pl.DataFrame({str(k): key for k, key in enumerate(keys)})
    order = frame.select(pl.arg_sort_by(frame.columns)).to_series()
    return order.to_numpy().astype(np.int64)


def _draw(
    ids: pl.Series,
    order: npt.NDArray[np.int64],
    keys: Sequence[npt.NDArray[np.int64]],
    after: Sequence[npt.NDArray[np.int64]],
    holder: IndexArray,
    seed: int,
) -> None:
    """Order by lot, in place, the claims that the keys so far leave equal.

    Lots are drawn for these alone: no other pair of claims is ever compared by lot.
    """
    equal = np.ones(max(0, len(order) - 1), dtype=np.bool_)
    for key in keys:
        in_order = key[order]
        equal &= in_order[1:] == in_order[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
    group = np.cumsum(np.append(True, ~equal))[: len(order)][tied]
    claims = order[tied]
    lots = _lots(ids.gather(holder[claims]).to_list(), seed)
    rest = [key[claims] for key in after]
    # the last key sorts first
    sort_keys: list[npt.NDArray[Any]] = [holder[claims], *rest[::-1], lots, group]
    order[tied] = claims[np.lexsort(sort_keys)]


def _lots(ids: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    digests = [
        hashlib.blake2b(f"{seed}:{teacher_id}".encode(), digest_size=8).digest()
        for teacher_id in ids
    ]
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def lay_out(homes: Homes, wishes: Wishes, rank_of: IndexArray) -> Market:
    """Renumber claims by home and claim order, wishes by claim; build the arrays."""
    n_claims, n_positions = len(rank_of), len(homes.seats)
    by_rank = np.empty(n_claims, dtype=np.int32)
    by_rank[rank_of] = np.arange(n_claims, dtype=np.int32)
    holder = wishes.holder[by_rank]
    claim_start, seated = _grouped(homes.home_of[holder], n_positions)
    claim_of_rank = np.empty(n_claims, dtype=np.int32)
    claim_of_rank[seated] = np.arange(n_claims, dtype=np.int32)
    holder_of = holder[seated]
    wish_start, listed = _grouped(claim_of_rank[rank_of][wishes.claim_of], n_claims)
    wish_claim = _owners(wish_start)
    wish_position = wishes.position[listed]
    list_wish = np.empty(len(listed), dtype=np.int32)
    list_wish[listed] = np.arange(len(listed), dtype=np.int32)
    wisher_start, wish_by_position = _grouped(wish_position, n_positions)
    graph = Graph(
        claim_start=claim_start,
        holder_of=holder_of,
        home_of_claim=homes.home_of[holder_of],
        wish_start=wish_start,
        wish_position=wish_position,
        wish_claim=wish_claim,
        wisher_start=wisher_start,
        wisher=wish_claim[wish_by_position],
    )
    return Market(
        graph=graph,
        home_of=homes.home_of,
        seats=homes.seats,
        claim_order=claim_of_rank,
        wish_rank=seated[wish_claim],
        wish_holder=holder_of[wish_claim],
        wish_choice=wishes.choice[listed],
        list_start=wishes.list_start,
        list_wish=list_wish,
    )


def _grouped(keys: IndexArray, n_keys: int) -> tuple[IndexArray, IndexArray]:
    """Return the starts of the groups 0 … n_keys - 1 and their members in order."""
    starts = np.empty(n_keys + 1, dtype=np.int32)
    members = np.empty(len(keys), dtype=np.int32)
    kernel.count_keys(keys, starts)
    kernel.fill_groups(keys, starts, np.empty_like(starts), members)
    return starts, members
