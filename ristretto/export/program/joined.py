"""Numbers of one blob or several, chosen by their places, or joined number by number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ristretto.execute.exact import EXACT_IN_FLOAT32
from ristretto.export.program.graph import Pick, Value
from ristretto.export.program.made import Results, met
from ristretto.export.program.numbers import (
    ABOUT_ONE,
    Words,
    largest_of,
    word_of,
)
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid
from ristretto.net.form import Join
from ristretto.net.op import Array


def picked(work: Pick, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give numbers by their places."""
    numbers, shifts = met(inputs)
    runs = _runs(work.places)
    ends = np.cumsum([math.prod(value.shape) for value in inputs])
    if len(runs) > MOST_RUNS:
        return Results(numbers, {"shifts": shifts}, {"places": work.places.astype(np.int32)})
    settings = []
    for place, count in runs:
        # A run may go on from one input to the next.
        while count:
            source = int(np.searchsorted(ends, place, side="right"))
            inside = min(count, int(ends[source]) - place)
            begin = place - (int(ends[source - 1]) if source else 0)
            settings.append({"input": source, "from": begin, "count": inside})
            place, count = place + inside, count - inside
    return Results(numbers, {"shifts": shifts, "runs": settings})


MOST_RUNS = 64
"""Pieces of memory that are copied one by one; beyond, a table says where each number comes from."""


def _runs(places: Array) -> list[tuple[int, int]]:
    """Give pieces of places that follow each other: the first one, and how many there are."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(places) != 1) + 1]) if places.size else np.zeros(0, np.int64)
    counts = np.diff(np.append(starts, places.size))
    return [(int(places[start]), int(count)) for start, count in zip(starts, counts, strict=True)]


def joined(work: Join, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give sums, products or maxima."""
    if work.operation == "MAX":
        numbers, shifts = met(inputs)
        return Results(numbers, {"operation": "MAX", "shifts": shifts})
    factors = [float(np.float32(factor)) for factor in work.factors]
    settings: dict[str, Any] = {"operation": work.operation}
    grids = [value.numbers for value in inputs if isinstance(value.numbers, Grid)]
    if work.operation == "SUM":
        settings["factors"] = [word_of(factor) for factor in factors]
    if len(grids) == len(inputs):
        joined = _product(grids) if work.operation == "PROD" else _sum(grids, factors)
        if joined:
            total, multipliers = joined
            return Results(total, {"operation": work.operation, "multipliers": multipliers})
    return Results(Words(_largest_joined(work.operation, inputs, factors)), settings)


def _largest_joined(operation: str, inputs: Sequence[Value], factors: Sequence[float]) -> float:
    sizes = [largest_of(value.numbers) for value in inputs]
    if operation == "PROD":
        return math.prod(sizes) * ABOUT_ONE
    return sum(abs(factor) * size for factor, size in zip(factors, sizes, strict=True)) * ABOUT_ONE


def _product(grids: Sequence[Grid]) -> tuple[Grid, list[int]] | None:
    total = grids[0]
    for grid in grids[1:]:
        total = total.times(grid)
        if total.largest > EXACT_IN_FLOAT32:
            return None
    return total, [1] * len(grids)


def _sum(grids: Sequence[Grid], factors: Sequence[float]) -> tuple[Grid, list[int]] | None:
    """Give the sum of codes times integers, where every product and every sum on the way is exact in float32."""
    ratios = [factor.as_integer_ratio() for factor in factors]
    lengths = [grid.fl + bottom.bit_length() - 1 for grid, (_, bottom) in zip(grids, ratios, strict=True)]
    fl = max(lengths)
    low = high = 0
    multipliers = []
    for grid, (top, _), length in zip(grids, ratios, lengths, strict=True):
        # The product on its own grid is what float32 must hold; on the common one it is longer by zeros only.
        if grid.largest * abs(top) > EXACT_IN_FLOAT32:
            return None
        multiplier = top << (fl - length)
        ends = sorted((grid.low * multiplier, grid.high * multiplier))
        low, high = low + ends[0], high + ends[1]
        if max(-low, high, abs(multiplier)) > EXACT_IN_FLOAT32:
            return None
        multipliers.append(multiplier)
    return Grid(fl, low, high), multipliers
