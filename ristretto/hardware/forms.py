"""What becomes of grids in layers that neither multiply nor accumulate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.execute.exact import EXACT_IN_FLOAT32
from ristretto.hardware.grid import Grid
from ristretto.hardware.obstacle import Obstacle
from ristretto.net import Op, Shape
from ristretto.net.form import Clamp, Form, Join, Pointwise, Response, Same, Stack, Window

TABLE = Obstacle(
    "function",
    "a function of one number, for which a shift does not do",
    "set a ReLU or a clip in its place, or look its results up in a table; fold BatchNorm, Scale and Bias layers",
)
RESPONSE = Obstacle("response", "local response normalization divides by a power of a sum", "train the net without it")
FORMLESS = Obstacle(
    "float layer", "it computes in float, and integers come after it", "take the layer out, or cut the net there"
)
WIDE = Obstacle(
    "wide sum",
    "its sums take more than 24 bits, which float32 rounds",
    "give its bottoms fewer bits, or fractional lengths that are closer together",
)


@dataclass(frozen=True)
class Carried:
    """What a layer makes of the grids of its bottoms.

    Parameters
    ----------
    top : Grid
    alignment : tuple of int
        Left shift of each bottom to the grid on which they meet, bits.
    right_shift : int
        Right shift that stands for a division, bits; nothing is lost, as the radix point moves along.
    """

    top: Grid
    alignment: tuple[int, ...] = ()
    right_shift: int = 0


def carried(op: Op, bottoms: Sequence[Grid], shapes: Sequence[Shape]) -> Carried | Obstacle:
    """Say what an operation makes of integers, or why shifts do not do.

    Parameters
    ----------
    op : Op
        One that does not multiply and accumulate.
    bottoms : sequence of Grid
    shapes : sequence of shape
        Of the bottoms.

    Returns
    -------
    Carried or Obstacle
    """
    form = op.form(shapes)
    obstacle = obstacle_in(form, shapes)
    if obstacle:
        return obstacle
    if isinstance(form, Clamp):
        # As float32, in which the clamp is computed.
        low, high = (float(np.float32(end)) for end in (form.low, form.high))
        return Carried(bottoms[0].clamped(low, high))
    if isinstance(form, Window):
        return _mean(form, bottoms[0], shapes[0]) if form.mean else Carried(bottoms[0])
    if isinstance(form, Join):
        return _join(form, bottoms)
    kept = len(bottoms) if isinstance(form, Same | Stack) else op.passes_on(len(bottoms))
    if not kept:
        return FORMLESS
    hull = Grid.hull(bottoms[:kept])
    return Carried(hull, tuple(hull.fl - grid.fl for grid in bottoms[:kept]))


def obstacle_in(form: Form | None, shapes: Sequence[Shape]) -> Obstacle | None:
    """Say why shifts do not do for a form, whatever its bottoms hold; None where they may."""
    if isinstance(form, Pointwise):
        return TABLE
    if isinstance(form, Response):
        return RESPONSE
    if isinstance(form, Window) and form.mean:
        odd = sorted({int(divisor) for divisor in form.divisors(shapes[0]).flat if not is_power_of_two(divisor)})
        if odd:
            shown = ", ".join(map(str, odd[:3])) + (", ..." if len(odd) > 3 else "")
            return Obstacle(
                "mean",
                f"a mean over {shown} numbers is no shift",
                "use windows of 2, 4, 8, ... pixels without padding that cuts them, or the maximum; a mean at the very "
                "end may be a sum, which ranks alike",
            )
    if isinstance(form, Join) and form.operation == "SUM":
        odd_factors = [factor for factor in form.factors if factor and not is_power_of_two(factor)]
        if odd_factors:
            return Obstacle(
                "factor",
                f"a coefficient of {odd_factors[0]:g} is no shift",
                "use powers of two, and scale the weights before it by the rest",
            )
    return None


def is_power_of_two(number: float) -> bool:
    """Whether a number or its negative is a power of two, broken ones included."""
    return number != 0 and math.isfinite(number) and abs(math.frexp(number)[0]) == 0.5


def _mean(form: Window, bottom: Grid, shape: Shape) -> Carried | Obstacle:
    """Move the radix point: every sum is divided by a power of two, by the greatest of them on the new grid."""
    counts = form.divisors(shape)
    most = int(counts.max())
    if bottom.largest * most > EXACT_IN_FLOAT32:
        return WIDE
    # A clipped window's sum has fewer terms and is divided by less: its mean is on the finer grid, shifted left. Where
    # the padding counts, its zeros do.
    shift = most.bit_length() - 1
    padded = any(form.pad)
    low, high = (min(bottom.low, 0), max(bottom.high, 0)) if padded else (bottom.low, bottom.high)
    return Carried(Grid(bottom.fl + shift, low << shift, high << shift), right_shift=shift)


def _join(form: Join, bottoms: Sequence[Grid]) -> Carried | Obstacle:
    if form.operation == "MAX":
        hull = Grid.hull(bottoms)
        # The greater of two is no less than either one's least.
        low = max(grid.finer(hull.fl).low for grid in bottoms)
        high = max(grid.finer(hull.fl).high for grid in bottoms)
        return Carried(Grid(hull.fl, low, high), tuple(hull.fl - grid.fl for grid in bottoms))
    if form.operation == "PROD":
        total = bottoms[0]
        for grid in bottoms[1:]:
            total = total.times(grid)
            if total.largest > EXACT_IN_FLOAT32:
                return WIDE
        return Carried(total)
    terms = [_scaled(grid, factor) for grid, factor in zip(bottoms, form.factors, strict=True)]
    finest = max(term.fl for term in terms)
    low = high = 0
    for term in terms:
        aligned = term.finer(finest)
        low, high = low + aligned.low, high + aligned.high
        if max(aligned.largest, -low, high) > EXACT_IN_FLOAT32:
            return WIDE
    return Carried(Grid(finest, low, high), tuple(finest - term.fl for term in terms))


def _scaled(grid: Grid, factor: float) -> Grid:
    """Multiply by a power of two, which moves the radix point, by its negative, or by zero."""
    if not factor:
        return Grid(grid.fl, 0, 0)
    exponent = math.frexp(factor)[1] - 1
    low, high = (grid.low, grid.high) if factor > 0 else (-grid.high, -grid.low)
    return Grid(grid.fl - exponent, low, high)
