"""Threads for kernels, which run without Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType


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
        if self._pool is None:
            run(0)
        else:
            list(self._pool.map(run, range(self.n)))

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
