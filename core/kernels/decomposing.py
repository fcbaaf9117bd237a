"""From who leaves and who comes to who exchanges with whom: circles, short ones first.

Whoever moves is an arrow from the home to the new position. Arrows are cut into circles
that pass no position twice; what is left are chains.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

SHORT = 5  # circles up to this size are looked for; longer ones as they come
NOWHERE = -1


class Leaving(NamedTuple):
    """The arrows by the position they leave; those used up lie behind the others.

    Arrows that leave p are start[p] up to end[p].
    """

    start: IndexArray  # shape (n_positions + 1,)
    end: IndexArray  # shape (n_positions,)
    who: IndexArray  # shape (n_movers,): applicant
    goes_to: IndexArray  # shape (n_movers,): position
    rank: IndexArray  # shape (n_applicants,): the lower comes first


class Circles(NamedTuple):
    """The circles found: applicants, the best-ranked of each first."""

    members: IndexArray  # shape (n_movers,)
    starts: npt.NDArray[np.int64]  # shape (n_movers + 1,)
    n_found: npt.NDArray[np.int64]  # shape (1,)


class Scratch(NamedTuple):
    """What a search writes into."""

    seen: npt.NDArray[np.int64]  # shape (n_positions,): the last search that came here
    search: npt.NDArray[np.int64]  # shape (1,): number of that search
    depth: IndexArray  # shape (n_positions,)
    arrow: IndexArray  # shape (n_positions,): by which one came here
    origin: IndexArray  # shape (n_positions,): from where
    queue: IndexArray  # shape (n_positions + 1,): positions
    place: IndexArray  # shape (n_positions,): on the walk, NOWHERE when not on it
    path: IndexArray  # shape (n_positions + 1,): applicants


def scratch_for(n_positions: int) -> Scratch:
    """Return what one decomposition needs."""
    return Scratch(
        seen=np.zeros(n_positions, dtype=np.int64),
        search=np.zeros(1, dtype=np.int64),
        depth=np.empty(n_positions, dtype=np.int32),
        arrow=np.empty(n_positions, dtype=np.int32),
        origin=np.empty(n_positions, dtype=np.int32),
        queue=np.empty(n_positions + 1, dtype=np.int32),
        place=np.full(n_positions, NOWHERE, dtype=np.int32),
        path=np.empty(n_positions + 1, dtype=np.int32),
    )


@compiled
def use_up(leaving: Leaving, p: int, arrow: int) -> None:
    """Put an arrow that leaves p behind those that are left there."""
    leaving.end[p] -= 1
    last = leaving.end[p]
    who, goes_to = leaving.who, leaving.goes_to
    who[arrow], who[last] = who[last], who[arrow]
    goes_to[arrow], goes_to[last] = goes_to[last], goes_to[arrow]


@compiled
def note(
    leaving: Leaving, path: IndexArray, low: int, high: int, found: Circles
) -> None:
    """Note the circle path[low:high], from its best-ranked member on."""
    first = low
    for k in range(low, high):
        if leaving.rank[path[k]] < leaving.rank[path[first]]:
            first = k
    begin = found.starts[found.n_found[0]]
    for k in range(low, high):
        found.members[begin + k - low] = path[
            low + (first - low + k - low) % (high - low)
        ]
    found.n_found[0] += 1
    found.starts[found.n_found[0]] = begin + high - low


@compiled
def last_arrow(leaving: Leaving, scratch: Scratch, home: int, size: int) -> int:
    """Return the arrow that closes a shortest circle through home, or NOWHERE.

    Its size is at most `size`; scratch knows the way, breadth first.
    """
    scratch.search[0] += 1
    number = scratch.search[0]
    scratch.seen[home] = number
    scratch.depth[home] = 0
    scratch.queue[0] = home
    n_queued, done = 1, 0
    while done < n_queued:
        p = scratch.queue[done]
        done += 1
        for arrow in range(leaving.start[p], leaving.end[p]):
            q = leaving.goes_to[arrow]
            if q == home:
                scratch.origin[home] = p
                return arrow
            if scratch.seen[q] != number and scratch.depth[p] + 2 <= size:
                scratch.seen[q] = number
                scratch.depth[q] = scratch.depth[p] + 1
                scratch.arrow[q] = arrow
                scratch.origin[q] = p
                scratch.queue[n_queued] = q
                n_queued += 1
    return NOWHERE


@compiled
def cut_circle(
    leaving: Leaving, scratch: Scratch, home: int, arrow: int, found: Circles
) -> None:
    """Take out the circle through home that `arrow` closes."""
    p = scratch.origin[home]
    length = scratch.depth[p] + 1
    for k in range(length - 1, -1, -1):
        scratch.path[k] = leaving.who[arrow]
        use_up(leaving, p, arrow)
        arrow = scratch.arrow[p]
        p = scratch.origin[p]
    note(leaving, scratch.path, 0, length, found)


@compiled
def walk(leaving: Leaving, scratch: Scratch, start: int, found: Circles) -> None:
    """Follow arrows from start to the end; cut out each circle that closes."""
    path, place, visited = scratch.path, scratch.place, scratch.queue
    length, p = 0, start
    place[p], visited[0] = 0, p
    while leaving.end[p] > leaving.start[p]:
        arrow = leaving.end[p] - 1
        path[length] = leaving.who[arrow]
        use_up(leaving, p, arrow)
        length += 1
        p = leaving.goes_to[arrow]
        if place[p] == NOWHERE:
            place[p], visited[length] = length, p
        else:
            low = place[p]
            note(leaving, path, low, length, found)
            for k in range(low + 1, length):
                place[visited[k]] = NOWHERE
            length = low
    for k in range(length + 1):
        place[visited[k]] = NOWHERE


@compiled
def decompose(
    leaving: Leaving, surplus: IndexArray, scratch: Scratch, found: Circles
) -> None:
    """Cut all arrows into circles and chains; surplus[p]: how many more leave p."""
    n_positions = len(surplus)
    for size in range(2, SHORT + 1):
        for p in range(n_positions):
            arrow = last_arrow(leaving, scratch, p, size)
            while arrow != NOWHERE:
                cut_circle(leaving, scratch, p, arrow, found)
                arrow = last_arrow(leaving, scratch, p, size)
    for p in range(n_positions):
        for _ in range(surplus[p]):
            walk(leaving, scratch, p, found)
    for p in range(n_positions):
        while leaving.end[p] > leaving.start[p]:
            walk(leaving, scratch, p, found)
