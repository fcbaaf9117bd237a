"""What the mechanisms beside the rules promise, and whether a result keeps it.

Written from the definitions alone, in plain Python and NumPy: what can be proved of a
plan by looking at it is proved, and what identifies the one answer of a mechanism is
worked out once more.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from jiepin.core import terms
from jiepin.core import violations as v
from jiepin.core.options import Options
from jiepin.core.plain import (
    ExchangeGraph,
    Key,
    PlainRound,
    Standing,
    StepLimitError,
    one_way_passes,
)
from jiepin.core.rules import Stage
from jiepin.core.terms import Label, label_in

Indices = npt.NDArray[np.int64]
Limits = tuple[int | None, int | None]  # wishes and steps of a slow rerun, at most

BOUND = Label(
    "上界 {n:,} 未另行證明，僅檢查達成人數不超過它。",
    "the bound {n:,} was not proved again; only that no more moved than it allows.",
)
RANK = Label(
    "是否依積分高低依序優先達成，未檢查（{n:,} 人）。",
    "whether whoever ranks higher moves first was not checked ({n:,} teachers).",
)
KEPT = Label(
    "規模過大，未重算依規則之結果，因此未檢查 {n:,} 人是否至少維持原志願。",
    "too large for the rules to be run again, so whether everybody they place keeps "
    "at least that wish was not checked ({n:,} teachers; see --complete).",
)


@dataclass(frozen=True, slots=True)
class Unproved:
    """A promise that was not checked, and a number its sentence names."""

    label: Label
    n: int

    def text(self, lang: str) -> str:
        """Return what was left out, in Chinese ("zh") or English ("en")."""
        return label_in(self.label, lang).format(n=self.n)

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.text('zh')} {self.text('en')}"


@dataclass(frozen=True)
class Plan:
    """Where everybody is afterwards; numbers of people and positions as in `plain`."""

    plain: PlainRound
    mechanism: str
    after: Sequence[int]  # applicant -> position
    exchanges: Mapping[int, tuple[int, ...]]  # number -> members
    home_points: Sequence[int | None]
    options: Options
    bound: int | None
    add: Callable[[v.Violation], None]

    @cached_property
    def everyone(self) -> range:
        return range(len(self.plain.ids))

    @cached_property
    def room(self) -> dict[int, int]:
        """Seats of a position: those held, and those open unless it only swaps."""
        room = Counter(self.plain.homes)
        for position, seats in self.plain.seats.items():
            if not self.plain.swap_only(position):
                room[position] += seats
        return dict(room)

    @cached_property
    def there(self) -> dict[int, list[int]]:
        """Who is at a position afterwards."""
        return _grouped(self.after)

    @cached_property
    def holders(self) -> dict[int, list[int]]:
        """Who was at a position before."""
        return _grouped(self.plain.homes)

    @cached_property
    def envied(self) -> list[list[int]]:
        """The positions that each one prefers to where he is, best first."""
        return [self._better(i) for i in self.everyone]

    def _better(self, i: int) -> list[int]:
        wishes = self.plain.wishes(i)
        return wishes[: wishes.index(self.after[i])] if self.moved(i) else wishes

    @cached_property
    def longest(self) -> int:
        """The length of the longest list of schools."""
        return max(map(len, self.plain.choices), default=0)

    @cached_property
    def exchanged(self) -> set[int]:
        """Who is in an exchange."""
        return {i for members in self.exchanges.values() for i in members}

    def moved(self, i: int) -> bool:
        return self.after[i] != self.plain.homes[i]

    def is_open(self, position: int) -> bool:
        return len(self.there.get(position, ())) < self.room.get(position, 0)

    def key(self, i: int, position: int) -> Key:
        """Return who comes first at a position; at home the home points count."""
        if position == self.plain.homes[i]:
            points = self.home_points[i]
            return 1 if points is None else -points, self.plain.tie_rank[i]
        return self.plain.key(i, position)

    def names(self, applicants: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.plain.ids[i] for i in applicants)


def _grouped(places: Sequence[int]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for i, position in enumerate(places):
        groups.setdefault(position, []).append(i)
    return groups


def check(plan: Plan, limits: Limits) -> list[Unproved]:
    """Name each promise of its mechanism that a plan breaks; return what was left out.

    Everybody is known to be at home or at a wish, and the exchanges to be real ones.
    """
    check_seats(plan)
    if plan.mechanism == terms.OPTIMUM:
        return [*_optimum(plan, limits)]
    _CHECKS[plan.mechanism](plan)
    return []


def check_seats(plan: Plan) -> None:
    """Nowhere more people than seats; where seats are only swapped, not fewer."""
    plain = plan.plain
    for position in sorted({*plan.there, *plan.holders}):
        n, seats = len(plan.there.get(position, ())), plan.room.get(position, 0)
        if n > seats:
            plan.add(v.SeatsExceeded(plain.place(position), n, seats))
        elif n < seats and plain.swap_only(position):
            plan.add(v.SwapOnlySeatFree(plain.place(position), n, seats))


# ---- Deferred acceptance


def _deferred_acceptance(plan: Plan) -> None:
    _check_envy(plan)
    _check_places(plan, deferred_acceptance(plan.plain, plan.room))
    _check_exchanges(plan, ())


def _check_envy(plan: Plan) -> None:
    """Whom somebody envies holds the seat or outranks him, and no envied seat is open.

    Who sits where seats are only swapped takes no part. At each position it is enough
    to look at the last of those who came.
    """
    plain = plan.plain
    last: dict[int, tuple[Key, int]] = {}
    for i in plan.everyone:
        if plan.moved(i):
            entry = plain.key(i, plan.after[i]), i
            last[plan.after[i]] = max(entry, last.get(plan.after[i], entry))
    for i in plan.everyone:
        ended = plain.place(plan.after[i])
        for position in () if plain.swap_only(plain.homes[i]) else plan.envied[i]:
            wished = plain.place(position)
            if plan.is_open(position):
                plan.add(v.OpenSeatEnvied(plain.ids[i], wished, ended))
            elif position in last and last[position][0] > plain.key(i, position):
                instead = plain.ids[last[position][1]]
                plan.add(v.JustifiedEnvy(plain.ids[i], wished, ended, instead))


def deferred_acceptance(plain: PlainRound, room: Mapping[int, int]) -> list[int]:
    """Return where everybody ends; holders come first, applicants propose.

    Nobody leaves a school that takes part in exchanges only.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> plain = PlainRound.of(round_, Rules.load("taiwan-110"), seed=0)
    >>> after = deferred_acceptance(plain, Counter(plain.homes))
    >>> [plain.ids[i] for i in range(3) if after[i] != plain.homes[i]]
    ['T1', 'T3']
    """
    kept: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
    ahead = [
        iter([home] if plain.swap_only(home) else [*plain.wishes(i), home])
        for i, home in enumerate(plain.homes)
    ]
    waiting = list(range(len(plain.ids)))
    while waiting:
        i = waiting.pop()
        position = next(ahead[i])
        holds = position == plain.homes[i]
        points = 0 if holds else plain.points(i, position)
        heapq.heappush(kept[position], (int(holds), points, -plain.tie_rank[i], i))
        if len(kept[position]) > room.get(position, 0):
            waiting.append(heapq.heappop(kept[position])[-1])
    after = list(plain.homes)
    for position, entries in kept.items():
        for *_, i in entries:
            after[i] = position
    return after


def _check_places(plan: Plan, after: Sequence[int]) -> None:
    """Hold a plan against the one that the mechanism makes."""
    plain = plan.plain
    for i in plan.everyone:
        if after[i] != plan.after[i]:
            found, expected = plain.place(plan.after[i]), plain.place(after[i])
            plan.add(v.NotByTheMechanism(plain.ids[i], found, expected))


def _check_exchanges(plan: Plan, exchanges: Iterable[tuple[int, ...]]) -> None:
    """Hold the exchanges of a plan against those that the mechanism makes."""
    expected_of = {frozenset(members): members for members in exchanges}
    for number, members in plan.exchanges.items():
        if expected_of.pop(frozenset(members), None) is None:
            plan.add(v.NotAnExchange(number, plan.names(members)))
    for members in expected_of.values():
        plan.add(v.ExchangeNotListed(plan.names(members)))


# ---- Top trading cycles


def _top_trading_cycles(plan: Plan) -> None:
    _check_efficient(plan)
    plain = plan.plain
    trading = Trading(
        lists=[_reachable(plan, i) for i in plan.everyone],
        homes=plain.homes,
        order=_overall_order(plan),
        seats={p: n for p, n in plain.seats.items() if not plain.swap_only(p)},
        stays_full={p for p in plan.holders if plain.swap_only(p)},
    )
    trading.run()
    _check_places(plan, trading.after)
    _check_exchanges(plan, trading.exchanges)


def _reachable(plan: Plan, i: int) -> list[int]:
    """Return the wishes for positions that somebody holds or that have open seats."""
    return [p for p in plan.plain.wishes(i) if p in plan.holders or p in plan.room]


def _overall_order(plan: Plan) -> list[int]:
    """Return everybody by overall rank: highest points over the wishes, then tie."""
    plain = plan.plain
    listed = plan.holders.keys() | plain.seats.keys()

    def rank(i: int) -> tuple[bool, int, int]:
        points = [plain.points(i, p) for p in plain.wishes(i) if p in listed]
        return not points, -max(points, default=0), plain.tie_rank[i]

    return sorted(plan.everyone, key=rank)


def _check_efficient(plan: Plan) -> None:
    """No trade is left, and no chain that ends at an open seat.

    A chain begins where a seat may fall free, so not at a school of exchanges only.
    """
    who, tails, heads = _envy(plan)
    cycle = cycle_in(tails, heads)
    if cycle:
        plan.add(v.TradeLeft(plan.names(who[arc] for arc in cycle)))
    chain = _chain(plan, tails, heads)
    if chain:
        place = plan.plain.place(int(heads[chain[-1]]))
        plan.add(v.ChainLeft(plan.names(who[arc] for arc in chain), place))


def _envy(plan: Plan) -> tuple[Indices, Indices, Indices]:
    """Return who envies, where he is, and the position envied: one row per envy."""
    counts = [len(envied) for envied in plan.envied]
    who = np.repeat(np.arange(len(counts)), counts)
    after = np.array(plan.after, dtype=np.int64)
    heads = np.array([p for envied in plan.envied for p in envied], dtype=np.int64)
    return who, after[who], heads


def _chain(plan: Plan, tails: Indices, heads: Indices) -> list[int]:
    """Return the arcs of a chain from a seat that may fall free to an open one."""
    plain = plan.plain
    places = np.unique(np.concatenate([tails, heads]))
    ends = {int(p) for p in places if plan.is_open(int(p))}
    following: dict[int, int] = {}  # position -> arc by which the chain goes on
    while ends:
        found = np.flatnonzero(np.isin(heads, list(ends)))
        ends = set()
        for arc in found.tolist():
            tail = int(tails[arc])
            if not plain.swap_only(tail):
                return _followed(arc, following, heads)
            if tail not in following:
                following[tail] = arc
                ends.add(tail)
    return []


def _followed(arc: int, following: Mapping[int, int], heads: Indices) -> list[int]:
    chain = [arc]
    while int(heads[chain[-1]]) in following:
        chain.append(following[int(heads[chain[-1]])])
    return chain


def cycle_in(tails: Indices, heads: Indices) -> list[int]:
    """Return the arcs of a cycle in order, none where there is no cycle.

    Who has no way out is taken away until everybody left has one.

    >>> cycle_in(np.array([0, 1, 2, 2]), np.array([1, 2, 3, 1]))
    [1, 3]
    """
    nodes, flat = np.unique(np.concatenate([tails, heads]), return_inverse=True)
    tail, head = flat[: len(tails)], flat[len(tails) :]
    by_head = np.argsort(head, kind="stable")
    starts = np.searchsorted(head[by_head], np.arange(len(nodes) + 1)).tolist()
    before = tail[by_head].tolist()
    ways_out = np.bincount(tail, minlength=len(nodes)).tolist()
    gone = [node for node, ways in enumerate(ways_out) if ways == 0]
    for node in gone:
        for other in before[starts[node] : starts[node + 1]]:
            ways_out[other] -= 1
            if ways_out[other] == 0:
                gone.append(other)
    stays = np.ones(len(nodes), dtype=np.bool_)
    stays[gone] = False
    arcs = np.flatnonzero(stays[tail] & stays[head])
    out = {int(tail[arc]): int(arc) for arc in arcs[::-1]}
    return _walked({node: int(head[arc]) for node, arc in out.items()}, out)


def _walked(following: Mapping[int, int], out: Mapping[int, int]) -> list[int]:
    """Follow from the first node until one comes again; return the arcs between."""
    node, seen = min(following, default=-1), dict[int, int]()
    while node in following and node not in seen:
        seen[node] = len(seen)
        node = following[node]
    return [out[on] for on in list(seen)[seen.get(node, len(seen)) :]]


class Trading:
    """Top trading cycles; a place is a position, or one seat.

    Everybody points to the best place of his list that can still be had, home last; a
    place to its first holder left in `order`; one with an open seat to the first one
    left whose home may fall free. A trade through an open seat opens a seat there.
    """

    def __init__(
        self,
        lists: Sequence[Sequence[int]],
        homes: Sequence[int],
        order: Sequence[int],
        seats: Mapping[int, int],
        stays_full: set[int],
    ) -> None:
        self.lists, self.homes = lists, homes
        self.seats = Counter(seats)
        self.after = list(homes)
        self.exchanges: list[tuple[int, ...]] = []
        self._left = [True] * len(homes)
        self._passed = [0] * len(homes)  # wishes that cannot be had any more
        self._everyone = [*order][::-1]
        self._openers = [i for i in self._everyone if homes[i] not in stays_full]
        self._holders: dict[int, list[int]] = {}
        for i in self._everyone:
            self._holders.setdefault(homes[i], []).append(i)

    def _first(self, stack: list[int]) -> int | None:
        """Return the first one left of a list that ends with the best."""
        while stack and not self._left[stack[-1]]:
            stack.pop()
        return stack[-1] if stack else None

    def _target(self, place: int) -> tuple[int | None, bool]:
        """Return whom a place points to, and whether by an open seat."""
        if self.seats[place] > 0:
            opener = self._first(self._openers)
            if opener is not None:
                return opener, True
        return self._first(self._holders.get(place, [])), False

    def _best(self, i: int) -> int:
        """Return the best place that i can still have."""
        wishes = self.lists[i]
        while self._passed[i] < len(wishes):
            if self._target(wishes[self._passed[i]])[0] is not None:
                return wishes[self._passed[i]]
            self._passed[i] += 1
        return self.homes[i]

    def run(self) -> None:
        """Trade until nobody is left."""
        path: dict[int, tuple[int, bool]] = {}  # place pointed to, by an open seat?
        i = self._first(self._everyone)
        while i is not None:
            place = self._best(i)
            target, opens = self._target(place)
            path[i] = place, opens
            if place == self.homes[i] and target == i:
                self._left[i] = False
                del path[i]
            elif target is not None and target in path:
                self._trade(path, target)
            elif target is not None:
                i = target
                continue
            i = path.popitem()[0] if path else self._first(self._everyone)

    def _trade(self, path: dict[int, tuple[int, bool]], first: int) -> None:
        """Let those on the path from the first one on take what they point to."""
        everyone = list(path)
        members = everyone[everyone.index(first) :]
        taken = [path.pop(i) for i in members]
        for i, (place, _) in zip(members, taken, strict=True):
            self.after[i] = place
            self._left[i] = False
        through = [n for n, (_, opens) in enumerate(taken) if opens]
        if not through:
            self.exchanges.append(tuple(members))
            return
        opener = members[(through[0] + 1) % len(members)]
        self.seats[taken[through[0]][0]] -= 1
        self.seats[self.homes[opener]] += 1
        path.clear()  # positions on it may point elsewhere now


# ---- Block exchanges


def _block_exchange(plan: Plan) -> None:
    if _has_home_points(plan):
        _check_seats_went_up(plan)
        _check_no_blocking_exchange(plan, one_sided=False)


def _teacher_optimal_block_exchange(plan: Plan) -> None:
    _block_exchange(plan)
    seats = Trading(
        lists=[_seat_list(plan, i) for i in plan.everyone],
        homes=plan.everyone,
        order=plan.everyone,
        seats={},
        stays_full=set(),
    )
    seats.run()
    after = [plan.plain.homes[holder] for holder in seats.after]
    _check_places(plan, after)


def _one_sided_block_exchange(plan: Plan) -> None:
    if _has_home_points(plan):
        _check_no_new_complaint(plan)
        _check_no_blocking_exchange(plan, one_sided=True)


def _has_home_points(plan: Plan) -> bool:
    """Tell whether all who wish what somebody holds or offers have home points."""
    missing = [
        i for i in plan.everyone if plan.home_points[i] is None and _reachable(plan, i)
    ]
    for i in missing:
        plan.add(v.HomePointsMissing(plan.plain.ids[i]))
    return not missing


def _seat_list(plan: Plan, i: int) -> list[int]:
    """Return whose seats i may have: at each wish the worst-ranked holder first."""
    return [
        holder
        for position in plan.plain.wishes(i)
        for key, holder in sorted(
            ((plan.key(j, position), j) for j in plan.holders.get(position, ())),
            reverse=True,
        )
        if plan.key(i, position) < key
    ]


def _check_seats_went_up(plan: Plan) -> None:
    """At no position is the k-th best now behind the k-th best of before."""
    for position in sorted(plan.holders):
        before = sorted((plan.key(i, position), i) for i in plan.holders[position])
        now = sorted((plan.key(i, position), i) for i in plan.there.get(position, ()))
        for (was, holder), (is_, other) in zip(before, now, strict=False):
            if is_ > was:
                place = plan.plain.place(position)
                plan.add(v.SeatWentDown(place, *plan.names((holder, other))))


def _check_no_new_complaint(plan: Plan) -> None:
    """Who outranks one at a position he envies outranked one there before as well."""
    before, now = _last_at(plan, plan.holders), _last_at(plan, plan.there)
    for i in plan.everyone:
        for position in plan.envied[i]:
            own = plan.key(i, position), i
            last = now.get(position, own)
            if last > own >= before.get(position, own):
                wished, ended = map(plan.plain.place, (position, plan.after[i]))
                names = plan.plain.ids[i], plan.plain.ids[last[1]]
                plan.add(v.JustifiedEnvy(names[0], wished, ended, names[1]))


def _last_at(plan: Plan, there: Mapping[int, list[int]]) -> dict[int, tuple[Key, int]]:
    """Return who comes last of those at each position, and the key of that one."""
    return {p: max((plan.key(i, p), i) for i in people) for p, people in there.items()}


def _check_no_blocking_exchange(plan: Plan, one_sided: bool) -> None:
    arcs = [*_blocking_arcs(plan, one_sided)]
    tails, heads = np.array(arcs, dtype=np.int64).reshape(-1, 2).T
    nodes = [int(tails[arc]) for arc in cycle_in(tails, heads)]
    members = [node for node in nodes if node < len(plan.plain.ids)]
    if members:
        plan.add(v.BlockingExchangeLeft(plan.names(members)))


def _blocking_arcs(plan: Plan, one_sided: bool) -> Iterator[tuple[int, int]]:
    """Yield who may block with whom, in few arcs.

    The people at a position, best first, are hung on a chain of further nodes: who
    outranks one of them, and so all behind, needs a single arc to the chain.
    """
    enviers: dict[int, list[tuple[Key, int]]] = {}
    for i in plan.everyone:
        for position in plan.envied[i]:
            enviers.setdefault(position, []).append((plan.key(i, position), i))
    node = len(plan.plain.ids)
    for position, envious in sorted(enviers.items()):
        envious.sort()
        there = sorted((plan.key(i, position), i) for i in plan.there.get(position, ()))
        for at, (_, resident) in enumerate(there):
            yield node + at, resident
            if at + 1 < len(there):
                yield node + at, node + at + 1
        for key, i in envious:
            at = bisect_right(there, (key, i))
            if at < len(there):
                yield i, node + at
        for key, resident in there if one_sided else ():
            first = bisect_left(envious, (key, resident))
            if first < len(envious):
                yield envious[first][1], resident
        node += len(there)


# ---- The optimum


def _optimum(plan: Plan, limits: Limits) -> Iterator[Unproved]:
    n_moved = sum(map(plan.moved, plan.everyone))
    if plan.bound is not None and n_moved > plan.bound:
        plan.add(v.MoreThanTheBound(n_moved, plan.bound))
    placed: dict[int, int] | None = {}
    if plan.options.keep == terms.STAGED:
        placed = staged_moves(plan.plain, plan.options.max_size, limits)
        if placed is None:
            yield Unproved(KEPT, len(plan.plain.ids))
    _check_kept(plan, placed or {})
    if plan.options.max_size:
        _check_bounded(plan)
        yield Unproved(BOUND, plan.bound or 0)
        return
    if plan.options.objective != "moves":
        yield Unproved(BOUND, plan.bound or 0)
    if plan.options.objective == "rank":
        yield Unproved(RANK, n_moved)
    elif placed is not None:
        _check_best(plan, placed)


def staged_moves(
    plain: PlainRound, max_size: int, limits: Limits
) -> dict[int, int] | None:
    """Return who moves where by the rules; None where that would take too long.

    With a `max_size` the stages of larger exchanges are left out.
    """
    most_wishes, most_steps = limits
    n_wishes = sum(map(plain.n_wishes, range(len(plain.ids))))
    if most_wishes is not None and n_wishes > most_wishes:
        return None
    standing, placed = Standing(plain), dict[int, int]()
    for stage in plain.rules.stages:
        if max_size and stage.size > max_size:
            continue
        try:
            moves = _moves_of(standing, stage, most_steps)
        except StepLimitError:
            return None
        standing.close(stage, moves)
        placed.update(moves)
    return placed


def _moves_of(
    standing: Standing, stage: Stage, most_steps: int | None
) -> dict[int, int]:
    moves: dict[int, int] = {}
    if stage.kind == terms.ONE_WAY:
        for each in one_way_passes(standing, stage):
            moves.update(each.moves)
        return moves
    homes = standing.plain.homes
    graph = ExchangeGraph(standing.plain, standing.applicants(), most_steps)
    for claim in graph.claims:
        found = graph.holds(claim.applicant) and graph.first(claim, stage.size)
        if found:
            for member, following in zip(found, (*found[1:], found[0]), strict=True):
                moves[member] = homes[following]
                graph.leave(member)
    return moves


def _check_kept(plan: Plan, placed: Mapping[int, int]) -> None:
    """Whoever the rules place is where they place him, or better."""
    for i, position in sorted(placed.items()):
        if not plan.moved(i) or position in plan.envied[i]:
            found, expected = (
                plan.plain.place(plan.after[i]),
                plan.plain.place(position),
            )
            plan.add(v.KeptLess(plan.plain.ids[i], found, expected))


def _check_bounded(plan: Plan) -> None:
    """Exchanges are small enough; all others go one-way, as some stage allows."""
    plain, came = plan.plain, Counter[int]()
    for number, members in plan.exchanges.items():
        if len(members) > plan.options.max_size:
            most = plan.options.max_size
            plan.add(v.ExchangeTooLarge(number, len(members), most))
    for i in plan.everyone:
        if plan.moved(i) and i not in plan.exchanged:
            came[plan.after[i]] += 1
            if not _one_way(plain, i, plan.after[i]):
                place = plain.place(plan.after[i])
                plan.add(v.NoSuchOneWayMove(plain.ids[i], place))
    for position, n in sorted(came.items()):
        seats = plain.seats.get(position, 0)
        if n > seats:
            place = plain.place(position)
            plan.add(v.SeatOverFilled(plan.mechanism, place, n, seats))


def _one_way(plain: PlainRound, i: int, position: int) -> bool:
    return any(
        plain.takes_part(i, stage) and plain.is_offered(position, stage)
        for stage in plain.rules.stages
        if stage.kind == terms.ONE_WAY
    )


def _check_best(plan: Plan, placed: Mapping[int, int]) -> None:
    """No round of changes makes a plan better: then none is better.

    Everybody may change to another position of his list, a seat that may fall free be
    left, an open one be taken; a round of such changes that gains is a cycle of
    negative cost.
    """
    who, tails, heads, costs = _changes(plan, placed)
    cycle = negative_cycle(tails, heads, costs)
    n_moved, bound = sum(map(plan.moved, plan.everyone)), plan.bound
    if cycle:
        people = (int(who[arc]) for arc in cycle)
        plan.add(v.BetterPlan(plan.names(i for i in people if i != terms.NOBODY)))
    elif plan.options.objective == "moves" and bound is not None and n_moved < bound:
        plan.add(v.BoundNotReached(n_moved, bound))


_NOWHERE = -1  # where open seats are kept


def _changes(
    plan: Plan, placed: Mapping[int, int]
) -> tuple[Indices, Indices, Indices, Indices]:
    """Return who changes (NOBODY: a seat), from where, to where, at which cost."""
    plain, rows = plan.plain, list[tuple[int, int, int, int]]()
    for i in plan.everyone:
        here, listed = plan.after[i], plain.wishes(i)
        last = listed.index(placed[i]) + 1 if i in placed else len(listed)
        places = [*listed[:last], *([] if i in placed else [plain.homes[i]])]
        worth = dict(zip(places, _worths(plan, i, places), strict=True))
        rows.extend(
            (i, here, place, worth[here] - worth[place])
            for place in places
            if here in worth and place != here
        )
    for position in sorted({*plan.room, *plan.there}):
        if not plain.swap_only(position):
            rows.append((terms.NOBODY, _NOWHERE, position, 0))
            if plan.is_open(position):
                rows.append((terms.NOBODY, position, _NOWHERE, 0))
    who, tails, heads, costs = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    order = np.lexsort((costs, heads, tails))
    pairs = np.stack([tails[order], heads[order]])
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
    kept = order[first]
    return who[kept], tails[kept], heads[kept], costs[kept]


def _worths(plan: Plan, i: int, places: Sequence[int]) -> list[int]:
    """Return what it is worth that i is at each place of the list; nothing at home.

    Most moves, then the smallest sum of choice numbers; or the largest sum of points
    for the counties moved to, then most moves.
    """
    plain, home = plan.plain, plan.plain.homes[i]
    if plan.options.objective == "points":
        unit = len(plain.ids) + 1
        points = dict(zip(plain.counties[i], plain.county_points[i], strict=True))
        return [
            0 if p == home else points[plain.school_at(p).county] * unit + 1
            for p in places
        ]
    most = 1 + plan.longest * len(plain.ids)
    return [0 if p == home else most - plain.choice(i, p) for p in places]


def negative_cycle(tails: Indices, heads: Indices, costs: Indices) -> list[int]:
    """Return the arcs of a cycle of negative cost, none where there is none.

    >>> tails, heads = np.array([0, 1, 2]), np.array([1, 2, 1])
    >>> negative_cycle(tails, heads, np.array([0, 1, -2]))
    [2, 1]
    >>> negative_cycle(tails, heads, np.array([0, 2, -2]))
    []
    """
    if not len(tails):
        return []
    nodes, flat = np.unique(np.concatenate([tails, heads]), return_inverse=True)
    order = np.argsort(flat[len(tails) :], kind="stable")
    tail, head, cost = (
        flat[: len(tails)][order],
        flat[len(tails) :][order],
        costs[order],
    )
    reached, starts, lengths = np.unique(head, return_index=True, return_counts=True)
    distance = np.zeros(len(nodes), dtype=np.int64)
    before = np.full(len(nodes), terms.NOBODY, dtype=np.int64)  # arc that leads here
    for n_rounds in range(1, len(nodes) + 2):
        offered = distance[tail] + cost
        best = np.minimum.reduceat(offered, starts)
        if not (best < distance[reached]).any():
            return []
        improves = (offered < distance[head]) & (offered == np.repeat(best, lengths))
        arcs = np.flatnonzero(improves)
        before[head[arcs]] = arcs
        distance[reached] = np.minimum(distance[reached], best)
        if n_rounds % 16 == 0 or n_rounds > len(nodes):
            out = {n: int(a) for n, a in enumerate(before.tolist()) if a >= 0}
            found = _cycle_back({n: int(tail[a]) for n, a in out.items()}, out)
            if found:
                return [int(arc) for arc in order[found]]
    raise AssertionError("distances fall without end, yet no cycle leads back")


def _cycle_back(back: Mapping[int, int], arc_to: Mapping[int, int]) -> list[int]:
    """Return the arcs of a cycle of those that lead to each node, last one first."""
    seen: dict[int, int] = {}  # node -> walk on which it was met
    for start in back:
        node = start
        while node in back and node not in seen:
            seen[node] = start
            node = back[node]
        if seen.get(node) == start and node in back:
            arcs = [arc_to[node]]
            on = back[node]
            while on != node:
                arcs.append(arc_to[on])
                on = back[on]
            return arcs
    return []


_CHECKS: Mapping[str, Callable[[Plan], None]] = {
    "block_exchange": _block_exchange,
    "deferred_acceptance": _deferred_acceptance,
    "one_sided_block_exchange": _one_sided_block_exchange,
    "teacher_optimal_block_exchange": _teacher_optimal_block_exchange,
    "top_trading_cycles": _top_trading_cycles,
}
