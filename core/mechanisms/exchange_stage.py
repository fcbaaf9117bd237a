"""One exchange stage: every claim tried in claim order, by many threads if asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from jiepin.core import terms
from jiepin.core.kernels import exchange
from jiepin.core.kernels.compiling import IndexArray
from jiepin.core.market import Market
from jiepin.core.workers import Workers

# What is taken together is a share of the claims left. What several threads have
# searched ahead is lost where an exchange made before it took a member.
SHARE_ALONE, SHARE_AHEAD = 24, 128
SMALLEST_ALONE, SMALLEST_AHEAD = 1024, 256
SHRUNK = 0.75  # wishes are listed anew when no more of the claims are left


@dataclass
class ExchangeStage:
    """Exchanges of one size on a market, until no claim has one any more.

    `gapless` says that no exchange of a smaller size is left. Components of the market
    are taken one after the other, since a small part of it stays in the cache; they do
    not touch each other, so it is enough to number the exchanges afterwards.
    """

    market: Market
    size: int
    gapless: bool
    made: exchange.Made
    links: exchange.Links  # made for as many parts as there are workers
    workers: Workers
    component: IndexArray  # shape (n_positions,)
    task: exchange.Task = field(init=False)
    scratches: list[exchange.Scratch] = field(init=False)  # one per worker

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
        )
        self.scratches = [
            exchange.scratch_for(market.n_positions, self.size, self.gapless)
            for _ in range(self.workers.n)
        ]

    def run(self, report: Callable[[int, int], None]) -> None:
        """Try the claims; report is told how many are done, and of how many."""
        claims = self.claims()
        first = int(self.made.n_members[0])
        self.workers.each(self.list_all)
        start, n_listed = 0, float("inf")
        while start < len(claims):
            report(start, len(claims))
            n_left = int(np.count_nonzero(self.task.alive))
            if n_left == 0:
                break
            if n_left <= SHRUNK * n_listed:
                self.list_anew()
                n_listed = n_left
            batch = claims[start : start + self.batch_size(len(claims) - start)]
            if self.workers.n > 1:
                self.look_ahead(batch)
            exchange.commit(self.task, self.scratches[0], batch, self.made)
            start += len(batch)
        self.number_anew(first)
        report(len(claims), len(claims))

    def claims(self) -> IndexArray:
        """Return the claims to be tried: component by component, in claim order."""
        order = self.market.claim_order
        claims = order[self.task.alive[order] == 1]
        component = self.component[self.market.graph.home_of_claim[claims]]
        by_component: IndexArray = claims[np.argsort(component, kind="stable")]
        return by_component

    def number_anew(self, first: int) -> None:
        """Bring the exchanges of this stage into the claim order of initiators."""
        made = self.made.members[first : self.made.n_members[0]].reshape(-1, self.size)
        initiators = self.market.graph.wish_claim[made[:, 0]]
        made[:] = made[np.argsort(self.market.rank_of[initiators])]

    def batch_size(self, n_claims: int) -> int:
        """Return how many of the claims left are taken together."""
        if self.workers.n == 1:
            return max(SMALLEST_ALONE, n_claims // SHARE_ALONE)
        return max(SMALLEST_AHEAD, n_claims // SHARE_AHEAD)

    def list_all(self, part: int) -> None:
        """List all wishes of a part of the positions."""
        exchange.list_all(self.market.graph, self.links, part)

    def list_anew(self) -> None:
        """List the wishes of those left; how many they are tells how to search."""
        graph, alive, links = self.market.graph, self.task.alive, self.links
        self.workers.each(lambda part: exchange.count_alive(graph, alive, links, part))
        self.workers.each(lambda part: exchange.thin_out(graph, alive, links, part))
        exchange.place_in(graph, alive, links)
        self.workers.each(lambda part: exchange.list_in(links, part))
        n_wishes = int(links.n_wishes.sum())
        n_claims = int(links.alive_at.sum())
        n_positions = int(np.count_nonzero(links.alive_at))
        self.task = self.task._replace(
            per_claim=n_wishes / max(1, n_claims),
            per_position=max(1.0, n_wishes / max(1, n_positions)),
        )

    def look_ahead(self, claims: IndexArray) -> None:
        """Let all workers search claims; what two write to one place is the same."""
        n = self.workers.n
        parts = [claims[k::n].copy() for k in range(n)]
        self.workers.each(
            lambda k: exchange.look_ahead(self.task, self.scratches[k], parts[k])
        )
