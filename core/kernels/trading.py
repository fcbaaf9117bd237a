"""Top trading cycles with existing tenants: follow who points where, trade, go on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import FlagArray, IndexArray, compiled

NOBODY = -1
HOME = -1  # in place of a wish: the end of every list


class Lists(NamedTuple):
    """What is given; nobody writes it."""

    list_start: IndexArray  # shape (n_applicants + 1,)
    list_wish: IndexArray  # wishes in wish order
    wish_position: IndexArray
    home_of: IndexArray  # shape (n_applicants,): position
    order: IndexArray  # applicants, best overall rank first
    holder_start: IndexArray  # shape (n_positions + 1,)
    holders: IndexArray  # applicants by home, best overall rank first
    stays_full: FlagArray  # shape (n_positions,): no seat there ever falls free


class State(NamedTuple):
    """How far it is; all zero at the call except seats, n_left and place."""

    seats: npt.NDArray[np.int64]  # shape (n_positions,): open seats
    n_left: IndexArray  # shape (n_positions,): holders who are still there
    done: FlagArray  # shape (n_applicants,)
    next_wish: IndexArray  # shape (n_applicants,): wishes that are out of reach
    next_holder: IndexArray  # shape (n_positions,): holders who are done
    place: IndexArray  # shape (n_applicants,): on the path, NOBODY when not
    path: IndexArray  # shape (n_applicants,)
    next_in_order: IndexArray  # shape (2,): of all, and of those who may leave a hole


class Traded(NamedTuple):
    """What came of it."""

    moved_by: IndexArray  # shape (n_applicants,): wish, or NOBODY
    members: IndexArray  # wishes of those who moved, trade by trade
    trade_start: IndexArray  # shape (n_applicants + 1,)
    closed: FlagArray  # shape (n_applicants,): the trade needed no open seat
    n_trades: IndexArray  # shape (1,)


@compiled
def first_left(lists: Lists, state: State, which: int) -> int:
    """Return the best-ranked applicant left; with 1, of those whose seat may open."""
    order = lists.order
    at = state.next_in_order[which]
    while at < len(order):
        i = order[at]
        barred = which == 1 and lists.stays_full[lists.home_of[i]] == 1
        if state.done[i] == 0 and not barred:
            break
        at += 1
    state.next_in_order[which] = at
    return int(order[at]) if at < len(order) else NOBODY


@compiled
def best_wish(lists: Lists, state: State, i: int) -> int:
    """Return the first wish of i that can still be had, HOME when none can."""
    opener = first_left(lists, state, 1)
    at = lists.list_start[i] + state.next_wish[i]
    while at < lists.list_start[i + 1]:
        p = lists.wish_position[lists.list_wish[at]]
        if state.n_left[p] > 0 or (state.seats[p] > 0 and opener != NOBODY):
            break
        at += 1
    state.next_wish[i] = at - lists.list_start[i]
    return int(lists.list_wish[at]) if at < lists.list_start[i + 1] else HOME


@compiled
def first_holder(lists: Lists, state: State, p: int) -> int:
    """Return the best-ranked holder who is still at p."""
    at = lists.holder_start[p] + state.next_holder[p]
    while state.done[lists.holders[at]] == 1:
        at += 1
    state.next_holder[p] = at - lists.holder_start[p]
    return int(lists.holders[at])


@compiled
def settle(lists: Lists, state: State, i: int) -> None:
    """Take i off the market."""
    state.done[i] = 1
    state.place[i] = NOBODY
    state.n_left[lists.home_of[i]] -= 1


@compiled
def trade(
    lists: Lists, state: State, traded: Traded, low: int, high: int, opened: bool
) -> None:
    """Let those on the path from low up to high take what they point to."""
    number = traded.n_trades[0]
    at = traded.trade_start[number]
    for on_path in range(low, high):
        i = state.path[on_path]
        wish = lists.list_wish[lists.list_start[i] + state.next_wish[i]]
        traded.moved_by[i] = wish
        traded.members[at] = wish
        at += 1
    for on_path in range(low, high):
        settle(lists, state, state.path[on_path])
    traded.closed[number] = 0 if opened else 1
    traded.trade_start[number + 1] = at
    traded.n_trades[0] = number + 1


@compiled
def trade_all(lists: Lists, state: State, traded: Traded) -> None:
    """Trade until nobody is left.

    The path begins at the best-ranked applicant left. One with an open seat points to
    the best-ranked one left whose seat may open; a trade through it takes the seat, and
    that one's seat opens: then the path begins anew, since positions on it may point
    elsewhere now.
    """
    length = 0
    opening = NOBODY  # place on the path of the one who points to an open seat
    while True:
        if length == 0:
            start = first_left(lists, state, 0)
            if start == NOBODY:
                return
            state.path[0] = start
            state.place[start] = 0
            length = 1
        i = state.path[length - 1]
        wish = best_wish(lists, state, i)
        p = lists.home_of[i] if wish == HOME else lists.wish_position[wish]
        opener = first_left(lists, state, 1)
        opened = state.seats[p] > 0 and opener != NOBODY
        target = opener if opened else first_holder(lists, state, p)
        if opened:
            opening = length - 1
        if wish == HOME and target == i:
            settle(lists, state, i)
            length -= 1
        elif state.place[target] == NOBODY:
            state.path[length] = target
            state.place[target] = length
            length += 1
        else:
            low = state.place[target]
            through = opening >= low
            if through:
                last = state.path[opening]
                taken = lists.list_wish[lists.list_start[last] + state.next_wish[last]]
                state.seats[lists.wish_position[taken]] -= 1
                state.seats[lists.home_of[opener]] += 1
            trade(lists, state, traded, low, length, through)
            length = low
            while through and length > 0:
                length -= 1
                state.place[state.path[length]] = NOBODY
        if opening >= length - 1:
            opening = NOBODY  # the last one on the path points anew
