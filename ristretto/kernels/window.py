"""Pooling: the largest number of each window, or the mean."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray
from numba.core import cgutils

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.memory import copy_rows, floats_at
from ristretto.kernels.rows import REALS, TRIM, VIEW, ZERO, Row, load_line, place, store_line
from ristretto.kernels.vector import F32, I8, I16, I64, family, load, store, vector

WINDOW = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        *((f"{name}_{axis}", np.int64) for name in ("size", "stride", "pad", "in", "out") for axis in ("h", "w")),
        ("channels", np.int64),
    ],
    align=True,
)
"""A job; `in` and `out` are the pixels of the pictures."""


def _emit_larger(b: ir.IRBuilder, operands: Sequence[ir.Value], *, stored: ir.Type) -> None:
    """Write the routine that takes the larger of two numbers: where to, one, another, how many bytes each are long.

    Where the first two are the same place it must not know: LLVM would store under a mask what has changed, which AMD's
    processors do ten times slower.
    """
    best, kept, numbers, count = operands
    size = 4 if stored == F32 else stored.width // 8

    def larger(at: ir.Value, kind: ir.VectorType) -> None:
        old, new = (load(b, b.add(start, at), kind) for start in (kept, numbers))
        if stored == F32:
            # NaN is the largest of all, as numpy has it.
            better = b.or_(b.fcmp_ordered(">", new, old), b.fcmp_unordered("uno", new, new))
        elif stored == I8 and TIER.offset:
            better = b.icmp_unsigned(">", new, old)
        else:
            better = b.icmp_signed(">", new, old)
        store(b, b.select(better, new, old), b.add(best, at))

    done: ir.Value = I64(0)
    for width in (TIER.registers // 8, 16, size):
        # Whole registers, then what is left in shorter ones, then number by number.
        pieces = b.udiv(b.sub(count, done), I64(width))
        with cgutils.for_range(b, pieces) as loop:
            larger(b.add(done, b.mul(loop.index, I64(width))), vector(stored, width // size))
        done = b.add(done, b.mul(pieces, I64(width)))


LEAST = np.finfo(np.float32).min

take_larger = family("larger", {i: partial(_emit_larger, stored=kind) for i, kind in enumerate((I8, I16, F32))})


@inner
def largest(job: Any, arena: int, line: int, image: int) -> None:
    """Give the maximum of each window of one picture; both are stored alike.

    At `line` there is room for a line of the picture, and for a pixel.
    """
    source, target, storage = job.source, job.target, job.source.storage
    pixel = job.channels << storage
    whole = job.in_w * pixel
    beside = source.pixel == pixel
    least = line + whole
    if storage == REALS:
        numbers = carray(floats_at(least), (job.channels,))
        for c in range(job.channels):
            numbers[c] = LEAST
    for y in range(job.out_h):
        top = max(y * job.stride_h - job.pad_h, 0)
        bottom = min(y * job.stride_h - job.pad_h + job.size_h, job.in_h)
        # The lines first: all their numbers lie side by side, so that many are compared at a time.
        for i in range(top, bottom):
            start = arena + place(source, image, i, 0)
            if beside and i == top:
                copy_rows(start, 0, line, 0, 1, whole)
            elif beside:
                take_larger(storage, line, line, start, whole)
            elif i == top:
                copy_rows(start, source.pixel, line, pixel, job.in_w, pixel)
            else:
                for x in range(job.in_w):
                    best = line + x * pixel
                    take_larger(storage, best, best, start + x * source.pixel, pixel)
        for x in range(job.out_w):
            left = max(x * job.stride_w - job.pad_w, 0)
            right = min(x * job.stride_w - job.pad_w + job.size_w, job.in_w)
            best = arena + place(target, image, y, x)
            copy_rows(line + left * pixel, 0, best, 0, 1, pixel)
            for j in range(left + 1, right):
                take_larger(storage, best, best, line + j * pixel, pixel)
            if storage == REALS:
                # Where all are smaller, Caffe gives the least number that is not infinite.
                take_larger(storage, best, best, least, pixel)


@inner
def mean(job: Any, arena: int, row: Row, total: Row, image: int) -> None:
    """Give the mean of each window of one picture, over its pixels within the padded picture."""
    channels = job.channels
    for y in range(job.out_h):
        top = y * job.stride_h - job.pad_h
        bottom = min(top + job.size_h, job.in_h + job.pad_h)
        for i in range(channels * job.out_w):
            total[i] = ZERO
        for i in range(max(top, 0), min(bottom, job.in_h)):
            load_line(arena, job.source, image, i, row, channels, job.in_w)
            for x in range(job.out_w):
                left = x * job.stride_w - job.pad_w
                right = min(left + job.size_w, job.in_w)
                sums = total[x * channels : (x + 1) * channels]
                for j in range(max(left, 0), right):
                    numbers = row[j * channels : (j + 1) * channels]
                    for c in range(channels):
                        sums[c] += numbers[c]
        for x in range(job.out_w):
            left = x * job.stride_w - job.pad_w
            pixels = np.float32((bottom - top) * (min(left + job.size_w, job.in_w + job.pad_w) - left))
            for c in range(x * channels, (x + 1) * channels):
                total[c] /= pixels
        store_line(arena, job.target, job.trim, image, y, total, channels, job.out_w)
