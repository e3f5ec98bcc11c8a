"""Layers that work number by number: several blobs joined, and functions of one number as tables of its codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

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
