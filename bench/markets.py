"""Markets as arrays, without files: what the engine is timed on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import Round, Rules
from jiepin.core.kernels.encode import Forms, Lists
from jiepin.core.market import Encoded, Homes, Market, count_claims, lay_out
from jiepin.core.simulation.uniform import Shape
from jiepin.core.workers import Workers

N_WISHES = 12


def exchange_market(n_applicants: int, seed: int = 0) -> Market:
    """Return market E(n_applicants, seed): no vacancies, one subject, points differ.

    12 wishes, n/3 positions in 22 counties, drawn as jiepin.core.simulation.uniform
    describes.
    """
    return union_of_markets(1, n_applicants, seed)


def union_of_markets(n_parts: int, n_applicants: int, seed: int = 0) -> Market:
    """Return one market of n_parts that do not touch, as the subjects of a round.

    Each is drawn like E(n_applicants); points differ over all of them.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    homes, wishes, n_positions = [], [], 0
    shape = Shape(n_applicants, wishes=N_WISHES)
    for _ in range(n_parts):
        drawn = shape.draw(rng)
        homes.append(drawn.home_of + np.int32(n_positions))
        wishes.append(drawn.wished + np.int32(n_positions))
        n_positions += shape.n_positions
    order = rng.permutation(n_parts * n_applicants)
    return _laid_out(np.concatenate(homes), np.concatenate(wishes), n_positions, order)


def encoded(market: Market) -> Encoded:
    """Return a market as mechanisms take it: schools without tags, one per position."""
    tags = pl.Series([[""]], dtype=pl.List(pl.String))
    schools = pl.DataFrame({"tags": tags.new_from_index(0, market.n_positions)})
    nothing, no_rows = pl.DataFrame(), np.empty(0, dtype=np.int32)
    return Encoded(
        market=market,
        round_=Round(schools, nothing, nothing, nothing),
        by_id=np.empty(0, dtype=np.int64),
        row_of=no_rows,
        school_of=np.arange(market.n_positions, dtype=np.int32),
        subject_of=no_rows,
        rules=Rules("none", ()),
        seed=0,
    )


def wishes_in_order(market: Market) -> npt.NDArray[np.int32]:
    """Return the position of each wish, applicant by applicant, in wish order."""
    return market.graph.wish_position[market.list_wish]


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
