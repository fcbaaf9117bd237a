"""The round in plain Python, for those who check what was decided.

Written from the rules alone and meant to be read beside them: applicants, schools and
subjects are numbers, everything else is a list, a dictionary or a short function.
"""

from __future__ import annotations

import datetime
import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from jiepin.core import terms
from jiepin.core.round import Round
from jiepin.core.rules import Rules, Stage

TEACHER_ID = "teacher_id"  # decides after the last key of tie_break
_AFTER_ALL_DATES = datetime.date.max.toordinal() + 1

Key = tuple[int, int]  # (-points, tie rank): the smaller comes first


class Place(NamedTuple):
    """A position as people name it: codes and names."""

    county: str
    school: str
    school_name: str
    subject: str
    subject_name: str

    def text(self, lang: str) -> str:
        """Return the names with their codes, in Chinese ("zh") or English ("en").

        >>> place = Place("02", "B", "乙山國小", "g", "普通")
        >>> place.text("zh"), place.text("en")
        ('02 乙山國小（B）普通（g）', '02 乙山國小 (B), 普通 (g)')
        """
        before, after, between = ("（", "）", "") if lang == "zh" else (" (", ")", ", ")
        named = [
            f"{name}{before}{code}{after}" if name else code
            for name, code in (
                (self.school_name, self.school),
                (self.subject_name, self.subject),
            )
        ]
        return f"{self.county} ".lstrip() + (between or "").join(named)


class School(NamedTuple):
    """What the rules ask of a school."""

    code: str
    name: str
    county: str
    tags: frozenset[str]


class Subject(NamedTuple):
    """A subject category."""

    code: str
    name: str


class Claim(NamedTuple):
    """The wishes of an applicant that share one points value, in wish order."""

    applicant: int
    points: int
    wishes: tuple[int, ...]


