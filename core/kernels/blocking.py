"""Block exchange: who envies whose seat, the shortest circle, and the trade.

A seat is held by somebody of a certain rank there. Who envies a position stands in its
row, best rank first; who points to a seat is always the beginning of that row. So a
pointer per position is enough to walk along all edges once, backwards and forwards.
"""

from __future__ import annotations

from typing import NamedTuple

from jiepin.core.kernels.compiling import FlagArray, IndexArray, compiled

NONE = -1
UNSET = -2


class Lists(NamedTuple):
    """What is given; nobody writes it. A wish is its place in the lists laid flat."""

    list_start: IndexArray  # shape (n_applicants + 1,)
    position: IndexArray  # shape (n_wishes,)
    rank: IndexArray  # shape (n_wishes,): of the owner at the position, lower first
    owner: IndexArray  # shape (n_wishes,)
    home_of: IndexArray  # shape (n_applicants,); also the position of each seat
    seat_start: IndexArray  # shape (n_positions + 1,)
    order: IndexArray  # applicants, best overall rank first
    one_sided: int  # 1: the first in a row who does not outrank a holder points too


class State(NamedTuple):
    """Who holds what. Seats of a position are sorted, the worst-ranked holder first."""

    held: IndexArray  # shape (n_seats,): applicant
    held_rank: IndexArray  # shape (n_seats,): his rank there
    seat_of: IndexArray  # shape (n_applicants,)
    at: IndexArray  # shape (n_applicants,): wish he holds; the end of the list: home
    first: IndexArray  # shape (n_positions,): best-ranked wish of one who envies it
    after: IndexArray  # shape (n_wishes,): next wish in the row, NONE at its end
    before: IndexArray  # shape (n_wishes,)
    alive: FlagArray  # shape (n_applicants,): may be on a circle
    part: IndexArray  # shape (n_applicants,): how many are in lower parts
    by_part: IndexArray  # applicants, the lowest part first


class Scratch(NamedTuple):
    """Notes of a search; between two searches they hold what is said here."""

    from_start: IndexArray  # shape (n_applicants,): steps, NONE
    to_start: IndexArray  # shape (n_applicants,): steps, NONE
    parent: IndexArray  # shape (n_applicants,): one step nearer to the start
    by_wish: IndexArray  # shape (n_applicants,): wish of that step
    ahead: IndexArray  # shape (n_applicants,): queue of those reached from the start
    behind: IndexArray  # shape (n_applicants,): queue of those who reach the start
    next_seat: IndexArray  # shape (n_positions,): UNSET
    next_wish: IndexArray  # shape (n_positions,): UNSET
    path: IndexArray  # shape (n_applicants,): members of the circle, initiator first
    wish: IndexArray  # shape (n_applicants,): by which each takes the next one's seat
    seat: IndexArray  # shape (n_applicants,): that seat
    was_at: IndexArray  # shape (n_applicants,): what each held before the trade
    searched: IndexArray  # shape (n_applicants,): not alive since a search found none
    ends: IndexArray  # shape (4,): layer of ahead from, to, layer of behind from, to
    work: IndexArray  # shape (1,): steps of searches


class Labels(NamedTuple):
    """Notes of the labelling of parts; nodes are applicants, then seats.

    Between two labellings number is NONE and step 0.
    """

    bounds: IndexArray  # shape (2,): parts from, and applicants in all lower ones, to
    number: IndexArray  # shape (2 n_applicants,)
    low: IndexArray
    step: IndexArray
    numbered: IndexArray
    stack: IndexArray
    calls: IndexArray
    roots: IndexArray
    stacked: FlagArray


@compiled
def place_of(lists: Lists, state: State, i: int) -> int:
    """Return the position where i is now."""
    at = state.at[i]
    at_home = at == lists.list_start[i + 1]
    return int(lists.home_of[i] if at_home else lists.position[at])


@compiled
def bar_of(lists: Lists, state: State, wish: int) -> int:
    """Return the rank that a holder must be worse than for this wish to point at him.

    Its own rank; one-sided that of the wish before it in the row.
    """
    if lists.one_sided == 0:
        return int(lists.rank[wish])
    previous = state.before[wish]
    return NONE if previous == NONE else int(lists.rank[previous])


