"""What people think of their result: who would rather be elsewhere, and why not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import FlagArray, IndexArray, compiled

NOBODY = -1


@compiled
def count_better(
    list_start: IndexArray,
    list_wish: IndexArray,
    moved_by: IndexArray,
    n_better: IndexArray,
) -> None:
    """Count the wishes that stand before the result; all of them of one who stays."""
    for i in range(len(moved_by)):
        at = list_start[i]
        while at < list_start[i + 1] and list_wish[at] != moved_by[i]:
            at += 1
        n_better[i] = at - list_start[i]


@compiled
def count_envy(
    list_start: IndexArray,
    list_wish: IndexArray,
    n_better: IndexArray,
    wish_position: IndexArray,
    rank_of_wish: IndexArray,
    last_rank: IndexArray,
    counts: npt.NDArray[np.int64],
) -> None:
    """Count better wishes for which somebody of a later rank came, and whose they are.

    last_rank[p] is the latest rank of those who came to p, NOBODY where none came.
    counts, zero at the call, gets the wishes and the applicants who have one.
    """
    for i in range(len(n_better)):
        n = 0
        for at in range(list_start[i], list_start[i] + n_better[i]):
            wish = list_wish[at]
            n += rank_of_wish[wish] < last_rank[wish_position[wish]]
        counts[0] += n
        counts[1] += n > 0


@compiled
def may_take(applies: FlagArray, offered: FlagArray, i: int, p: int) -> bool:
    """Tell whether some offer is made to i at p."""
    for offer in range(len(applies)):
        if applies[offer, i] == 1 and offered[offer, p] == 1:
            return True
    return False


@compiled
def count_waste(
    list_start: IndexArray,
    list_wish: IndexArray,
    n_better: IndexArray,
    wish_position: IndexArray,
    seats: npt.NDArray[np.int64],
    applies: FlagArray,
    offered: FlagArray,
    counts: npt.NDArray[np.int64],
) -> None:
    """Count better wishes for seats that are open and offered, and whose they are.

    Offer k is made to those with applies[k, i] for positions with offered[k, p]; counts
    as in `count_envy`.
    """
    for i in range(len(n_better)):
        n = 0
        for at in range(list_start[i], list_start[i] + n_better[i]):
            p = wish_position[list_wish[at]]
            n += seats[p] > 0 and may_take(applies, offered, i, p)
        counts[0] += n
        counts[1] += n > 0


@compiled
def count_links(
    list_start: IndexArray,
    list_wish: IndexArray,
    n_better: IndexArray,
    wish_position: IndexArray,
    place: IndexArray,
    out_start: npt.NDArray[np.int64],
    in_start: npt.NDArray[np.int64],
) -> None:
    """Say where the links out of each position begin, and those into it.

    Somebody placed at p whose better wish is q makes a link from p to q. The arrays
    are zero at the call, shape (n_positions + 1,).
    """
    for i in range(len(place)):
        out_start[place[i] + 1] += n_better[i]
        for at in range(list_start[i], list_start[i] + n_better[i]):
            in_start[wish_position[list_wish[at]] + 1] += 1
    for p in range(1, len(out_start)):
        out_start[p] += out_start[p - 1]
        in_start[p] += in_start[p - 1]


@compiled
def fill_links(
    list_start: IndexArray,
    list_wish: IndexArray,
    n_better: IndexArray,
    wish_position: IndexArray,
    place: IndexArray,
    out_start: npt.NDArray[np.int64],
    in_start: npt.NDArray[np.int64],
    out_to: IndexArray,
    in_from: IndexArray,
) -> None:
    """List the links that `count_links` counted."""
    for i in range(len(place)):
        p = place[i]
        for at in range(list_start[i], list_start[i] + n_better[i]):
            q = wish_position[list_wish[at]]
            out_to[out_start[p]] = q
            out_start[p] += 1
            in_from[in_start[q]] = p
            in_start[q] += 1
    # every start has moved to the next one's place
    for p in range(len(out_start) - 1, 0, -1):
        out_start[p] = out_start[p - 1]
        in_start[p] = in_start[p - 1]
    out_start[0] = 0
    in_start[0] = 0


@compiled
def count_pairs(
    out_start: npt.NDArray[np.int64],
    out_to: IndexArray,
    in_start: npt.NDArray[np.int64],
    in_from: IndexArray,
    tally: npt.NDArray[np.int64],
) -> int:
    """Count the pairs of links that run against each other.

    tally is zero at the call and at the end, shape (n_positions,).
    """
    n_pairs = 0
    for p in range(len(tally)):
        for at in range(out_start[p], out_start[p + 1]):
            tally[out_to[at]] += 1
        for at in range(in_start[p], in_start[p + 1]):
            if in_from[at] < p:  # a pair is met at both its ends
                n_pairs += tally[in_from[at]]
        for at in range(out_start[p], out_start[p + 1]):
            tally[out_to[at]] = 0
    return n_pairs


@compiled
def find_circles(
    out_start: npt.NDArray[np.int64],
    out_to: IndexArray,
    circle: IndexArray,
    low: IndexArray,
    number: IndexArray,
    path: IndexArray,
    open_: IndexArray,
    at: npt.NDArray[np.int64],
) -> None:
    """Let circle name the strongly connected component of each position (Tarjan).

    All arrays but the links are scratch of the shape (n_positions,).
    """
    n_seen, n_open, n_circles = 0, 0, 0
    for p in range(len(circle)):
        circle[p] = NOBODY
        number[p] = NOBODY
        at[p] = out_start[p]
    for root in range(len(circle)):
        depth = 0
        if number[root] == NOBODY:
            path[0] = root
            depth = 1
        while depth > 0:
            p = path[depth - 1]
            if number[p] == NOBODY:
                number[p] = low[p] = n_seen
                n_seen += 1
                open_[n_open] = p
                n_open += 1
            if at[p] < out_start[p + 1]:
                q = out_to[at[p]]
                if number[q] == NOBODY:
                    path[depth] = q
                    depth += 1
                    continue  # the link is looked at again when q is done
                if circle[q] == NOBODY:
                    low[p] = min(low[p], low[q])
                at[p] += 1
                continue
            if low[p] == number[p]:
                while True:
                    n_open -= 1
                    q = open_[n_open]
                    circle[q] = n_circles
                    if q == p:
                        break
                n_circles += 1
            depth -= 1


@compiled
def count_on_circles(
    list_start: IndexArray,
    list_wish: IndexArray,
    n_better: IndexArray,
    wish_position: IndexArray,
    place: IndexArray,
    circle: IndexArray,
) -> int:
    """Count who has a better wish inside the component of the own place."""
    n = 0
    for i in range(len(place)):
        for at in range(list_start[i], list_start[i] + n_better[i]):
            if circle[wish_position[list_wish[at]]] == circle[place[i]]:
                n += 1
                break
    return n