@dataclass(frozen=True)
class PlainRound:
    """A round under rules. Applicants are numbered by teacher_id, positions by
    school * n_subjects + subject, schools and subjects by code.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> plain = PlainRound.of(round_, Rules.load("taiwan-110"), seed=0)
    >>> plain.ids, plain.place(plain.wishes(0)[0]).school_name
    (['T1', 'T2', 'T3'], '乙山國小')
    """

    rules: Rules
    seed: int
    schools: list[School]
    subjects: list[Subject]
    seats: dict[int, int]  # position -> open seats before any stage
    ids: list[str]
    homes: list[int]
    choices: list[list[int]]  # schools
    applied: list[list[int]]  # subjects
    counties: list[list[str]]
    county_points: list[list[int]]
    groups: list[list[str]]
    service_years: list[int | None]
    birth_dates: list[datetime.date | None]
    tie_rank: list[int] = field(default_factory=list)
    best: list[int] = field(default_factory=list)  # only where priority = "best"

    @classmethod
    def of(cls, round_: Round, rules: Rules, seed: int) -> PlainRound:
        """Return the plain view of a round that was read and checked."""
        teachers = round_.teachers.sort("teacher_id")
        subjects = [Subject(*row) for row in round_.subjects["subject", "name"].rows()]
        plain = cls(
            rules=rules,
            seed=seed,
            schools=_schools(round_.schools),
            subjects=subjects,
            seats=dict(
                zip(
                    _positions(round_.vacancies, len(subjects)),
                    round_.vacancies["seats"].to_list(),
                    strict=True,
                )
            ),
            ids=teachers["teacher_id"].to_list(),
            homes=_positions(teachers, len(subjects)),
            choices=_numbers(teachers["choices"]),
            applied=_numbers(teachers["subjects"]),
            counties=teachers["counties"].to_list(),
            county_points=teachers["points"].to_list(),
            groups=teachers["groups"].to_list(),
            service_years=teachers["service_years"].to_list(),
            birth_dates=teachers["birth_date"].to_list(),
        )
        plain._rank()
        return plain

    def _rank(self) -> None:
        self.tie_rank.extend([0] * len(self.ids))
        order = sorted(range(len(self.ids)), key=self.tie_values)
        for rank, applicant in enumerate(order):
            self.tie_rank[applicant] = rank
        if self.rules.priority == terms.BEST:
            self.best.extend(self._best_points(i) for i in range(len(self.ids)))

    def _best_points(self, applicant: int) -> int:
        wished = self.wishes(applicant)
        return max((self._points_there(applicant, p) for p in wished), default=0)

    def place(self, position: int) -> Place:
        """Return codes and names of a position."""
        school, subject = self.school_at(position), self.subject_at(position)
        return Place(
            school.county, school.code, school.name, subject.code, subject.name
        )

    def school_at(self, position: int) -> School:
        """Return the school of a position."""
        return self.schools[position // len(self.subjects)]

    def subject_at(self, position: int) -> Subject:
        """Return the subject category of a position."""
        return self.subjects[position % len(self.subjects)]

    def swap_only(self, position: int) -> bool:
        """Tell whether the school of a position takes part in exchanges alone."""
        return terms.SWAP_ONLY in self.school_at(position).tags

    def n_wishes(self, applicant: int) -> int:
        """Return about how many wishes there are, without listing them."""
        return len(self.choices[applicant]) * len(self.applied[applicant])

    def wishes(self, applicant: int) -> list[int]:
        """Return the positions wished: schools in order, at each the subjects in order.

        The home position and repeats are dropped.
        """
        n, subjects = len(self.subjects), self.applied[applicant]
        schools = self.choices[applicant]
        wished = [school * n + subject for school in schools for subject in subjects]
        home = self.homes[applicant]
        return [position for position in dict.fromkeys(wished) if position != home]

    def choice(self, applicant: int, position: int) -> int:
        """Return the 1-based number of a wished position's school in the list."""
        school = position // len(self.subjects)
        return self.choices[applicant].index(school) + 1

    def points(self, applicant: int, position: int) -> int:
        """Return the points that count for a wished position, in hundredths."""
        if self.best:
            return self.best[applicant]
        return self._points_there(applicant, position)

    def _points_there(self, applicant: int, position: int) -> int:
        county = self.school_at(position).county
        return self.county_points[applicant][self.counties[applicant].index(county)]

    def key(self, applicant: int, position: int) -> Key:
        """Return the place in claim order of the claim that holds a wish."""
        return -self.points(applicant, position), self.tie_rank[applicant]

    def claims(self, applicant: int) -> list[Claim]:
        """Return the claims of an applicant in claim order."""
        by_points: dict[int, list[int]] = {}
        for position in self.wishes(applicant):
            by_points.setdefault(self.points(applicant, position), []).append(position)
        return [
            Claim(applicant, points, tuple(by_points[points]))
            for points in sorted(by_points, reverse=True)
        ]

    def claims_in_order(self, applicants: Iterable[int]) -> list[Claim]:
        """Return the claims of several applicants, the first to be tried first."""
        claims = [claim for i in applicants for claim in self.claims(i)]
        rank = self.tie_rank
        return sorted(claims, key=lambda claim: (-claim.points, rank[claim.applicant]))

    def tie_values(self, applicant: int) -> tuple[int | bytes | str, ...]:
        """Return what decides between equal points, key by key, teacher_id last."""
        keys = self.rules.tie_break
        return (*(self._tie_value(applicant, key) for key in keys), self.ids[applicant])

    def _tie_value(self, applicant: int, key: str) -> int | bytes:
        if key == terms.SERVICE_YEARS:
            return -(self.service_years[applicant] or 0)
        if key == terms.BIRTH_DATE:
            born = self.birth_dates[applicant]
            return _AFTER_ALL_DATES if born is None else born.toordinal()
        ticket = f"{self.seed}:{self.ids[applicant]}".encode()
        return hashlib.blake2b(ticket, digest_size=8).digest()

    def deciding_key(self, one: int, other: int) -> str:
        """Return the tie key by which two applicants of equal points differ first."""
        names = (*self.rules.tie_break, TEACHER_ID)
        both = zip(names, self.tie_values(one), self.tie_values(other), strict=True)
        return next(name for name, left, right in both if left != right)

    def takes_part(self, applicant: int, stage: Stage) -> bool:
        """Tell whether an applicant may move one-way in a stage."""
        group = stage.applicants
        return not self.swap_only(self.homes[applicant]) and (
            group is None or group in self.groups[applicant]
        )

    def is_offered(self, position: int, stage: Stage) -> bool:
        """Tell whether the open seats of a position are filled in a one-way stage."""
        tag = stage.schools
        tags = self.school_at(position).tags
        return terms.SWAP_ONLY not in tags and (tag is None or tag in tags)


def _schools(schools: pl.DataFrame) -> list[School]:
    return [
        School(code, name, county, frozenset(tags))
        for code, name, county, tags in schools.select(
            "school", "name", "county", "tags"
        ).iter_rows()
    ]


def _positions(frame: pl.DataFrame, n_subjects: int) -> list[int]:
    school, subject = (
        frame[column].to_physical().cast(pl.Int64) for column in ("school", "subject")
    )
    return (school * n_subjects + subject).to_list()


def _numbers(lists: pl.Series) -> list[list[int]]:
    return lists.list.eval(pl.element().to_physical()).to_list()


@dataclass
class Standing:
    """How things stand between two stages: who has not moved, which seats are open."""

    plain: PlainRound
    unmoved: list[bool] = field(init=False)
    seats: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.unmoved = [True] * len(self.plain.ids)
        self.seats = dict(self.plain.seats)

    def applicants(self) -> list[int]:
        """Return those who have not moved, by teacher_id."""
        return [i for i, unmoved in enumerate(self.unmoved) if unmoved]

    def close(self, stage: Stage, moves: Mapping[int, int]) -> None:
        """Take note of the moves of a stage: applicant -> position."""
        for applicant, position in moves.items():
            self.unmoved[applicant] = False
            if stage.kind == terms.ONE_WAY:
                self.seats[position] = self.seats.get(position, 0) - 1
                if stage.reopen:
                    home = self.plain.homes[applicant]
                    self.seats[home] = self.seats.get(home, 0) + 1


def deferred_acceptance(
    wishes: Mapping[int, Sequence[int]], seats: Mapping[int, int], plain: PlainRound
) -> dict[int, int]:
    """Return who is kept where, applicant -> position, after one pass.

    Every applicant proposes down its wishes; each position keeps the best.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> plain = PlainRound.of(round_, Rules.load("taiwan-110"), seed=0)
    >>> a = plain.homes[0]
    >>> deferred_acceptance({1: [a], 2: [a]}, {a: 1}, plain) == {2: a}
    True
    """
    kept: dict[int, list[tuple[int, int, int]]] = {}  # heaps, the worst on top
    ahead = {applicant: iter(wished) for applicant, wished in wishes.items()}
    waiting = sorted(wishes, reverse=True)
    while waiting:
        applicant = waiting.pop()
        position = next(ahead[applicant], None)
        if position is None:
            continue
        points, tie_rank = plain.points(applicant, position), plain.tie_rank[applicant]
        heap = kept.setdefault(position, [])
        heapq.heappush(heap, (points, -tie_rank, applicant))
        if len(heap) > seats[position]:
            waiting.append(heapq.heappop(heap)[2])
    return {
        applicant: position
        for position in sorted(kept)
        for _, _, applicant in kept[position]
    }


class Pass(NamedTuple):
    """One pass of a one-way stage: the seats that were open and who moved where."""

    seats: dict[int, int]
    moves: dict[int, int]


def one_way_passes(standing: Standing, stage: Stage) -> list[Pass]:
    """Return the passes of a one-way stage; only `reopen` makes more than one.

    The last pass of a `reopen` stage moves nobody.
    """
    plain = standing.plain
    seats = {p: n for p, n in standing.seats.items() if plain.is_offered(p, stage)}
    staying = {i for i in standing.applicants() if plain.takes_part(i, stage)}
    wishers = _wishers(plain, sorted(staying)) if stage.reopen else None
    passes: list[Pass] = []
    while not passes or (stage.reopen and passes[-1].moves):
        offered = {position: n for position, n in seats.items() if n > 0}
        asking = sorted(staying)
        if wishers is not None:
            asked = {i for position in offered for i in wishers.get(position, ())}
            asking = sorted(asked & staying)
        wishes = _open_wishes(plain, asking, offered)
        moves = deferred_acceptance(wishes, offered, plain)
        passes.append(Pass(offered, moves))
        for applicant, position in moves.items():
            staying.remove(applicant)
            seats[position] -= 1
            home = plain.homes[applicant]
            if stage.reopen and plain.is_offered(home, stage):
                seats[home] = seats.get(home, 0) + 1
    return passes


def _wishers(plain: PlainRound, applicants: Iterable[int]) -> dict[int, list[int]]:
    wishers: dict[int, list[int]] = {}
    for applicant in applicants:
        for position in plain.wishes(applicant):
            wishers.setdefault(position, []).append(applicant)
    return wishers


def _open_wishes(
    plain: PlainRound, applicants: Iterable[int], offered: Mapping[int, int]
) -> dict[int, list[int]]:
    """Return the wishes that are open, of those applicants who have one."""
    found: dict[int, list[int]] = {}
    for applicant in applicants:
        wished = [p for p in plain.wishes(applicant) if p in offered]
        if wished:
            found[applicant] = wished
    return found


class StepLimitError(Exception):
    """More steps were needed to find or rule out an exchange than allowed."""


def members(mask: int) -> Iterator[int]:
    """Yield the numbers whose bits are set, in order.

    >>> list(members(0b10110))
    [1, 2, 4]
    """
    digits = bin(mask)[:1:-1]
    at = digits.find("1")
    while at >= 0:
        yield at
        at = digits.find("1", at + 1)


class ExchangeGraph:
    """Who of the unmoved wishes to sit where; finds the first exchange of a claim.

    The positions held are numbered once more, without gaps, so that a set of them is
    the bits of one whole number. A search looks back from the initiator's home first:
    a position from which home cannot be reached in the wishes left is not entered.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> plain = PlainRound.of(round_, Rules.load("taiwan-110"), seed=0)
    >>> graph = ExchangeGraph(plain, [0, 1, 2])
    >>> graph.first(graph.claims[0], 2)
    (0, 2)
    """

    def __init__(
        self,
        plain: PlainRound,
        applicants: Iterable[int],
        most_steps: int | None = None,
    ) -> None:
        self.claims = plain.claims_in_order(applicants)
        self._homes = plain.homes
        self._most_steps = most_steps
        held = sorted({plain.homes[claim.applicant] for claim in self.claims})
        self._number = {position: number for number, position in enumerate(held)}
        self._bit = [1 << number for number in range(len(held))]
        self._claims_at: list[list[tuple[int, list[int]]]] = [[] for _ in held]
        self._ahead = [0] * len(held)  # positions wished by those who sit there
        self._behind = [0] * len(held)  # positions where somebody wishes this one
        self.steps = 0
        for claim in self.claims:
            self._enter(claim)

    def _enter(self, claim: Claim) -> None:
        home = self._number[self._homes[claim.applicant]]
        wishes = self._numbered(claim.wishes)
        self._claims_at[home].append((claim.applicant, wishes))
        for position in wishes:
            self._behind[position] |= self._bit[home]
        self._ahead[home] |= self._mask(wishes)

    def _numbered(self, positions: Iterable[int]) -> list[int]:
        """Return the numbers of those positions where somebody sits who may leave."""
        return [self._number[p] for p in positions if p in self._number]

    def _mask(self, numbers: Iterable[int]) -> int:
        mask = 0
        for number in numbers:
            mask |= self._bit[number]
        return mask

    def holds(self, applicant: int) -> bool:
        """Tell whether the applicant of one of the claims has not left yet."""
        home = self._number[self._homes[applicant]]
        return any(holder == applicant for holder, _ in self._claims_at[home])

    def anybody_at(self, position: int) -> bool:
        """Tell whether somebody with wishes still sits at a position."""
        number = self._number.get(position)
        return number is not None and bool(self._claims_at[number])

    def leave(self, applicant: int) -> None:
        """Take an applicant off the market; nothing happens if it left before."""
        home = self._number.get(self._homes[applicant])
        if home is None:
            return
        here = [entry for entry in self._claims_at[home] if entry[0] != applicant]
        if len(here) == len(self._claims_at[home]):
            return
        self._claims_at[home] = here
        wished = self._mask(position for _, wishes in here for position in wishes)
        gone = self._ahead[home] & ~wished
        self._ahead[home] = wished
        for position in members(gone):
            self._behind[position] &= ~self._bit[home]

    def first(self, claim: Claim, size: int) -> tuple[int, ...] | None:
        """Return the applicants of the first exchange of a claim, or None.

        They are in order, the initiator first, each moving to the home of the next.
        The claim may hold only some of an applicant's wishes. Raises StepLimitError.
        """
        home = self._number[self._homes[claim.applicant]]
        wishes = self._numbered(claim.wishes)
        if not self._may_close(home, wishes, size):
            return None
        search = _Search(home, self._ways_back(home, size))
        start = (claim.applicant, wishes)
        return tuple(search.path) if self._follow(search, start, size) else None

    def _union(self, sets: Sequence[int], of: int, home: int) -> int:
        """Join the sets of all positions in `of`; home is only start and end."""
        union = 0
        for position in members(of):
            union |= sets[position]
        self._count(of.bit_count())
        return union & ~self._bit[home]

    def _count(self, steps: int) -> None:
        self.steps += steps
        if self._most_steps is not None and self.steps > self._most_steps:
            raise StepLimitError

    def _may_close(self, home: int, wishes: Sequence[int], size: int) -> bool:
        """Tell whether `size` wishes can lead from home back to it at all.

        Goes ahead from home and back from it, always where fewer positions are, until
        one wish is left between the two sets.
        """
        ahead = self._mask(wishes) & ~self._bit[home]
        behind = self._behind[home]
        for _ in range(size - 3):
            if ahead.bit_count() < behind.bit_count():
                ahead = self._union(self._ahead, ahead, home)
            else:
                behind = self._union(self._behind, behind, home)
        if size == 2:
            return ahead & behind != 0
        self._count(min(ahead.bit_count(), behind.bit_count()))
        if ahead.bit_count() < behind.bit_count():
            return any(self._ahead[p] & behind for p in members(ahead))
        return any(self._behind[p] & ahead for p in members(behind))

    def _ways_back(self, home: int, size: int) -> list[int]:
        """Return from where home is 0, 1, 2, … size - 2 wishes away."""
        ways = [self._bit[home], self._behind[home]]
        while len(ways) < size - 1:
            ways.append(self._union(self._behind, ways[-1], home))
        return ways

    def _follow(self, search: _Search, claim: tuple[int, list[int]], left: int) -> bool:
        """Try the wishes of a claim in order, `left` wishes being left to come home."""
        applicant, wishes = claim
        self._count(len(wishes))
        search.path.append(applicant)
        for position in wishes:
            if left == 1:
                if position == search.home:
                    return True
                continue
            if position in search.places or not self._leads(search, position, left - 1):
                continue
            search.places.append(position)
            for member in self._claims_at[position]:
                if self._follow(search, member, left - 1):
                    return True
            search.places.pop()
        search.path.pop()
        return False

    def _leads(self, search: _Search, position: int, left: int) -> bool:
        if left < len(search.ways_back):
            return search.ways_back[left] & self._bit[position] != 0
        return self._ahead[position] & search.ways_back[left - 1] != 0


class _Search:
    """What one search has on its path: applicants, and the positions they hold."""

    def __init__(self, home: int, ways_back: list[int]) -> None:
        self.home = home
        self.ways_back = ways_back
        self.path: list[int] = []
        self.places = [home]