@compiled
def go_ahead(lists: Lists, state: State, scratch: Scratch, start: int) -> int:
    """Reach one layer more from the start; return where both ways meet, or NONE."""
    ends, n = scratch.ends, scratch.ends[1]
    low, high = ends[0], ends[1]
    for at in range(low, high):
        i = scratch.ahead[at]
        for wish in range(lists.list_start[i], state.at[i]):
            p = lists.position[wish]
            bar = bar_of(lists, state, wish)
            seat = scratch.next_seat[p]
            if seat == UNSET:
                seat = lists.seat_start[p]
            while seat < lists.seat_start[p + 1] and state.held_rank[seat] > bar:
                u = state.held[seat]
                seat += 1
                scratch.work[0] += 1
                if state.alive[u] == 0 or state.part[u] != state.part[start]:
                    continue
                if u != start and scratch.from_start[u] != NONE:
                    continue
                scratch.parent[u] = i
                scratch.by_wish[u] = wish
                if u != start:
                    scratch.from_start[u] = scratch.from_start[i] + 1
                    scratch.ahead[n] = u
                    n += 1
                if scratch.to_start[u] != NONE:
                    scratch.next_seat[p] = seat
                    ends[0], ends[1] = high, n
                    return int(u)
            scratch.next_seat[p] = seat
            scratch.work[0] += 1
    ends[0], ends[1] = high, n
    return NONE


@compiled
def go_back(lists: Lists, state: State, scratch: Scratch, start: int) -> int:
    """Reach one layer more towards the start; return where both ways meet, or NONE."""
    ends, n = scratch.ends, scratch.ends[3]
    low, high = ends[2], ends[3]
    met = False
    for at in range(low, high):
        u = scratch.behind[at]
        p = place_of(lists, state, u)
        rank = state.held_rank[state.seat_of[u]]
        wish = scratch.next_wish[p]
        if wish == UNSET:
            wish = state.first[p]
        while wish != NONE and bar_of(lists, state, wish) < rank:
            i = lists.owner[wish]
            wish = state.after[wish]
            scratch.work[0] += 1
            if state.alive[i] == 0 or state.part[i] != state.part[start]:
                continue
            met = met or scratch.from_start[i] != NONE
            if i == start or scratch.to_start[i] != NONE:
                continue
            scratch.to_start[i] = scratch.to_start[u] + 1
            scratch.behind[n] = i
            n += 1
        scratch.next_wish[p] = wish
        scratch.work[0] += 1
    ends[2], ends[3] = high, n
    if not met:
        return NONE
    if ends[1] == 1:
        return start
    for at in range(ends[0], ends[1]):
        if scratch.to_start[scratch.ahead[at]] != NONE:
            return int(scratch.ahead[at])
    return NONE


@compiled
def step_on(
    lists: Lists, state: State, scratch: Scratch, place: int, left: int, start: int
) -> int:
    """Note the first step from path[place] after which `left` are left; return whom."""
    i = scratch.path[place]
    for wish in range(lists.list_start[i], state.at[i]):
        p = lists.position[wish]
        bar = bar_of(lists, state, wish)
        for seat in range(lists.seat_start[p], lists.seat_start[p + 1]):
            if state.held_rank[seat] <= bar:
                break
            u = state.held[seat]
            if scratch.to_start[u] == left and (left > 0) == (u != start):
                scratch.wish[place] = wish
                return int(u)
    return NONE


@compiled
def lay_path(
    lists: Lists, state: State, scratch: Scratch, start: int, met: int, left: int
) -> int:
    """Write the circle over `met`, from where `left` steps are left; return its size.

    The way to `met` is that of the parents; from there the first way that is short.
    """
    closed = met == start and left == 0
    steps = scratch.from_start[scratch.parent[met] if closed else met]
    steps += 1 if closed else 0
    i = met
    for place in range(steps - 1, -1, -1):
        scratch.wish[place] = scratch.by_wish[i]
        i = scratch.parent[i]
        scratch.path[place] = i
    size = steps
    i = met
    while left > 0:
        scratch.path[size] = i
        left -= 1
        i = step_on(lists, state, scratch, size, left, start)
        size += 1
    return int(size)


@compiled
def forget(lists: Lists, state: State, scratch: Scratch) -> None:
    """Wipe the notes of a search."""
    for at in range(scratch.ends[1]):
        i = scratch.ahead[at]
        scratch.from_start[i] = NONE
        for wish in range(lists.list_start[i], state.at[i]):
            scratch.next_seat[lists.position[wish]] = UNSET
    for at in range(scratch.ends[3]):
        u = scratch.behind[at]
        scratch.to_start[u] = NONE
        scratch.next_wish[place_of(lists, state, u)] = UNSET


