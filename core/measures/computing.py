"""How each measure is computed: keys and values of one situation.

The keys are the same, in the same order, for every result of one market and one rule
set; only a mean of nobody is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core.kernels import measuring as kernel
from jiepin.core.kernels.compiling import FlagArray, IndexArray
from jiepin.core.measures.situation import Situation
from jiepin.core.report.figures import BANDS, BandFigures
from jiepin.core.solve import stage_names

TOTAL: Final = ""  # key of the one figure for all
BEFORE, AFTER, APPLICANTS = "before", "after", "applicants"
N_DECILES: Final = 10

_PER_YEAR = 100  # years of service are held in hundredths
HIGHEST = terms.EXCHANGE_SIZES[-1]  # sizes above it have one key together
LARGER = f"{HIGHEST + 1}–"

Pairs = Iterable[tuple[str, float]]  # key and value
Compute = Callable[[Situation], Pairs]


# ---- Moves


def moves(situation: Situation) -> Pairs:
    """Count who moved."""
    yield TOTAL, len(situation.movers)
    for level, moved, _ in _by_level(situation):
        yield level, moved


def share(situation: Situation) -> Pairs:
    """Divide who moved by who applied."""
    yield TOTAL, len(situation.movers) / max(1, situation.n_applicants)
    for level, moved, applicants in _by_level(situation):
        yield level, moved / max(1, applicants)


def _by_level(situation: Situation) -> Iterator[tuple[str, int, int]]:
    """Yield each level with those who moved and all who applied."""
    background = situation.background
    n, level_of = len(background.levels), background.level_of
    moved = np.bincount(level_of[situation.movers], minlength=n).tolist()
    applied = np.bincount(level_of, minlength=n).tolist()
    yield from zip(background.levels, moved, applied, strict=True)


def choices(situation: Situation) -> Pairs:
    """Count who moved by the number of the choice."""
    chosen = situation.encoded.market.wish_choice[situation.used]
    counts = np.bincount(chosen, minlength=BANDS[-1][0] + 1)
    for first, last in BANDS:
        end = None if last is None else last + 1
        yield BandFigures(first, last, 0).label, counts[first:end].sum()


def stages(situation: Situation) -> Pairs:
    """Count who moved by stage."""
    names = stage_names(situation.rules, situation.mechanism)
    stages = situation.stage_of[situation.movers]
    yield from zip(names, np.bincount(stages, minlength=len(names)), strict=True)


def exchanges(situation: Situation) -> Pairs:
    """Count exchanges by the people in one."""
    sizes = np.minimum(situation.sizes, HIGHEST + 1)
    counts = np.bincount(sizes, minlength=HIGHEST + 2)
    yield TOTAL, len(sizes)
    for size in terms.EXCHANGE_SIZES:
        yield str(size), counts[size]
    yield LARGER, counts[HIGHEST + 1]


# ---- Counties


def county_in(situation: Situation) -> Pairs:
    """Count who came from other counties."""
    crossings = situation.crossings
    return _per_county(situation, crossings.sum(axis=0) - crossings.diagonal())


def county_out(situation: Situation) -> Pairs:
    """Count who left for other counties."""
    crossings = situation.crossings
    return _per_county(situation, crossings.sum(axis=1) - crossings.diagonal())


def county_within(situation: Situation) -> Pairs:
    """Count who moved inside a county."""
    return _per_county(situation, situation.crossings.diagonal())


def _per_county(situation: Situation, counts: npt.NDArray[np.int64]) -> Pairs:
    yield TOTAL, counts.sum()
    yield from zip(situation.background.counties, counts, strict=True)


def county_net(situation: Situation) -> Pairs:
    """Return by how many people each county grows."""
    net = situation.crossings.sum(axis=0) - situation.crossings.sum(axis=1)
    return zip(situation.background.counties, net, strict=True)


def flows(situation: Situation) -> Pairs:
    """Count who moved from each county to each."""
    counties = situation.background.counties
    keys = (f"{origin}>{county}" for origin in counties for county in counties)
    return zip(keys, situation.crossings.ravel().tolist(), strict=True)


# ---- Remote and indigenous schools


class _Staff(NamedTuple):
    """Applicants at some schools, and the sum of their years of service, hundredths."""

    number: int
    years: int


def _staff(situation: Situation, at: FlagArray, places: IndexArray) -> _Staff:
    there = at[places] == 1
    years = situation.background.years_of[there].sum()
    return _Staff(int(np.count_nonzero(there)), int(years))


def _before_after(situation: Situation, at: FlagArray) -> dict[str, _Staff]:
    home_of = situation.encoded.market.home_of
    return {
        BEFORE: _staff(situation, at, home_of),
        AFTER: _staff(situation, at, situation.place),
    }


def applicants_at(situation: Situation, at: FlagArray) -> Pairs:
    """Count who sits at some schools."""
    for key, staff in _before_after(situation, at).items():
        yield key, staff.number


def mean_years_at(situation: Situation, at: FlagArray) -> Pairs:
    """Return the mean years of service of those who sit at some schools."""
    for key, staff in _before_after(situation, at).items():
        if staff.number:
            yield key, staff.years / (_PER_YEAR * staff.number)


def experience_lost(situation: Situation, at: FlagArray) -> Pairs:
    """Return the years of service that some schools lose."""
    staff = _before_after(situation, at)
    yield TOTAL, (staff[BEFORE].years - staff[AFTER].years) / _PER_YEAR


def remote(compute: Callable[[Situation, FlagArray], Pairs]) -> Compute:
    """Return what is computed for remote schools."""
    return lambda situation: compute(situation, situation.background.remote)


def indigenous(compute: Callable[[Situation, FlagArray], Pairs]) -> Compute:
    """Return what is computed for indigenous schools."""
    return lambda situation: compute(situation, situation.background.indigenous)


# ---- Envy, seats left, exchanges left


def envy(situation: Situation) -> Pairs:
    """Count wishes that somebody who comes later got."""
    background = situation.background
    last = np.full(situation.encoded.market.n_positions, terms.NOBODY, dtype=np.int32)
    np.maximum.at(last, situation.came_to, background.rank_of_wish[situation.used])
    counts = np.zeros(2, dtype=np.int64)
    kernel.count_envy(*situation.better, background.rank_of_wish, last, counts)
    return zip((TOTAL, APPLICANTS), counts, strict=True)


def waste(situation: Situation) -> Pairs:
    """Count wishes for a seat that is left open."""
    applies, offered, seats = _offers(situation)
    counts = np.zeros(2, dtype=np.int64)
    kernel.count_waste(*situation.better, seats, applies, offered, counts)
    return zip((TOTAL, APPLICANTS), counts, strict=True)


def _offers(
    situation: Situation,
) -> tuple[FlagArray, FlagArray, npt.NDArray[np.int64]]:
    """Return who may take open seats, where, by one-way stage; and the seats left."""
    encoded, n = situation.encoded, situation.encoded.market.n_positions
    offered_at = 1 - encoded.swap_only
    applies, offered = [], []
    for applicants, schools in _filters(situation):
        group = np.uint8(1) if applicants is None else encoded.in_group(applicants)
        tag = np.uint8(1) if schools is None else encoded.at_schools_tagged(schools)
        applies.append(offered_at[encoded.market.home_of] & group)
        offered.append(offered_at & tag)
    return (
        _stacked(applies, situation.n_applicants),
        _stacked(offered, n),
        _seats_left(situation),
    )


def _stacked(flags: list[Any], n: int) -> FlagArray:
    stacked: FlagArray = np.array(flags, dtype=np.uint8).reshape(len(flags), n)
    return stacked


def _filters(situation: Situation) -> list[tuple[str | None, str | None]]:
    """Return the group and the tag of each one-way stage, those that differ once."""
    if situation.mechanism != terms.STAGED:
        return [(None, None)]
    stages = situation.rules.stages
    one_way = [stage for stage in stages if stage.kind == terms.ONE_WAY]
    return list(dict.fromkeys((stage.applicants, stage.schools) for stage in one_way))


def _seats_left(situation: Situation) -> npt.NDArray[np.int64]:
    """Return the open seats of each position in the end.

    Where stages do not say which seats are offered again, all that are left are.
    """
    market, n = situation.encoded.market, situation.encoded.market.n_positions
    taken = reopened = np.ones(len(situation.movers), dtype=np.bool_)
    if situation.mechanism == terms.STAGED:
        stages = situation.rules.stages
        stage = situation.stage_of[situation.movers]
        taken = np.array([stage.kind == terms.ONE_WAY for stage in stages])[stage]
        reopened = np.array([stage.reopen for stage in stages])[stage]
    left = np.bincount(situation.left_from[reopened], minlength=n)
    came = np.bincount(situation.came_to[taken], minlength=n)
    return market.seats + left - came


def blocking_pairs(situation: Situation) -> Pairs:
    """Count pairs who each prefer what the other got."""
    tally = np.zeros(situation.encoded.market.n_positions, dtype=np.int64)
    yield TOTAL, kernel.count_pairs(*situation.links, tally)


def blocking_circles(situation: Situation) -> Pairs:
    """Count who could gain by an exchange of results."""
    links, n = situation.links, situation.encoded.market.n_positions
    circle, low, number, path, open_ = (np.empty(n, dtype=np.int32) for _ in range(5))
    at = np.empty(n, dtype=np.int64)
    kernel.find_circles(
        links.out_start, links.out_to, circle, low, number, path, open_, at
    )
    yield (
        TOTAL,
        kernel.count_on_circles(*situation.better, situation.place, circle),
    )


# ---- Regret, and the optimum


def regret(situation: Situation) -> Pairs:
    """Return which share of the wishes stands before the result."""
    wishers = situation.background.wishers
    n_wishes = situation.background.n_wishes[wishers]
    regret = (situation.n_better[wishers] / n_wishes).tolist()
    bounds = [-(-len(regret) * tenth // N_DECILES) for tenth in range(N_DECILES + 1)]
    parts = [(TOTAL, regret)]
    for tenth in range(N_DECILES):
        part = regret[bounds[tenth] : bounds[tenth + 1]]
        parts.append((str(tenth + 1), part))
    for key, part in parts:
        if part:
            # fsum: the order of adding must not be seen
            yield key, math.fsum(part) / len(part)


def bound(situation: Situation) -> Pairs:
    """Return how many are proved to be the most, where the mechanism proves it."""
    if situation.bound is not None:
        yield TOTAL, situation.bound


def gap(situation: Situation) -> Pairs:
    """Return which share of the bound did not move."""
    for key, most in bound(situation):
        yield key, (most - len(situation.movers)) / max(1, most)


def optimum(situation: Situation) -> Pairs:
    """Return how many could move."""
    yield TOTAL, situation.background.most_moves(situation.rules)


def optimum_share(situation: Situation) -> Pairs:
    """Divide who moved by how many could."""
    most = situation.background.most_moves(situation.rules)
    yield TOTAL, len(situation.movers) / most if most else 1.0
