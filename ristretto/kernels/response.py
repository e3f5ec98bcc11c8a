"""Local response normalization, across channels or within each one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import floats_at
from ristretto.kernels.power import raise_row
from ristretto.kernels.rows import TRIM, VIEW, ZERO, Row, load_line, pixels_at_a_time, scratch_row, store_line
from ristretto.kernels.tile import WORD
from ristretto.kernels.vector import F32, I64, each, family, load, routine, store, vector

RESPONSE = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        # The address of factors by the sum of squared codes, or 0 where they are too many for a table; whether the
        # neighbourhood is a square within the channel, and how far it reaches from its middle.
        *((name, np.int64) for name in ("table", "length", "within", "reach", "lines", "pixels", "channels")),
        # One over the step: real units to codes. Then the layer's own numbers, the count of neighbours among them.
        *((name, np.float32) for name in ("codes", "neighbours", "alpha", "k", "exponent")),
    ],
    align=True,
)
"""A job."""


@job_of(RESPONSE)
def respond(job: Any, run: Any, image: int) -> None:
    """Normalize one picture; a scratch row has room for `size_of_scratch` numbers."""
    arena, row, squares, total = run.arena, scratch_row(run, 0), scratch_row(run, 1), scratch_row(run, 2)
    channels = job.channels
    # Sums of squares are on the grid of codes where a table is at hand, else in real units.
    unit = job.codes if job.table else np.float32(1)
    step = job.pixels if job.within else min(pixels_at_a_time(channels), job.pixels)
    if job.within:
        _clear_sides(job, squares)
        for i in range(min(job.reach, job.lines)):
            _square_line(job, arena, row, squares, image, i, unit)
    for line in range(job.lines):
        for first in range(0, job.pixels, step):
            pixels = min(step, job.pixels - first)
            if job.within:
                if line + job.reach < job.lines:
                    _square_line(job, arena, row, squares, image, line + job.reach, unit)
                _sum_within(job, squares, total, line)
            load_line(arena, job.source, image, line, row, channels, pixels, first)
            if not job.within:
                _sum_across(job, row, squares, total, pixels, unit)
            _multiply(job, row, total, channels * pixels)
            store_line(arena, job.target, job.trim, image, line, row, channels, pixels, first)


def size_of_scratch(shape: tuple[int, int, int], reach: int, *, within: bool) -> int:
    """Give the numbers in a row of scratch for pictures of (channels, lines, pixels) and a neighbourhood's reach.

    A line has zeros beside its pixels, or a pixel beside its channels, as far as the neighbourhood reaches. Within a
    channel there are as many lines of squares as a neighbourhood has, or the picture.
    """
    channels, lines, pixels = shape
    beside = 2 * reach
    return min(beside + 1, lines) * (pixels + beside) * channels if within else channels + beside


@inner
def _kept(job: Any) -> int:
    """Give how many lines of squares there are at a time."""
    lines: int = min(2 * job.reach + 1, job.lines)
    return lines


@inner
def _place(job: Any, line: int) -> int:
    """Give where the squares of a line begin, the zeros beside them included; each takes the place of an older one."""
    place: int = line % _kept(job) * (job.pixels + 2 * job.reach) * job.channels
    return place


@inner
def _clear_sides(job: Any, squares: Row) -> None:
    """Put zeros beside all lines of squares."""
    beside, count = job.reach * job.channels, job.channels * job.pixels
    for line in range(_kept(job)):
        before = squares[_place(job, line) :]
        after = before[beside + count :]
        for i in range(beside):
            before[i] = after[i] = ZERO


@inner
def _square_line(job: Any, arena: int, row: Row, squares: Row, image: int, line: int, unit: np.float32) -> None:
    """Square the numbers of a line."""
    # Places in a slice are never negative: where they could be, numba's code looks, number by number.
    inside = squares[_place(job, line) + job.reach * job.channels :]
    load_line(arena, job.source, image, line, row, job.channels, job.pixels)
    for x in range(job.channels * job.pixels):
        number = row[x] * unit
        inside[x] = number * number


def _emit_nine(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that adds up three by three: the sums' address, those of three lines, the step, the count."""
    sums, *lines, step, count = operands
    starts = [b.add(line, b.mul(step, I64(k))) for line in lines for k in range(3)]

    def body(first: ir.Value, lanes: int) -> None:
        at, kind = b.mul(first, I64(WORD)), vector(F32, lanes)
        store(b, reduce(b.fadd, [load(b, b.add(start, at), kind) for start in starts]), b.add(sums, at))

    each(b, count, body, TIER.lanes)


