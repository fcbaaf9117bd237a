"""Flags that one thread at a time can hold, for kernels that work side by side."""

from __future__ import annotations

import threading
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic, overload

from jiepin.core.kernels.compiling import FlagArray

cgutils: Any = untyped_cgutils
_FREE, _HELD = 0, 1
_without_jit = threading.Lock()


def take(held: FlagArray, place: int) -> bool:
    """Hold a place unless another thread does; tell whether it is held now.

    What the thread before wrote until it gave the place back can be read from here on.

    >>> import numpy as np
    >>> held = np.zeros(2, dtype=np.uint8)
    >>> take(held, 1), take(held, 1)
    (True, False)
    """
    with _without_jit:
        free = held[place] == _FREE
        held[place] = _HELD
    return bool(free)


def give_back(held: FlagArray, place: int) -> None:
    """Let other threads take a place.

    >>> import numpy as np
    >>> held = np.ones(2, dtype=np.uint8)
    >>> give_back(held, 1)
    >>> held.tolist()
    [1, 0]
    """
    held[place] = _FREE


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.args[0]
    view = context.make_array(kind)(context, builder, args[0])
    return cgutils.get_item_pointer(context, builder, kind, view, [args[1]])


def _flag(value: int) -> Any:
    return ir.Constant(ir.IntType(8), value)


def _take_intrinsic(_typing: Any, array: Any, _place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args)
        found = builder.cmpxchg(
            pointer, _flag(_FREE), _flag(_HELD), "acquire", "monotonic"
        )
        return builder.extract_value(found, 1)

    return types.boolean(array, types.intp), generate


def _give_back_intrinsic(_typing: Any, array: Any, _place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args)
        builder.store_atomic(_flag(_FREE), pointer, "release", 1)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


_take: Any = intrinsic(_take_intrinsic)
_give_back: Any = intrinsic(_give_back_intrinsic)


@overload(take, inline="always")
def _compiled_take(held: Any, place: Any) -> Any:  # noqa: ARG001 - numba looks at names
    def take(held: Any, place: Any) -> Any:
        return _take(held, place)

    return take


@overload(give_back, inline="always")
def _compiled_give_back(held: Any, place: Any) -> Any:  # noqa: ARG001 - as above
    def give_back(held: Any, place: Any) -> None:
        _give_back(held, place)

    return give_back
