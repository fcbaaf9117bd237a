"""A hint to the processor: part of an array will be needed soon."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic, overload

cgutils: Any = untyped_cgutils
_TO_READ, _TO_KEEP, _DATA = 0, 3, 1  # what LLVM's prefetch wants to know


def fetch(array: npt.NDArray[np.int32], row: int) -> None:
    """Begin to load array[row] into the cache; do nothing without the JIT.

    >>> fetch(np.arange(3, dtype=np.int32), 1)
    """


def _intrinsic(_typing: Any, array: Any, _row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, args[0])
        index = [args[1]] + [ir.Constant(args[1].type, 0)] * (kind.ndim - 1)
        pointer = builder.bitcast(
            cgutils.get_item_pointer(context, builder, kind, view, index),
            cgutils.voidptr_t,
        )
        number = ir.IntType(32)
        takes = [cgutils.voidptr_t, number, number, number]
        prefetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), takes), "llvm.prefetch.p0"
        )
        hints = [ir.Constant(number, value) for value in (_TO_READ, _TO_KEEP, _DATA)]
        builder.call(prefetch, [pointer, *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


_fetch: Any = intrinsic(_intrinsic)


@overload(fetch, inline="always")
def _compiled(array: Any, row: Any) -> Any:  # noqa: ARG001 - numba looks at the names
    def fetch(array: Any, row: Any) -> None:
        _fetch(array, row)

    return fetch
