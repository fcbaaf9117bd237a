"""Markets as arrays, without files: what the engine is timed on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import Round
from jiepin.core.kernels.encode import Forms, Lists
from jiepin.core.market import Encoded, Homes, Market, count_claims, lay_out
from jiepin.core.workers import Workers

N_COUNTIES = 22
N_WISHES = 12
SEATS_PER_POSITION = 3


def exchange_market(n_applicants: int, seed: int = 0) -> Market:
    """Return market E(n_applicants, seed): no vacancies, one subject, points differ.

    n/3 positions in 22 counties (sizes ∝ 1/rank^0.7); each applicant wishes 12
    positions inside two counties other than home (popularity = size × lognormal(0.6)),
    positions ∝ 1/rank^0.8 inside their county, in Plackett–Luce order.
    """
    return union_of_markets(1, n_applicants, seed)


def union_of_markets(n_parts: int, n_applicants: int, seed: int = 0) -> Market:
    """Return one market of n_parts that do not touch, as the subjects of a round.

    Each is drawn like E(n_applicants); points differ over all of them.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    homes, wishes, n_positions = [], [], 0
    for _ in range(n_parts):
        home_of, wished, n_more = _drawn(rng, n_applicants)
        homes.append(home_of + n_positions)
        wishes.append(wished + n_positions)
        n_positions += n_more
    order = rng.permutation(n_parts * n_applicants)
    return _laid_out(np.concatenate(homes), np.concatenate(wishes), n_positions, order)


def encoded(market: Market) -> Encoded:
    """Return a market as `staged.run` takes it, of a round without tables."""
    nothing = pl.DataFrame()
    indices = np.empty(0, dtype=np.int32)
    round_ = Round(nothing, nothing, nothing, nothing)
    return Encoded(market, round_, np.empty(0, np.int64), indices, indices, indices)


def wishes_in_order(market: Market) -> npt.NDArray[np.int32]:
    """Return the position of each wish, applicant by applicant, in wish order."""
    return market.graph.wish_position[market.list_wish]


def _drawn(
    rng: np.random.Generator, n_applicants: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], int]:
    """Draw where everybody sits and what they wish; return it and the positions."""
    n_positions = max(300, n_applicants // SEATS_PER_POSITION)
    share = 1 / np.arange(1, N_COUNTIES + 1) ** 0.7
    bounds = np.round(np.cumsum(share / share.sum()) * n_positions).astype(np.int64)
    starts = np.concatenate([[0], bounds])
    sizes = np.diff(starts)
    pull = sizes * rng.lognormal(0, 0.6, N_COUNTIES)
    home_of = (np.arange(n_applicants) * n_positions // n_applicants).astype(np.int32)
    home_county = np.searchsorted(starts, home_of, side="right") - 1
    first, second = _two_counties(rng, home_county, pull)
    return home_of, _plackett_luce(rng, starts, first, second), n_positions


def _laid_out(
    home_of: npt.NDArray[np.int32],
    wished: npt.NDArray[np.int32],
    n_positions: int,
    order: npt.NDArray[np.int64],
) -> Market:
    """Return the market of applicants by home, each with a row of wished positions."""
    n_applicants = len(home_of)
    everyone = np.arange(n_applicants + 1)
    place = np.arange(n_positions, dtype=np.int32)
    homes = Homes(
        position_at=place,
        school_of=place,
        subject_of=np.zeros_like(place),
        seats=np.zeros(n_positions, dtype=np.int64),
        home_of_row=home_of,
        row_of=everyone[:-1].astype(np.int32),
    )
    lists = Lists(
        choice_start=everyone * N_WISHES,
        choices=wished.ravel(),
        subject_start=everyone,
        subjects=np.zeros(n_applicants, dtype=np.int32),
        county_start=everyone,
        counties=np.zeros(n_applicants, dtype=np.int32),
        points=n_applicants - np.argsort(order),
    )
    forms = Forms(lists, home_of, place, np.zeros_like(place), best=False)
    workers = Workers()
    return lay_out(forms, homes, count_claims(forms, workers), order, workers)


def _two_counties(
    rng: np.random.Generator,
    home: npt.NDArray[np.int64],
    pull: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw two different counties other than home, by their pull (Gumbel's way)."""
    first = np.empty(len(home), dtype=np.int64)
    second = np.empty(len(home), dtype=np.int64)
    for low in range(0, len(home), 1 << 16):
        some = slice(low, low + (1 << 16))
        keys = np.log(pull) + rng.gumbel(size=(len(home[some]), N_COUNTIES))
        keys[np.arange(len(keys)), home[some]] = -np.inf
        best = np.argsort(-keys, axis=1)
        first[some], second[some] = best[:, 0], best[:, 1]
    return first, second


def _plackett_luce(
    rng: np.random.Generator,
    starts: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Draw 12 different positions of two counties, one by one, by popularity."""
    sizes = np.diff(starts)
    weight = np.concatenate([1 / np.arange(1, size + 1) ** 0.8 for size in sizes])
    total = np.concatenate([[0.0], np.cumsum(weight)])
    mass = total[starts[1:]] - total[starts[:-1]]
    wished = np.full((len(first), N_WISHES), -1, dtype=np.int32)
    for place in range(N_WISHES):
        open_rows = np.arange(len(first))
        while len(open_rows):
            a, b = first[open_rows], second[open_rows]
            draw = rng.random(len(open_rows)) * (mass[a] + mass[b])
            county = np.where(draw < mass[a], a, b)
            draw = (
                np.where(draw < mass[a], draw, draw - mass[a]) + total[starts[county]]
            )
            found = np.searchsorted(total, draw, side="right") - 1
            found = np.clip(found, starts[county], starts[county + 1] - 1)
            again = (wished[open_rows] == found[:, None]).any(axis=1)
            wished[open_rows[~again], place] = found[~again]
            open_rows = open_rows[again]
    return wished
