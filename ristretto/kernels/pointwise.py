"""Layers that work number by number: several blobs joined, functions of one number as tables of its codes, and sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray

from ristretto.kernels.cpu import TIER
from ristretto.kernels.jit import inner
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import bytes_at, floats_at, shorts_at
from ristretto.kernels.rows import (
    BYTES,
    OFFSET,
    TRIM,
    VIEW,
    Row,
    load_line,
    pixels_at_a_time,
    place,
    scratch_row,
    store_line,
)
from ristretto.kernels.tile import WORD
from ristretto.kernels.vector import F32, I64, each, filled, load, routine, store, vector

SUM, PRODUCT, MAXIMUM = 0, 1, 2
MOST_BOTTOMS = 8
"""Blobs that are joined at once."""

JOIN = np.dtype(
    [
        ("sources", VIEW, (MOST_BOTTOMS,)),
        ("factors", np.float32, (MOST_BOTTOMS,)),
        ("target", VIEW),
        ("trim", TRIM),
        *((name, np.int64) for name in ("bottoms", "operation", "lines", "pixels", "channels")),
    ],
    align=True,
)
"""A job."""


@job_of(JOIN)
def join(job: Any, run: Any, image: int) -> None:
    """Join the blobs of one picture, from the first to the last."""
    arena, row, total = run.arena, scratch_row(run, 0), scratch_row(run, 1)
    channels, step = job.channels, pixels_at_a_time(job.channels)
    for line in range(job.lines):
        for first in range(0, job.pixels, step):
            pixels = min(step, job.pixels - first)
            for k in range(job.bottoms):
                target, factor = total if k == 0 else row, job.factors[k]
                if k > 0 and job.operation == SUM and factor == 1:
                    load_line(arena, job.sources[k], image, line, total, channels, pixels, first, added=True)
                    continue
                load_line(arena, job.sources[k], image, line, target, channels, pixels, first)
                if job.operation == SUM and factor != 1:
                    for i in range(channels * pixels):
                        target[i] *= factor
                if k > 0:
                    _join(total, row, channels * pixels, job.operation)
            store_line(arena, job.target, job.trim, image, line, total, channels, pixels, first)


@inner
def _join(total: Row, row: Row, count: int, operation: int) -> None:
    if operation == SUM:
        for i in range(count):
            total[i] += row[i]
    elif operation == PRODUCT:
        for i in range(count):
            total[i] *= row[i]
    else:
        for i in range(count):
            # NaN is the largest of all, as numpy has it.
            total[i] = total[i] if total[i] > row[i] or total[i] != total[i] else row[i]


CHANNELWISE = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        # The address of the operands of a `Channelwise`: float32 (5, channels).
        *((name, np.int64) for name in ("operands", "lines", "pixels", "channels")),
    ],
    align=True,
)
"""A job."""
LEFT_OUT = (0.0, 1.0, 1.0, -0.0, 1.0)
"""Operands that leave every number as it is, the sign of a zero included."""


def _emit_channelwise(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    """Write the routine that does all operations to the channels of a pixel: its address, the operands', the count."""
    pixel, table, count = operands

    def body(first: ir.Value, lanes: int) -> None:
        at, kind, row = b.mul(first, I64(WORD)), vector(F32, lanes), b.mul(count, I64(WORD))
        address = b.add(pixel, at)
        x = load(b, address, kind)
        *given, slope = (load(b, b.add(b.add(table, b.mul(row, I64(k))), at), kind) for k in range(len(LEFT_OUT)))
        for operation, operand in zip((b.fsub, b.fdiv, b.fmul, b.fadd), given, strict=True):
            x = operation(x, operand)
        above = b.fcmp_ordered(">", x, filled(F32, lanes, 0.0))
        store(b, b.select(above, x, b.fmul(x, slope)), address)

    each(b, count, body, TIER.lanes)


channelwise_pixel = routine("channelwise", _emit_channelwise)


@job_of(CHANNELWISE)
def channelwise(job: Any, run: Any, image: int) -> None:
    """Do to each number of one picture what its channel wants."""
    arena, row = run.arena, scratch_row(run, 0)
    channels, step, address = job.channels, pixels_at_a_time(job.channels), row.ctypes.data
    for line in range(job.lines):
        for first in range(0, job.pixels, step):
            pixels = min(step, job.pixels - first)
            load_line(arena, job.source, image, line, row, channels, pixels, first)
            for pixel in range(pixels):
                channelwise_pixel(address + WORD * pixel * channels, job.operands, channels)
            store_line(arena, job.target, job.trim, image, line, row, channels, pixels, first)


GATE = np.dtype(
    [
        *((name, VIEW) for name in ("source", "factors", "summands", "target")),
        ("trim", TRIM),
        *((name, np.int64) for name in ("adds", "lines", "pixels", "channels")),
    ],
    align=True,
)
"""A job; whether it `adds`."""


@job_of(GATE)
def gate(job: Any, run: Any, image: int) -> None:
    """Multiply the channels of one picture, and add another picture."""
    arena, row, factors = run.arena, scratch_row(run, 0), scratch_row(run, 1)
    channels, step = job.channels, pixels_at_a_time(job.channels)
    load_line(arena, job.factors, image, 0, factors, channels, 1)
    for line in range(job.lines):
        for first in range(0, job.pixels, step):
            pixels = min(step, job.pixels - first)
            load_line(arena, job.source, image, line, row, channels, pixels, first)
            for pixel in range(pixels):
                numbers = row[pixel * channels : (pixel + 1) * channels]
                for c in range(channels):
                    numbers[c] *= factors[c]
            if job.adds:
                load_line(arena, job.summands, image, line, row, channels, pixels, first, added=True)
            store_line(arena, job.target, job.trim, image, line, row, channels, pixels, first)


LOOKUP = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        # The address of float32 results by code, from the lowest code on; how far apart the channels' tables are.
        *((name, np.int64) for name in ("table", "length", "apart", "low", "lines", "pixels", "channels")),
    ],
    align=True,
)
"""A job."""


@job_of(LOOKUP)
def lookup(job: Any, run: Any, image: int) -> None:
    """Look up every number of one picture."""
    arena, row = run.arena, scratch_row(run, 0)
    channels = job.channels
    table = carray(floats_at(job.table), (job.length,))
    for line in range(job.lines):
        for pixel in range(job.pixels):
            start = arena + place(job.source, image, line, pixel)
            results = row[pixel * channels : (pixel + 1) * channels]
            if job.source.storage == BYTES:
                codes = carray(bytes_at(start), (channels,))
                for c in range(channels):
                    # Without an offset they are signed.
                    code = np.int64(codes[c]) - OFFSET if OFFSET else np.int64(np.int8(codes[c]))
                    results[c] = table[c * job.apart + code - job.low]
            else:
                shorts = carray(shorts_at(start), (channels,))
                for c in range(channels):
                    results[c] = table[c * job.apart + np.int64(shorts[c]) - job.low]
        store_line(arena, job.target, job.trim, image, line, row, channels, job.pixels)
