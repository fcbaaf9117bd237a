"""Pieces of pages that are the same for everybody, made once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from markupsafe import Markup

MOST = 200  # pieces kept; the longest unused one goes first


class Fragments:
    """Keeps made pieces by key. What a piece depends on must be part of its key."""

    def __init__(self, most: int = MOST) -> None:
        self._made: OrderedDict[Hashable, Markup] = OrderedDict()
        self._most = most

    async def get(self, key: Hashable, make: Callable[[], Awaitable[str]]) -> Markup:
        """Return the piece of a key, made now if it is not there.

        `make` returns what a template rendered, so it is escaped already.
        """
        if key not in self._made:
            self._made[key] = Markup(await make())
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]
