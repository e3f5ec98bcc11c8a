"""Moving blobs: into the arena and out of it, from one format to another, and the zeros around a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import carray
from numba.core import cgutils

from ristretto.kernels.job import job_of
from ristretto.kernels.memory import floats_at, integers_at
from ristretto.kernels.rows import TRIM, VIEW, load_line, scratch_row, store_line
from ristretto.kernels.vector import I8, routine

INSIDE = -1
"""Stands for the number of an outside array where both ends are within the arena."""

MOVE = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        # The outside array that is read or written, float32 (pictures, channels, lines, pixels), or `INSIDE`.
        *((name, np.int64) for name in ("read", "written", "channels", "lines", "pixels")),
    ],
    align=True,
)
"""A job."""


@job_of(MOVE)
def move(job: Any, run: Any, image: int) -> None:
    """Move one picture."""
    arena, outside, picture, row = run.arena, integers_at(run.outside), run.first + image, scratch_row(run, 0)
    channels, lines, pixels = job.channels, job.lines, job.pixels
    size = channels * lines * pixels
    for line in range(lines):
        if job.read != INSIDE:
            numbers = carray(floats_at(outside[job.read] + 4 * picture * size), (size,))
            for channel in range(channels):
                start = (channel * lines + line) * pixels
                for pixel in range(pixels):
                    row[pixel * channels + channel] = numbers[start + pixel]
        else:
            load_line(arena, job.source, image, line, row, channels, pixels)
        if job.written != INSIDE:
            numbers = carray(floats_at(outside[job.written] + 4 * picture * size), (size,))
            for channel in range(channels):
                start = (channel * lines + line) * pixels
                for pixel in range(pixels):
                    numbers[start + pixel] = row[pixel * channels + channel]
        else:
            store_line(arena, job.target, job.trim, image, line, row, channels, pixels)


PICK = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        # The address of the channels that are wanted, int64; how many the source has.
        *((name, np.int64) for name in ("order", "among", "channels", "lines", "pixels")),
    ],
    align=True,
)
"""A job."""


@job_of(PICK)
def pick(job: Any, run: Any, image: int) -> None:
    """Put channels of one picture in another order."""
    arena, row, picked = run.arena, scratch_row(run, 0), scratch_row(run, 1)
    among, channels = job.among, job.channels
    order = carray(integers_at(job.order), (channels,))
    for line in range(job.lines):
        load_line(arena, job.source, image, line, row, among, job.pixels)
        for pixel in range(job.pixels):
            numbers, wanted = row[pixel * among :], picked[pixel * channels :]
            for c in range(channels):
                wanted[c] = numbers[order[c]]
        store_line(arena, job.target, job.trim, image, line, picked, channels, job.pixels)


FRAME = np.dtype([(name, np.int64) for name in ("start", "image", "line", "lines", "above", "left", "inside", "value")])
"""A job: `lines` lines of `line` bytes, of which those within `above` lines and `left` bytes of the rim are filled."""


def _emit_fill(b: ir.IRBuilder, operands: Sequence[ir.Value]) -> None:
    start, size, value = operands
    cgutils.memset(b, b.inttoptr(start, I8.as_pointer()), size, b.trunc(value, I8))


fill = routine("fill", _emit_fill)


@job_of(FRAME)
def frame(job: Any, run: Any, image: int) -> None:
    """Fill the rim of one picture with what zero is stored as."""
    start = run.arena + job.start + image * job.image
    band = job.above * job.line
    fill(start, band, job.value)
    fill(start + job.lines * job.line - band, band, job.value)
    right = job.left + job.inside
    for line in range(job.above, job.lines - job.above):
        fill(start + line * job.line, job.left, job.value)
        fill(start + line * job.line + right, job.line - right, job.value)
