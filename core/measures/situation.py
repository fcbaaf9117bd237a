"""Markets and their results as arrays, for all that measures ask of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import checks, errors, terms
from jiepin.core.bounds import check_moves
from jiepin.core.kernels import measuring as kernel
from jiepin.core.kernels.compiling import FlagArray, IndexArray
from jiepin.core.market import Encoded, encode
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.top_trading_cycles import overall_order
from jiepin.core.outcome import ASSIGNMENTS, Outcome
from jiepin.core.round import Round
from jiepin.core.rules import Rules
from jiepin.core.solve import clear, stage_names

REMOTE: Final = ("remote", "special-remote", "extreme-remote")  # tags of such schools
INDIGENOUS: Final = ("indigenous",)


@dataclass(frozen=True)
class Background:
    """A market and what all results of it share; made once, for any number of them.

    The round of the market needs its tables: schools, teachers.
    """

    encoded: Encoded
    _most: list[int] = field(default_factory=list, repr=False)

    def most_moves(self, rules: Rules) -> int:
        """Return how many could move at most; found once for the market.

        Raises NotInstalled without the packages of the extra `optimum`.
        """
        if not self._most:
            moves = clear(self.encoded, rules, mechanism=terms.OPTIMUM)
            self._most.append(int(np.count_nonzero(moves.moved_by != terms.NOBODY)))
        return self._most[0]

    @cached_property
    def counties(self) -> list[str]:
        """The codes of the counties that have a school."""
        codes = checks.Codes.of(self.encoded.round_.schools["county"])
        return codes.kind.categories.to_list()

    @cached_property
    def county_of(self) -> IndexArray:
        """The county of each position, an index of `counties`."""
        county = self.encoded.round_.schools["county"]
        codes = checks.Codes.of(county).encode(county)
        return checks.index_of(codes)[self.encoded.school_of]

    @cached_property
    def levels(self) -> list[str]:
        """The levels that have a school, in the order of terms.LEVELS."""
        there = set(self.encoded.round_.schools["level"].unique().to_list())
        return [level for level in terms.LEVELS if level in there]

    @cached_property
    def level_of(self) -> IndexArray:
        """The level of each applicant, an index of `levels`."""
        level = self.encoded.round_.schools["level"].cast(pl.Enum(self.levels))
        home_school = self.encoded.school_of[self.encoded.market.home_of]
        return checks.index_of(level)[home_school]

    @cached_property
    def years_of(self) -> npt.NDArray[np.int64]:
        """The years of service of each applicant, hundredths; 0 where missing."""
        years = self.encoded.round_.teachers[terms.SERVICE_YEARS].fill_null(0)
        return years.to_numpy().astype(np.int64)[self.encoded.row_of]

    @cached_property
    def remote(self) -> FlagArray:
        """1 for each position at a remote school."""
        return self.tagged(REMOTE)

    @cached_property
    def indigenous(self) -> FlagArray:
        """1 for each position at an indigenous school."""
        return self.tagged(INDIGENOUS)

    def tagged(self, tags: Sequence[str]) -> FlagArray:
        """Return 1 for each position whose school has one of the tags."""
        found = [self.encoded.at_schools_tagged(tag) for tag in tags]
        either: FlagArray = np.maximum.reduce(found)
        return either

    @cached_property
    def rank_of_wish(self) -> IndexArray:
        """The place of each wish's claim in claim order, the first being 0."""
        market = self.encoded.market
        return market.rank_of[market.graph.wish_claim]

    @cached_property
    def n_wishes(self) -> IndexArray:
        """How many wishes each applicant has."""
        return np.diff(self.encoded.market.list_start)

    @cached_property
    def wishers(self) -> IndexArray:
        """The applicants who have a wish, best overall rank first."""
        order = overall_order(self.encoded.market)
        return order[self.n_wishes[order] > 0]


