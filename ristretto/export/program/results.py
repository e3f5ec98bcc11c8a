"""What each kind of operation makes of codes: integers while these are exactly what float32 gives, else float32's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any

import numpy as np

from ristretto.errors import ModelError
from ristretto.export.paths import exact_fl
from ristretto.export.program.biases import Bias, bias_of
from ristretto.export.program.graph import Copy, Function, Load, Multiply, Node, Pick, Value, Work
from ristretto.export.program.numbers import (
    EXACT_IN_FLOAT32,
    LONGEST_LEFT,
    Numbers,
    Step,
    Words,
    finished,
    fits,
    in_order,
    largest_of,
    word_of,
)
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.forms import divisors
from ristretto.hardware.grid import Grid, bits_for
from ristretto.hardware.mac import MacPath, describe_mac
from ristretto.kernels.power import GREATEST, LEAST, STEEPEST
from ristretto.net.form import Join, Response, Window
from ristretto.net.op import Array

MOST_FACTORS = 1 << 20
"""Entries of the longest table of a response's factors; beyond, each one is computed."""
LONGEST_TOTAL = 53
"""Bits of the longest sums that the executors add up exactly."""
LONGEST_SHIFTED = 61
"""Bits of the longest sums that 64 bits hold with room for rounding."""
FLOAT32_BITS = 24
"""Of a number's mantissa, the leading one included."""


def numbers_of(node: Node, arithmetic: Arithmetic) -> Numbers:
    """Give what a node's output holds, whoever reads it."""
    results = results_of(node.work, node.inputs, first_trim(node.steps, arithmetic), arithmetic)
    if results.divisor != 1 and not node.steps:
        return Words(largest_of(node.inputs[0].numbers))
    return finished(results.numbers, node.steps, arithmetic, divides=results.divisor != 1).numbers


def first_trim(steps: Sequence[Step], arithmetic: Arithmetic) -> FixedPoint | None:
    """Give the trim that comes first behind an operation, if there is one."""
    trims, _ = in_order(steps, arithmetic)
    return trims[0] if trims else None


@dataclass(frozen=True, eq=False)
class Results:
    """An operation's results, before trims and clamps.

    Parameters
    ----------
    numbers : Grid or Words
    settings : mapping
        What a program must know of the operation, as JSON.
    arrays : mapping of str to array
        Constants: weights, biases, tables.
    divisor : int
        What the codes are still to be divided by, where the first trim does that, or the reader; 0 where windows have
        different ones.
    path : MacPath or None
    """

    numbers: Numbers
    settings: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    divisor: int = 1
    path: MacPath | None = None

    @property
    def are_integers(self) -> bool:
        """Whether it is done in integers alone."""
        return isinstance(self.numbers, Grid)


