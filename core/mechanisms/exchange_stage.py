"""One exchange stage: every claim tried in claim order, by many threads if asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jiepin.core import terms
from jiepin.core.kernels import exchange
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.kernels.components import blocks_of, connect
from jiepin.core.market import Market
from jiepin.core.workers import Workers

SHARE, SMALLEST = 24, 1024  # what is taken together: a share of the claims left
SHRUNK = 0.75  # wishes are listed anew when no more of the claims are left
# Scouts stay so many claims ahead. What they find far ahead is lost the more often
# because an exchange made before it took a member.
LEAD = 32
FEW = 1 << 15  # so many claims are not worth a second thread
SMALLEST_BLOCK = 1 << 13  # claims that are worth a search of their own


def bounds_of(market: Market) -> IndexArray:
    """Return where parts of a market that do not touch begin, and the end of the last.

    Each but the last has about SMALLEST_BLOCK claims or more.
    """
    graph = market.graph
    root = np.empty(market.n_positions, dtype=np.int32)
    connect(graph.home_of_claim, graph.wish_start, graph.wish_position, root)
    return blocks_of(root, graph.claim_start, SMALLEST_BLOCK)


class Block(NamedTuple):
    """Positions low up to high, which nobody wishes from outside."""

    low: int
    high: int
    claims: IndexArray  # of those who sit there and have not moved, in claim order


@dataclass
class ExchangeStage:
    """Exchanges of one size on a market, until no claim has one any more.

    `gapless` says that no exchange of a smaller size is left. Blocks of the market do
    not touch each other, so each is searched on its own, in the cache where it fits,
    and it is enough to number the exchanges afterwards.
    """

    market: Market
    size: int
    gapless: bool
    made: exchange.Made
    links: exchange.Links  # made for as many parts as there are workers
    workers: Workers
    bounds: IndexArray  # of the blocks, see bounds_of
    report: Callable[[int, int], None]  # is told how many claims are done, and of all
    task: exchange.Task = field(init=False)
    n_claims: int = 0
    n_done: int = 0

    def __post_init__(self) -> None:
        market, graph = self.market, self.market.graph
        unmoved = self.made.moved_by[graph.holder_of] == terms.NOBODY
        self.task = exchange.Task(
            graph=graph,
            links=self.links,
            size=self.size,
            gapless=self.gapless,
            per_claim=0.0,
            per_position=0.0,
            alive=unmoved.astype(np.uint8),
            state=np.full(market.n_claims, exchange.UNTRIED, dtype=np.uint8),
            paths=np.empty((market.n_claims, self.size), dtype=np.int32),
            held=np.zeros(market.n_positions, dtype=np.uint8),
        )

    def run(self) -> None:
        """Try the claims."""
        blocks, alone = self.blocks(), Workers()
        self.n_claims = sum(len(block.claims) for block in blocks)
        self.tell(0)
        share = self.n_claims / (2 * self.workers.n)
        large = [block for block in blocks if len(block.claims) > max(share, FEW)]
        small = [block for block in blocks if len(block.claims) <= max(share, FEW)]
        made = [self.search(block, self.workers) for block in large]
        self.workers.share(lambda block: made.append(self.search(block, alone)), small)
        self.append(np.concatenate(made))

    def blocks(self) -> list[Block]:
        """Return the blocks, those with the most claims first."""
        order, home_of = self.market.claim_order, self.market.graph.home_of_claim
        claims = order[self.task.alive[order] == 1]
        number = np.searchsorted(self.bounds[1:], home_of[claims], side="right")
        by_block = claims[np.argsort(number.astype(np.uint16), kind="stable")]
        ends = np.cumsum(np.bincount(number, minlength=len(self.bounds) - 1))
        parts = np.split(by_block, ends[:-1])
        blocks = [
            Block(int(low), int(high), part)
            for (low, high), part in zip(pairwise(self.bounds), parts, strict=True)
        ]
        return sorted(blocks, key=lambda block: len(block.claims), reverse=True)

    def search(self, block: Block, workers: Workers) -> IndexArray:
        """Return the members of the exchanges of a block, in the order made."""
        search = BlockSearch(self, block, workers)
        search.run()
        return search.made.members[: search.made.n_members[0]]

    def tell(self, n_claims: int) -> None:
        """Report that so many more claims are done."""
        self.n_done += n_claims
        self.report(self.n_done, self.n_claims)

    def append(self, members: IndexArray) -> None:
        """Bring exchanges into the claim order of initiators and note them as made."""
        exchanges = members.reshape(-1, self.size)
        initiators = self.market.graph.wish_claim[exchanges[:, 0]]
        in_order = exchanges[np.argsort(self.market.rank_of[initiators])]
        first = int(self.made.n_members[0])
        self.made.members[first : first + len(members)] = in_order.ravel()
        self.made.n_members[0] = first + len(members)


@dataclass
class BlockSearch:
    """The claims of one block, taken in claim order."""

    stage: ExchangeStage
    block: Block
    workers: Workers
    task: exchange.Task = field(init=False)
    made: exchange.Made = field(init=False)
    scratches: list[exchange.Scratch] = field(init=False)  # one per worker

    def __post_init__(self) -> None:
        stage, (low, high, claims) = self.stage, self.block
        links = exchange.links_of_block(
            stage.links, stage.market.graph, low, high, self.workers.n
        )
        self.task = stage.task._replace(links=links)
        self.made = stage.made._replace(
            members=np.empty(len(claims), dtype=np.int32),
            n_members=np.zeros(1, dtype=np.int32),
        )
        self.scratches = [
            exchange.scratch_for(stage.market.n_positions, stage.size, stage.gapless)
            for _ in range(self.workers.n)
        ]

    def run(self) -> None:
        """Try the claims."""
        start_of, claims = self.task.graph.claim_start, self.block.claims
        alive = self.task.alive[start_of[self.block.low] : start_of[self.block.high]]
        self.workers.each(self.list_all)
        start, n_listed = 0, float("inf")
        while start < len(claims):
            n_left = int(np.count_nonzero(alive))
            if n_left == 0:
                self.stage.tell(len(claims) - start)
                break
            if n_left <= SHRUNK * n_listed:
                self.list_anew()
                n_listed = n_left
            n_together = max(SMALLEST, (len(claims) - start) // SHARE)
            batch = claims[start : start + n_together]
            self.take(batch)
            start += len(batch)
            self.stage.tell(len(batch))

    def list_all(self, part: int) -> None:
        """List all wishes of a part of the positions."""
        exchange.list_all(self.task.graph, self.task.links, part)

    def list_anew(self) -> None:
        """List the wishes of those left; how many they are tells how to search."""
        graph, alive, links = self.task.graph, self.task.alive, self.task.links
        self.workers.each(lambda part: exchange.count_alive(graph, alive, links, part))
        self.workers.each(lambda part: exchange.thin_out(graph, alive, links, part))
        exchange.place_in(graph, alive, links)
        self.workers.each(lambda part: exchange.list_in(links, part))
        alive_at = links.alive_at[self.block.low : self.block.high]
        n_wishes = int(links.n_wishes.sum())
        n_claims = int(alive_at.sum())
        n_positions = int(np.count_nonzero(alive_at))
        self.task = self.task._replace(
            per_claim=n_wishes / max(1, n_claims),
            per_position=max(1.0, n_wishes / max(1, n_positions)),
        )

    def take(self, claims: IndexArray) -> None:
        """Let one worker take claims in their order and the others search ahead."""
        n_tried = np.zeros(1, dtype=np.int32)

        def work(k: int) -> None:
            task, scratch = self.task, self.scratches[k]
            if k == 0:
                exchange.commit(task, scratch, claims, n_tried, self.made)
            else:
                exchange.scout(task, scratch, claims, n_tried, k * LEAD)

        self.workers.each(work)
