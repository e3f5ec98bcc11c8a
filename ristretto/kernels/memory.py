"""Memory as kernels see it: addresses, and views of the arena that a run works in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ristretto.kernels.vector import I8, I64, routine


def _emit_copy(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    source, source_step, target, target_step, rows, size = operands
    pointer = I8.as_pointer()
    with cgutils.for_range(b, rows) as loop:
        begin = b.inttoptr(b.add(source, b.mul(loop.index, source_step)), pointer)
        end = b.inttoptr(b.add(target, b.mul(loop.index, target_step)), pointer)
        cgutils.raw_memcpy(b, end, begin, size, I64(1))


copy_rows = routine("copy", _emit_copy)
"""Copies rows of bytes: source, its step, target, its step, rows, bytes of a row."""


def _pointer_to(element: Any) -> Callable[[Any], Any]:
    """Make a function that gives the pointer to the numbers at an address; it must be a global, as a `routine` must."""
    pointer = types.CPointer(element)

    def typer(context: Any, address: Any) -> Any:
        def generate(context: Any, b: ir.IRBuilder, _: Any, values: Sequence[ir.Value]) -> Any:
            return b.inttoptr(values[0], context.get_value_type(pointer))

        return pointer(types.int64), generate

    made: Callable[[Any], Any] = intrinsic(typer)
    return made


floats_at = _pointer_to(types.float32)
doubles_at = _pointer_to(types.float64)
bytes_at = _pointer_to(types.uint8)
shorts_at = _pointer_to(types.int16)
integers_at = _pointer_to(types.int64)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def bits_of(context: Any, x: Any) -> Any:
    """Give the bits of a float32 or float64 as an integer."""
    wide = x == types.float64
    result = types.int64 if wide else types.int32

    def generate(context: Any, b: ir.IRBuilder, _: Any, values: Sequence[ir.Value]) -> Any:
        return b.bitcast(values[0], ir.IntType(64 if wide else 32))

    return result(x), generate