@singledispatch
def results_of(work: Work, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give an operation's results; the functions below are for its kinds.

    Parameters
    ----------
    work : Work
    inputs : sequence of Value
    trim : FixedPoint or None
        The trim that comes first behind it.
    arithmetic : Arithmetic
    """
    raise TypeError(f"no operation does {type(work).__name__}")


@results_of.register
def _(work: Load, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    return Results(Words())


@results_of.register
def _(work: Copy, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    return Results(inputs[0].numbers)


def met(inputs: Sequence[Value]) -> tuple[Numbers, list[int]]:
    """Give the numbers of several inputs on the finest of their grids, and the left shift of each one to it, bits."""
    grids = [value.numbers for value in inputs if isinstance(value.numbers, Grid)]
    if len(grids) == len(inputs):
        hull = Grid.hull(grids)
        if fits(hull):
            # Further to the left there are only zeros.
            return hull, [min(hull.fl - grid.fl, LONGEST_LEFT) for grid in grids]
    return Words(max(largest_of(value.numbers) for value in inputs)), [0] * len(inputs)


@results_of.register
def _(work: Pick, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
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


@results_of.register
def _(work: Multiply, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    (value,) = inputs
    assert isinstance(value.numbers, Grid)
    layer, codes = work.layer, work.codes
    bare = describe_mac(layer, work.walk, replace(codes, bias=np.zeros(1)), value.numbers)
    assert bare, "zeros lie on every grid"
    bias = bias_of(codes, bare)
    total = Grid(bare.fl + bias.lift, *_total(bare, bias))
    most = 1 << (LONGEST_TOTAL if not codes.has_real_bias else LONGEST_SHIFTED)
    if bare.accumulator.largest >= 1 << LONGEST_TOTAL or total.largest >= most:
        raise ModelError(
            f"its sums may take {bits_for(total.low, total.high)} bits, which float64 rounds",
            hint="use narrower formats",
        )
    weights, powers = bare.rows, bare.shifts_only
    if powers:
        # The exponent above the least, with one added so that it has a sign.
        weights = np.array([int(w).bit_length() if w > 0 else -int(-w).bit_length() for w in weights.flat], np.int8)
    settings = {
        "geometry": {
            "groups": work.walk.groups,
            **{name: list(getattr(work.walk, name)) for name in GEOMETRY},
        },
        "weights": {
            "array": "weights", "format": bare.params.describe(), "fl": bare.weight_fl, "powers_of_two": powers,
        },
        "sum": {"fl": bare.fl, "low": bare.low, "high": bare.high},
        # Where there is more to lift than 64 bits hold, all sums are zero.
        "lift": min(bias.lift, LONGEST_LIFT),
        "total": {"fl": total.fl, "low": total.low, "high": total.high},
    }  # fmt: skip
    arrays = {"weights": shortest(np.asarray(weights).reshape(bare.rows.shape))}
    if bias.codes is not None:
        arrays["bias"] = shortest(np.array(bias.codes, np.int64))
    return Results(total, settings, arrays, path=bare)


LONGEST_LIFT = 62
GEOMETRY = ("in_shape", "out_shape", "kernel", "stride", "pad", "dilation", "spread")


def _total(bare: MacPath, bias: Bias) -> tuple[int, int]:
    codes = bias.codes or (0,)
    return (bare.low << bias.lift) + min(codes), (bare.high << bias.lift) + max(codes)


def shortest(array: Array) -> Array:
    """Give integers in the shortest of C's types that holds them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    bits = bits_for(low, high)
    return np.ascontiguousarray(array, next(t for t in (np.int8, np.int16, np.int32, np.int64) if bits <= _bits(t)))


def _bits(kind: type[np.signedinteger[Any]]) -> int:
    return np.iinfo(kind).bits


@results_of.register
def _(work: Window, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    (value,) = inputs
    numbers = value.numbers
    settings = {name: list(getattr(work, name)) for name in ("size", "stride", "pad", "counts")}
    if not work.mean:
        return Results(numbers, settings)
    counts = divisors(work, (1, *value.shape))
    most = int(counts.max())
    if not isinstance(numbers, Grid):
        return Results(Words(numbers.largest), settings)
    if any(work.pad):
        numbers = Grid(numbers.fl, min(numbers.low, 0), max(numbers.high, 0))
    if numbers.largest * most > EXACT_IN_FLOAT32:
        return Results(Words(largest_of(numbers)), settings)
    sums = Grid(numbers.fl, numbers.low * most, numbers.high * most)
    if trim is None:
        return Results(sums, settings, divisor=most if int(counts.min()) == most else 0)
    if _divides_exactly(sums, most, trim):
        return Results(numbers, settings, divisor=0)
    return Results(Words(largest_of(numbers)), settings)


def _divides_exactly(sums: Grid, most: int, trim: FixedPoint) -> bool:
    """Whether a quotient that is rounded to float32 first and then trimmed is the one that is trimmed at once.

    A quotient ``sum / n`` that is no tie between two codes lies at least ``1 / (2 * n * 2**right)`` steps from one,
    where `right` is the right shift to the output. Rounding to float32 is monotone, and leaves a tie where it is; it
    moves a number beside the tie ``t`` onto it only from within half a unit in the last place of numbers below ``t``.
    """
    right = max(sums.fl - trim.fl, 0)
    greatest_tie = min(1 << (trim.bw - 1), (sums.largest << max(trim.fl - sums.fl, 0) >> right) + 1)
    return 2 * most * (1 << right) * greatest_tie < 1 << FLOAT32_BITS and trim.fl - sums.fl <= LONGEST_LEFT_OF_MEANS


LONGEST_LEFT_OF_MEANS = 30
"""Bits by which a sum of up to 24 bits is shifted to the left before it is divided: 64 hold that."""


@results_of.register
def _(work: Join, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
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
        ends = [a * b for a in (total.low, total.high) for b in (grid.low, grid.high)]
        total = Grid(total.fl + grid.fl, min(ends), max(ends))
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


@results_of.register
def _(work: Function, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
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


@results_of.register
def _(work: Response, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
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
ABOUT_ONE = 1.001
"""More than what rounding adds to a sum of positive numbers and its power."""


def _bases(work: Response, largest: float) -> tuple[float, float] | None:
    """Give the ends of what is raised to a power; None where they are none that `kernels.power` knows."""
    if not math.isfinite(largest) or abs(work.beta) > STEEPEST:
        return None
    ends = sorted((work.k, work.k + work.alpha * largest**2))
    low, high = ends[0] / ABOUT_ONE, ends[1] * ABOUT_ONE
    return (low, high) if float(LEAST) <= low and high <= float(GREATEST) else None
