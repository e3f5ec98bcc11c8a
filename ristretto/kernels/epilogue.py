"""From sums to what is stored: rounding, saturation, ReLU, and the trim of the layer that reads next, in one go.

An epilogue has two stages, as a blob is trimmed when a layer has made it and, to other numbers, when another reads it:
``trim(relu(trim(sum)))``. A trim and a ReLU may change places, so the ReLU is the lower end of the last stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.vector import (
    F64,
    I8,
    I16,
    I32,
    I64,
    Emit,
    clamp,
    filled,
    in_steps,
    load,
    splat,
    store,
    vector,
)

LEFT_MOST, RIGHT_MOST = 15, 17
"""The longest shifts of a code of up to 16 bits that matter: one more to the left saturates all but zero, one more to
the right makes zero of all."""


@dataclass(frozen=True)
class Stage:
    """One trim of integers: ``round(x * 2**-shift)``, saturated.

    Parameters
    ----------
    shift : int
        To the right; negative to the left, bits.
    low, high : int
        Codes.
    """

    shift: int
    low: int
    high: int


SPLIT = 8
"""Bits of the lower half of a weight that is split."""

# Where the fields of a packed epilogue lie, in words of 64 bits.
SHIFT, LOW, HIGH, HALF, AWAY, EVEN, LEFT, GUARD = range(8)
STAGE = 8
LIFT, STEP_BITS, SCALE_BITS = 2 * STAGE, 2 * STAGE + 1, 2 * STAGE + 2
PACKED = 2 * STAGE + 3


class Sums(Enum):
    """What an epilogue of integers starts from."""

    NARROW = 0
    """int32, the bias within."""
    WIDE = 1
    """int64, to which a bias of 64 bits is added."""
    DOUBLE = 2
    """int64, to which a bias is added in float64."""


class Finish(Enum):
    """What an epilogue of integers does; the less, the faster."""

    ONE_STAGE = 0
    TWO_STAGES = 1
    HALVES_TO_EVEN = 2
    """In two stages, of which one may change nothing."""


@dataclass(frozen=True)
class Doubles:
    """What one step of a sum is in real units, and how many steps of the output's format are one: exponents of 2."""

    step: int
    scale: int


def pack_integer(
    first: Stage, second: Stage | None, *, half_even: bool, lift: int = 0, doubles: Doubles | None = None
) -> NDArray[np.int64]:
    """Give an epilogue of integers as the routines read it.

    Parameters
    ----------
    first, second : Stage
        None where one is all.
    half_even : bool
        Where halves go.
    lift : int
        Left shift of a sum before its bias is added, bits.
    doubles : Doubles or None
        Where the bias is added in float64; the first stage's shift has no meaning then.
    """
    packed = np.zeros(PACKED, np.int64)
    for start, stage in ((0, first), (STAGE, second or Stage(0, first.low, first.high))):
        right, left = max(stage.shift, 0), max(-stage.shift, 0)
        if start:
            right, left = min(right, RIGHT_MOST), min(left, LEFT_MOST)
        # Half a step, less one where it is the lowest bit kept, or the sign, that decides on ties.
        half = (1 << right) >> 1
        packed[start + SHIFT] = right
        packed[start + LOW : start + HIGH + 1] = stage.low, stage.high
        packed[start + HALF] = half - (half_even and right > 0)
        packed[start + AWAY] = 0 if half_even or not right else -1
        packed[start + EVEN] = 1 if half_even and right else 0
        packed[start + LEFT] = left
        # What saturates anyway is brought near before a left shift, so that it loses no bit.
        packed[start + GUARD] = 1 << 30 if left else (1 << 62)
    packed[LIFT] = lift
    if doubles:
        packed.view(np.float64)[STEP_BITS] = np.ldexp(1.0, doubles.step)
        packed.view(np.float64)[SCALE_BITS] = np.ldexp(1.0, doubles.scale)
    return packed


