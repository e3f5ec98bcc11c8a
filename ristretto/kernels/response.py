"""Local response normalization, across channels or within each one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from ristretto.kernels.jit import inner
from ristretto.kernels.memory import floats_at
from ristretto.kernels.power import raise_row
from ristretto.kernels.rows import TRIM, VIEW, ZERO, Row, load_line, pixels_at_a_time, store_line

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


@inner
def respond(job: Any, arena: int, row: Row, squares: Row, total: Row, image: int) -> None:
    """Normalize one picture; a scratch row has room for a line with as much beside each pixel as the job reaches."""
    channels = job.channels
    # Sums of squares are on the grid of codes where a table is at hand, else in real units.
    unit = job.codes if job.table else np.float32(1)
    step = job.pixels if job.within else min(pixels_at_a_time(channels), job.pixels)
    for line in range(job.lines):
        for first in range(0, job.pixels, step):
            pixels = min(step, job.pixels - first)
            for i in range(channels * pixels):
                total[i] = ZERO
            if job.within:
                _sum_within(job, arena, row, squares, total, image, line, unit)
            load_line(arena, job.source, image, line, row, channels, pixels, first)
            if not job.within:
                _sum_across(job, row, squares, total, pixels, unit)
            _multiply(job, row, total, channels * pixels)
            store_line(arena, job.target, job.trim, image, line, row, channels, pixels, first)


@inner
def _sum_within(
    job: Any, arena: int, row: Row, squares: Row, total: Row, image: int, line: int, unit: np.float32
) -> None:
    """Add up squares of the pixels around each pixel of a line: line by line, from left to right."""
    channels, reach, count = job.channels, job.reach, job.channels * job.pixels
    beside = reach * channels
    # Places in a slice are never negative: where they could be, numba's code looks, number by number.
    inside, after = squares[beside:], squares[beside + count :]
    for i in range(beside):
        squares[i] = after[i] = ZERO
    for i in range(max(line - reach, 0), min(line + reach + 1, job.lines)):
        load_line(arena, job.source, image, i, row, channels, job.pixels)
        for x in range(count):
            number = row[x] * unit
            inside[x] = number * number
        _add_shifted(total, squares, channels, 2 * reach + 1, count)


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
            number = numbers[c] * unit
            inside[c] = number * number
        _add_shifted(sums, squares, 1, 2 * reach + 1, channels)


@inner
def _add_shifted(sums: Row, numbers: Row, step: int, times: int, count: int) -> None:
    """Add `numbers` to `sums` so many times, each time from `step` numbers further on."""
    first, second, third, fourth, fifth = (
        numbers[0:],
        numbers[step:],
        numbers[2 * step :],
        numbers[3 * step :],
        numbers[4 * step :],
    )
    # What nets in use have, in one go each: the sums then stay in registers.
    if times == 3:
        for i in range(count):
            sums[i] = sums[i] + first[i] + second[i] + third[i]
    elif times == 5:
        for i in range(count):
            sums[i] = sums[i] + first[i] + second[i] + third[i] + fourth[i] + fifth[i]
    else:
        for k in range(times):
            shifted = numbers[k * step : k * step + count]
            for i in range(count):
                sums[i] += shifted[i]


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
