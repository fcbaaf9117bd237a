"""The optimum without a size limit: who goes where is a flow, solved exactly.

Everybody ends at home or at one wish. A position takes as many as it has seats, held
and open; one at a swap-only school is as full afterwards as before. So a seat that is
left may be filled again, by people in a circle of any length or in a chain that ends at
an open seat. Every result of the staged rules is such a plan: those who move one-way
take an open seat or one left before them, and those of an exchange fill each other's.

Solved as a minimum-cost flow by OR-Tools (cost scaling on whole numbers): exact, and
the same on every machine. Among plans that are equally good the solver's is taken.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core import checks, errors, terms
from jiepin.core.kernels import augmenting
from jiepin.core.kernels.compiling import FlagArray, IndexArray
from jiepin.core.kernels.encode import group
from jiepin.core.market import Encoded, Market
from jiepin.core.mechanisms.keeping import Demands
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.pairing import moves_of
from jiepin.core.mechanisms.top_trading_cycles import overall_order

_LARGEST_COST = 1 << 62  # of one arc, times the number of nodes: the solver scales it


class Costs(NamedTuple):
    """What a plan costs; the cheapest is the best."""

    wish: npt.NDArray[np.int64]  # shape (n_wishes,): of moving by a wish
    stay: npt.NDArray[np.int64]  # shape (n_applicants,): of staying at home


def run(encoded: Encoded, demands: Demands, objective: str) -> Moves:
    """Return the best plan that keeps to the demands; bound is that of the moves."""
    market = encoded.market
    if objective == "moves":
        moved_by = plan(encoded, demands, _for_moves(market, demands))
        return moves_of(market, moved_by, _count(moved_by))
    start = plan(encoded, demands, _for_count(market))
    if objective == "points":
        moved_by = plan(encoded, demands, _for_points(encoded))
    else:
        movers = _movers_by_rank(encoded, demands, start)
        demands = _exactly(market, demands, movers)
        moved_by = plan(encoded, demands, _for_moves(market, demands))
    return moves_of(market, moved_by, _count(start))


def most_moves(encoded: Encoded, demands: Demands) -> int:
    """Return how many can move at most, whatever the size of exchanges."""
    return _count(plan(encoded, demands, _for_count(encoded.market)))


def plan(encoded: Encoded, demands: Demands, costs: Costs) -> IndexArray:
    """Return the wish by which each applicant moves in a cheapest plan, or NOBODY.

    Raises NotInstalled without OR-Tools.
    """
    try:
        from ortools.graph.python import min_cost_flow
    except ImportError as error:
        raise errors.NotInstalled.of(error, "optimum") from None
    network = _network(encoded, demands, costs)
    flow = min_cost_flow.SimpleMinCostFlow()
    flow.add_arcs_with_capacity_and_unit_cost(
        network.tail, network.head, network.capacity, network.cost
    )
    nodes = np.arange(len(network.supply), dtype=np.int32)
    flow.set_nodes_supplies(nodes, network.supply)
    status: Any = flow.solve()
    assert status == flow.OPTIMAL, status  # staying, or the staged plan, is a flow
    used = flow.flows(np.arange(len(network.wishes), dtype=np.int32)) > 0
    wishes = network.wishes[used]
    moved_by = np.full(encoded.market.n_applicants, terms.NOBODY, dtype=np.int32)
    moved_by[_owner_of(encoded.market)[wishes]] = wishes
    return moved_by


class _Network(NamedTuple):
    """One unit per applicant flows to a position and on to one sink.

    The first arcs are `wishes`, then who may stay, then the positions whose seats may
    be left empty; the others take exactly as many as they have.
    """

    wishes: IndexArray
    tail: IndexArray
    head: IndexArray
    capacity: npt.NDArray[np.int64]
    cost: npt.NDArray[np.int64]
    supply: npt.NDArray[np.int64]


def _network(encoded: Encoded, demands: Demands, costs: Costs) -> _Network:
    market = encoded.market
    n, n_positions = market.n_applicants, market.n_positions
    wishes = np.flatnonzero(demands.allowed).astype(np.int32)
    staying = np.flatnonzero(demands.must_move == 0).astype(np.int32)
    full = encoded.swap_only == 1
    loose = np.flatnonzero(~full).astype(np.int32)
    held = np.bincount(market.home_of, minlength=n_positions).astype(np.int64)
    supply = np.concatenate([np.ones(n, np.int64), np.where(full, -held, 0), [0]])
    supply[-1] = -supply.sum()
    sink = np.full(len(loose), n + n_positions, dtype=np.int32)
    tail = [_owner_of(market)[wishes], staying, n + loose]
    head = [n + market.graph.wish_position[wishes], n + market.home_of[staying], sink]
    room = (held + np.minimum(market.seats, n))[loose]
    ones = np.ones(len(wishes) + len(staying), dtype=np.int64)
    return _Network(
        wishes=wishes,
        tail=np.concatenate(tail).astype(np.int32),
        head=np.concatenate(head).astype(np.int32),
        capacity=np.concatenate([ones, room]),
        cost=np.concatenate(
            [costs.wish[wishes], costs.stay[staying], np.zeros(len(loose), np.int64)]
        ),
        supply=supply,
    )


def _owner_of(market: Market) -> IndexArray:
    """Return the applicant of each wish."""
    owner: IndexArray = market.graph.holder_of[market.graph.wish_claim]
    return owner


def _count(moved_by: IndexArray) -> int:
    return int((moved_by != terms.NOBODY).sum())


# ---- What is best


def _for_count(market: Market) -> Costs:
    """Let a plan cost how many stay."""
    stay = np.ones(market.n_applicants, dtype=np.int64)
    return Costs(np.zeros(len(market.wish_choice), dtype=np.int64), stay)


def _for_moves(market: Market, demands: Demands) -> Costs:
    """Let one more who stays cost more than all choice numbers together can."""
    choice = market.wish_choice.astype(np.int64)
    largest = int(choice[demands.allowed == 1].max(initial=0))
    stay = 1 + largest * market.n_applicants
    return Costs(choice, np.full(market.n_applicants, stay, dtype=np.int64))


def _for_points(encoded: Encoded) -> Costs:
    """Let a hundredth of a point cost more than all who stay together."""
    points, market = wish_points(encoded), encoded.market
    most, unit = int(points.max(initial=0)), market.n_applicants + 1
    n_nodes = market.n_applicants + market.n_positions + 1
    if most * unit * n_nodes >= _LARGEST_COST:
        raise errors.BadArgument(
            f"objective 'points' with points of {terms.points_text(most)}, so large "
            "that sums of them are not exact; expected smaller ones, or 'moves'"
        )
    stay = np.full(market.n_applicants, most * unit + 1, dtype=np.int64)
    return Costs((most - points) * unit, stay)


def wish_points(encoded: Encoded) -> npt.NDArray[np.int64]:
    """Return the holder's points, in hundredths, for the county of each wish.

    Shape (n_wishes,), each wish at its index in the market.
    """
    market, round_ = encoded.market, encoded.round_
    codes = checks.Codes.of(round_.schools["county"])
    n_counties = len(codes.kind.categories)
    county = checks.index_of(codes.encode(round_.schools["county"]))
    counties = checks.Lists.of(round_.teachers["counties"])
    row = np.repeat(np.arange(round_.teachers.height), counties.lengths)
    listed = row * n_counties + checks.index_of(counties.flat)
    order = np.argsort(listed)
    row = encoded.row_of[_owner_of(market)].astype(np.int64)
    wished = row * n_counties + county[encoded.school_of[market.graph.wish_position]]
    points = checks.Lists.of(round_.teachers["points"]).flat.to_numpy()
    found = points[order[np.searchsorted(listed[order], wished)]]
    return np.asarray(found, dtype=np.int64)


# ---- By rank


def _movers_by_rank(
    encoded: Encoded, demands: Demands, moved_by: IndexArray
) -> FlagArray:
    """Return who moves when each in overall rank moves if those before still can.

    `moved_by` is a plan to begin with; the answer does not depend on it.
    """
    market = encoded.market
    place = market.home_of.copy()
    moved = moved_by != terms.NOBODY
    place[moved] = market.graph.wish_position[moved_by[moved]]
    state = augmenting.State(
        place=place,
        first=np.full(market.n_positions, terms.NOBODY, dtype=np.int32),
        next_there=np.empty_like(place),
        free=_free_seats(encoded, place),
        kind=demands.must_move.copy(),
    )
    ends = [augmenting.end_for(market.n_positions) for _ in range(2)]
    augmenting.settle_in_order(
        _people(encoded, demands),
        overall_order(market),
        state,
        augmenting.Search(*ends),
    )
    movers: FlagArray = (state.kind == augmenting.MOVES).astype(np.uint8)
    return movers


def _people(encoded: Encoded, demands: Demands) -> augmenting.People:
    market = encoded.market
    wisher_start = np.empty(market.n_positions + 1, dtype=np.int32)
    wishers = np.empty_like(market.graph.wish_position)
    group(market.graph.wish_position, wisher_start, wishers)
    everyone = np.searchsorted(market.home_of, np.arange(market.n_positions + 1))
    return augmenting.People(
        list_start=market.list_start,
        list_wish=market.list_wish,
        wish_position=market.graph.wish_position,
        owner_of=_owner_of(market),
        allowed=demands.allowed,
        wisher_start=wisher_start,
        wishers=wishers,
        home_of=market.home_of,
        home_start=everyone.astype(np.int32),
        stays_full=encoded.swap_only,
    )


def _free_seats(encoded: Encoded, place: IndexArray) -> npt.NDArray[np.int64]:
    market, n_positions = encoded.market, encoded.market.n_positions
    held = np.bincount(market.home_of, minlength=n_positions)
    seats = np.minimum(market.seats, market.n_applicants)
    seats[encoded.swap_only == 1] = 0
    free: npt.NDArray[np.int64] = (
        held + seats - np.bincount(place, minlength=n_positions)
    )
    return free


def _exactly(market: Market, demands: Demands, movers: FlagArray) -> Demands:
    """Let these move and nobody else."""
    allowed = demands.allowed * movers[_owner_of(market)]
    return Demands(allowed, movers)
