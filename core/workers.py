"""Threads for kernels, which run without Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")


@dataclass
class Workers:
    """So many threads, each of which does its part of the work.

    >>> with Workers(2) as workers:
    ...     done = [False, False]
    ...     workers.each(lambda part: done.__setitem__(part, True))
    ...     done
    [True, True]
    """

    n: int = 1
    _pool: ThreadPoolExecutor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.n > 1:
            self._pool = ThreadPoolExecutor(self.n)

    def each(self, run: Callable[[int], None]) -> None:
        """Call run(0) … run(n - 1) at the same time; return when all are done."""
        self.share(run, range(self.n))

    def share(self, run: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Call run for each item, so many at the same time as there are workers."""
        if self._pool is None:
            for item in items:
                run(item)
        else:
            list(self._pool.map(run, items))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
