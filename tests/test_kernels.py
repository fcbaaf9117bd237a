"""Each kernel on arrays small enough to work out by hand."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jiepin.core.kernels import encode, exchange, one_way
from jiepin.core.kernels.compiling import IndexArray

GENERAL, GAPLESS = False, True


def ints(*values: int) -> IndexArray:
    return np.array(values, dtype=np.int32)


def graph_of(homes: list[int], wishes: list[list[int]], n: int) -> exchange.Graph:
    """One claim per applicant, applicants already sorted by home; claim = applicant."""
    assert homes == sorted(homes)
    lengths = [len(wished) for wished in wishes]
    position = [p for wished in wishes for p in wished]
    owner = [i for i, wished in enumerate(wishes) for _ in wished]
    by_position = sorted(range(len(position)), key=lambda w: position[w])
    return exchange.Graph(
        claim_start=ints(*np.searchsorted(homes, range(n + 1))),
        holder_of=ints(*range(len(homes))),
        home_of_claim=ints(*homes),
        wish_start=ints(*np.cumsum([0, *lengths])),
        wish_position=ints(*position),
        wish_claim=ints(*owner),
        wisher_start=ints(*np.searchsorted(sorted(position), range(n + 1))),
        wisher=ints(*(owner[w] for w in by_position)),
    )


def progress_of(graph: exchange.Graph) -> exchange.Progress:
    n = len(graph.holder_of)
    return exchange.Progress(
        alive=np.ones(n, dtype=np.uint8),
        moved_by=np.full(n, -1, dtype=np.int32),
        members=np.empty(n, dtype=np.int32),
        n_members=np.zeros(1, dtype=np.int32),
    )


def commit_all(
    graph: exchange.Graph, n: int, size: int, gapless: bool
) -> tuple[exchange.Progress, int]:
    progress = progress_of(graph)
    run_stage(graph, progress, exchange.scratch_for(n), size, gapless)
    return progress, int(progress.n_members[0]) // size


def run_stage(
    graph: exchange.Graph,
    progress: exchange.Progress,
    scratch: exchange.Scratch,
    size: int,
    gapless: bool,
) -> None:
    """Take the claims in the order of their numbers."""
    claims = np.arange(len(graph.holder_of), dtype=np.int32)
    search = (
        size,
        gapless,
        np.full(len(claims), exchange.UNTRIED, dtype=np.uint8),
        np.empty((len(claims), size), dtype=np.int32),
    )
    exchange.commit(graph, progress, scratch, claims, *search)


def test_groups_list_members_in_order() -> None:
    keys, starts, members = ints(2, 0, 2, 0), ints(7, 7, 7, 7), ints(0, 0, 0, 0)
    encode.group(keys, starts, members)
    assert starts.tolist() == [0, 2, 2, 4]
    assert members.tolist() == [1, 3, 0, 2]


def lists_of_two() -> encode.Lists:
    """Applicant 0: schools 2, 1, subjects 0, 1, county 0: 70, county 1: 90."""
    return encode.Lists(
        choice_start=np.array([0, 2, 2]),
        choices=ints(2, 1),
        subject_start=np.array([0, 2, 3]),
        subjects=ints(0, 1, 0),
        county_start=np.array([0, 2, 2]),
        counties=ints(0, 1),
        points=np.array([70, 90]),
    )


def test_wishes_are_schools_in_order_times_subjects_in_order() -> None:
    lists = lists_of_two()
    applicant_of, home_of = ints(0, 1), ints(0, 0)
    position_at = ints(0, 1, 2, -1, 3, 4)  # two subjects × three schools, one missing
    county_of_school = ints(2, 0, 1)
    n_wishes = np.empty(2, dtype=np.int32)
    encode.count_wishes(lists, home_of, position_at, 3, n_wishes)
    assert n_wishes.tolist() == [4, 0]
    wishes = wishes_of(ints(0, 4, 4), 2)
    fill = (lists, applicant_of, home_of, position_at, 3, county_of_school)
    assert encode.fill_wishes(*fill, False, wishes) == 2
    assert wishes.position.tolist() == [2, 4, 1, 3]
    assert wishes.choice.tolist() == [1, 1, 2, 2]
    assert wishes.claim.tolist() == [0, 0, 1, 1]
    assert wishes.points.tolist() == [90, 70]
    assert wishes.holder.tolist() == [0, 0]
    assert wishes.length.tolist() == [2, 2]
    assert encode.fill_wishes(*fill, True, wishes) == 1
    assert wishes.claim.tolist() == [0, 0, 0, 0]
    assert wishes.points[0] == 90


def wishes_of(list_start: IndexArray, n_claims: int) -> encode.Wishes:
    n = int(list_start[-1])
    return encode.Wishes(
        list_start=list_start,
        position=np.empty(n, dtype=np.int32),
        choice=np.empty(n, dtype=np.int32),
        claim=np.empty(n, dtype=np.int32),
        points=np.empty(n_claims, dtype=np.int64),
        holder=np.empty(n_claims, dtype=np.int32),
        length=np.empty(n_claims, dtype=np.int32),
    )


def test_wishes_are_laid_out_claim_by_claim() -> None:
    wishes = wishes_of(ints(0, 3, 4), 3)
    wishes.position[:] = 5, 4, 5, 4
    wishes.choice[:] = 1, 2, 3, 1
    wishes.claim[:] = 0, 1, 0, 2
    wisher_start = np.empty(7, dtype=np.int32)
    position, choice, claim, listed, wisher = np.empty((5, 4), dtype=np.int32)
    encode.regroup_wishes(
        wishes,
        ints(2, 1, 0),
        ints(0, 1, 2),
        position,
        choice,
        claim,
        listed,
        wisher_start,
    )
    assert position.tolist() == [4, 4, 5, 5]
    assert choice.tolist() == [1, 2, 1, 3]
    assert claim.tolist() == [0, 1, 2, 2]
    assert listed.tolist() == [2, 1, 3, 0]
    assert wisher_start.tolist() == [0, 0, 0, 0, 0, 2, 4]
    encode.fill_wishers(position, claim, wisher_start.copy(), wisher)
    assert wisher.tolist() == [0, 1, 2, 2]


def test_points_of_a_county_that_is_not_wished() -> None:
    assert encode.points_for(lists_of_two(), 0, 7) == -1


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
    progress, n_made = commit_all(graph, 2, 2, GAPLESS)
    assert n_made == 1
    assert progress.members[:2].tolist() == [0, 1]
    assert progress.alive.tolist() == [0, 0]


def test_positions_on_the_path_differ() -> None:
    # 0 → 1 → 2 → 1 → 0 would be a walk of four wishes, but passes position 1 twice
    graph = graph_of([0, 1, 1, 2], [[1], [2], [0], [1]], 3)
    assert commit_all(graph, 3, 4, GENERAL)[1] == 0
    assert commit_all(graph, 3, 2, GAPLESS)[1] == 2


def test_a_claim_that_lost_a_member_is_searched_again() -> None:
    graph = graph_of([0, 1, 2], [[2, 1], [2], [0, 1]], 3)
    progress, scratch = progress_of(graph), exchange.scratch_for(3)
    state = np.full(3, exchange.UNTRIED, dtype=np.uint8)
    paths = np.empty((3, 2), dtype=np.int32)
    search = (2, GAPLESS, state, paths)
    exchange.look_ahead(graph, progress.alive, scratch, ints(0, 1, 2), *search)
    assert state.tolist() == [exchange.FOUND] * 3
    assert paths.tolist() == [[0, 3], [2, 4], [3, 0]]
    exchange.commit(graph, progress, scratch, ints(1, 0), *search)
    assert state[0] == exchange.FAILED
    assert progress.members[: progress.n_members[0]].tolist() == [2, 4]


def test_all_claims_of_a_mover_leave() -> None:
    graph = graph_of([0, 1], [[1], [0]], 2)._replace(holder_of=ints(0, 1))
    two_claims = graph._replace(
        claim_start=ints(0, 2, 3),
        holder_of=ints(0, 0, 1),
        home_of_claim=ints(0, 0, 1),
        wish_start=ints(0, 1, 1, 2),
        wish_claim=ints(0, 2),
        wisher=ints(2, 0),
    )
    alive = np.ones(3, dtype=np.uint8)
    exchange.leave_by(two_claims, alive, ints(0))
    assert alive.tolist() == [0, 0, 1]


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
@given(markets(), st.integers(2, 5))
def test_the_first_exchange_is_found(
    market: tuple[list[int], list[list[int]], int], size: int
) -> None:
    homes, wishes, n = market
    graph = graph_of(homes, wishes, n)
    scratch = exchange.scratch_for(n)
    alive = np.ones(len(homes), dtype=np.uint8)
    for claim, home in enumerate(homes):
        expected = first_exchange(homes, wishes, claim, size)
        seen = exchange.look_back(graph, alive, scratch, home, 1, size, GENERAL)
        found = exchange.find(graph, alive, scratch, claim, size, GENERAL, seen)
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
    progress, scratch = progress_of(graph), exchange.scratch_for(n)
    for size in range(2, n + 1):
        run_stage(graph, progress, scratch, size, GAPLESS)
        left = nx.DiGraph(
            (homes[i], p)
            for i in itertools.compress(range(len(homes)), progress.alive)
            for p in wishes[i]
        )
        assert not list(nx.simple_cycles(left, length_bound=size))