@compiled
def search(lists: Lists, state: State, scratch: Scratch, start: int) -> int:
    """Write the shortest circle of the start, the first of them; return its size or 0.

    From both sides at once, a layer of the side with the smaller one at a time.
    """
    ends = scratch.ends
    scratch.from_start[start] = scratch.to_start[start] = 0
    scratch.ahead[0] = scratch.behind[0] = start
    ends[0] = ends[2] = 0
    ends[1] = ends[3] = 1
    back = 0
    met = NONE
    while met == NONE and ends[0] < ends[1] and ends[2] < ends[3]:
        if ends[1] - ends[0] <= ends[3] - ends[2]:
            met = go_ahead(lists, state, scratch, start)
        else:
            met = go_back(lists, state, scratch, start)
            back += 1
    size = 0
    if met != NONE:
        size = lay_path(lists, state, scratch, start, met, back)
    forget(lists, state, scratch)
    return size


@compiled
def leave_row(lists: Lists, state: State, wish: int) -> None:
    """Take a wish out of the row of those who envy its position."""
    previous, following = state.before[wish], state.after[wish]
    if previous == NONE:
        state.first[lists.position[wish]] = following
    else:
        state.after[previous] = following
    if following != NONE:
        state.before[following] = previous


@compiled
def sort_seats(lists: Lists, state: State, p: int) -> None:
    """Sort the seats of a position again, the worst-ranked holder first."""
    low = lists.seat_start[p]
    for seat in range(low, lists.seat_start[p + 1]):
        i, rank = state.held[seat], state.held_rank[seat]
        to = seat
        while to > low and state.held_rank[to - 1] < rank:
            state.held[to] = state.held[to - 1]
            state.held_rank[to] = state.held_rank[to - 1]
            state.seat_of[state.held[to]] = to
            to -= 1
        state.held[to] = i
        state.held_rank[to] = rank
        state.seat_of[i] = to


@compiled
def trade(lists: Lists, state: State, scratch: Scratch, size: int) -> None:
    """Let each on the path take the seat of the next one."""
    for place in range(size):
        following = scratch.path[place + 1 if place + 1 < size else 0]
        scratch.seat[place] = state.seat_of[following]
    for place in range(size):
        i, wish, seat = scratch.path[place], scratch.wish[place], scratch.seat[place]
        state.held[seat] = i
        state.held_rank[seat] = lists.rank[wish]
        scratch.was_at[place] = state.at[i]
        for left in range(wish, state.at[i]):
            leave_row(lists, state, left)
        state.at[i] = wish
    for place in range(size):
        sort_seats(lists, state, lists.position[scratch.wish[place]])


@compiled
def note_new_edges(
    lists: Lists, state: State, scratch: Scratch, labels: Labels, size: int
) -> None:
    """Write the lowest and highest part between which an edge of a trade leads up.

    Only one who stands after a trader in a row that he left may now point higher. All
    others who point to one who took a seat pointed to whom he took it from, and these
    two are of one part.
    """
    labels.bounds[0], labels.bounds[1] = len(state.part), NONE
    for place in range(size):
        i = scratch.path[place]
        for left in range(state.at[i], scratch.was_at[place]):
            wish = state.after[left]
            while wish != NONE and wish >= state.at[lists.owner[wish]]:
                wish = state.after[wish]
            if wish == NONE:
                continue
            last = seat_pointed_to(lists, state, wish)
            for seat in range(lists.seat_start[lists.position[wish]], last + 1):
                part, to = state.part[lists.owner[wish]], state.part[state.held[seat]]
                if to > part:
                    labels.bounds[0] = min(labels.bounds[0], part)
                    labels.bounds[1] = max(labels.bounds[1], to)


@compiled
def take_whole_parts(state: State, labels: Labels) -> bool:
    """Move the upper bound to the end of its part; tell whether there are bounds."""
    highest, end = labels.bounds[1], labels.bounds[1]
    if highest == NONE:
        return False
    while end < len(state.part) and state.part[state.by_part[end]] == highest:
        end += 1
    labels.bounds[1] = end
    return True