@dataclass(frozen=True)
class Situation:
    """A result of a market, as arrays; what several measures need is found once.

    bound: nobody could move more than so many by the mechanism, None where nothing is
    proved.

    moved_by[i] is the wish applicant i moved by, or NOBODY; stage_of[i] the number of
    its stage in stage_names, or NOBODY; sizes are those of the exchanges made.
    """

    background: Background
    rules: Rules
    mechanism: str
    moved_by: IndexArray
    stage_of: IndexArray
    sizes: npt.NDArray[np.int64]
    bound: int | None = None

    def __post_init__(self) -> None:
        """Raise BadArray unless the moves are moves of the market."""
        check_moves(
            self.encoded.market,
            self.moved_by,
            self.stage_of,
            len(stage_names(self.rules, self.mechanism)),
            self.sizes,
        )

    @classmethod
    def of(
        cls,
        background: Background,
        rules: Rules,
        moves: Moves,
        mechanism: str = terms.STAGED,
    ) -> Situation:
        """Return the situation after the moves that a mechanism decided."""
        return cls(
            background=background,
            rules=rules,
            mechanism=mechanism,
            moved_by=np.ascontiguousarray(moves.moved_by, dtype=np.int32),
            stage_of=np.ascontiguousarray(moves.stage_of, dtype=np.int32),
            sizes=np.diff(moves.starts).astype(np.int64),
            bound=moves.bound,
        )

    @property
    def encoded(self) -> Encoded:
        """The market."""
        return self.background.encoded

    @property
    def n_applicants(self) -> int:
        """How many people take part."""
        return len(self.moved_by)

    @cached_property
    def movers(self) -> npt.NDArray[np.intp]:
        """The applicants who moved."""
        return np.flatnonzero(self.moved_by != terms.NOBODY)

    @cached_property
    def used(self) -> IndexArray:
        """The wish of each of `movers`."""
        return self.moved_by[self.movers]

    @cached_property
    def came_to(self) -> IndexArray:
        """The new position of each of `movers`."""
        return self.encoded.market.graph.wish_position[self.used]

    @cached_property
    def left_from(self) -> IndexArray:
        """The old position of each of `movers`."""
        return self.encoded.market.home_of[self.movers]

    @cached_property
    def place(self) -> IndexArray:
        """The position of each applicant afterwards."""
        place = self.encoded.market.home_of.copy()
        place[self.movers] = self.came_to
        return place

    @cached_property
    def n_better(self) -> IndexArray:
        """How many wishes of each stand before the result; all of one who stays."""
        n_better = np.empty(self.n_applicants, dtype=np.int32)
        market = self.encoded.market
        kernel.count_better(
            market.list_start, market.list_wish, self.moved_by, n_better
        )
        return n_better

    @cached_property
    def better(self) -> tuple[IndexArray, IndexArray, IndexArray, IndexArray]:
        """What kernels need to look at each wish that stands before the result."""
        market = self.encoded.market
        return (
            market.list_start,
            market.list_wish,
            self.n_better,
            market.graph.wish_position,
        )

    @cached_property
    def crossings(self) -> npt.NDArray[np.int64]:
        """How many moved from each county (row) to each (column)."""
        county_of, n = self.background.county_of, len(self.background.counties)
        pairs = county_of[self.left_from].astype(np.int64) * n
        pairs += county_of[self.came_to]
        return np.bincount(pairs, minlength=n * n).reshape(n, n)

    @cached_property
    def links(self) -> _Links:
        """Who wants to go where from the place of the result."""
        n, n_links = self.encoded.market.n_positions, int(self.n_better.sum())
        links = _Links(
            out_start=np.zeros(n + 1, dtype=np.int64),
            out_to=np.empty(n_links, dtype=np.int32),
            in_start=np.zeros(n + 1, dtype=np.int64),
            in_from=np.empty(n_links, dtype=np.int32),
        )
        kernel.count_links(*self.better, self.place, links.out_start, links.in_start)
        kernel.fill_links(
            *self.better,
            self.place,
            links.out_start,
            links.in_start,
            links.out_to,
            links.in_from,
        )
        return links


class _Links(NamedTuple):
    """Links between positions, one for each wish that stands before a result.

    Those out of p lead to out_to[out_start[p]:out_start[p + 1]], those into p come from
    in_from[in_start[p]:in_start[p + 1]].
    """

    out_start: npt.NDArray[np.int64]
    out_to: IndexArray
    in_start: npt.NDArray[np.int64]
    in_from: IndexArray


def situation_of(round_: Round, outcome: Outcome) -> Situation:
    """Return the situation of a result, as `Outcome.read` gives it, of its round.

    Raises BadResult when the result is not one of this round.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> situation_of(round_, outcome).movers.tolist()
    [0, 2]
    """
    outcome.check_teachers(round_.teachers["teacher_id"].sort().to_list())
    encoded = encode(round_, outcome.rules, outcome.seed)
    stages, moved_by, stage_of = (
        list(outcome.stage_names),
        np.full(encoded.market.n_applicants, terms.NOBODY, dtype=np.int32),
        np.full(encoded.market.n_applicants, terms.NOBODY, dtype=np.int32),
    )
    places = _Places(encoded)
    rows = outcome.assignments.select("stage", "school", "subject").iter_rows()
    for applicant, (stage, school, subject) in zip(encoded.by_id, rows, strict=True):
        if stage is None:
            continue
        wish = places.wish(int(applicant), school, subject)
        if wish == terms.NOBODY or stage not in stages:
            raise errors.BadResult(
                f"{ASSIGNMENTS}: somebody moved to {school} {subject} in {stage!r}; "
                "expected a wish and a stage of this round and these rules"
            )
        moved_by[applicant], stage_of[applicant] = wish, stages.index(stage)
    return Situation(
        background=Background(encoded),
        rules=outcome.rules,
        mechanism=outcome.mechanism,
        moved_by=moved_by,
        stage_of=stage_of,
        sizes=outcome.exchanges["size"].to_numpy().astype(np.int64),
        bound=outcome.bound,
    )


class _Places:
    """Which wish of somebody is the one for a school and subject."""

    def __init__(self, encoded: Encoded) -> None:
        round_, self._market = encoded.round_, encoded.market
        schools = round_.schools["school"].cast(pl.String).gather(encoded.school_of)
        subjects = round_.subjects["subject"].cast(pl.String)
        pairs = zip(schools, subjects.gather(encoded.subject_of), strict=True)
        self._position = {pair: position for position, pair in enumerate(pairs)}

    def wish(self, applicant: int, school: str, subject: str) -> int:
        """Return the wish of an applicant for a place, NOBODY when there is none."""
        market = self._market
        position = self._position.get((school, subject), terms.NOBODY)
        bounds = market.list_start[applicant], market.list_start[applicant + 1]
        wishes = market.list_wish[slice(*bounds)]
        found = wishes[market.graph.wish_position[wishes] == position]
        return int(found[0]) if len(found) else terms.NOBODY
