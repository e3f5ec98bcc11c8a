"""Sums that become what is stored while they are in registers.

Those of integers become codes: rounding, saturation, ReLU and a longer word in a few steps. Those of real numbers are
clamped.

Half a step of the output is a part of what sums start from, and so is what a stored code has more than a code. Only
ties are left to be told apart: a total below zero must not be rounded up from its half. It is one that, with all that
is added, lies below a threshold; each output has one, or one that says that its totals have no ties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import llvmlite.ir as ir
import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.cpu import TIER, Shape, Tier
from ristretto.kernels.epilogue import SPLIT, Stage
from ristretto.kernels.tile import WORD, Operand, emit_sums, operands_of
from ristretto.kernels.tile import number as tile_number
from ristretto.kernels.vector import F32, I8, I16, I32, I64, Emit, clamp, clamped, filled, load, splat, store, vector

NO_TIES = -(1 << 31)
"""A threshold that no total lies below."""


@dataclass(frozen=True)
class Ending:
    """What is done to sums in registers: ``clamp(floor(x / 2**right) * 2**left)``.

    Parameters
    ----------
    right, left : int
        Bits; `left` is no more than `right`, so that nothing is shifted out.
    low, high : int
        What is stored at the ends.
    """

    right: int
    left: int
    low: int
    high: int

    @classmethod
    def of(cls, right: int, first: Stage, second: Stage | None) -> Ending | None:
        """Give two stages as one, the first of which shifts so far; None where the second one rounds, too."""
        if second is None:
            return cls(right, 0, first.low, first.high)
        left = -second.shift
        if not 0 <= left <= right:
            return None
        # To clamp, shift and clamp is to shift and clamp once: between what the old ends come to.
        low, high = (min(max(end << left, second.low), second.high) for end in (first.low, first.high))
        return cls(right, left, low, high)

    def pack(self) -> NDArray[np.int64]:
        """Give it as the routines read it: a shift and a mask, the ends, and what is added where a tie goes down."""
        return np.array([self.right - self.left, -1 << self.left, self.low, self.high, -1], np.int64)


Finish = Callable[[Sequence[ir.Value], ir.Value], ir.Value]
"""Makes a vector of stored codes of the sums of one output each, and the address of their thresholds."""


def codes_in_registers(
    b: ir.IRBuilder, packed: ir.Value, operand: Operand, tier: Tier = TIER
) -> tuple[Finish, ir.IntType]:
    """Give what makes codes of vectors of sums, and the type that they are stored in.

    Codes are stored in 8 bits where bytes are multiplied, else in 16.
    """
    stored, kind = I8 if operand.are_bytes else I16, vector(I32, tier.lanes)
    right, mask, low, high, less_one = (
        splat(b, b.trunc(load(b, b.add(packed, I64(8 * place)), I64), I32), tier.lanes) for place in range(5)
    )
    by = filled(I32, tier.lanes, SPLIT)

    def lowered(x: ir.Value, total: ir.Value, threshold: ir.Value) -> ir.Value:
        """Take one off where a total lies below its threshold."""
        below = b.icmp_signed("<", total, threshold)
        if tier.registers == 512:
            # An addition under a mask. LLVM would not write one if it knew the number that is added.
            return b.select(below, b.add(x, less_one), x)
        return b.add(x, b.sext(below, kind))

    def finished(sums: Sequence[ir.Value], thresholds: ir.Value) -> ir.Value:
        threshold = load(b, thresholds, kind)
        if operand.parts == 1:
            (x,) = sums
            x = lowered(x, x, threshold)
        else:
            # A floor of a floor is the floor of both divisions: what `upper * 2**SPLIT + lower` comes to needs no more
            # bits than its parts.
            upper, lower = sums
            lower = lowered(lower, b.add(upper, b.ashr(lower, by)), threshold)
            x = b.add(upper, b.ashr(lower, by))
        return b.trunc(clamp(b, b.and_(b.ashr(x, right), mask), low, high), vector(stored, tier.lanes))

    return finished, stored


def emit_finished_tile(
    b: ir.IRBuilder, operands: Sequence[ir.Value], tier: Tier, operand: Operand, shape: Shape
) -> None:
    """Write a tile of integer sums that become codes.

    Its operands are those of a tile but the last, then the addresses of the ending, of the thresholds and of the
    output's first pixel, and the distance between pixels there, bytes.
    """
    *inputs, packed, thresholds, out, distance = operands
    sums = emit_sums(b, inputs, tier, operand, shape)
    finished, stored = codes_in_registers(b, packed, operand, tier)
    parts = operand.parts
    for row in sums:
        for column, first in enumerate(range(0, len(row), parts)):
            codes = finished(row[first : first + parts], b.add(thresholds, I64(WORD * tier.lanes * column)))
            store(b, codes, b.add(out, I64(tier.lanes * stored.width // 8 * column)))
        out = b.add(out, distance)


def emit_clamped_tile(
    b: ir.IRBuilder, operands: Sequence[ir.Value], tier: Tier, operand: Operand, shape: Shape
) -> None:
    """Write a tile of sums in float32 that are clamped; its operands are those of `emit_finished_tile`.

    The ends of the clamp stand in place of an ending. There are no thresholds.
    """
    *inputs, packed, _, out, distance = operands
    sums = emit_sums(b, inputs, tier, operand, shape)
    ends = [splat(b, load(b, b.add(packed, I64(WORD * place)), F32), tier.lanes) for place in range(2)]
    for row in sums:
        for column, total in enumerate(row):
            store(b, clamped(b, total, *ends), b.add(out, I64(WORD * tier.lanes * column)))
        out = b.add(out, distance)


def finished_tiles(tier: Tier = TIER) -> Mapping[int, Emit]:
    """Give a tier's tiles that finish their sums themselves, by `tile.number`."""
    return {
        tile_number(operand, index): partial(
            emit_clamped_tile if operand is Operand.FLOATS else emit_finished_tile,
            tier=tier,
            operand=operand,
            shape=shape,
        )
        for operand in (*operands_of(tier), Operand.HALVES)
        for index, shape in enumerate(tier.tiles)
        if shape[1] % operand.parts == 0
    }