add_nine = routine("nine", _emit_nine)


@inner
def _sum_within(job: Any, squares: Row, total: Row, line: int) -> None:
    """Add up squares of the pixels around each pixel of a line: line by line, from left to right."""
    channels, reach, count = job.channels, job.reach, job.channels * job.pixels
    if reach == 1 and 0 < line < job.lines - 1:
        # What nets in use have nearly everywhere, in one go.
        start, step = squares.ctypes.data, WORD * channels
        above, here, below = _place(job, line - 1), _place(job, line), _place(job, line + 1)
        add_nine(
            total.ctypes.data, start + WORD * above, start + WORD * here, start + WORD * below, step, count
        )  # fmt: skip
        return
    for i in range(count):
        total[i] = ZERO
    for i in range(max(line - reach, 0), min(line + reach + 1, job.lines)):
        _add_shifted(total, squares[_place(job, i) :], channels, 2 * reach + 1, count)


@inner
def _sum_across(job: Any, row: Row, squares: Row, total: Row, pixels: int, unit: np.float32) -> None:
    """Add up squares of the channels around each channel, from the first to the last."""
    channels, reach = job.channels, job.reach
    inside, after = squares[reach:], squares[reach + channels :]
    for i in range(reach):
        squares[i] = after[i] = ZERO
    for pixel in range(pixels):
        numbers = row[pixel * channels : (pixel + 1) * channels]
        sums = total[pixel * channels : (pixel + 1) * channels]
        for c in range(channels):
            sums[c] = ZERO
            number = numbers[c] * unit
            inside[c] = number * number
        _add_shifted(sums, squares, 1, 2 * reach + 1, channels)


def _emit_shifted(b: ir.IRBuilder, operands: Sequence[ir.Value], *, times: int) -> None:
    """Write the routine that adds numbers from a step further on each time: sums, numbers, the step, count."""
    sums, numbers, step, count = operands
    starts = [sums, *(b.add(numbers, b.mul(step, I64(k))) for k in range(times))]

    def body(first: ir.Value, lanes: int) -> None:
        at, kind = b.mul(first, I64(WORD)), vector(F32, lanes)
        store(b, reduce(b.fadd, [load(b, b.add(start, at), kind) for start in starts]), b.add(sums, at))

    each(b, count, body, TIER.lanes)


# What nets in use have, in one go each: the sums then stay in registers.
shifted = family("shifted", {times: partial(_emit_shifted, times=times) for times in (1, 3, 5)})


@inner
def _add_shifted(sums: Row, numbers: Row, step: int, times: int, count: int) -> None:
    """Add `numbers` to `sums` so many times, each time from `step` numbers further on."""
    to, begin, distance = sums.ctypes.data, numbers.ctypes.data, WORD * step
    if times == 3 or times == 5:
        shifted(times, to, begin, distance, count)
    else:
        for k in range(times):
            shifted(1, to, begin + k * distance, distance, count)


@inner
def _multiply(job: Any, row: Row, total: Row, count: int) -> None:
    """Multiply numbers by the factors that sums of squares around them call for."""
    if job.table:
        table = carray(floats_at(job.table), (job.length,))
        for c in range(count):
            row[c] *= table[np.int32(total[c])]
    else:
        neighbours, alpha, k = job.neighbours, job.alpha, job.k
        for c in range(count):
            total[c] = k + alpha * (total[c] / neighbours)
        raise_row(total, total, count, job.exponent)
        for c in range(count):
            row[c] *= total[c]
