"""All exchanges of at most so many people, each of them once.

An exchange is listed from its smallest position, the one who sits there first. A search
notes first from how far that position can be reached, so it never enters a blind alley
longer than it must.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

NOBODY = -1
FAR = 127


class Web(NamedTuple):
    """Who sits where and wishes what; applicants are numbered by home position.

    Those at p are holder_start[p] up to holder_start[p + 1]; the positions applicant i
    may go to are target[wish_start[i]:wish_start[i + 1]]; p is wished from the
    positions source[into[p]:into[p + 1]], which may repeat.
    """

    holder_start: IndexArray
    wish_start: npt.NDArray[np.int64]
    target: IndexArray
    into: npt.NDArray[np.int64]
    source: IndexArray


class Desk(NamedTuple):
    """What a search writes into."""

    distance: npt.NDArray[np.int8]  # shape (n_positions,): all FAR at the call
    queue: IndexArray  # shape (n_positions,)
    place: IndexArray  # shape (most,): the positions on the way
    person: IndexArray  # shape (most,): who leaves each of them
    at: npt.NDArray[np.int64]  # shape (most,): the wish tried next


def desk_for(n_positions: int, most: int) -> Desk:
    """Return room for searches of exchanges of at most so many people."""
    return Desk(
        distance=np.full(n_positions, FAR, dtype=np.int8),
        queue=np.empty(n_positions, dtype=np.int32),
        place=np.empty(most, dtype=np.int32),
        person=np.empty(most, dtype=np.int32),
        at=np.empty(most, dtype=np.int64),
    )


@compiled
def look_back(web: Web, desk: Desk, home: int, most: int) -> int:
    """Note how many wishes away home is, over greater positions; return how many."""
    distance, queue = desk.distance, desk.queue
    distance[home], queue[0], n, k = 0, home, 1, 0
    while k < n:
        p = queue[k]
        k += 1
        if distance[p] == most - 1:
            break
        for e in range(web.into[p], web.into[p + 1]):
            q = web.source[e]
            if q > home and distance[q] == FAR:
                distance[q] = distance[p] + 1
                queue[n] = q
                n += 1
    return n


@compiled
def enter(web: Web, desk: Desk, d: int, position: int) -> None:
    """Let the first one at a position be the next on the way."""
    desk.place[d] = position
    desk.person[d] = web.holder_start[position]
    desk.at[d] = web.wish_start[desk.person[d]]


@compiled
def may_enter(web: Web, desk: Desk, d: int, position: int, most: int) -> bool:
    """Tell whether home can still be reached by way of a position not yet visited."""
    if desk.distance[position] > most - d - 1:
        return False
    if web.holder_start[position] == web.holder_start[position + 1]:
        return False
    for k in range(d + 1):
        if desk.place[k] == position:
            return False
    return True


@compiled
def list_from(
    web: Web, desk: Desk, home: int, most: int, n: int, members: IndexArray
) -> int:
    """List what has home as its smallest position after n others; return how many."""
    d = 0
    enter(web, desk, d, home)
    while d >= 0:
        i = desk.person[d]
        if desk.at[d] == web.wish_start[i + 1]:
            if i + 1 < web.holder_start[desk.place[d] + 1]:
                desk.person[d] = i + 1
                desk.at[d] = web.wish_start[i + 1]
            else:
                d -= 1
            continue
        position = web.target[desk.at[d]]
        desk.at[d] += 1
        if position == home:
            if n < len(members):
                for k in range(d + 1):
                    members[n, k] = desk.person[k]
                for k in range(d + 1, members.shape[1]):
                    members[n, k] = NOBODY
            n += 1
        elif may_enter(web, desk, d, position, most):
            d += 1
            enter(web, desk, d, position)
    return n


@compiled
def list_all(web: Web, desk: Desk, most: int, limit: int, members: IndexArray) -> int:
    """List the exchanges of 2 to `most` people; return how many, or more than limit.

    members has the shape (as many rows as were counted, most), with NOBODY after the
    last member; without rows they are counted alone. Stops beyond the limit.
    """
    n = 0
    for home in range(len(web.holder_start) - 1):
        if web.holder_start[home] == web.holder_start[home + 1]:
            continue
        n_seen = look_back(web, desk, home, most)
        if n_seen > 1:
            n = list_from(web, desk, home, most, n, members)
        for k in range(n_seen):
            desk.distance[desk.queue[k]] = FAR
        if n > limit:
            break
    return n
