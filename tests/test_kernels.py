"""Each kernel on arrays small enough to work out by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiepin.core.kernels import encode, exchange, one_way
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.components import blocks_of, connect
from jiepin.core.market import Market
from jiepin.core.mechanisms.exchange_stage import BlockSearch, ExchangeStage
from jiepin.core.workers import Item, Workers

GENERAL, GAPLESS = False, True
MOST_PARTS = 5


def ints(*values: int) -> IndexArray:
    return np.array(values, dtype=np.int32)


def graph_of(homes: list[int], wishes: list[list[int]], n: int) -> exchange.Graph:
    """One claim per applicant, applicants already sorted by home; claim = applicant."""
    assert homes == sorted(homes)
    return exchange.Graph(
        claim_start=ints(*np.searchsorted(homes, range(n + 1))),
        holder_of=ints(*range(len(homes))),
        home_of_claim=ints(*homes),
        wish_start=ints(*np.cumsum([0, *(len(wished) for wished in wishes)])),
        wish_position=ints(*(p for wished in wishes for p in wished)),
        wish_claim=ints(*(i for i, wished in enumerate(wishes) for _ in wished)),
    )


def market_of(graph: exchange.Graph) -> Market:
    """A market of claims in the order of their numbers."""
    claims = np.arange(len(graph.holder_of), dtype=np.int32)
    n_applicants = int(graph.holder_of.max(initial=-1)) + 1
    nothing = ints()
    return Market(
        graph=graph,
        home_of=np.zeros(n_applicants, dtype=np.int32),
        seats=np.zeros(len(graph.claim_start) - 1, dtype=np.int64),
        claim_order=claims,
        rank_of=claims,
        wish_choice=nothing,
        list_start=nothing,
        list_wish=nothing,
    )


def nobody_moved(graph: exchange.Graph) -> exchange.Made:
    n = len(graph.holder_of)
    return exchange.Made(
        moved_by=np.full(n, -1, dtype=np.int32),
        members=np.empty(n, dtype=np.int32),
        n_members=np.zeros(1, dtype=np.int32),
    )


def stage_of(
    graph: exchange.Graph, size: int, gapless: bool, made: exchange.Made | None = None
) -> ExchangeStage:
    return ExchangeStage(
        market_of(graph),
        size,
        gapless,
        nobody_moved(graph) if made is None else made,
        exchange.links_for(graph, MOST_PARTS),
        Workers(),
        ints(0, len(graph.claim_start) - 1),
        lambda _done, _total: None,
    )


def search_of(stage: ExchangeStage, n_parts: int = 1) -> BlockSearch:
    """Search of all positions, their wishes listed in so many parts, one by one."""
    search = BlockSearch(stage, stage.blocks()[0], InTurn(n_parts))
    search.workers.each(search.list_all)
    search.list_anew()
    return search


class InTurn(Workers):
    """Workers without threads."""

    def __post_init__(self) -> None:
        pass

    def share(self, run: Callable[[Item], None], items: Iterable[Item]) -> None:
        for item in items:
            run(item)


def commit_all(
    graph: exchange.Graph, size: int, gapless: bool
) -> tuple[exchange.Made, int]:
    made = nobody_moved(graph)
    stage_of(graph, size, gapless, made).run()
    return made, int(made.n_members[0]) // size


def test_groups_list_members_in_order() -> None:
    keys, starts, members = ints(2, 0, 2, 0), ints(7, 7, 7, 7), ints(0, 0, 0, 0)
    encode.group(keys, starts, members)
    assert starts.tolist() == [0, 2, 2, 4]
    assert members.tolist() == [1, 3, 0, 2]


def forms_of_two(best: bool = False) -> encode.Forms:
    """Row 0: schools 2, 1, subjects 0, 1, county 0: 70, county 1: 90; row 1: nothing.

    Two subjects × three schools; subject 1 is not taught at school 0.
    """
    return encode.Forms(
        lists=encode.Lists(
            choice_start=np.array([0, 2, 2]),
            choices=ints(2, 1),
            subject_start=np.array([0, 2, 3]),
            subjects=ints(0, 1, 0),
            county_start=np.array([0, 2, 2]),
            counties=ints(0, 1),
            points=np.array([70, 90]),
        ),
        home_of=ints(0, 0),
        position_at=ints(0, 1, 2, -1, 3, 4),
        county_of_school=ints(2, 0, 1),
        best=best,
    )


def slots_of(forms: encode.Forms) -> encode.Slots:
    n_slots, n_rows = len(forms.lists.counties), len(forms.home_of)
    slots = encode.Slots(
        points=np.empty(n_slots, dtype=np.int64),
        length=np.empty(n_slots, dtype=np.int32),
        n_wishes=np.empty(n_rows, dtype=np.int32),
    )
    encode.count_wishes(forms, slots, 0, n_rows)
    return slots


def layout_of(claim_of_slot: IndexArray, cursor: IndexArray, n: int) -> encode.Layout:
    return encode.Layout(
        claim_of_slot,
        cursor,
        ints(0, n),
        *(np.empty(n, dtype=np.int32) for _ in range(4)),
    )


def test_wishes_are_counted_by_claim() -> None:
    slots = slots_of(forms_of_two())
    assert slots.n_wishes.tolist() == [4, 0]
    assert slots.length.tolist() == [2, 2]
    assert slots.points.tolist() == [70, 90]


def test_best_points_make_one_claim() -> None:
    slots = slots_of(forms_of_two(best=True))
    assert slots.length.tolist() == [4, 0]
    assert slots.points[0] == 90


def test_equal_points_make_one_claim() -> None:
    forms = forms_of_two()
    forms.lists.points[:] = 80
    assert slots_of(forms).length.tolist() == [4, 0]


def test_a_choice_outside_the_counties_is_no_wish() -> None:
    forms = forms_of_two()
    forms.lists.counties[:] = 0, 7
    for best in (False, True):
        assert slots_of(forms._replace(best=best)).n_wishes.tolist() == [2, 0]
    layout = layout_of(ints(0, -1), ints(0), 2)
    encode.fill_wishes(forms, layout, 0, 2)
    assert layout.wish_position.tolist() == [1, 3]


def test_home_is_no_wish() -> None:
    forms = forms_of_two()._replace(home_of=ints(4, 0))
    assert slots_of(forms).length.tolist() == [2, 1]


def test_wishes_are_schools_in_order_times_subjects_in_order() -> None:
    # the claim of county 0 is number 1 and begins at 2; that of county 1 is number 0
    layout = layout_of(ints(1, 0), ints(0, 2), 4)
    encode.fill_wishes(forms_of_two(), layout, 0, 2)
    assert layout.wish_position.tolist() == [2, 4, 1, 3]
    assert layout.wish_choice.tolist() == [1, 1, 2, 2]
    assert layout.wish_claim.tolist() == [0, 0, 1, 1]
    assert layout.list_wish.tolist() == [0, 1, 2, 3]


@settings(deadline=None)
@given(
    ranks=st.permutations(range(8)),
    seats=st.lists(st.integers(0, 3), min_size=3, max_size=3),
    wishes=st.lists(st.permutations(range(3)), min_size=8, max_size=8),
)
def test_deferred_acceptance_leaves_no_blocking_pair(
    ranks: list[int], seats: list[int], wishes: list[list[int]]
) -> None:
    n_kept = np.zeros(3, dtype=np.int32)
    kept = np.full(sum(seats), -1, dtype=np.int32)
    rank = np.repeat(np.array(ranks, dtype=np.int32), 3)
    position = np.array(wishes, dtype=np.int32).ravel()
    one_way.propose(
        np.arange(8, dtype=np.int32),
        np.arange(0, 25, 3, dtype=np.int32),
        np.arange(24, dtype=np.int32),
        position,
        np.repeat(np.arange(8, dtype=np.int32), 3),
        np.array(ranks, dtype=np.int32),
        np.arange(8, dtype=np.int32),
        np.concatenate([[0], np.cumsum(seats)]),
        np.zeros(8, dtype=np.int32),
        kept,
        n_kept,
    )
    held = {int(wish) // 3: int(wish) % 3 for wish in kept if wish != -1}
    worst = {
        p: max((rank[w] for w in kept if w != -1 and position[w] == p), default=-1)
        for p in range(3)
    }
    for i, wished in enumerate(wishes):
        for place, p in enumerate(wished):
            if place < held.get(i, 3):
                assert n_kept[p] == seats[p]
                assert seats[p] == 0 or worst[p] < ranks[i]


def test_two_people_swap() -> None:
    graph = graph_of([0, 1], [[1], [0]], 2)
    made, n_made = commit_all(graph, 2, GAPLESS)
    assert n_made == 1
    assert made.members[:2].tolist() == [0, 1]
    assert made.moved_by.tolist() == [0, 1]


def test_positions_on_the_path_differ() -> None:
    # 0 → 1 → 2 → 1 → 0 would be a walk of four wishes, but passes position 1 twice
    graph = graph_of([0, 1, 1, 2], [[1], [2], [0], [1]], 3)
    assert commit_all(graph, 4, GENERAL)[1] == 0
    assert commit_all(graph, 2, GAPLESS)[1] == 2


def scout(search: BlockSearch, *claims: int) -> None:
    """Search claims ahead of time, with nobody else at work."""
    task, scratch = search.task, search.scratches[0]
    exchange.scout(task, scratch, ints(*claims), ints(0), 0)


def test_a_claim_that_lost_a_member_is_searched_again() -> None:
    graph = graph_of([0, 1, 2], [[2, 1], [2], [0, 1]], 3)
    search = search_of(stage_of(graph, 2, GAPLESS))
    task = search.task
    scout(search, 0, 1, 2)
    assert task.state.tolist() == [exchange.FOUND] * 3
    assert task.paths.tolist() == [[0, 3], [2, 4], [3, 0]]
    search.take(ints(1, 0))
    assert task.state[0] == exchange.FAILED
    assert search.made.members[: search.made.n_members[0]].tolist() == [2, 4]
    assert not task.held.any()


def test_a_home_that_is_held_is_searched_without_what_is_noted_there() -> None:
    graph = graph_of([0, 1, 2], [[2, 1], [2], [0, 1]], 3)
    search = search_of(stage_of(graph, 2, GAPLESS))
    task = search.task
    task.held[0] = task.held[1] = 1
    task.state[0], task.paths[0] = exchange.FOUND, (1, 2)  # half written
    search.take(ints(0, 1))
    assert search.made.members[: search.made.n_members[0]].tolist() == [0, 3]
    assert task.alive.tolist() == [0, 0, 0]
    assert task.held.tolist() == [1, 1, 0]


def test_a_scout_keeps_before_who_commits() -> None:
    graph = graph_of([0, 1, 2, 3], [[1], [0], [3], [2]], 4)
    search = search_of(stage_of(graph, 2, GAPLESS))
    task, scratch = search.task, search.scratches[0]
    task.held[3] = 1
    exchange.scout(task, scratch, ints(0, 1, 2, 3), ints(1), 1)
    untried, found = exchange.UNTRIED, exchange.FOUND
    assert task.state.tolist() == [untried, found, found, untried]


def test_who_fails_leaves_the_stage() -> None:
    search = search_of(stage_of(graph_of([0, 1, 2], [[1], [2], [1]], 3), 2, GAPLESS))
    assert search.task.alive.tolist() == [0, 1, 1]  # nobody wishes position 0
    scout(search, 1)
    assert search.task.state[1] == exchange.FOUND
    lonely = search_of(stage_of(graph_of([0, 1, 2], [[1], [2], [0]], 3), 2, GAPLESS))
    scout(lonely, 1)
    assert lonely.task.alive.tolist() == [1, 0, 1]


def test_all_claims_of_a_mover_leave() -> None:
    graph = graph_of([0, 1], [[1], [0]], 2)._replace(holder_of=ints(0, 1))
    two_claims = graph._replace(
        claim_start=ints(0, 2, 3),
        holder_of=ints(0, 0, 1),
        home_of_claim=ints(0, 0, 1),
        wish_start=ints(0, 1, 1, 2),
        wish_claim=ints(0, 2),
    )
    alive = np.ones(3, dtype=np.uint8)
    exchange.leave(two_claims, alive, 0)
    assert alive.tolist() == [0, 0, 1]


@pytest.mark.parametrize("n_parts", [1, 2, 3, MOST_PARTS])
def test_links_list_who_is_left_from_both_ends(n_parts: int) -> None:
    # three sit at position 1 and wish 0 twice; nobody wishes 3, nobody sits at 4
    graph = graph_of([0, 1, 1, 1, 3], [[1, 4], [0], [0, 1], [3], [0]], 5)
    graph.wish_position[graph.wish_position == 3] = 4
    links = search_of(stage_of(graph, 2, GAPLESS), n_parts).task.links
    listed = [links.out_position[a:b].tolist() for a, b in links.out]
    assert listed == [[1], [0, 0, 1], [], [0], []]
    sources = [links.in_position[a:b].tolist() for a, b in links.into]
    assert sources == [[1, 3], [0, 1], [], [], []]
    assert links.n_wishes.sum() == 5


def test_components_are_named_by_their_smallest_position() -> None:
    graph = graph_of([0, 2, 3, 4], [[5], [1], [4], []], 7)
    root = np.empty(7, dtype=np.int32)
    connect(graph.home_of_claim, graph.wish_start, graph.wish_position, root)
    assert root.tolist() == [0, 1, 1, 3, 3, 0, 6]


def test_blocks_hold_whole_components() -> None:
    root = ints(0, 1, 0, 3, 4, 4, 6)
    claims = ints(0, 2, 2, 4, 5, 6, 7, 8)
    assert blocks_of(root, claims, 1).tolist() == [0, 3, 4, 6, 7]
    assert blocks_of(root, claims, 5).tolist() == [0, 4, 7]
    assert blocks_of(root, claims, 99).tolist() == [0, 7]


def test_blocks_are_searched_on_their_own() -> None:
    graph = graph_of([0, 1, 2, 3, 3], [[1], [0], [3], [], [2]], 4)
    for bounds in (ints(0, 4), ints(0, 2, 4)):
        made = nobody_moved(graph)
        stage = stage_of(graph, 2, GAPLESS, made)
        stage.market = stage.market._replace(
            claim_order=ints(2, 0, 1, 4, 3), rank_of=ints(1, 2, 0, 4, 3)
        )
        stage.bounds = bounds
        assert len(stage.blocks()) == len(bounds) - 1
        stage.run()
        assert made.members[: made.n_members[0]].tolist() == [2, 3, 0, 1]


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[int], list[list[int]], int]:
    n = draw(st.integers(2, 6))
    homes = sorted(draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=9)))
    wishes = [
        draw(
            st.lists(
                st.integers(0, n - 1).filter(lambda p, home=home: p != home),
                unique=True,
                max_size=n - 1,
            )
        )
        for home in homes
    ]
    return homes, wishes, n


def first_exchange(
    homes: list[int], wishes: list[list[int]], initiator: int, size: int
) -> list[int] | None:
    """The first in depth-first order, by trying every sequence in that order."""

    def extend(members: list[int]) -> list[int] | None:
        for p in wishes[members[-1]]:
            if len(members) == size:
                if p == homes[initiator]:
                    return members
            elif p not in [homes[m] for m in members]:
                for i, home in enumerate(homes):
                    if home == p and (found := extend([*members, i])):
                        return found
        return None

    return extend([initiator])


@settings(deadline=None, max_examples=300)
@given(markets(), st.integers(2, 5), st.integers(1, 3))
def test_the_first_exchange_is_found(
    market: tuple[list[int], list[list[int]], int], size: int, n_parts: int
) -> None:
    homes, wishes, n = market
    graph = graph_of(homes, wishes, n)
    search = search_of(stage_of(graph, size, GENERAL), n_parts)
    task, scratch = search.task, search.scratches[0]
    for claim, home in enumerate(homes):
        expected = first_exchange(homes, wishes, claim, size)
        seen = exchange.look_back(task, scratch, home, 1)
        found = exchange.find(task, scratch, claim, seen)
        assert found == (expected is not None)
        if expected:
            assert graph.wish_claim[scratch.path[:size]].tolist() == expected


@settings(deadline=None, max_examples=300)
@given(markets())
def test_after_gapless_sizes_no_exchange_is_left(
    market: tuple[list[int], list[list[int]], int],
) -> None:
    homes, wishes, n = market
    graph = graph_of(homes, wishes, n)
    made = nobody_moved(graph)
    for size in range(2, n + 1):
        stage_of(graph, size, GAPLESS, made).run()
        left = nx.DiGraph(
            (homes[i], p)
            for i in itertools.compress(range(len(homes)), made.moved_by == -1)
            for p in wishes[i]
        )
        assert not list(nx.simple_cycles(left, length_bound=size))


@given(markets())
def test_components_are_those_of_networkx(
    market: tuple[list[int], list[list[int]], int],
) -> None:
    homes, wishes, n = market
    graph = graph_of(homes, wishes, n)
    root = np.empty(n, dtype=np.int32)
    connect(graph.home_of_claim, graph.wish_start, graph.wish_position, root)
    whole = nx.Graph((homes[i], p) for i, wished in enumerate(wishes) for p in wished)
    whole.add_nodes_from(range(n))
    for component in nx.connected_components(whole):
        assert {int(root[p]) for p in component} == {min(component)}