class _IntegerStages:
    """The stages for vectors of one kind, their fields loaded once.

    Parameters
    ----------
    b : IRBuilder
    packed : address
        Of what `pack_integer` gives.
    kind : vector type
    finish : Finish
    """

    def __init__(self, b: ir.IRBuilder, packed: ir.Value, kind: ir.VectorType, finish: Finish) -> None:
        self.b, self.kind, self.finish, self.packed = b, kind, finish, packed
        self.stages = 1 if finish is Finish.ONE_STAGE else 2

        def field(place: int) -> ir.Value:
            value = load(b, b.add(packed, I64(8 * place)), I64)
            return splat(b, value if kind.element == I64 else b.trunc(value, kind.element), kind.count)

        self.fields = [field(place) for place in range(self.stages * STAGE)]

    def __call__(self, x: ir.Value) -> ir.Value:
        """Run them on a vector of sums."""
        if self.kind.element == I64:
            guard = self.fields[GUARD]
            x = self.b.shl(clamp(self.b, x, self.b.neg(guard), guard), self.fields[LEFT])
        return self._second(self._stage(x, 0))

    def _second(self, x: ir.Value) -> ir.Value:
        return x if self.stages == 1 else self._stage(self.b.shl(x, self.fields[STAGE + LEFT]), STAGE)

    def doubles(self, x: ir.Value, bias: ir.Value) -> ir.Value:
        """Add a bias in float64 and trim, then run the second stage."""
        b, lanes = self.b, self.kind.count
        kind = vector(F64, lanes)
        step, scale = (
            splat(b, load(b, b.add(self.packed, I64(8 * place)), F64), lanes) for place in (STEP_BITS, SCALE_BITS)
        )
        total = b.fadd(b.fmul(b.sitofp(x, kind), step), bias)
        low, high = (b.sitofp(self.fields[place], kind) for place in (LOW, HIGH))
        y = in_steps(b, total, scale, low, high, half_even=self.finish is Finish.HALVES_TO_EVEN)
        return self._second(b.fptosi(y, self.kind))

    def _stage(self, x: ir.Value, start: int) -> ir.Value:
        """Round, shift and saturate."""
        b, fields = self.b, self.fields[start : start + STAGE]
        sign = b.ashr(x, filled(self.kind.element, self.kind.count, self.kind.element.width - 1))
        tie = b.and_(sign, fields[AWAY])
        if self.finish is Finish.HALVES_TO_EVEN:
            tie = b.add(tie, b.and_(b.ashr(x, fields[SHIFT]), fields[EVEN]))
        x = b.ashr(b.add(b.add(x, fields[HALF]), tie), fields[SHIFT])
        return clamp(b, x, fields[LOW], fields[HIGH])


def each_vector(b: ir.IRBuilder, rows: ir.Value, vectors: ir.Value, body: Callable[[ir.Value, ir.Value], None]) -> None:
    """Write a loop over rows of so many vectors."""
    with cgutils.for_range(b, rows) as row, cgutils.for_range(b, vectors) as column:
        body(row.index, column.index)


def emit_integer(
    b: ir.IRBuilder, operands: Sequence[ir.Value], *, start: Sums, stored: ir.IntType, finish: Finish
) -> None:
    """Write the routine that makes codes of integer sums.

    Its operands are: the addresses of the sums (rows of so many vectors), of the epilogue and of the output's first
    pixel; the distance between pixels there, bytes; the numbers of rows and of vectors; the address of a bias, which
    is added where the sums are wide.

    Parameters
    ----------
    start : Sums
    stored : 8 or 16 bits
    finish : Finish
    """
    sums, packed, out, distance, rows, vectors, bias = operands
    integer, lanes = I32 if start is Sums.NARROW else I64, TIER.lanes
    size = I64(integer.width // 8 * lanes)
    offset = filled(stored, lanes, TIER.offset if stored == I8 else 0)
    stages = _IntegerStages(b, packed, vector(integer, lanes), finish)
    lift = splat(b, load(b, b.add(packed, I64(8 * LIFT)), I64), lanes)

    def body(row: ir.Value, column: ir.Value) -> None:
        place = b.add(b.mul(row, vectors), column)
        x = load(b, b.add(sums, b.mul(place, size)), vector(integer, lanes))
        beside = b.add(bias, b.mul(column, size))
        if start is Sums.WIDE:
            x = b.add(b.shl(x, lift), load(b, beside, x.type))
        x = stages.doubles(x, load(b, beside, vector(F64, lanes))) if start is Sums.DOUBLE else stages(x)
        codes = b.trunc(x, vector(stored, lanes))
        address = b.add(b.add(out, b.mul(row, distance)), b.mul(column, I64(lanes * stored.width // 8)))
        store(b, b.add(codes, offset), address)

    each_vector(b, rows, vectors, body)


def emit_widening(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that adds int32 sums, shifted left, to int64 ones: ``wide += narrow << shift``.

    Its operands are: the addresses of both, the shift in bits, and how many vectors there are.
    """
    narrow, wide, shift, vectors = operands
    lanes = TIER.lanes
    by = splat(b, shift, lanes)
    with cgutils.for_range(b, vectors) as loop:
        place = b.add(wide, b.mul(loop.index, I64(8 * lanes)))
        x = load(b, b.add(narrow, b.mul(loop.index, I64(4 * lanes))), vector(I32, lanes))
        grown = b.shl(b.sext(x, vector(I64, lanes)), by)
        store(b, b.add(load(b, place, grown.type), grown), place)


def emit_clearing(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that sets wide sums to zero; its operands are their address and how many vectors there are."""
    wide, vectors = operands
    with cgutils.for_range(b, vectors) as loop:
        store(b, filled(I64, TIER.lanes, 0), b.add(wide, b.mul(loop.index, I64(8 * TIER.lanes))))


def number(start: Sums, bits: int, finish: Finish) -> int:
    """Give the number of the routine that stores codes in 8 or 16 bits."""
    return (start.value * 2 + (bits == 16)) * len(Finish) + finish.value


def routines() -> Mapping[int, Emit]:
    """Give the routines that make codes of integer sums, by number."""
    return {
        number(start, stored.width, finish): partial(emit_integer, start=start, stored=stored, finish=finish)
        for start in Sums
        for stored in (I8, I16)
        for finish in Finish
    }
