"""Depthwise convolution: every channel has a window of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.memory import copy_rows
from ristretto.kernels.multiply import SPLIT, clear, finish, widen
from ristretto.kernels.tile import WORD, Operand, dot
from ristretto.kernels.vector import F32, I8, I16, I32, I64, family, filled, load, store, vector

LANES = TIER.lanes
MOST_AT_A_TIME = 1024
"""Sums that are gone through several times: with those of 64 bits 12 KiB, which stay in the first cache."""


def _emit(b: ir.IRBuilder, operands: Sequence[ir.Value], *, operand: Operand) -> None:
    """Write the routine that makes the sums of some pixels.

    Its operands are: the address of the first pixel's first channel, and the distance between pixels, bytes; the
    addresses of the offsets of the window's places (two for each pair of weights, but for float32) and of the weights,
    ``[pair][channel]`` in words; how many pairs there are; the addresses of the sums' first values and of the sums;
    how many pixels and vectors of channels there are.
    """
    source, distance, offsets, weights, pairs, first, sums, pixels, vectors = operands
    real = operand is Operand.FLOATS
    kind, size = vector(F32 if real else I32, LANES), I64(WORD * LANES)
    stored, bits = {Operand.BYTES: (I8, 8), Operand.PAIRS: (I16, 16), Operand.FLOATS: (F32, 32)}[operand]
    widen = b.sext if operand is Operand.BYTES and not TIER.offset else b.zext
    with cgutils.for_range(b, pixels) as pixel, cgutils.for_range(b, vectors) as column:
        total = cgutils.alloca_once_value(b, load(b, b.add(first, b.mul(column.index, size)), kind))
        beside = b.mul(column.index, I64(bits // 8 * LANES))
        here = b.add(b.add(source, b.mul(pixel.index, distance)), beside)

        def at(place: ir.Value, here: ir.Value = here) -> ir.Value:
            offset = load(b, b.add(offsets, b.mul(place, I64(8))), I64)
            return load(b, b.add(here, offset), vector(stored, LANES))

        def add(pair: ir.Value, column: ir.Value = column.index, total: ir.Value = total) -> None:
            w = load(b, b.add(weights, b.mul(b.add(b.mul(pair, vectors), column), size)), kind)
            if real:
                x = at(pair)
            else:
                twice = b.mul(pair, I64(2))
                low, high = (widen(at(p), kind) for p in (twice, b.add(twice, I64(1))))
                x = b.or_(b.and_(low, filled(I32, LANES, 0xFFFF)), b.shl(high, filled(I32, LANES, 16)))
            kindred = Operand.FLOATS if real else Operand.PAIRS
            b.store(dot(b, TIER, kindred, b.load(total), x, w), total)

        # A window of 3x3, which nearly all nets have, is written out: without a loop its addresses stay in registers.
        usual = 9 if real else 5
        with b.if_else(b.icmp_signed("==", pairs, I64(usual))) as (written_out, looped):
            with written_out:
                for pair in range(usual):
                    add(I64(pair))
            with looped, cgutils.for_range(b, pairs) as loop:
                add(loop.index)
        place = b.add(b.mul(pixel.index, vectors), column.index)
        store(b, b.load(total), b.add(sums, b.mul(place, size)))


sum_windows = family(
    "depthwise",
    {operand.value: partial(_emit, operand=operand) for operand in (Operand.BYTES, Operand.PAIRS, Operand.FLOATS)},
)

DEPTHWISE = np.dtype(
    [
        (name, np.int64)
        for name in (
            # As in `multiply.MULTIPLY`; words of weights for pairs of the window's places.
            *("source", "source_image", "source_line", "source_pixel", "lines", "width", "channels"),
            *("operand", "offsets", "pairs", "weights", "low_weights", "first", "bias", "packed", "routine"),
            *("target", "target_image", "target_line", "target_pixel", "size"),
        )
    ]
)
"""A job."""


@inner
def depthwise(job: Any, arena: int, scratch: int, room: int, image: int) -> None:
    """Run a job on one picture; `scratch` has room for so many bytes."""
    vectors = -(-job.channels // LANES)
    lanes = vectors * LANES
    # A pixel needs its sums, those of 64 bits where weights are split, and its outputs where they must be cut.
    step = max(1, min(room // (lanes * 16), MOST_AT_A_TIME // lanes, job.width))
    wide = scratch + step * lanes * WORD
    whole_row = scratch + step * lanes * 3 * WORD
    for line in range(job.lines):
        source = arena + job.source + image * job.source_image + line * job.source_line
        target = arena + job.target + image * job.target_image + line * job.target_line
        for start in range(0, job.width, step):
            pixels = min(step, job.width - start)
            begin, end = source + start * job.source_pixel, target + start * job.target_pixel
            sums = scratch
            sum_windows(
                job.operand, begin, job.source_pixel, job.offsets, job.weights, job.pairs, job.first, scratch, pixels,
                vectors,
            )  # fmt: skip
            if job.low_weights:
                sums = wide
                clear(wide, pixels * vectors)
                widen(scratch, wide, SPLIT, pixels * vectors)
                sum_windows(
                    job.operand, begin, job.source_pixel, job.offsets, job.low_weights, job.pairs, job.first, scratch,
                    pixels, vectors,
                )  # fmt: skip
                widen(scratch, wide, 0, pixels * vectors)
            if lanes == job.channels:
                finish(job.routine, sums, job.packed, end, job.target_pixel, pixels, vectors, job.bias)
            else:
                row = lanes * job.size
                finish(job.routine, sums, job.packed, whole_row, row, pixels, vectors, job.bias)
                copy_rows(whole_row, row, end, job.target_pixel, pixels, job.channels * job.size)
