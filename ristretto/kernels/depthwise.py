"""Depthwise convolution: every channel has a window of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.memory import copy_rows
from ristretto.kernels.multiply import finish
from ristretto.kernels.tile import WORD, Operand, dot
from ristretto.kernels.vector import F32, I8, I16, I32, I64, Emit, family, filled, load, store, vector

LANES = TIER.lanes


def _emit(b: ir.IRBuilder, operands: Sequence[ir.Value], *, operand: Operand) -> None:
    """Write the routine that makes the sums of one pixel.

    Its operands are: the address of the pixel's first channel; the addresses of the offsets of the window's places
    (pairs of them, but for float32) and of the weights, ``[pair][channel]`` in words; how many pairs there are; the
    addresses of the sums' first values and of the sums; how many vectors of channels there are.
    """
    source, offsets, weights, pairs, first, sums, vectors, _ = operands
    real = operand is Operand.FLOATS
    kind, size = vector(F32 if real else I32, LANES), I64(WORD * LANES)
    stored = {Operand.BYTES: I8, Operand.PAIRS: I16, Operand.FLOATS: F32}[operand]
    stored_size = I64({Operand.BYTES: 1, Operand.PAIRS: 2, Operand.FLOATS: 4}[operand] * LANES)
    widen = b.sext if operand is Operand.BYTES and not TIER.offset else b.zext
    with cgutils.for_range(b, vectors) as column:
        total = cgutils.alloca_once_value(b, load(b, b.add(first, b.mul(column.index, size)), kind))
        here = b.add(source, b.mul(column.index, stored_size))

        def at(place: ir.Value, here: ir.Value = here) -> ir.Value:
            offset = load(b, b.add(offsets, b.mul(place, I64(8))), I64)
            return load(b, b.add(here, offset), vector(stored, LANES))

        with cgutils.for_range(b, pairs) as pair:
            place = b.add(b.mul(pair.index, vectors), column.index)
            w = load(b, b.add(weights, b.mul(place, size)), kind)
            if real:
                x = at(pair.index)
            else:
                twice = b.mul(pair.index, I64(2))
                low, high = (widen(at(p), kind) for p in (twice, b.add(twice, I64(1))))
                x = b.or_(b.and_(low, filled(I32, LANES, 0xFFFF)), b.shl(high, filled(I32, LANES, 16)))
            kindred = Operand.FLOATS if real else Operand.PAIRS
            b.store(dot(b, TIER, kindred, b.load(total), x, w), total)
        store(b, b.load(total), b.add(sums, b.mul(column.index, size)))


def _routines() -> Mapping[int, Emit]:
    return {operand.value: partial(_emit, operand=operand) for operand in Operand}


sum_windows = family("depthwise", _routines())

DEPTHWISE = np.dtype(
    [
        (name, np.int64)
        for name in (
            # As in `multiply.MULTIPLY`; words of weights for pairs of the window's places.
            *("source", "source_image", "source_line", "source_pixel", "lines", "width", "channels"),
            *("operand", "offsets", "pairs", "weights", "first", "packed", "routine"),
            *("target", "target_image", "target_line", "target_pixel", "size"),
        )
    ]
)
"""A job."""


@inner
def depthwise(job: Any, arena: int, scratch: int, image: int) -> None:
    """Run a job on one picture; `scratch` has room for the sums of a pixel, and for its outputs."""
    vectors = -(-job.channels // LANES)
    row = scratch + vectors * LANES * WORD
    for line in range(job.lines):
        source = arena + job.source + image * job.source_image + line * job.source_line
        target = arena + job.target + image * job.target_image + line * job.target_line
        for _ in range(job.width):
            sum_windows(job.operand, source, job.offsets, job.weights, job.pairs, job.first, scratch, vectors, 0)
            if vectors * LANES == job.channels:
                finish(job.routine, scratch, job.packed, target, 0, 1, vectors, 0, 0)
            else:
                finish(job.routine, scratch, job.packed, row, 0, 1, vectors, 0, 0)
                copy_rows(0, row, 0, target, 0, 1, job.channels * job.size, 0, 0)
            source += job.source_pixel
            target += job.target_pixel
