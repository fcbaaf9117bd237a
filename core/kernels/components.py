"""Parts of a market that have nothing to do with each other, such as subjects."""

from __future__ import annotations

from jiepin.core.kernels.compiling import IndexArray, compiled


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
