"""One pass of one-way transfers (單調): applicant-proposing deferred acceptance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

NOBODY = -1


@compiled
def sift_up(rank: IndexArray, heap: IndexArray, low: int, child: int) -> None:
    """Move a new entry up until its parent has a worse (higher) rank."""
    while child > 0:
        parent = (child - 1) // 2
        if rank[heap[low + parent]] >= rank[heap[low + child]]:
            return
        upper, lower = heap[low + parent], heap[low + child]
        heap[low + parent], heap[low + child] = lower, upper
        child = parent


@compiled
def sift_down(rank: IndexArray, heap: IndexArray, low: int, n: int) -> None:
    """Move the top entry down until both children have better ranks."""
    parent = 0
    while True:
        worst = parent
        for child in (2 * parent + 1, 2 * parent + 2):
            if child < n and rank[heap[low + child]] > rank[heap[low + worst]]:
                worst = child
        if worst == parent:
            return
        upper, lower = heap[low + parent], heap[low + worst]
        heap[low + parent], heap[low + worst] = lower, upper
        parent = worst


@compiled
def propose(
    proposers: IndexArray,
    list_start: IndexArray,
    list_wish: IndexArray,
    wish_position: IndexArray,
    wish_rank: IndexArray,
    wish_holder: IndexArray,
    seat_start: npt.NDArray[np.int64],
    next_wish: IndexArray,
    kept: IndexArray,
    n_kept: IndexArray,
) -> None:
    """Let each proposer go down its list until a position keeps it.

    Position p keeps at most seat_start[p + 1] - seat_start[p] wishes, a heap in
    kept[seat_start[p]:] with the worst rank on top; n_kept[p] of them at the end.
    next_wish and n_kept are zero at the call. wish_rank is the place of the wish's
    claim in claim order, lower first.
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
                sift_up(wish_rank, kept, low, n_kept[p])
                n_kept[p] += 1
                i = NOBODY
            elif seats > 0 and wish_rank[wish] < wish_rank[kept[low]]:
                i = wish_holder[kept[low]]
                kept[low] = wish
                sift_down(wish_rank, kept, low, seats)
