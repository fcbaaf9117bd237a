"""One pass of one-way transfers (單調): applicant-proposing deferred acceptance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

NOBODY = -1


@compiled
def comes_first(wish_claim: IndexArray, rank_of: IndexArray, a: int, b: int) -> bool:
    """Tell whether wish a is of a claim that comes before that of wish b."""
    return bool(rank_of[wish_claim[a]] < rank_of[wish_claim[b]])


@compiled
def sift_up(
    wish_claim: IndexArray, rank_of: IndexArray, heap: IndexArray, low: int, child: int
) -> None:
    """Move a new entry up until its parent comes after it."""
    while child > 0:
        parent = (child - 1) // 2
        upper, lower = heap[low + parent], heap[low + child]
        if not comes_first(wish_claim, rank_of, upper, lower):
            return
        heap[low + parent], heap[low + child] = lower, upper
        child = parent


@compiled
def sift_down(
    wish_claim: IndexArray, rank_of: IndexArray, heap: IndexArray, low: int, n: int
) -> None:
    """Move the top entry down until it comes after both its children."""
    parent = 0
    while True:
        last = parent
        for child in (2 * parent + 1, 2 * parent + 2):
            if child < n and comes_first(
                wish_claim, rank_of, heap[low + last], heap[low + child]
            ):
                last = child
        if last == parent:
            return
        upper, lower = heap[low + parent], heap[low + last]
        heap[low + parent], heap[low + last] = lower, upper
        parent = last


@compiled
def propose(
    proposers: IndexArray,
    list_start: IndexArray,
    list_wish: IndexArray,
    wish_position: IndexArray,
    wish_claim: IndexArray,
    rank_of: IndexArray,
    holder_of: IndexArray,
    seat_start: npt.NDArray[np.int64],
    next_wish: IndexArray,
    kept: IndexArray,
    n_kept: IndexArray,
) -> None:
    """Let each proposer go down its list until a position keeps it.

    Position p keeps at most seat_start[p + 1] - seat_start[p] wishes, a heap in
    kept[seat_start[p]:] with the last in claim order on top; n_kept[p] in the end.
    next_wish and n_kept are zero at the call. rank_of is the place of a claim in claim
    order, lower first.
    """
    for start in proposers:
        i = start
        while i != NOBODY:
            at = list_start[i] + next_wish[i]
            if at == list_start[i + 1]:
                break
            next_wish[i] += 1
            wish = list_wish[at]
            p = wish_position[wish]
            low = seat_start[p]
            seats = seat_start[p + 1] - low
            if n_kept[p] < seats:
                kept[low + n_kept[p]] = wish
                sift_up(wish_claim, rank_of, kept, low, n_kept[p])
                n_kept[p] += 1
                i = NOBODY
            elif seats > 0 and comes_first(wish_claim, rank_of, wish, kept[low]):
                i = holder_of[wish_claim[kept[low]]]
                kept[low] = wish
                sift_down(wish_claim, rank_of, kept, low, seats)