@compiled
def seat_pointed_to(lists: Lists, state: State, wish: int) -> int:
    """Return the last seat that a wish points to; those before it too; NONE if none."""
    p, bar = lists.position[wish], bar_of(lists, state, wish)
    low, high = lists.seat_start[p], lists.seat_start[p + 1]
    while low < high:
        middle = (low + high) // 2
        if state.held_rank[middle] > bar:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > lists.seat_start[p] else NONE


@compiled
def next_node(lists: Lists, state: State, labels: Labels, node: int) -> int:
    """Return the next node that a node leads to, NONE after the last.

    A seat leads to its holder and to the next worse seat of its position; so whoever
    points to some seats of a position needs one edge alone, to the best of them.
    """
    n = len(lists.home_of)
    if node < n:
        while lists.list_start[node] + labels.step[node] < state.at[node]:
            wish = lists.list_start[node] + labels.step[node]
            labels.step[node] += 1
            seat = seat_pointed_to(lists, state, wish)
            if seat != NONE:
                return n + seat
        return NONE
    seat = node - n
    labels.step[node] += 1
    if labels.step[node] == 1:
        holder = state.held[seat]
        if labels.bounds[0] <= state.part[holder] < labels.bounds[1]:
            return int(holder)
        labels.step[node] = 2
    if labels.step[node] == 2 and seat > lists.seat_start[lists.home_of[seat]]:
        return node - 1
    return NONE


@compiled
def close_part(state: State, labels: Labels, node: int, depth: int, part: int) -> int:
    """Take the part of a node off the stack; return how deep that is then."""
    n, low, end = len(state.at), depth, part
    while True:
        low -= 1
        member = labels.stack[low]
        labels.stacked[member] = 0
        if member < n:
            state.part[member] = part
            state.by_part[end] = member
            end += 1
        if member == node:
            break
    for at in range(part, end):
        state.alive[state.by_part[at]] = 1 if end - part > 1 else 0
    return low


@compiled
def label_from(
    lists: Lists, state: State, labels: Labels, root: int, n_numbered: int, part: int
) -> int:
    """Label the parts that a root leads to; return how many nodes have numbers now.

    The first of these parts is `part`. The stack is empty before and after.
    """
    depth, calls = 0, 1
    labels.calls[0] = root
    while calls > 0:
        node = labels.calls[calls - 1]
        if labels.number[node] == NONE:
            labels.number[node] = labels.low[node] = n_numbered
            labels.numbered[n_numbered] = node
            n_numbered += 1
            labels.stack[depth] = node
            labels.stacked[node] = 1
            depth += 1
        to = next_node(lists, state, labels, node)
        if to != NONE and labels.number[to] == NONE:
            labels.calls[calls] = to
            calls += 1
        elif to != NONE:
            if labels.stacked[to] == 1:
                labels.low[node] = min(labels.low[node], labels.number[to])
        else:
            calls -= 1
            if labels.low[node] == labels.number[node]:
                top = depth
                depth = close_part(state, labels, node, depth, part)
                for at in range(depth, top):
                    part += 1 if labels.stack[at] < len(state.at) else 0
            if calls > 0:
                above = labels.calls[calls - 1]
                labels.low[above] = min(labels.low[above], labels.low[node])
    return n_numbered


@compiled
def label_parts(lists: Lists, state: State, labels: Labels) -> None:
    """Find the parts in which everybody reaches everybody (Tarjan), within the bounds.

    Parts are numbered so that edges lead to the same part or a lower one; alone in a
    part nobody is on a circle.
    """
    low, high = labels.bounds[0], labels.bounds[1]
    for at in range(low, high):
        labels.roots[at] = state.by_part[at]
    n_numbered, part = 0, low
    for at in range(low, high):
        if labels.number[labels.roots[at]] == NONE:
            before = n_numbered
            n_numbered = label_from(
                lists, state, labels, labels.roots[at], n_numbered, part
            )
            for number in range(before, n_numbered):
                part += 1 if labels.numbered[number] < len(state.at) else 0
    for number in range(n_numbered):
        labels.number[labels.numbered[number]] = NONE
        labels.step[labels.numbered[number]] = 0


