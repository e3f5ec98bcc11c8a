"""Vectors divided by their length; in float64, with the same bits on every tier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from ristretto.kernels.jit import inner, kernel
from ristretto.kernels.job import job_of
from ristretto.kernels.memory import floats_at
from ristretto.kernels.rows import TRIM, VIEW, load_line, scratch_row, store_line


@inner
def _normalize_row(x: NDArray[Any], eps: float, scale: NDArray[Any], out: NDArray[Any]) -> None:
    """Divide a row by its length, and scale it number by number; `out` may be `x`."""
    squares = eps
    for number in x:
        squares += np.float64(number) * np.float64(number)
    length = math.sqrt(squares)
    for i in range(x.size):
        out[i] = np.float64(x[i]) / length * np.float64(scale[i])


@kernel
def normalize(x: NDArray[Any], eps: float, scale: NDArray[Any], out: NDArray[Any]) -> None:
    """Divide each row of a float32 or float64 array (rows, numbers) by its length, and scale it."""
    for row in range(len(x)):
        _normalize_row(x[row], eps, scale, out[row])


NORMALIZE = np.dtype(
    [
        ("source", VIEW),
        ("target", VIEW),
        ("trim", TRIM),
        ("eps", np.float64),
        # The address of a float32 factor for each channel.
        *((name, np.int64) for name in ("scale", "lines", "pixels", "channels")),
    ],
    align=True,
)
"""A job."""


@job_of(NORMALIZE)
def channel_normalize(job: Any, run: Any, image: int) -> None:
    """Divide each pixel's channels by their length in one picture."""
    arena, row = run.arena, scratch_row(run, 0)
    channels = job.channels
    scale = carray(floats_at(job.scale), (channels,))
    for line in range(job.lines):
        load_line(arena, job.source, image, line, row, channels, job.pixels)
        for pixel in range(job.pixels):
            numbers = row[pixel * channels : (pixel + 1) * channels]
            _normalize_row(numbers, job.eps, scale, numbers)
        store_line(arena, job.target, job.trim, image, line, row, channels, job.pixels)
