"""Which of the schools drawn for a list stand on it already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import FlagArray, compiled


@compiled
def mark_fresh(
    owners: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
    last_owner: npt.NDArray[np.int64],
    fresh: FlagArray,
) -> None:
    """Set `fresh` to 1 where an owner gets an item for the first time, else to 0.

    Owners rise; last_owner, one place per item, holds none of them before.
    """
    for k in range(len(owners)):
        item, owner = items[k], owners[k]
        fresh[k] = last_owner[item] != owner
        last_owner[item] = owner
