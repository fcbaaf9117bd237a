"""How kernels are compiled, and whether this process had to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core.options import DefaultOptions

IndexArray = npt.NDArray[np.int32]
FlagArray = npt.NDArray[np.uint8]

Function = TypeVar("Function", bound=Callable[..., Any])

# Kernels make no arrays, so nothing needs to count who uses them; counting took
# three quarters of the time of a search. The option has no public name.
_UNCOUNTED: dict[str, Any] = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}

_compiled: list[Any] = []


def compiled(function: Function) -> Function:
    """Compile at first call and keep that on disk; run without the lock.

    The function may neither make nor slice arrays.
    """
    dispatcher = njit(cache=True, nogil=True, **_UNCOUNTED)(function)
    _compiled.append(dispatcher)
    return cast("Function", dispatcher)


def n_compiled() -> int:
    """Return how many kernels this process compiled instead of loading them."""
    return sum(
        sum(dispatcher.stats.cache_misses.values())
        for dispatcher in _compiled
        if hasattr(dispatcher, "stats")  # without the JIT it is the function itself
    )
