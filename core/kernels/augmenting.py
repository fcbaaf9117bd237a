"""Everybody in an order moves, if that is possible together with all decided before.

Who is to move comes to a position he wishes, somebody leaves that for another one, and
so on, until somebody comes to the seat that the first left. Such a way is looked for
from both ends by turns: often one end is shut in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import FlagArray, IndexArray, compiled

NOBODY = -1
NOWHERE = -1
MAY, MOVES, STAYS = 0, 1, 2  # what is decided about an applicant


class People(NamedTuple):
    """What is given; nobody writes it. Applicants are numbered by home position."""

    list_start: IndexArray  # shape (n_applicants + 1,)
    list_wish: IndexArray  # wishes in wish order
    wish_position: IndexArray
    owner_of: IndexArray  # shape (n_wishes,): applicant
    allowed: FlagArray  # shape (n_wishes,)
    wisher_start: IndexArray  # shape (n_positions + 1,)
    wishers: IndexArray  # wishes by position
    home_of: IndexArray  # shape (n_applicants,): position
    home_start: IndexArray  # shape (n_positions + 1,): applicants by home
    stays_full: FlagArray  # shape (n_positions,): as many sit there afterwards


class State(NamedTuple):
    """A plan in which everybody decided upon has what was decided."""

    place: IndexArray  # shape (n_applicants,): position in the plan
    first: IndexArray  # shape (n_positions,): one of those placed there, or NOBODY
    next_there: IndexArray  # shape (n_applicants,): another one placed there
    free: npt.NDArray[np.int64]  # shape (n_positions,): seats nobody takes
    kind: FlagArray  # shape (n_applicants,): MAY, MOVES or STAYS


class End(NamedTuple):
    """One end of a search: the nodes it has reached, and how.

    Nodes are the positions and, last, the outside: a seat that is free leads there, and
    it leads to any position that may be left emptier.
    """

    seen: IndexArray  # shape (n_positions + 1,): the last search that came here
    who: IndexArray  # who moves between here and the node before, NOBODY outside
    before: IndexArray  # the node before, NOWHERE where the end begins
    queue: IndexArray  # nodes in the order reached
    n: IndexArray  # shape (2,): nodes queued, and looked at


class Search(NamedTuple):
    """Both ends of a search."""

    ahead: End  # from the positions that are wished
    back: End  # from the seat that is left


def end_for(n_positions: int) -> End:
    """Return what one end of a search needs."""
    n_nodes = n_positions + 1
    return End(
        seen=np.zeros(n_nodes, dtype=np.int32),
        who=np.empty(n_nodes, dtype=np.int32),
        before=np.empty(n_nodes, dtype=np.int32),
        queue=np.empty(n_nodes, dtype=np.int32),
        n=np.empty(2, dtype=np.int32),
    )


@compiled
def put(state: State, i: int, p: int) -> None:
    """Place i at p."""
    state.place[i] = p
    state.next_there[i] = state.first[p]
    state.first[p] = i


@compiled
def take_away(state: State, i: int) -> None:
    """Take i from where the plan has him."""
    p = state.place[i]
    if state.first[p] == i:
        state.first[p] = state.next_there[i]
        return
    before = state.first[p]
    while state.next_there[before] != i:
        before = state.next_there[before]
    state.next_there[before] = state.next_there[i]


@compiled
def reach(end: End, number: int, node: int, who: int, before: int) -> None:
    """Note how a node is reached, if it has not been yet."""
    if end.seen[node] != number:
        end.seen[node] = number
        end.who[node] = who
        end.before[node] = before
        end.queue[end.n[0]] = node
        end.n[0] += 1


@compiled
def wished(people: People, end: End, number: int, i: int, before: int) -> None:
    """Reach the positions that i wishes."""
    for at in range(people.list_start[i], people.list_start[i + 1]):
        wish = people.list_wish[at]
        if people.allowed[wish] == 1:
            reach(end, number, people.wish_position[wish], i, before)


@compiled
def look_ahead(people: People, state: State, end: End, number: int) -> None:
    """Reach where those could go who are at the next node."""
    node, outside = end.queue[end.n[1]], len(people.stays_full)
    end.n[1] += 1
    if node == outside:
        for p in range(outside):
            if people.stays_full[p] == 0:
                reach(end, number, p, NOBODY, outside)
        return
    if state.free[node] > 0:
        reach(end, number, outside, NOBODY, node)
    k = state.first[node]
    while k != NOBODY:
        if state.kind[k] != STAYS:  # who stays cannot move: that only saves looking
            wished(people, end, number, k, node)
        if state.kind[k] == MAY:
            reach(end, number, people.home_of[k], k, node)
        k = state.next_there[k]


@compiled
def look_back(people: People, state: State, end: End, number: int) -> None:
    """Reach from where somebody could come to the next node."""
    node, outside = end.queue[end.n[1]], len(people.stays_full)
    end.n[1] += 1
    if node == outside:
        for p in range(outside):
            if state.free[p] > 0:
                reach(end, number, p, NOBODY, outside)
        return
    if people.stays_full[node] == 0:
        reach(end, number, outside, NOBODY, node)
    for at in range(people.wisher_start[node], people.wisher_start[node + 1]):
        k = people.owner_of[people.wishers[at]]
        if state.kind[k] != STAYS and people.allowed[people.wishers[at]] == 1:
            reach(end, number, state.place[k], k, node)
    for k in range(people.home_start[node], people.home_start[node + 1]):
        if state.kind[k] == MAY:
            reach(end, number, state.place[k], k, node)


@compiled
def met(end: End, other: End, number: int, first: int) -> int:
    """Return a node that both ends have reached, queued at `first` or later."""
    for at in range(first, end.n[0]):
        if other.seen[end.queue[at]] == number:
            return int(end.queue[at])
    return NOWHERE


@compiled
def middle(people: People, state: State, search: Search, number: int, i: int) -> int:
    """Return a node on a way from what i wishes to the seat he leaves, or NOWHERE."""
    ahead, back = search.ahead, search.back
    ahead.n[0] = ahead.n[1] = back.n[0] = back.n[1] = 0
    reach(back, number, people.home_of[i], NOBODY, NOWHERE)
    wished(people, ahead, number, i, NOWHERE)
    node = NOWHERE
    while node == NOWHERE and ahead.n[1] < ahead.n[0]:
        first = ahead.n[0]
        look_ahead(people, state, ahead, number)
        node = met(ahead, back, number, first)
        if node == NOWHERE:
            if back.n[1] == back.n[0]:
                return NOWHERE
            first = back.n[0]
            look_back(people, state, back, number)
            node = met(back, ahead, number, first)
    return node


@compiled
def shift(state: State, who: int, origin: int, target: int) -> None:
    """Let somebody move from one node to another; NOBODY: a seat, by the outside."""
    if who != NOBODY:
        take_away(state, who)
        put(state, who, target)
    elif target == len(state.first):
        state.free[origin] -= 1
    else:
        state.free[target] += 1


@compiled
def carry_out(state: State, search: Search, node: int, i: int) -> None:
    """Let everybody on the way through a node come where he would."""
    ahead, back = search.ahead, search.back
    at = node
    while back.before[at] != NOWHERE:
        shift(state, back.who[at], at, back.before[at])
        at = back.before[at]
    at = node
    while ahead.before[at] != NOWHERE:
        shift(state, ahead.who[at], ahead.before[at], at)
        at = ahead.before[at]
    shift(state, i, state.place[i], at)


@compiled
def settle_in_order(
    people: People, order: IndexArray, state: State, search: Search
) -> None:
    """Decide upon everybody, in this order; write into state.kind."""
    for i in range(len(state.place)):
        put(state, i, state.place[i])
    number = 0
    for i in order:
        if state.place[i] == people.home_of[i]:
            number += 1
            node = middle(people, state, search, number, i)
            if node == NOWHERE:
                state.kind[i] = STAYS
                continue
            carry_out(state, search, node, i)
        state.kind[i] = MOVES
