"""The optimum with a size limit: as many moves as exchanges of at most so many allow.

Everybody moves at most once, in an exchange or to an open seat that a one-way stage of
the rules may grant; seats that are left stay closed. The search starts from what the
rules do without their larger exchanges, so it is never worse. What comes back with the
plan is a bound: no such plan moves more.

How long it searches is counted in steps, never in seconds.
"""

from __future__ import annotations

from jiepin.core import errors, terms
from jiepin.core.market import Encoded
from jiepin.core.mechanisms import annealing, packing_bound, packing_search, staged
from jiepin.core.mechanisms.keeping import demands_of, no_demands, within
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.mechanisms.packing_pool import (
    Plan,
    Pool,
    moves_of,
    plan_of,
    pool_of,
)
from jiepin.core.options import Options
from jiepin.core.rules import Rules
from jiepin.core.workers import Workers

SMALL = 4_000  # things that may be made, so few that an exact search is worth while
NODES = 2_000  # of an exact search, per effort
ROUNDS = 10  # of prices, per effort
WORK = 1_000_000_000  # rows weighed by a search, per effort
WORK_PER_ROW = 60_000  # no more than this where there are few
HOT, COOL = 0.32, 0.18  # heat of a search from the staged plan, and from a good one


def pack(
    encoded: Encoded,
    rules: Rules,
    options: Options,
    threads: int,
    unlimited_bound: int,
) -> Moves:
    """Clear a market by exchanges of at most options.max_size, moving many.

    unlimited_bound is how many a plan without a size limit can move at most. Raises
    BadArgument when a one-way stage of the rules reopens seats.
    """
    _refuse_reopening(rules)
    first = staged.run(encoded, within(rules, options.max_size), threads)
    market = encoded.market
    demands = demands_of(market, first) if options.keep else no_demands(market)
    start = plan_of(market, first, options.max_size)
    pool = pool_of(encoded, rules, demands, options.max_size)
    plan, bound = _packed(pool, start, options, threads, unlimited_bound)
    return moves_of(market, plan, bound)


def _refuse_reopening(rules: Rules) -> None:
    for stage in rules.stages:
        if stage.kind == terms.ONE_WAY and stage.reopen:
            raise errors.BadArgument(
                f"optimum with a max_size, stage {stage.name!r} with reopen = true; "
                "expected rules in which seats that are left stay closed, or max_size 0"
            )


def _packed(
    pool: Pool, plan: Plan, options: Options, threads: int, bound: int
) -> tuple[Plan, int]:
    """Return the best plan found and the best bound proved."""
    nodes = NODES * options.effort
    if plan.moved < bound and pool.complete and pool.n_columns <= SMALL:
        plan, bound = packing_bound.exact(pool, plan, bound, nodes)
    if plan.moved == bound:
        return plan, bound
    plan, prices = _searched(pool, plan, options.effort, threads, bound)
    if prices is not None:
        bound = min(bound, prices.total(pool) // packing_bound.UNIT)
        rest = packing_bound.without_the_useless(pool, prices, plan.moved)
        if plan.moved < bound and rest.n_columns <= SMALL:
            plan, bound = packing_bound.exact(rest, plan, bound, nodes)
    return plan, bound


def _searched(
    pool: Pool, start: Plan, effort: int, threads: int, bound: int
) -> tuple[Plan, packing_bound.Prices | None]:
    """Search in two ways, and for prices, side by side where there are threads."""
    work = min(WORK, WORK_PER_ROW * pool.n_columns) * effort
    plans, found = [start, start], []

    def dive() -> None:
        sound = pool.fully_listed()
        plan, search = packing_search.dived(sound), annealing.Search(COOL, work, bound)
        if packing_search.all_who_must(sound, plan):
            plan = annealing.improved(sound, plan, search)
            plans[0] = plan if pool.complete else annealing.improved(pool, plan, search)

    def anneal() -> None:
        plans[1] = annealing.improved(pool, start, annealing.Search(HOT, work, bound))

    def price() -> None:
        if pool.complete:
            found.append(packing_bound.prices_for(pool, bound, ROUNDS * effort))

    with Workers(min(threads, 2)) as workers:
        workers.share(lambda way: way(), (dive, anneal, price))
    best = max((start, *plans), key=lambda plan: plan.moved)
    return best, next(iter(found), None)
