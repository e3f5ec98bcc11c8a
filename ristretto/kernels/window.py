"""Pooling: the largest number of each window, or the mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray
from numba.core import cgutils

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import copy_rows, floats_at
from ristretto.kernels.multiply import SCRATCH
from ristretto.kernels.rows import REALS, TRIM, VIEW, ZERO, load_line, place, scratch_row, store_line
from ristretto.kernels.tile import WORD
from ristretto.kernels.vector import F32, I8, I16, I64, family, load, routine, store, vector

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


Combine = Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]
"""Makes of two vectors of numbers one."""


def _larger(b: ir.IRBuilder, old: ir.Value, new: ir.Value) -> ir.Value:
    stored = old.type.element
    if stored == F32:
        # NaN is the largest of all, as numpy has it.
        better = b.or_(b.fcmp_ordered(">", new, old), b.fcmp_unordered("uno", new, new))
    elif stored == I8 and TIER.offset:
        better = b.icmp_unsigned(">", new, old)
    else:
        better = b.icmp_signed(">", new, old)
    return b.select(better, new, old)


def _sum(b: ir.IRBuilder, old: ir.Value, new: ir.Value) -> ir.Value:
    return b.fadd(old, new)


def _emit_combine(b: ir.IRBuilder, operands: Sequence[ir.Value], *, stored: ir.Type, combine: Combine) -> None:
    """Write the routine that makes one row of numbers of two, for several rows.

    Its operands are: where the first rows go, the ones and the others, each with its step from row to row; how many
    rows there are, and how many bytes each is long. Where the first two are the same place it must not know: LLVM would
    store under a mask what has changed, which AMD's processors do ten times slower.
    """
    *places, rows, count = operands
    firsts, steps = places[::2], places[1::2]
    size = 4 if stored == F32 else stored.width // 8
    with cgutils.for_range(b, rows) as row:
        end, *starts = (b.add(first, b.mul(row.index, step)) for first, step in zip(firsts, steps, strict=True))
        done: ir.Value = I64(0)
        for width in (TIER.registers // 8, 16, size):
            # Whole registers, then what is left in shorter ones, then number by number.
            pieces = b.udiv(b.sub(count, done), I64(width))
            with cgutils.for_range(b, pieces) as loop:
                at, kind = b.add(done, b.mul(loop.index, I64(width))), vector(stored, width // size)
                store(b, combine(b, *(load(b, b.add(start, at), kind) for start in starts)), b.add(end, at))
            done = b.add(done, b.mul(pieces, I64(width)))


LEAST = np.finfo(np.float32).min

take_larger = family(
    "larger", {i: partial(_emit_combine, stored=kind, combine=_larger) for i, kind in enumerate((I8, I16, F32))}
)
add_up = routine("add_up", partial(_emit_combine, stored=F32, combine=_sum))


@inner
def _reaching(job: Any, column: int) -> tuple[int, int]:
    """Give the first window whose `column`-th pixel lies within the picture, and how many do, from that one on."""
    first: int = min(max(0, -((column - job.pad_w) // job.stride_w)), job.out_w)
    behind: int = min((job.in_w - 1 + job.pad_w - column) // job.stride_w + 1, job.out_w)
    return first, behind - first


@job_of(WINDOW)
def largest(job: Any, run: Any, image: int) -> None:
    """Give the maximum of each window of one picture; both are stored alike."""
    # The scratch has room for a line of the picture, and for a pixel.
    arena, line = run.arena, run.arena + SCRATCH
    source, target, storage = job.source, job.target, job.source.storage
    pixel = job.channels << storage
    least = line + job.in_w * pixel
    if storage == REALS:
        numbers = carray(floats_at(least), (job.channels,))
        for c in range(job.channels):
            numbers[c] = LEAST
    for y in range(job.out_h):
        top = max(y * job.stride_h - job.pad_h, 0)
        bottom = min(y * job.stride_h - job.pad_h + job.size_h, job.in_h)
        # The lines first: all their numbers lie side by side, so that many are compared at a time.
        rows, size = (1, job.in_w * pixel) if source.pixel == pixel else (job.in_w, pixel)
        best, step = arena + place(source, image, top, 0), source.pixel
        for i in range(top + 1, bottom):
            take_larger(storage, line, pixel, best, step, arena + place(source, image, i, 0), source.pixel, rows, size)
            best, step = line, pixel
        # Then the columns: each window's first pixel, and all windows' second, third ... pixels.
        end, end_step = arena + place(target, image, y, 0), target.pixel
        cut, _ = _reaching(job, 0)
        copy_rows(best, 0, end, end_step, cut, pixel)
        whole = best + (cut * job.stride_w - job.pad_w) * step
        copy_rows(whole, job.stride_w * step, end + cut * end_step, end_step, job.out_w - cut, pixel)
        for j in range(1, job.size_w):
            x, count = _reaching(job, j)
            there, begin = end + x * end_step, best + (x * job.stride_w - job.pad_w + j) * step
            take_larger(storage, there, end_step, there, end_step, begin, job.stride_w * step, count, pixel)
        if storage == REALS:
            # Where all are smaller, Caffe gives the least number that is not infinite.
            take_larger(storage, end, end_step, end, end_step, least, 0, job.out_w, pixel)


@job_of(WINDOW)
def mean(job: Any, run: Any, image: int) -> None:
    """Give the mean of each window of one picture, over its pixels within the padded picture."""
    arena, row, total = run.arena, scratch_row(run, 0), scratch_row(run, 1)
    channels = job.channels
    pixel = channels * WORD
    sums, numbers = total.ctypes.data, row.ctypes.data
    for y in range(job.out_h):
        top = y * job.stride_h - job.pad_h
        bottom = min(top + job.size_h, job.in_h + job.pad_h)
        for i in range(channels * job.out_w):
            total[i] = ZERO
        for i in range(max(top, 0), min(bottom, job.in_h)):
            load_line(arena, job.source, image, i, row, channels, job.in_w)
            # Each sum still grows line by line, from left to right.
            for j in range(job.size_w):
                x, count = _reaching(job, j)
                there, begin = sums + x * pixel, numbers + (x * job.stride_w - job.pad_w + j) * pixel
                add_up(there, pixel, there, pixel, begin, job.stride_w * pixel, count, pixel)
        for x in range(job.out_w):
            left = x * job.stride_w - job.pad_w
            pixels = np.float32((bottom - top) * (min(left + job.size_w, job.in_w + job.pad_w) - left))
            window = carray(floats_at(sums + x * pixel), (channels,))
            for c in range(channels):
                window[c] /= pixels
        store_line(arena, job.target, job.trim, image, y, total, channels, job.out_w)
