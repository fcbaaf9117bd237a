"""What else can look for exchanges: each on the same market, told what it computes.

A market is seen as people: i wants j when j sits where i wishes to go. Every function
returns what it found, so that answers can be held against each other; none of those
from outside knows the rules of a round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import markets

from jiepin.core import Rules, terms
from jiepin.core.market import Market
from jiepin.core.mechanisms import staged
from jiepin.core.rules import Stage

LONGEST = 5
EXCHANGES = Rules(
    "exchanges",
    tuple(
        Stage(f"exchange of {size}", terms.EXCHANGE, size)
        for size in range(2, LONGEST + 1)
    ),
)


@dataclass(frozen=True)
class People:
    """A market as lists of Python, and as who wants whom."""

    market: Market

    @cached_property
    def home(self) -> list[int]:
        return self.market.home_of.tolist()

    @cached_property
    def wishes(self) -> list[list[int]]:
        """Positions by person, in wish order."""
        rows = markets.wishes_in_order(self.market).reshape(-1, markets.N_WISHES)
        return rows.tolist()

    @cached_property
    def order(self) -> list[int]:
        """The people, the one with the most points first."""
        return self.market.graph.holder_of[self.market.claim_order].tolist()

    @cached_property
    def sitting(self) -> list[list[int]]:
        """People by position, in the order of points."""
        there: list[list[int]] = [[] for _ in range(self.market.n_positions)]
        for person in self.order:
            there[self.home[person]].append(person)
        return there

    @cached_property
    def wants(self) -> list[list[int]]:
        return [
            [j for position in wished for j in self.sitting[position]]
            for wished in self.wishes
        ]

    @cached_property
    def wished_from(self) -> list[list[int]]:
        """By position, the people who wish to go there."""
        people: list[list[int]] = [[] for _ in range(self.market.n_positions)]
        for person, wished in enumerate(self.wishes):
            for position in wished:
                people[position].append(person)
        return people

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        return ((i, j) for i, wanted in enumerate(self.wants) for j in wanted)


def engine(people: People) -> list[list[int]]:
    """Exchanges by the rules of a round, on one thread."""
    moves = staged.run(markets.encoded(people.market), EXCHANGES)
    graph = people.market.graph
    members = graph.holder_of[graph.wish_claim[moves.members]].tolist()
    bounds = moves.starts.tolist()
    return [members[a:b] for a, b in pairwise(bounds)]


def same_rules(people: People) -> list[list[int]]:
    """Exchanges by the rules, in Python: from each person back, then forward."""
    gone: set[int] = set()
    made = []
    for size in range(2, LONGEST + 1):
        for person in people.order:
            if person in gone:
                continue
            found = _first_exchange(people, gone, person, size)
            if found:
                made.append(found)
                gone.update(found)
    return made


def _first_exchange(
    people: People, gone: set[int], person: int, size: int
) -> list[int] | None:
    target = people.home[person]
    far: list[set[int]] = [{target}]  # positions from which home is d wishes away
    into = people.wished_from
    for _ in range(size - 1):
        far.append(
            {
                people.home[i]
                for position in far[-1]
                for i in into[position]
                if i not in gone
            }
        )

    def extend(path: list[int]) -> list[int] | None:
        left = size - len(path)
        for position in people.wishes[path[-1]]:
            if position not in far[left]:
                continue
            if left == 0:
                return path
            if position == target or any(people.home[i] == position for i in path):
                continue
            for other in people.sitting[position]:
                if other not in gone and (found := extend([*path, other])):
                    return found
        return None

    return extend([person])


def networkx_cycles(people: People) -> int:
    """Count all cycles of at most five people."""
    import networkx as nx

    graph = nx.DiGraph(people.pairs)
    return sum(1 for _ in nx.simple_cycles(graph, length_bound=LONGEST))


def igraph_cycles(people: People) -> int:
    """Count the cycles of at most five people that igraph finds."""
    import igraph

    graph = igraph.Graph(len(people.home), list(people.pairs), directed=True)
    return len(graph.simple_cycles(igraph.OUT, -1, LONGEST, "vpath"))


def search_per_request(people: People, longest: int) -> int:
    """Count exchanges as a site does that searches when somebody asks, for everybody.

    People are grouped by where they sit; then for every size and from every person a
    depth-first search lists the circles back to them, each once.
    """
    wants = [set(wanted) for wanted in people.wants]
    n_found = 0

    def extend(first: int, last: int, on_path: set[int], left: int) -> None:
        nonlocal n_found
        if left == 0:
            n_found += first in wants[last]
            return
        for other in people.wants[last]:
            if other > first and other not in on_path:
                on_path.add(other)
                extend(first, other, on_path, left - 1)
                on_path.remove(other)

    for size in range(2, longest + 1):
        for person in range(len(wants)):
            extend(person, person, {person}, size - 1)
    return n_found


def kep(people: People) -> int:
    """Move as many people as cycles of at most five can: kep_solver with CBC."""
    from kep_solver.entities import Donor, Instance, Recipient, Transplant
    from kep_solver.model import CycleAndChainModel, TransplantCount

    instance = Instance()
    donors = []
    for person in range(len(people.home)):
        donor, recipient = Donor(str(person)), Recipient(str(person))
        donor.recipient = recipient
        recipient.addDonor(donor)
        instance.addRecipient(recipient)
        donors.append(donor)
    for i, j in people.pairs:
        instance_edge = Transplant(donors[i], donors[j].recipient, 1)
        donors[i].addTransplant(instance_edge)
    model = CycleAndChainModel(
        instance, [TransplantCount()], maxCycleLength=LONGEST, maxChainLength=0
    )
    solution, _, _ = model.solve()
    return sum(len(exchange) for exchange in solution)


def _cycles(people: People) -> list[list[int]]:
    import networkx as nx

    graph = nx.DiGraph(people.pairs)
    return list(nx.simple_cycles(graph, length_bound=LONGEST))


def cp_sat(people: People) -> int:
    """Move as many people as cycles of at most five can: OR-Tools CP-SAT."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    cycles = _cycles(people)
    chosen = [model.new_bool_var("") for _ in cycles]
    for of_person in _containing(people, cycles):
        model.add_at_most_one(chosen[number] for number in of_person)
    model.maximize(sum(len(cycle) * x for cycle, x in zip(cycles, chosen, strict=True)))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    if solver.solve(model) != cp_model.OPTIMAL:
        raise RuntimeError("CP-SAT found no optimum")
    return round(solver.objective_value)


