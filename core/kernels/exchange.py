"""Exchanges (互調、三角調 …): the first one of a claim, depth first, and the commits.

A search looks from the initiator's home backward first: `mark` notes for each position
in how many wishes it can reach home. Going forward, a wish is followed only if what is
left of the exchange can still close. If no shorter exchange is left (`gapless`), every
closed walk of `size` wishes visits different positions. Then the shortest way back
tells all, what failed once from a position with so many wishes left fails for good, and
the backward look may stop halfway.

A claim without an exchange is part of nobody's: its wishes leave the stage with it. So
the market shrinks with every claim tried, and now and then `relink` lists anew what is
left of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import FlagArray, IndexArray, compiled
from jiepin.core.kernels.prefetch import fetch
from jiepin.core.kernels.turns import give_back, take

UNTRIED, FAILED, FOUND = 0, 1, 2  # what is known of a claim in this stage
MAX_SIZE = 10
# Bit n of a mark, n up to how far back was looked: home is n wishes away. Beyond that:
# it was tried in vain with n wishes left.
MARKED = 1 << 15  # a position that must be wiped before the next search


class Graph(NamedTuple):
    """Who wishes what, as int32 arrays; claims are numbered by home and claim order.

    Claims at position p are claim_start[p] up to claim_start[p + 1], in claim order;
    wishes of claim c are wish_start[c] up to wish_start[c + 1], in wish order.
    """

    claim_start: IndexArray
    holder_of: IndexArray  # the applicant of a claim
    home_of_claim: IndexArray  # the position where that applicant sits
    wish_start: IndexArray
    wish_position: IndexArray
    wish_claim: IndexArray  # the claim of a wish


class Links(NamedTuple):
    """The wishes that may still be part of an exchange, position by position.

    Those who sit at p have the wishes wish[out[p, 0]:out[p, 1]], claim by claim, for
    the positions out_position[...]; p is wished from the positions
    in_position[into[p, 0]:into[p, 1]], each there once. Wishes of claims that have left
    since they were listed are still there.

    A block of positions is listed at a time, by threads that list one part of it each:
    part t is bound[t] up to bound[t + 1].
    """

    out: IndexArray  # shape (n_positions, 2)
    wish: IndexArray  # shape (n_wishes,)
    out_position: IndexArray  # shape (n_wishes,)
    into: IndexArray  # shape (n_positions, 2)
    in_position: IndexArray  # shape (n_wishes,)
    alive_at: IndexArray  # shape (n_positions,): how many claims are
    bound: IndexArray  # shape (n_parts + 1,): positions
    n_wishes: npt.NDArray[np.int64]  # shape (n_parts,)
    # Of each part: the position that last wished p, and from how many p is wished or
    # where the next of them goes.
    tally: IndexArray  # shape (n_parts, n_positions, 2)


class Scratch(NamedTuple):
    """What one search at a time writes into; as many of them as threads."""

    mark: npt.NDArray[np.uint16]  # shape (n_positions,)
    marked: IndexArray  # the positions with a mark, those nearer to home first
    n_marked: IndexArray  # shape (1,)
    path: IndexArray  # shape (MAX_SIZE,): the wishes of the exchange found
    place: IndexArray  # shape (MAX_SIZE,): the positions on the way
    at: IndexArray  # shape (MAX_SIZE,): the link tried from each of them


class Task(NamedTuple):
    """One stage: what is searched, and what is known so far."""

    graph: Graph
    links: Links
    size: int
    gapless: bool
    per_claim: float  # wishes of a claim, and of a position, about
    per_position: float
    alive: FlagArray  # shape (n_claims,): 1 while it may get an exchange in this stage
    state: FlagArray  # shape (n_claims,): UNTRIED, FAILED or FOUND
    paths: IndexArray  # shape (n_claims, size): the wishes of what was found
    held: FlagArray  # shape (n_positions,): 1 while a thread searches its claims


class Made(NamedTuple):
    """The exchanges in the order made."""

    moved_by: IndexArray  # shape (n_applicants,): the wish that moved it, or -1
    members: IndexArray  # shape (n_applicants,): wishes used, exchange by exchange
    n_members: IndexArray  # shape (1,)


def links_for(graph: Graph, n_parts: int) -> Links:
    """Return links without content, large enough for all wishes."""
    n_positions, n_wishes = len(graph.claim_start) - 1, len(graph.wish_position)
    return Links(
        out=np.empty((n_positions, 2), dtype=np.int32),
        wish=np.empty(n_wishes, dtype=np.int32),
        out_position=np.empty(n_wishes, dtype=np.int32),
        into=np.empty((n_positions, 2), dtype=np.int32),
        in_position=np.empty(n_wishes, dtype=np.int32),
        alive_at=np.empty(n_positions, dtype=np.int32),
        bound=np.zeros(n_parts + 1, dtype=np.int32),
        n_wishes=np.zeros(n_parts, dtype=np.int64),
        tally=np.empty((n_parts, n_positions, 2), dtype=np.int32),
    )


def links_of_block(
    links: Links, graph: Graph, low: int, high: int, n_parts: int
) -> Links:
    """Return the links that list positions low up to high, in parts of equal work."""
    first_wish = graph.wish_start[graph.claim_start[low : high + 1]]
    shares = np.linspace(first_wish[0], first_wish[-1], n_parts + 1)[1:-1]
    inner = low + np.searchsorted(first_wish[:-1], shares)
    return links._replace(
        bound=np.array([low, *inner, high], dtype=np.int32),
        n_wishes=np.zeros(n_parts, dtype=np.int64),
    )


def scratch_for(n_positions: int, size: int, gapless: bool) -> Scratch:
    """Return what one thread needs to search for exchanges of a size."""
    n_times = 1 if gapless else size  # a position is marked so many times at most
    return Scratch(
        mark=np.zeros(n_positions, dtype=np.uint16),
        marked=np.empty(n_positions * n_times, dtype=np.int32),
        n_marked=np.zeros(1, dtype=np.int32),
        path=np.empty(MAX_SIZE, dtype=np.int32),
        place=np.empty(MAX_SIZE, dtype=np.int32),
        at=np.empty(MAX_SIZE, dtype=np.int32),
    )


@compiled
def list_all(graph: Graph, links: Links, part: int) -> None:
    """List all wishes there are, to be thinned out."""
    for p in range(links.bound[part], links.bound[part + 1]):
        low = graph.wish_start[graph.claim_start[p]]
        high = graph.wish_start[graph.claim_start[p + 1]]
        links.out[p, 0], links.out[p, 1] = low, high
        for w in range(low, high):
            links.wish[w] = w
            links.out_position[w] = graph.wish_position[w]


@compiled
def count_alive(graph: Graph, alive: FlagArray, links: Links, part: int) -> None:
    """Count who is left at each position."""
    for p in range(links.bound[part], links.bound[part + 1]):
        n_alive = 0
        for claim in range(graph.claim_start[p], graph.claim_start[p + 1]):
            n_alive += alive[claim]
        links.alive_at[p] = n_alive


@compiled
def thin_out(graph: Graph, alive: FlagArray, links: Links, part: int) -> None:
    """Keep the wishes of those alive for where somebody is; count from how many."""
    tally = links.tally
    for p in range(links.bound[0], links.bound[-1]):
        tally[part, p, 0], tally[part, p, 1] = -1, 0
    low = links.bound[part]
    first = links.out[low, 0] if low < links.bound[part + 1] else 0
    n = first
    for p in range(low, links.bound[part + 1]):
        start, end = links.out[p, 0], links.out[p, 1]
        links.out[p, 0] = n
        for k in range(start, end):
            wish, target = links.wish[k], links.out_position[k]
            if links.alive_at[target] == 0 or not alive[graph.wish_claim[wish]]:
                continue
            links.wish[n], links.out_position[n] = wish, target
            n += 1
            if tally[part, target, 0] != p:
                tally[part, target, 0] = p
                tally[part, target, 1] += 1
        links.out[p, 1] = n
    links.n_wishes[part] = n - first


@compiled
def place_in(graph: Graph, alive: FlagArray, links: Links) -> None:
    """Say where the lists of list_in begin.

    Who sits where nobody wishes to go is part of no exchange and leaves the stage.
    """
    low, high = links.bound[0], links.bound[-1]
    n = graph.wish_start[graph.claim_start[low]]
    for p in range(low, high):
        links.into[p, 0] = n
        for part in range(len(links.n_wishes)):
            begin = n
            n += links.tally[part, p, 1]
            links.tally[part, p, 0], links.tally[part, p, 1] = -1, begin
        links.into[p, 1] = n
        if n == links.into[p, 0]:
            for claim in range(graph.claim_start[p], graph.claim_start[p + 1]):
                alive[claim] = 0


@compiled
def list_in(links: Links, part: int) -> None:
    """List from where each position is wished."""
    tally = links.tally
    for p in range(links.bound[part], links.bound[part + 1]):
        for k in range(links.out[p, 0], links.out[p, 1]):
            target = links.out_position[k]
            if tally[part, target, 0] != p:
                tally[part, target, 0] = p
                links.in_position[tally[part, target, 1]] = p
                tally[part, target, 1] += 1


@compiled
def wipe(scratch: Scratch) -> None:
    """Take all marks off."""
    for k in range(scratch.n_marked[0]):
        scratch.mark[scratch.marked[k]] = 0
    scratch.n_marked[0] = 0


@compiled
def look_back(task: Task, scratch: Scratch, home: int, n_claims: int) -> int:
    """Mark from where home is 1, 2, … wishes away; return how far it looked.

    Returns -1 when somewhere on the way back nobody is left, so nothing can close.
    n_claims of home will use the marks: the more they are, the further it looks.
    """
    wipe(scratch)
    links, size, gapless = task.links, task.size, task.gapless
    mark, marked = scratch.mark, scratch.marked
    mark[home] = MARKED | 1
    marked[0] = home
    low, n_marked, seen = 0, 1, size - 1
    for depth in range(1, size):
        high, cost = n_marked, 0
        for k in range(low, high):
            start = links.into[marked[k], 0]
            cost += links.into[marked[k], 1] - start
            fetch(links.in_position, start)
        # about what it costs to go forward the rest of the way
        ahead = n_claims * task.per_claim * task.per_position ** (size - depth)
        if gapless and cost > ahead:
            seen = depth - 1
            break
        bit = 1 << depth
        skip = MARKED if gapless else bit
        for k in range(low, high):
            q = marked[k]
            for e in range(links.into[q, 0], links.into[q, 1]):
                p = links.in_position[e]
                if mark[p] & skip == 0 and p != home:
                    mark[p] |= MARKED | bit
                    marked[n_marked] = p
                    n_marked += 1
        if n_marked == high:
            seen = -1
            break
        low = high
    scratch.n_marked[0] = n_marked
    # home may be come back to in the end alone
    for left in range(seen + 1, size):
        mark[home] |= 1 << left
    return seen


@compiled
def may_close(mark: int, left: int, seen: int) -> bool:
    """Tell whether home may still be reached from a position in `left` wishes."""
    return ((mark >> left) & 1 == 1) == (left <= seen)


@compiled
def give_up(scratch: Scratch, position: int, left: int, seen: int) -> None:
    """Note that home cannot be reached from a position in `left` wishes."""
    if scratch.mark[position] == 0:
        scratch.marked[scratch.n_marked[0]] = position
        scratch.n_marked[0] += 1
    bit = 1 << left
    mark = scratch.mark[position] | MARKED | bit
    scratch.mark[position] = mark ^ bit if left <= seen else mark


@compiled
def find(task: Task, scratch: Scratch, claim: int, seen: int) -> bool:
    """Find the first exchange of a claim; its wishes are then in scratch.path.

    look_back has marked its home and returned `seen`. Marks made when more applicants
    were there serve as well: they only keep from going where it cannot lead home.
    """
    if seen < 0:
        return False
    graph, links, left = task.graph, task.links, task.size - 1
    home = graph.home_of_claim[claim]
    for k in range(links.out[home, 0], links.out[home, 1]):
        fetch(links.out, links.out_position[k])
    for k in range(links.out[home, 0], links.out[home, 1]):
        fetch(links.out_position, links.out[links.out_position[k], 0])
    for k in range(links.out[home, 0], links.out[home, 1]):
        wish, position = links.wish[k], links.out_position[k]
        own = graph.wish_start[claim] <= wish < graph.wish_start[claim + 1]
        if own and may_close(scratch.mark[position], left, seen):
            scratch.path[0] = wish
            if go_on(task, scratch, position, seen):
                return True
    return False


@compiled
def go_on(task: Task, scratch: Scratch, second: int, seen: int) -> bool:
    """Find the way home from the position of the second member."""
    links, size, gapless = task.links, task.size, task.gapless
    place, at = scratch.place, scratch.at
    d = 1
    place[d], at[d] = second, links.out[second, 0]
    while d > 0:
        left = size - d - 1
        k, end = at[d], links.out[place[d], 1]
        while k < end and not may_close(
            scratch.mark[links.out_position[k]], left, seen
        ):
            k += 1
        at[d] = k + 1
        if k == end:
            if gapless:
                give_up(scratch, place[d], left + 1, seen)
            d -= 1
            continue
        wish, position = links.wish[k], links.out_position[k]
        if not task.alive[task.graph.wish_claim[wish]]:
            continue
        scratch.path[d] = wish
        if left == 0:
            return True
        if gapless or not on_path(place, d, position):
            d += 1
            place[d], at[d] = position, links.out[position, 0]
    return False


@compiled
def on_path(places: IndexArray, d: int, position: int) -> bool:
    """Tell whether a position is already part of the exchange being built."""
    for k in range(1, d + 1):
        if places[k] == position:
            return True
    return False


@compiled
def leave(graph: Graph, alive: FlagArray, claim: int) -> None:
    """Take the applicant of a claim, with all its claims, off the stage."""
    home = graph.home_of_claim[claim]
    for c in range(graph.claim_start[home], graph.claim_start[home + 1]):
        if graph.holder_of[c] == graph.holder_of[claim]:
            alive[c] = 0


@compiled
def is_open(task: Task, claim: int) -> bool:
    """Tell whether a claim must be searched: for the first time, or once more.

    Once more if a member of the exchange it found has left.
    """
    if not task.alive[claim]:
        return False
    if task.state[claim] == FOUND:
        for d in range(task.size):
            if not task.alive[task.graph.wish_claim[task.paths[claim, d]]]:
                return True
    return bool(task.state[claim] == UNTRIED)


@compiled
def search(task: Task, scratch: Scratch, claim: int) -> None:
    """Search a claim and, on the same marks, the others of its home that are open.

    state gets FAILED, or FOUND and paths the wishes. Who fails leaves the stage: since
    applicants only leave, there will be no exchange later either.
    """
    home = task.graph.home_of_claim[claim]
    low, high = task.graph.claim_start[home], task.graph.claim_start[home + 1]
    n_open = 0
    for other in range(low, high):
        n_open += is_open(task, other)
    seen = look_back(task, scratch, home, n_open)
    for other in range(low, high):
        if not is_open(task, other):
            continue
        if find(task, scratch, other, seen):
            for d in range(task.size):
                task.paths[other, d] = scratch.path[d]
            task.state[other] = FOUND
        else:
            task.state[other] = FAILED
            task.alive[other] = 0


@compiled
def scout(
    task: Task, scratch: Scratch, claims: IndexArray, n_tried: IndexArray, lead: int
) -> None:
    """Search claims ahead of commit, which at the same time takes them in their order.

    n_tried[0] is how far commit has come; a scout keeps `lead` claims before it.
    """
    k = lead
    while k < len(claims):
        claim = claims[k]
        home = task.graph.home_of_claim[claim]
        if task.alive[claim] and take(task.held, home):
            if is_open(task, claim):
                search(task, scratch, claim)
            give_back(task.held, home)
        k = max(k + 1, n_tried[0] + lead)


@compiled
def commit(
    task: Task, scratch: Scratch, claims: IndexArray, n_tried: IndexArray, made: Made
) -> None:
    """Take claims in their order and make each one's first exchange.

    An exchange found ahead of time still is the first one as long as all its members
    are there, since nobody comes back; a claim whose exchange lost one is searched
    again. While a scout searches a home, what it has noted there is not looked at.
    """
    for k in range(len(claims)):
        claim = claims[k]
        n_tried[0] = k
        if not task.alive[claim]:
            continue
        home = task.graph.home_of_claim[claim]
        if take(task.held, home):
            if is_open(task, claim):
                search(task, scratch, claim)
            if task.state[claim] == FOUND:
                for d in range(task.size):
                    scratch.path[d] = task.paths[claim, d]
                make(task, scratch, made)
            give_back(task.held, home)
        elif find(task, scratch, claim, look_back(task, scratch, home, 1)):
            make(task, scratch, made)
        else:
            task.alive[claim] = 0
    n_tried[0] = len(claims)


@compiled
def make(task: Task, scratch: Scratch, made: Made) -> None:
    """Make the exchange on the path; its members leave the stage."""
    graph = task.graph
    for d in range(task.size):
        wish = scratch.path[d]
        member = graph.holder_of[graph.wish_claim[wish]]
        made.moved_by[member] = wish
        made.members[made.n_members[0]] = wish
        made.n_members[0] += 1
        leave(graph, task.alive, graph.wish_claim[wish])
