"""Maxima and means of windows."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.execute.exact import EXACT_IN_FLOAT32
from ristretto.export.program.graph import Value
from ristretto.export.program.made import Results
from ristretto.export.program.numbers import (
    Words,
    largest_of,
)
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.hardware.grid import Grid
from ristretto.net.form import Window


def windowed(work: Window, inputs: Sequence[Value], trim: FixedPoint | None, arithmetic: Arithmetic) -> Results:
    """Give the largest number of each window, or the sum that is still to be divided."""
    (value,) = inputs
    numbers = value.numbers
    settings = {name: list(getattr(work, name)) for name in ("size", "stride", "pad", "counts")}
    if not work.mean:
        return Results(numbers, settings)
    counts = work.divisors((1, *value.shape))
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
    if divides_exactly(sums, most, trim):
        return Results(numbers, settings, divisor=0)
    return Results(Words(largest_of(numbers)), settings)


def divides_exactly(sums: Grid, most: int, trim: FixedPoint) -> bool:
    """Whether a quotient that is rounded to float32 first and then trimmed is the one that is trimmed at once.

    A quotient ``sum / n`` that is no tie between two codes lies at least ``1 / (2 * n * 2**right)`` steps from one,
    where `right` is the right shift to the output. Rounding to float32 is monotone, and leaves a tie where it is; it
    moves a number beside the tie ``t`` onto it only from within half a unit in the last place of numbers below ``t``.
    """
    right = max(sums.fl - trim.fl, 0)
    greatest_tie = min(1 << (trim.bw - 1), (sums.largest << max(trim.fl - sums.fl, 0) >> right) + 1)
    return 2 * most * (1 << right) * greatest_tie < EXACT_IN_FLOAT32 and trim.fl - sums.fl <= LONGEST_LEFT_OF_MEANS


LONGEST_LEFT_OF_MEANS = 30
"""Bits by which a sum of up to 24 bits is shifted to the left before it is divided: 64 hold that."""
