"""How many a plan with a size limit can move at most: prices, and small exact answers.

Give each applicant and each open seat a price. If the members of every exchange pay for
its size together, and whoever takes an open seat pays one with it, then no plan moves
more than all prices come to. The cheapest such prices are a linear program, which HiGHS
solves by its interior point method over some exchanges at a time. Prices are then
rounded to millionths and raised where they fall short, in whole numbers: so the bound
holds whatever the solver's last digits are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jiepin.core import errors
from jiepin.core.kernels import packing as kernel
from jiepin.core.mechanisms.packing_pool import Plan, Pool

UNIT = 1_000_000  # a price of one
FEW = 20_000  # exchanges that all enter the first program
PER_APPLICANT = 12  # else so many of each applicant do
MORE = 20_000  # those that fall short most, added each time
NUDGE = 1e-3  # what chance adds to the worth of a thing, for a solution of few parts

Wholes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prices:
    """Prices that pay for everything, in millionths."""

    applicants: Wholes
    seats: Wholes  # shape (n_positions,): of one open seat there

    def total(self, pool: Pool) -> int:
        """Return what all come to."""
        return int(self.applicants.sum() + (self.seats * pool.seats).sum())


def prices_for(pool: Pool, enough: int, rounds: int) -> Prices | None:
    """Return prices that prove how many can move at most, for a complete pool.

    None when no prices can prove less than `enough`.
    """
    luck = np.random.Generator(np.random.PCG64(0)).random(len(pool.cycles))
    cycles = highest(pool, luck)
    takes = np.ones(len(pool.takers), dtype=bool)
    best: Prices | None = None
    for _ in range(rounds):
        value, raw = _relaxed(pool.only(cycles, takes))
        if value > enough - 1 + 1e-6:
            return None
        prices = _repaired(pool, raw)
        if best is None or prices.total(pool) < best.total(pool):
            best = prices
        short = owed(pool, raw)
        wanted = np.flatnonzero((short > UNIT // 1000) & ~cycles)
        if len(wanted) == 0:
            break
        cycles[wanted[np.argsort(-short[wanted], kind="stable")[:MORE]]] = True
    return best


def highest(pool: Pool, score: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Choose exchanges for a linear program: of each applicant those that score most.

    All of them where they are few.
    """
    chosen = np.zeros(len(pool.cycles), dtype=bool)
    if len(chosen) <= FEW:
        return ~chosen
    order = np.argsort(-score, kind="stable")
    people, number = pool.cycles[order].ravel(), np.repeat(order, pool.max_size)
    by_person = np.argsort(people, kind="stable")
    people, number = people[by_person], number[by_person]
    first = np.searchsorted(people, np.arange(len(pool.must_move)))
    place = np.arange(len(people)) - first[np.maximum(people, 0)]
    chosen[number[(people >= 0) & (place < PER_APPLICANT)]] = True
    return chosen


def _repaired(pool: Pool, raw: Prices) -> Prices:
    """Raise prices until they pay for everything."""
    price = raw.applicants.copy()
    paid = price[pool.takers] + raw.seats[pool.taken]
    np.maximum.at(price, pool.takers, price[pool.takers] + np.maximum(UNIT - paid, 0))
    kernel.raise_prices(pool.cycles, price, UNIT)
    return Prices(price, raw.seats)


def owed(pool: Pool, prices: Prices) -> Wholes:
    """Return by how much prices fall short of the size of each exchange."""
    short = np.empty(len(pool.cycles), dtype=np.int64)
    kernel.find_owing(pool.cycles, prices.applicants, UNIT, short)
    return short


def _relaxed(pool: Pool) -> tuple[float, Prices]:
    """Solve the linear program of a pool; return its value and the prices."""
    highs = _highs()
    highs.passModel(_model(pool))
    highs.setOptionValue("solver", "ipm")
    highs.setOptionValue("run_crossover", "off")
    highs.run()
    value = -highs.getInfo().objective_function_value
    return value, _prices(pool, highs)


