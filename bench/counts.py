"""What the searches do on E(N): how many there are, and how far each looks.

    .venv/bin/python bench/counts.py [N …]

Stage by stage, one thread. Searched, found and failed are claims; positions and links
are what the way back from a home touches, the mean of 1,000 homes when the stage begins
(from the farthest positions nothing is followed). A link is four bytes of a list, a
position two bytes of marks and eight that say where its list begins. The lines written
are JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import markets
import numpy as np

from jiepin.core.kernels import exchange
from jiepin.core.market import Market
from jiepin.core.mechanisms.exchange_stage import (
    BlockSearch,
    ExchangeStage,
    bounds_of,
)
from jiepin.core.workers import Workers

SIZES = (100_000, 1_000_000)
HOMES = 1_000


def counted(market: Market) -> list[dict[str, Any]]:
    """Return the counts of each stage of a market."""
    made = exchange.Made(
        moved_by=np.full(market.n_applicants, -1, dtype=np.int32),
        members=np.empty(market.n_applicants, dtype=np.int32),
        n_members=np.zeros(1, dtype=np.int32),
    )
    links, bounds = exchange.links_for(market.graph, 1), bounds_of(market)
    rows = []
    for size in range(2, 6):
        stage = ExchangeStage(
            market, size, True, made, links, Workers(), bounds, lambda _done, _all: None
        )
        claims = int(stage.task.alive.sum())
        touched = way_back(stage)
        stage = ExchangeStage(
            market, size, True, made, links, Workers(), bounds, lambda _done, _all: None
        )
        before = int(made.n_members[0])
        stage.run()
        state = stage.task.state
        rows.append(
            {
                "applicants": market.n_applicants,
                "size": size,
                "claims": claims,
                "searched": int(np.count_nonzero(state != exchange.UNTRIED)),
                "found": int(np.count_nonzero(state == exchange.FOUND)),
                "failed": int(np.count_nonzero(state == exchange.FAILED)),
                "made": (int(made.n_members[0]) - before) // size,
                **touched,
            }
        )
    return rows


def way_back(stage: ExchangeStage) -> dict[str, float]:
    """Return what the way back from some homes touches, on average."""
    block = max(stage.blocks(), key=lambda block: len(block.claims))
    search = BlockSearch(stage, block, stage.workers)
    search.list_all(0)
    search.list_anew()
    task, scratch = search.task, search.scratches[0]
    left = np.flatnonzero(stage.task.alive)
    claims = np.random.default_rng(0).choice(left, min(HOMES, len(left)), replace=False)
    positions = n_links = 0
    for home in task.graph.home_of_claim[claims].tolist():
        seen = exchange.look_back(task, scratch, home, 1)
        marked = scratch.marked[: scratch.n_marked[0]]
        farthest = (scratch.mark[marked] >> (seen if seen > 0 else stage.size - 1)) & 1
        farthest[0] = 0  # home
        followed = marked[farthest == 0]
        positions += len(marked)
        n_links += int(np.diff(task.links.into[followed], axis=1).sum())
    return {"positions": positions / len(claims), "links": n_links / len(claims)}


def main() -> None:
    for n_applicants in [int(word) for word in sys.argv[1:]] or SIZES:
        for row in counted(markets.exchange_market(n_applicants)):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
