"""Disjoint exchanges that cover many people, by simulated annealing.

What can be made is a row: an applicant, the others of an exchange, or the open seat he
takes. Applicants and open seats are nodes, and each is part of one thing made at most.
A step takes somebody who has not moved and draws one of his rows; what shares a node
with it is undone. Rows that gain are drawn nearly always, rows that lose now and then.
All numbers are whole, so every machine draws the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

NOBODY = -1
LOSS = 512  # a gain of g is looked up at odds[g + LOSS]
N_LEFT, VALUE, N_OWED, SAVED = 0, 1, 2, 3  # entries of a tally


class Rows(NamedTuple):
    """The rows of applicant i are start[i] up to start[i + 1]; nobody writes them.

    The node after the last one is nobody and fills up short rows.
    """

    start: npt.NDArray[np.int64]  # shape (n_applicants + 1,)
    mates: IndexArray  # shape (n_rows, width): nodes
    value: IndexArray  # shape (n_rows,): weights of all its nodes together
    weight: IndexArray  # shape (n_nodes + 1,): more than 1: must move; seats 0


class Plan(NamedTuple):
    """What is made: each thing is known by the applicant whose row it is."""

    lead: IndexArray  # shape (n_nodes + 1,): that applicant; itself when free
    worth: IndexArray  # shape (n_nodes + 1,): value of what the node is part of, or 0
    others: IndexArray  # shape (n_nodes + 1, width): mates of that applicant
    left: IndexArray  # shape (n_applicants,): those who have rows and have not moved
    place: IndexArray  # shape (n_applicants,): where each is in `left`
    tally: npt.NDArray[np.int64]  # shape (4,)
    best_lead: IndexArray  # as lead, of the best plan so far, NOBODY when free
    best_others: IndexArray


class Dice(NamedTuple):
    """Where luck comes from."""

    state: npt.NDArray[np.uint64]  # shape (1,), not 0
    odds: npt.NDArray[np.int64]  # shape (2 * LOSS,): by gain
    stay: int  # the odds that nothing happens
    sums: npt.NDArray[np.int64]  # shape (most rows of an applicant,)


@compiled
def draw(state: npt.NDArray[np.uint64], below: int) -> int:
    """Return a number from 0 up to `below` (Marsaglia's xorshift)."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return int(np.int64(x >> np.uint64(1)) % below)


@compiled
def save(plan: Plan) -> None:
    """Keep the plan if it is the best so far and all who must move do."""
    tally = plan.tally
    if tally[N_OWED] > 0 or tally[VALUE] <= tally[SAVED]:
        return
    tally[SAVED] = tally[VALUE]
    for node in range(len(plan.lead)):
        plan.best_lead[node] = plan.lead[node] if plan.worth[node] > 0 else NOBODY
        for k in range(plan.others.shape[1]):
            plan.best_others[node, k] = plan.others[node, k]


@compiled
def release(rows: Rows, plan: Plan, node: int) -> None:
    """Let a node be free."""
    plan.lead[node], plan.worth[node] = node, 0
    if node < len(plan.left):
        n = plan.tally[N_LEFT]
        plan.left[n], plan.place[node] = node, n
        plan.tally[N_LEFT] = n + 1
        plan.tally[N_OWED] += rows.weight[node] > 1


@compiled
def undo(rows: Rows, plan: Plan, lead: int) -> None:
    """Take back what is known by an applicant."""
    if plan.worth[lead] == 0:
        return
    plan.tally[VALUE] -= plan.worth[lead]
    release(rows, plan, lead)
    for k in range(plan.others.shape[1]):
        mate = plan.others[lead, k]
        if mate < len(plan.lead) - 1:
            release(rows, plan, mate)


@compiled
def bind(rows: Rows, plan: Plan, node: int, lead: int, value: int) -> None:
    """Let a free node be part of what an applicant makes."""
    plan.lead[node], plan.worth[node] = lead, value
    if node < len(plan.left):
        n = plan.tally[N_LEFT] - 1
        last, at = plan.left[n], plan.place[node]
        plan.left[at], plan.place[last] = last, at
        plan.tally[N_LEFT] = n
        plan.tally[N_OWED] -= rows.weight[node] > 1


@compiled
def settle(rows: Rows, plan: Plan, lead: int) -> None:
    """Make what is written as the mates of an applicant, all of them being free."""
    nobody, value = len(plan.lead) - 1, rows.weight[lead]
    for k in range(plan.others.shape[1]):
        value += rows.weight[plan.others[lead, k]]
    bind(rows, plan, lead, lead, value)
    for k in range(plan.others.shape[1]):
        if plan.others[lead, k] != nobody:
            bind(rows, plan, plan.others[lead, k], lead, value)
    plan.tally[VALUE] += value


@compiled
def make(rows: Rows, plan: Plan, lead: int, row: int) -> None:
    """Make a row of somebody who has not moved; what is in its way is undone."""
    for k in range(rows.mates.shape[1]):
        undo(rows, plan, plan.lead[rows.mates[row, k]])
    for k in range(rows.mates.shape[1]):
        plan.others[lead, k] = rows.mates[row, k]
    settle(rows, plan, lead)


@compiled
def gain(rows: Rows, plan: Plan, row: int) -> int:
    """Return what making a row of somebody who has not moved gains."""
    total = int(rows.value[row])
    for k in range(rows.mates.shape[1]):
        mate = rows.mates[row, k]
        worth = plan.worth[mate]
        if worth > 0:
            lead, known = plan.lead[mate], False
            for earlier in range(k):
                known |= plan.lead[rows.mates[row, earlier]] == lead
            if not known:
                total -= worth
    return total


@compiled
def anneal(rows: Rows, plan: Plan, dice: Dice, work: int) -> None:
    """Draw rows until about `work` of them have been weighed."""
    done, tally, sums = 0, plan.tally, dice.sums
    while done < work and tally[N_LEFT] > 0:
        lead = plan.left[draw(dice.state, tally[N_LEFT])]
        low, high = rows.start[lead], rows.start[lead + 1]
        done += high - low + 4
        total = dice.stay
        for row in range(low, high):
            total += dice.odds[gain(rows, plan, row) + LOSS]
            sums[row - low] = total
        drawn = draw(dice.state, total)
        if drawn < dice.stay:
            continue
        first, last = low, high - 1
        while first < last:
            middle = (first + last) // 2
            if sums[middle - low] > drawn:
                last = middle
            else:
                first = middle + 1
        if gain(rows, plan, first) < 0:
            save(plan)
        make(rows, plan, lead, first)
    save(plan)


@compiled
def count_rows(members: IndexArray, counts: npt.NDArray[np.int64]) -> None:
    """Count the exchanges of each applicant; NOBODY ends a line of members."""
    for c in range(len(members)):
        for k in range(members.shape[1]):
            if members[c, k] >= 0:
                counts[members[c, k]] += 1


@compiled
def fill_rows(
    members: IndexArray, cursor: npt.NDArray[np.int64], mates: IndexArray
) -> None:
    """Write the rows of exchanges; cursor tells where the next of each applicant goes.

    Mates follow in the order of the exchange, from the applicant on; those left out
    stay as they were.
    """
    width = members.shape[1]
    for c in range(len(members)):
        size = width
        while members[c, size - 1] < 0:
            size -= 1
        for k in range(size):
            row = cursor[members[c, k]]
            cursor[members[c, k]] += 1
            for step in range(1, size):
                mates[row, step - 1] = members[c, (k + step) % size]


@compiled
def raise_prices(members: IndexArray, price: npt.NDArray[np.int64], unit: int) -> None:
    """Raise prices until those of the members of each exchange reach its size.

    A member is worth `unit`.
    """
    for c in range(len(members)):
        owed = 0
        for k in range(members.shape[1]):
            if members[c, k] >= 0:
                owed += unit - price[members[c, k]]
        if owed > 0:
            price[members[c, 0]] += owed


@compiled
def find_owing(
    members: IndexArray,
    price: npt.NDArray[np.int64],
    unit: int,
    owed: npt.NDArray[np.int64],
) -> None:
    """Note by how much the prices of each exchange's members fall short of its size.

    A member is worth `unit`; owed is negative where there is more than enough.
    """
    for c in range(len(members)):
        total = 0
        for k in range(members.shape[1]):
            if members[c, k] >= 0:
                total += unit - price[members[c, k]]
        owed[c] = total
