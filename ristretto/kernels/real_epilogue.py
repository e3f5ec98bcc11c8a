"""From sums in float32 to what is stored: trimmed twice at most, as integer sums are (see `epilogue`), or clamped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.epilogue import each_vector
from ristretto.kernels.tile import WORD
from ristretto.kernels.vector import F32, I64, Emit, clamped, filled, in_steps, load, splat, store, vector


@dataclass(frozen=True)
class RealStage:
    """One trim of real numbers to ``k * 2**-fl``, ``low <= k <= high``."""

    fl: int
    low: int
    high: int


# Where the fields of a packed stage lie, in words of 32 bits, behind the ends of a clamp.
SCALE, BACK, LOW, HIGH, ACTIVE = range(5)
STAGE, ENDS = 5, 2


def pack_stages(stages: Sequence[RealStage]) -> NDArray[np.float32]:
    """Give one trim or two as `emit_trimmed` reads them; before them, sums are clamped nowhere."""
    packed = np.zeros(ENDS + 2 * STAGE, np.float32)
    packed[:ENDS] = -np.inf, np.inf
    for start, stage in zip((ENDS, ENDS + STAGE), stages, strict=False):
        packed[start + SCALE], packed[start + BACK] = np.ldexp(1.0, stage.fl), np.ldexp(1.0, -stage.fl)
        packed[start + LOW], packed[start + HIGH] = stage.low, stage.high
        packed[start + ACTIVE] = 1
    return packed


def pack_ends(low: float, high: float) -> NDArray[np.float32]:
    """Give the ends of a clamp as `emit_clamped` reads them."""
    return np.array([low, high], np.float32)


def emit_trimmed(b: ir.IRBuilder, operands: Sequence[ir.Value], *, half_even: bool) -> None:
    """Write the routine that trims sums where a stage is active; its operands are those of `epilogue.emit_integer`."""
    sums, packed, out, distance, rows, vectors, _ = operands
    lanes = TIER.lanes
    kind, size = vector(F32, lanes), I64(WORD * lanes)
    fields = [load(b, b.add(packed, I64(WORD * (ENDS + place))), F32) for place in range(2 * STAGE)]

    def trimmed(x: ir.Value, start: int) -> ir.Value:
        low, high, scale, back = (splat(b, fields[start + place], lanes) for place in (LOW, HIGH, SCALE, BACK))
        steps = in_steps(b, x, scale, low, high, half_even=half_even)
        # There is one zero, as among the codes.
        return b.fadd(b.fmul(steps, back), filled(F32, lanes, 0.0))

    def body(row: ir.Value, column: ir.Value) -> None:
        place = b.add(b.mul(row, vectors), column)
        slot = cgutils.alloca_once_value(b, load(b, b.add(sums, b.mul(place, size)), kind))
        for start in (0, STAGE):
            with b.if_then(b.fcmp_ordered(">", fields[start + ACTIVE], ir.Constant(F32, 0.0))):
                b.store(trimmed(b.load(slot), start), slot)
        store(b, b.load(slot), b.add(b.add(out, b.mul(row, distance)), b.mul(column, size)))

    each_vector(b, rows, vectors, body)


def emit_clamped(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that only clamps sums; its operands are those of `epilogue.emit_integer`."""
    sums, packed, out, distance, rows, vectors, _ = operands
    lanes, size = TIER.lanes, I64(WORD * TIER.lanes)
    low, high = (splat(b, load(b, b.add(packed, I64(WORD * place)), F32), lanes) for place in range(ENDS))

    def body(row: ir.Value, column: ir.Value) -> None:
        x = load(b, b.add(sums, b.mul(b.add(b.mul(row, vectors), column), size)), vector(F32, lanes))
        store(b, clamped(b, x, low, high), b.add(b.add(out, b.mul(row, distance)), b.mul(column, size)))

    each_vector(b, rows, vectors, body)


TRIMMED, TRIMMED_HALF_EVEN, CLAMPED = 90, 91, 92
"""The routines' numbers, beyond those of integers."""


def routines() -> Mapping[int, Emit]:
    """Give the routines by number."""
    return {
        TRIMMED: partial(emit_trimmed, half_even=False),
        TRIMMED_HALF_EVEN: partial(emit_trimmed, half_even=True),
        CLAMPED: emit_clamped,
    }
