"""Functions of one number, and of sums of squares: as tables where there are codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ristretto.errors import ModelError
from ristretto.execute.exact import EXACT_IN_FLOAT32
from ristretto.export.paths import exact_fl
from ristretto.export.program.graph import Function, Value
from ristretto.export.program.made import Results, shortest
from ristretto.export.program.numbers import (
    ABOUT_ONE,
    Words,
    largest_of,
    word_of,
)
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid
from ristretto.kernels.power import GREATEST, LEAST, STEEPEST
from ristretto.net.form import Response
from ristretto.net.op import Array

MOST_FACTORS = 1 << 20
"""Entries of the longest table of a response's factors; beyond, each one is computed."""


def tabled(work: Function, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give the result for each code."""
    (value,) = inputs
    assert isinstance(value.numbers, Grid)
    channels = value.channels if work.by_channel else 1
    codes = np.arange(value.numbers.low, value.numbers.high + 1)
    top = np.ascontiguousarray(
        np.broadcast_to(
            codes.astype(np.float32) * np.float32(math.ldexp(1.0, -value.numbers.fl)), (1, channels, 1, codes.size)
        )
    )
    for layer in work.layers:
        (top,) = layer.op.forward([top], layer.blobs)
    results = top.reshape(channels, -1).astype(np.float32)
    if np.isnan(results).any():
        raise ModelError("some numbers that it may meet have no result", hint="let a ReLU or a clip come before it")
    settings = {"by_channel": work.by_channel}
    if trim:
        return Results(Grid.of(trim), settings, {"table": shortest(trim.encode(results, arithmetic))})
    grid = _grid_of(results)
    if grid is None:
        largest = float(np.abs(results).max())
        return Results(Words(largest), settings, {"table": results.view(np.uint32)})
    table = shortest(np.ldexp(results.astype(np.float64), grid.fl).astype(np.int64))
    return Results(grid, settings, {"table": table})


def _grid_of(results: Array) -> Grid | None:
    """Give the coarsest grid on which numbers are codes of up to 24 bits; None where there is none."""
    if not np.isfinite(results).all():
        return None
    fl = exact_fl(np.unique(results).tolist())
    grid = Grid(fl, *(int(math.ldexp(float(end), fl)) for end in (results.min(), results.max())))
    return grid if grid.largest <= EXACT_IN_FLOAT32 else None


def responded(work: Response, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give numbers times factors: out of a table, or computed."""
    (value,) = inputs
    numbers = value.numbers
    reach = work.reach((value.shape[0], value.shape[1], value.shape[2]))
    settings: dict[str, Any] = {"within": work.within, "reach": reach}
    if isinstance(numbers, Grid) and work.neighbours * numbers.largest**2 < MOST_FACTORS:
        squares = np.arange(work.neighbours * numbers.largest**2 + 1).astype(np.float32)
        factors = work.factors(squares * np.float32(math.ldexp(1.0, -2 * numbers.fl)))
        return Results(Words(), settings, {"factors": factors.view(np.uint32)})
    bases = _bases(work, largest_of(numbers))
    if bases is None:
        raise ModelError("its numbers, or its settings, go beyond what powers are computed of", hint=HINT_OF_POWERS)
    for name, number in (("neighbours", work.neighbours), ("alpha", work.alpha), ("k", work.k)):
        settings[name] = word_of(number)
    settings["exponent"] = int(np.float64(np.float32(-work.beta)).view(np.uint64))
    greatest = max(base**-work.beta for base in bases) * ABOUT_ONE
    return Results(Words(largest_of(numbers) * greatest), settings)


HINT_OF_POWERS = "let a quantized layer come before it"


def _bases(work: Response, largest: float) -> tuple[float, float] | None:
    """Give the ends of what is raised to a power; None where they are none that `kernels.power` knows."""
    if not math.isfinite(largest) or abs(work.beta) > STEEPEST:
        return None
    ends = sorted((work.k, work.k + work.alpha * largest**2))
    low, high = ends[0] / ABOUT_ONE, ends[1] * ABOUT_ONE
    return (low, high) if float(LEAST) <= low and high <= float(GREATEST) else None