def shares(
    pool: Pool, luck: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], Prices]:
    """Return how much of each thing the linear program makes, and its prices.

    luck, from 0 to 1, decides between solutions of nearly the same value.
    """
    highs = _highs()
    model = _model(pool)
    model.col_cost_ = np.array(model.col_cost_) - NUDGE * luck
    highs.passModel(model)
    highs.setOptionValue("solver", "ipm")
    highs.setOptionValue("run_crossover", "off")
    highs.setOptionValue("ipm_optimality_tolerance", 1e-4)
    highs.run()
    return np.array(highs.getSolution().col_value), _prices(pool, highs)


def _prices(pool: Pool, highs: Any) -> Prices:
    n = len(pool.must_move)
    dual = -np.array(highs.getSolution().row_dual) * UNIT
    dual = np.ceil(np.clip(dual, -100.0 * UNIT, 100.0 * UNIT)).astype(np.int64)
    free = np.append(pool.must_move == 1, np.zeros(len(pool.seats), dtype=bool))
    dual = np.where(free, dual, np.maximum(dual, 0))
    return Prices(dual[:n], dual[n:])


def _highs() -> Any:
    """Return a solver that says nothing and runs the same everywhere."""
    try:
        from highspy import _core
    except ImportError as error:
        raise errors.NotInstalled.of(error, "optimum") from None
    highs = _core._Highs()  # what Highs adds to it prints a banner in any case
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", 0)
    return highs


def _model(pool: Pool, whole: bool = False) -> Any:
    """Return the program: rows are applicants, then positions with open seats."""
    import highspy

    n, n_rows = len(pool.must_move), len(pool.must_move) + len(pool.seats)
    takes = np.column_stack([pool.takers, n + pool.taken]).astype(np.int32)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = pool.n_columns, n_rows
    model.col_cost_ = -np.append(pool.sizes, np.ones(len(takes))).astype(np.float64)
    model.col_lower_ = np.zeros(pool.n_columns)
    model.col_upper_ = np.ones(pool.n_columns)
    must = np.append(pool.must_move == 1, np.zeros(len(pool.seats), dtype=bool))
    model.row_lower_ = np.where(must, 1.0, -highspy.kHighsInf)
    model.row_upper_ = np.append(np.ones(n), pool.seats).astype(np.float64)
    matrix = model.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    lengths = np.append(pool.sizes, np.full(len(takes), 2))
    matrix.start_ = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    matrix.index_ = np.append(pool.cycles[pool.cycles >= 0], takes.ravel())
    matrix.value_ = np.ones(int(lengths.sum()))
    if whole:
        model.integrality_ = [highspy.HighsVarType.kInteger] * pool.n_columns
    return model


def exact(pool: Pool, start: Plan, bound: int, nodes: int) -> tuple[Plan, int]:
    """Look for the best plan of a small pool; return it and what was proved.

    The pool holds whatever a plan that moves more than `start` may be made of. The
    search ends after so many nodes, with a weaker proof.
    """
    highs = _highs()
    highs.passModel(_model(pool, whole=True))
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.5)
    highs.setOptionValue("mip_max_nodes", nodes)
    highs.run()
    info, plan = highs.getInfo(), start
    if info.primal_solution_status == 2:
        used = np.array(highs.getSolution().col_value) > 0.5
        found = plan_with(pool, used)
        plan = max((start, found), key=lambda plan: plan.moved)
    if pool.n_columns == 0 or highs.getModelStatus().name == "kInfeasible":
        return plan, plan.moved  # there is nothing better
    proved = min(float(bound), -info.mip_dual_bound + 1e-6)
    return plan, max(plan.moved, math.floor(proved))


def plan_with(pool: Pool, used: npt.NDArray[np.bool_]) -> Plan:
    """Return what is used of a pool, exchanges first, as a plan."""
    n = len(pool.cycles)
    return Plan(pool.cycles[used[:n]], pool.takers[used[n:]], pool.taken[used[n:]])


def without_the_useless(pool: Pool, prices: Prices, moved: int) -> Pool:
    """Drop what no plan that moves more than so many can be made of.

    A plan falls short of the total of the prices by what it pays more than needed.
    """
    spare = prices.total(pool) - (moved + 1) * UNIT
    paid = prices.applicants[pool.takers] + prices.seats[pool.taken]
    return pool.only(-owed(pool, prices) <= spare, paid - UNIT <= spare)