def highs(people: People) -> int:
    """Move as many people as cycles of at most five can: HiGHS."""
    import highspy

    model = highspy.Highs()
    model.setOptionValue("log_to_console", False)
    model.setOptionValue("threads", 1)
    cycles = _cycles(people)
    chosen = [model.addBinary(obj=len(cycle)) for cycle in cycles]
    for of_person in _containing(people, cycles):
        if len(of_person) > 1:
            model.addConstr(sum(chosen[number] for number in of_person) <= 1)
    model.changeObjectiveSense(highspy.ObjSense.kMaximize)
    model.run()
    return round(model.getObjectiveValue())


def _containing(people: People, cycles: list[list[int]]) -> list[list[int]]:
    """Return for each person the numbers of the cycles it is in."""
    numbers: list[list[int]] = [[] for _ in people.home]
    for number, cycle in enumerate(cycles):
        for person in cycle:
            numbers[person].append(number)
    return numbers


def ttc_package(people: People) -> int:
    """Count who moves by top trading cycles: matching-algorithms from PyPI.

    Who sits somewhere stands first there, the last wish is to stay.
    """
    import matching_algorithms

    schools = {
        f"school {p}": {
            "capacity": len(there),
            "priorities": there + [i for i in people.order if people.home[i] != p],
        }
        for p, there in enumerate(people.sitting)
        if there
    }
    home = [f"school {p}" for p in people.home]
    students = {
        i: [name for p in wished if (name := f"school {p}") in schools] + [home[i]]
        for i, wished in enumerate(people.wishes)
    }
    matching = matching_algorithms.top_trading_cycles(students, schools)
    return sum(matching[i] != home[i] for i in students)


def ttc(people: People) -> int:
    """Count who moves by top trading cycles of any length, in plain Python."""
    left = [list(reversed(there)) for there in people.sitting]  # the last is first
    at = [0] * len(people.home)
    ended: set[int] = set()
    n_moved = 0
    for start in people.order:
        path: list[int] = []
        place: dict[int, int] = {}
        while start not in ended:
            person = path[-1] if path else start
            wished = people.wishes[person]
            while at[person] < len(wished) and not left[wished[at[person]]]:
                at[person] += 1
            if at[person] == len(wished):
                ended.add(person)
                left[people.home[person]].remove(person)
                path, place = [], {}
                continue
            if not path:
                path, place = [start], {start: 0}
            following = left[wished[at[person]]][-1]
            if following not in place:
                place[following] = len(path)
                path.append(following)
                continue
            circle = path[place[following] :]
            for member in circle:
                ended.add(member)
                left[people.home[member]].remove(member)
            n_moved += len(circle)
            path, place = [], {}
    return n_moved


class Peer(NamedTuple):
    """One way to look for exchanges, and what its answer is."""

    run: Callable[[People], object]
    computes: str


RULES = "exchanges of 2–5 by the rules"
CYCLES = "number of all cycles of at most 5 people"
PACKING = "most people moved by cycles of at most 5"
PEERS = {
    "jiepin": Peer(engine, RULES),
    "plain Python": Peer(same_rules, RULES),
    "networkx simple_cycles": Peer(networkx_cycles, CYCLES),
    "igraph simple_cycles": Peer(igraph_cycles, CYCLES),
    "search per request, 2–5": Peer(lambda p: search_per_request(p, 5), CYCLES),
    "search per request, 2–10": Peer(
        lambda p: search_per_request(p, 10), "number of all cycles of at most 10 people"
    ),
    "kep_solver": Peer(kep, PACKING),
    "OR-Tools CP-SAT": Peer(cp_sat, PACKING),
    "HiGHS": Peer(highs, PACKING),
    "matching-algorithms TTC": Peer(ttc_package, "top trading cycles of any length"),
    "plain Python TTC": Peer(ttc, "top trading cycles of any length"),
}
