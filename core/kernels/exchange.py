"""Exchanges (互調、三角調 …): the first one of a claim, depth first, and the commits.

A search looks from the initiator's home backward first: `mask` notes for each position
in how many wishes it can reach home. Going forward, a wish is followed only if what is
left of the exchange can still close. If no shorter exchange is left (`gapless`), every
closed walk of `size` wishes visits different positions. Then the shortest way back
tells all, what failed once from a position with so many wishes left fails for good, and
the backward look may stop halfway.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jiepin.core.kernels.compiling import FlagArray, IndexArray, compiled

UNTRIED, FAILED, FOUND = 0, 1, 2  # what is known of a claim in this stage
MAX_SIZE = 10
FAILED_SHIFT = 16  # bits of a mask: 1 << n, home is n wishes away; << 16, no use


class Graph(NamedTuple):
    """Who wishes what, as int32 arrays; claims are numbered by home and claim order.

    Claims at position p are claim_start[p] up to claim_start[p + 1], in claim order;
    wishes of claim c are wish_start[c] up to wish_start[c + 1], in wish order; the
    claims that wish position p are wisher[wisher_start[p]] up to wisher_start[p + 1].
    """

    claim_start: IndexArray
    holder_of: IndexArray  # the applicant of a claim
    home_of_claim: IndexArray  # the position where that applicant sits
    wish_start: IndexArray
    wish_position: IndexArray
    wish_claim: IndexArray  # the claim of a wish
    wisher_start: IndexArray
    wisher: IndexArray


class Scratch(NamedTuple):
    """What one search at a time writes into; as many of them as threads."""

    stamp: IndexArray  # shape (n_positions,): the search that last wrote the mask
    mask: IndexArray  # shape (n_positions,)
    frontier: IndexArray  # shape (2, n_positions)
    search: IndexArray  # shape (1,): number of the running search
    path: IndexArray  # shape (MAX_SIZE,): the wishes of the exchange found
    claim: IndexArray  # shape (MAX_SIZE,): the claims on the way
    place: IndexArray  # shape (MAX_SIZE,): the positions on the way


class Progress(NamedTuple):
    """What has been decided: alive by claim, and the exchanges in the order made."""

    alive: FlagArray  # shape (n_claims,): 1 while the applicant has not moved
    moved_by: IndexArray  # shape (n_applicants,): the wish that moved it, or -1
    members: IndexArray  # shape (n_applicants,): wishes used, exchange by exchange
    n_members: IndexArray  # shape (1,)


def scratch_for(n_positions: int) -> Scratch:
    """Return what one thread needs to search a market of so many positions."""
    return Scratch(
        stamp=np.zeros(n_positions, dtype=np.int32),
        mask=np.zeros(n_positions, dtype=np.int32),
        frontier=np.empty((2, n_positions), dtype=np.int32),
        search=np.zeros(1, dtype=np.int32),
        path=np.empty(MAX_SIZE, dtype=np.int32),
        claim=np.empty(MAX_SIZE, dtype=np.int32),
        place=np.empty(MAX_SIZE, dtype=np.int32),
    )


@compiled
def look_back(
    graph: Graph,
    alive: FlagArray,
    scratch: Scratch,
    home: int,
    n_claims: int,
    size: int,
    gapless: bool,
) -> int:
    """Mark from where home is 1, 2, … wishes away; return how far it looked.

    Returns -1 when somewhere on the way back nobody is left, so nothing can close.
    n_claims of home will use the marks: the more they are, the further it looks.
    """
    scratch.search[0] += 1
    search = scratch.search[0]
    n_wishes = float(len(graph.wisher))
    per_claim = n_wishes / max(1, len(graph.holder_of))
    per_position = max(1.0, n_wishes / max(1, len(graph.claim_start) - 1))
    # about what it costs to go forward the rest of the way
    ahead = n_claims * per_claim * per_position ** (size - 1)
    n_now = 1
    scratch.frontier[0, 0] = home
    for depth in range(1, size):
        now, then = scratch.frontier[(depth - 1) % 2], scratch.frontier[depth % 2]
        cost = 0
        for k in range(n_now):
            cost += graph.wisher_start[now[k] + 1] - graph.wisher_start[now[k]]
        if gapless and cost > ahead:
            return depth - 1
        ahead /= per_position
        n_then = 0
        bit = 1 << depth
        for k in range(n_now):
            q = now[k]
            for w in range(graph.wisher_start[q], graph.wisher_start[q + 1]):
                claim = graph.wisher[w]
                if not alive[claim]:
                    continue
                p = graph.home_of_claim[claim]
                if p == home:
                    continue
                if scratch.stamp[p] != search:
                    scratch.stamp[p] = search
                    scratch.mask[p] = 0
                elif gapless or scratch.mask[p] & bit:
                    continue
                scratch.mask[p] |= bit
                then[n_then] = p
                n_then += 1
        if n_then == 0:
            return -1
        n_now = n_then
    return size - 1


@compiled
def may_close(scratch: Scratch, position: int, left: int, seen: int) -> bool:
    """Tell whether home may still be reached from a position in `left` wishes."""
    mask = 0
    if scratch.stamp[position] == scratch.search[0]:
        mask = scratch.mask[position]
    if left <= seen:
        return mask & (1 << left) != 0
    return mask & (1 << (FAILED_SHIFT + left)) == 0


@compiled
def give_up(scratch: Scratch, position: int, left: int) -> None:
    """Note that home cannot be reached from a position in `left` wishes."""
    search = scratch.search[0]
    if scratch.stamp[position] != search:
        scratch.stamp[position] = search
        scratch.mask[position] = 0
    scratch.mask[position] |= 1 << (FAILED_SHIFT + left)
    scratch.mask[position] &= ~(1 << left)


@compiled
def next_alive(alive: FlagArray, claim: int, end: int) -> int:
    """Return the first claim from `claim` on whose applicant has not moved, or end."""
    while claim < end and not alive[claim]:
        claim += 1
    return claim


@compiled
def find(
    graph: Graph,
    alive: FlagArray,
    scratch: Scratch,
    claim: int,
    size: int,
    gapless: bool,
    seen: int,
) -> bool:
    """Find the first exchange of a claim; its wishes are then in scratch.path.

    look_back has marked its home and returned `seen`. Marks made when more applicants
    were there serve as well: they only keep from going where it cannot lead home.
    """
    if seen < 0:
        return False
    home = graph.home_of_claim[claim]
    claims, wishes, places = scratch.claim, scratch.path, scratch.place
    claims[0], wishes[0], places[0] = claim, graph.wish_start[claim] - 1, home
    d = 0  # wishes[d] is the wish tried last by the d-th member, counted from 0
    while True:
        wishes[d] += 1
        if wishes[d] == graph.wish_start[claims[d] + 1]:
            if d == 0:
                return False
            end = graph.claim_start[places[d] + 1]
            claims[d] = next_alive(alive, claims[d] + 1, end)
            if claims[d] < end:
                wishes[d] = graph.wish_start[claims[d]] - 1
                continue
            if gapless:
                give_up(scratch, places[d], size - d)
            d -= 1
            continue
        position = graph.wish_position[wishes[d]]
        left = size - d - 1
        if left == 0:
            if position == home:
                return True
            continue
        if position == home or not may_close(scratch, position, left, seen):
            continue
        if not gapless and on_path(places, d, position):
            continue
        end = graph.claim_start[position + 1]
        first = next_alive(alive, graph.claim_start[position], end)
        if first < end:
            d += 1
            places[d] = position
            claims[d], wishes[d] = first, graph.wish_start[first] - 1


@compiled
def on_path(places: IndexArray, d: int, position: int) -> bool:
    """Tell whether a position is already part of the exchange being built."""
    for k in range(1, d + 1):
        if places[k] == position:
            return True
    return False


@compiled
def leave(graph: Graph, alive: FlagArray, claim: int) -> None:
    """Take the applicant of a claim, with all its claims, off the market."""
    home = graph.home_of_claim[claim]
    for c in range(graph.claim_start[home], graph.claim_start[home + 1]):
        if graph.holder_of[c] == graph.holder_of[claim]:
            alive[c] = 0


@compiled
def leave_by(graph: Graph, alive: FlagArray, wishes: IndexArray) -> None:
    """Take the applicants who moved by these wishes off the market."""
    for wish in wishes:
        leave(graph, alive, graph.wish_claim[wish])


@compiled
def is_whole(graph: Graph, alive: FlagArray, path: IndexArray) -> bool:
    """Tell whether no member of an exchange has moved."""
    for wish in path:
        if not alive[graph.wish_claim[wish]]:
            return False
    return True


@compiled
def search(
    graph: Graph,
    alive: FlagArray,
    scratch: Scratch,
    claim: int,
    size: int,
    gapless: bool,
    state: FlagArray,
    paths: IndexArray,
) -> None:
    """Search a claim: state[claim] gets FAILED, or FOUND and paths[claim] its wishes.

    When it fails, the others of its home are tried on the same marks: those that fail
    too fail for the whole stage, since applicants only leave.
    """
    home = graph.home_of_claim[claim]
    low, high = graph.claim_start[home], graph.claim_start[home + 1]
    n_claims = 1
    for other in range(low, high):
        if alive[other] and state[other] == UNTRIED:
            n_claims += 1
    seen = look_back(graph, alive, scratch, home, n_claims, size, gapless)
    if find(graph, alive, scratch, claim, size, gapless, seen):
        state[claim] = FOUND
        paths[claim, :] = scratch.path[:size]
        return
    state[claim] = FAILED
    for other in range(low, high):
        if not alive[other] or state[other] != UNTRIED:
            continue
        if not find(graph, alive, scratch, other, size, gapless, seen):
            state[other] = FAILED


@compiled
def look_ahead(
    graph: Graph,
    alive: FlagArray,
    scratch: Scratch,
    claims: IndexArray,
    size: int,
    gapless: bool,
    state: FlagArray,
    paths: IndexArray,
) -> None:
    """Search claims while nobody moves.

    state has the shape (n_claims,), paths (n_claims, size).
    """
    for claim in claims:
        if alive[claim] and state[claim] == UNTRIED:
            search(graph, alive, scratch, claim, size, gapless, state, paths)


@compiled
def commit(
    graph: Graph,
    progress: Progress,
    scratch: Scratch,
    claims: IndexArray,
    size: int,
    gapless: bool,
    state: FlagArray,
    paths: IndexArray,
) -> None:
    """Take claims in their order and make each one's first exchange.

    An exchange found ahead of time still is the first one as long as all its members
    are there; a claim whose exchange lost one is searched again.
    """
    alive = progress.alive
    for claim in claims:
        if not alive[claim] or state[claim] == FAILED:
            continue
        if state[claim] == UNTRIED or not is_whole(graph, alive, paths[claim]):
            search(graph, alive, scratch, claim, size, gapless, state, paths)
        if state[claim] == FOUND:
            for wish in paths[claim]:
                member = graph.holder_of[graph.wish_claim[wish]]
                progress.moved_by[member] = wish
                progress.members[progress.n_members[0]] = wish
                progress.n_members[0] += 1
            leave_by(graph, alive, paths[claim])