@compiled
def exchange_all(lists: Lists, state: State, scratch: Scratch, labels: Labels) -> None:
    """Trade the shortest circle of the best-ranked one who is on any, until none is.

    Two-sided, a circle that a trade makes lies within a part: whoever points to one
    who took a seat outranks him, hence outranks whom he took it from, and pointed to
    that one. So a search that fails is never repeated. One-sided, a trade can bring
    others to the front of a row: all who were searched in vain are tried again.
    """
    n = len(lists.order)
    worth_labels = len(lists.rank) + 4 * n
    labels.bounds[0], labels.bounds[1] = 0, n
    label_parts(lists, state, labels)
    n_searched = place = 0
    first_searched = n
    while place < n:
        start = lists.order[place]
        if state.alive[start] == 0:
            place += 1
            continue
        size = search(lists, state, scratch, start)
        if size == 0:
            state.alive[start] = 0
            scratch.searched[n_searched] = start
            n_searched += 1
            first_searched = min(first_searched, place)
            place += 1
        else:
            trade(lists, state, scratch, size)
        if size > 0 and lists.one_sided == 1:
            for at in range(n_searched):
                state.alive[scratch.searched[at]] = 1
            place = min(place, first_searched)
            n_searched, first_searched = 0, n
            note_new_edges(lists, state, scratch, labels, size)
            if take_whole_parts(state, labels):
                label_parts(lists, state, labels)
                place = 0
        if scratch.work[0] > worth_labels:
            labels.bounds[0], labels.bounds[1] = 0, n
            label_parts(lists, state, labels)
            n_searched, first_searched = 0, n
            scratch.work[0] = 0


@compiled
def first_left(lists: Lists, state: State, next_seat: IndexArray, p: int) -> int:
    """Return the first seat of a position whose holder is left, NONE if none is."""
    seat = next_seat[p]
    while seat < lists.seat_start[p + 1] and state.alive[state.held[seat]] == 0:
        seat += 1
    next_seat[p] = seat
    return seat if seat < lists.seat_start[p + 1] else NONE


@compiled
def trade_on_shortened_lists(
    lists: Lists,
    state: State,
    wanted: IndexArray,
    next_seat: IndexArray,
    place: IndexArray,
    path: IndexArray,
) -> None:
    """Run top trading cycles where nobody sees a seat whose holder outranks him there.

    alive is 1 for all at the call, wanted where each list begins, next_seat where the
    seats of each position begin, place NONE.
    """
    length = 0
    for start in lists.order:
        while state.alive[start] == 1:
            if length == 0:
                path[0], place[start], length = start, 0, 1
            i = path[length - 1]
            target = i
            while target == i and wanted[i] < lists.list_start[i + 1]:
                wish = wanted[i]
                seat = first_left(lists, state, next_seat, lists.position[wish])
                if seat != NONE and state.held_rank[seat] > lists.rank[wish]:
                    target = state.held[seat]
                else:
                    wanted[i] += 1
            if place[target] == NONE:
                path[length], place[target] = target, length
                length += 1
                continue
            low = place[target]
            for at in range(low, length):
                state.alive[path[at]] = 0
                state.at[path[at]] = wanted[path[at]]
            length = low


@compiled
def exchanges_of(
    order: IndexArray,
    rank: IndexArray,
    home_of: IndexArray,
    place: IndexArray,
    mover_start: IndexArray,
    movers: IndexArray,
    next_mover: IndexArray,
    on_path: IndexArray,
    path: IndexArray,
    members: IndexArray,
    starts: IndexArray,
) -> int:
    """Divide the movers into circles of different homes; return how many circles.

    A walk begins with the best-ranked mover left and goes on from where one goes with
    the best-ranked mover left who sits there; a circle is cut off where it closes. The
    best-ranked member of a circle is written first. movers holds those of each home by
    rank, next_mover is zero, on_path NONE at the call.
    """
    n_circles = length = 0
    for start in order:
        i = start
        p = home_of[i]
        at = mover_start[p] + next_mover[p]
        if at == mover_start[p + 1] or movers[at] != i:
            continue
        while True:
            path[length], on_path[p] = i, length
            next_mover[p] += 1
            length += 1
            p = place[i]
            if on_path[p] != NONE:
                low = on_path[p]
                first = low
                for at in range(low, length):
                    on_path[home_of[path[at]]] = NONE
                    if rank[path[at]] < rank[path[first]]:
                        first = at
                size = length - low
                for at in range(size):
                    members[starts[n_circles] + at] = path[
                        low + (first - low + at) % size
                    ]
                starts[n_circles + 1] = starts[n_circles] + size
                n_circles += 1
                length = low
                if length == 0:
                    break
            i = movers[mover_start[p] + next_mover[p]]
    return n_circles
