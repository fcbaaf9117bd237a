"""The optimum without a size limit once more, slow and obvious.

For tests and benches alone: a minimum-cost flow of networkx, and every plan there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx  # type: ignore[import-untyped]

from jiepin.core import reference, terms
from jiepin.core.outcome import Outcome
from jiepin.core.reference import Applicant, Position, Wish
from jiepin.core.reference_others import overall
from jiepin.core.round import Round
from jiepin.core.rules import Rules

Plan = Mapping[str, Wish]  # by teacher_id, those who move
Value = tuple[int, ...]  # of two plans the one with the larger value is better


@dataclass(frozen=True)
class Market:
    """Who may go where, and how many seats a position has."""

    people: Sequence[Applicant]  # by overall rank; wishes that may be used
    must_move: frozenset[str]
    most: Mapping[Position, int]
    least: Mapping[Position, int]  # seats that are taken afterwards as well

    @classmethod
    def of(cls, round_: Round, rules: Rules, seed: int, keep: str = "") -> Market:
        """Return the market of a round; with keep = "staged" nobody loses by it."""
        everyone = reference.applicants_of(round_, rules, seed)
        held = Counter(person.home for person in everyone)
        swap = _swap_only(round_)
        room = Counter(reference.open_seats_of(round_))
        most = held + Counter({p: n for p, n in room.items() if p.school not in swap})
        known = held.keys() | room.keys()
        everyone = [_reachable(person, known) for person in everyone]
        everyone.sort(key=overall)
        kept = _kept(round_, rules, seed) if keep == terms.STAGED else {}
        return cls(
            people=[_up_to(person, kept) for person in everyone],
            must_move=frozenset(kept),
            most=most,
            least={p: n for p, n in held.items() if p.school in swap},
        )

    def fits(self, plan: Plan) -> bool:
        """Tell whether everybody has a seat, and whoever must move does."""
        places = [
            plan[p.teacher_id].position if p.teacher_id in plan else p.home
            for p in self.people
        ]
        taken = Counter(places)
        return (
            self.must_move <= plan.keys()
            and all(n <= self.most.get(p, 0) for p, n in taken.items())
            and all(n <= taken[p] for p, n in self.least.items())
        )

    def plans(self) -> Iterator[Plan]:
        """Yield every plan there is."""
        plans: list[dict[str, Wish]] = [{}]
        for person in self.people:
            more = [
                {**plan, person.teacher_id: wish}
                for plan in plans
                for wish in person.wishes
            ]
            if person.teacher_id not in self.must_move:
                more += plans
            plans = more
        return (plan for plan in plans if self.fits(plan))

    def value(self, plan: Plan, objective: str) -> Value:
        """Return how good a plan is."""
        n_moves, choices = len(plan), sum(wish.choice for wish in plan.values())
        if objective == "moves":
            return (n_moves, -choices)
        if objective == "points":
            return (sum(wish.points for wish in plan.values()), n_moves)
        return (*(person.teacher_id in plan for person in self.people), -choices)


def most_moves(market: Market) -> Value:
    """Return the value of a plan with most moves, and the best choices among those.

    >>> from jiepin.core import Round, Rules
    >>> round_, rules = Round.read("fixtures/rounds/mutual"), Rules.load("taiwan-110")
    >>> most_moves(Market.of(round_, rules, seed=0))
    (2, -2)
    """
    graph = nx.DiGraph()
    per_move = 1 + sum(wish.choice for p in market.people for wish in p.wishes)
    demand = len(market.people) - sum(market.least.values())
    graph.add_node("sink", demand=demand)
    for position in {*market.most, *(p.home for p in market.people)}:
        least = market.least.get(position, 0)
        graph.add_node(position, demand=least)
        spare = market.most.get(position, 0) - least
        graph.add_edge(position, "sink", capacity=spare, weight=0)
    for person in market.people:
        who = person.teacher_id
        graph.add_node(who, demand=-1)
        for wish in person.wishes:
            graph.add_edge(who, wish.position, capacity=1, weight=wish.choice)
        if who not in market.must_move:
            graph.add_edge(who, person.home, capacity=1, weight=per_move)
    cost = nx.min_cost_flow_cost(graph)
    stay = cost // per_move
    return (len(market.people) - stay, -(cost % per_move))


def by_rank(market: Market) -> Value:
    """Return the value of a plan where whoever ranks higher moves first.

    >>> from jiepin.core import Round, Rules
    >>> round_, rules = Round.read("fixtures/rounds/mutual"), Rules.load("taiwan-110")
    >>> by_rank(Market.of(round_, rules, seed=0))
    (True, True, False, -2)
    """
    movers = market.must_move
    for person in market.people:
        try:
            more = movers | {person.teacher_id}
            most_moves(replace(market, must_move=more))
            movers = more
        except nx.NetworkXUnfeasible:
            continue
    people = [
        person if person.teacher_id in movers else replace(person, wishes=())
        for person in market.people
    ]
    _, choices = most_moves(replace(market, people=people, must_move=movers))
    return (*(person.teacher_id in movers for person in market.people), choices)


def plan_of(market: Market, outcome: Outcome) -> Plan:
    """Return an outcome as a plan; a move by no wish that may be used is an error."""
    columns = ("teacher_id", "school", "subject", "choice")
    wishes = {p.teacher_id: p.wishes for p in market.people}
    plan = {}
    for who, school, subject, choice in outcome.moves.select(columns).iter_rows():
        [plan[who]] = [
            wish
            for wish in wishes[who]
            if wish.position == (school, subject) and wish.choice == choice
        ]
    return plan


def _swap_only(round_: Round) -> set[str]:
    rows = round_.schools.select("school", "tags").iter_rows()
    return {school for school, tags in rows if terms.SWAP_ONLY in tags}


def _kept(round_: Round, rules: Rules, seed: int) -> dict[str, Position]:
    moves = reference.solve(round_, rules, seed).moves
    rows = moves.select("teacher_id", "school", "subject").iter_rows()
    return {who: Position(school, subject) for who, school, subject in rows}


def _reachable(person: Applicant, known: set[Position]) -> Applicant:
    wishes = [wish for wish in person.wishes if wish.position in known]
    return replace(person, wishes=tuple(wishes))


def _up_to(person: Applicant, kept: Mapping[str, Position]) -> Applicant:
    """Drop the wishes behind the one that is kept."""
    if person.teacher_id not in kept:
        return person
    positions = [wish.position for wish in person.wishes]
    last = positions.index(kept[person.teacher_id])
    return replace(person, wishes=person.wishes[: last + 1])
