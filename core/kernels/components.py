"""Parts of a market that have nothing to do with each other, such as subjects."""

from __future__ import annotations

import numpy as np

from jiepin.core.kernels.compiling import IndexArray, compiled


def blocks_of(root: IndexArray, claim_start: IndexArray, n_claims: int) -> IndexArray:
    """Return where blocks of positions begin, and the end of the last.

    No component is in two of them, and each but the last has about n_claims or more.
    root is what `connect` writes, claim_start as in a Graph.

    >>> root = np.array([0, 1, 0, 3, 4], dtype=np.int32)
    >>> blocks_of(root, np.arange(6, dtype=np.int32), 1).tolist()
    [0, 3, 4, 5]
    """
    positions = np.arange(len(root), dtype=np.int32)
    last = np.empty_like(root)
    last[root] = positions  # of a component; what is written last stays
    open_until = np.maximum.accumulate(last[root])
    starts = np.append(0, np.flatnonzero(open_until[:-1] == positions[:-1]) + 1)
    _, first = np.unique(claim_start[starts] // n_claims, return_index=True)
    return np.append(starts[first], len(root)).astype(np.int32)


@compiled
def root_of(root: IndexArray, position: int) -> int:
    """Return the smallest position known to be connected, and shorten the way to it."""
    while root[position] != position:
        root[position] = root[root[position]]
        position = root[position]
    return position


@compiled
def connect(
    home_of_claim: IndexArray,
    wish_start: IndexArray,
    wish_position: IndexArray,
    root: IndexArray,
) -> None:
    """Let root name the component of each position by its smallest one.

    A position is connected to those that somebody there wishes. The arrays are those of
    a Graph; root has the shape (n_positions,).
    """
    for p in range(len(root)):
        root[p] = p
    for claim in range(len(home_of_claim)):
        a = root_of(root, home_of_claim[claim])
        for w in range(wish_start[claim], wish_start[claim + 1]):
            b = root_of(root, wish_position[w])
            root[max(a, b)] = min(a, b)
            a = min(a, b)
    for p in range(len(root)):
        root[p] = root[root[p]]
