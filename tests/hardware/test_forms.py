"""What layers between make of grids, against all numbers that their bottoms can hold."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.hardware import Grid
from ristretto.hardware.forms import Carried, carried
from ristretto.layers import Concat, Eltwise, Pooling
from ristretto.net.form import Window

SMALL = st.builds(
    lambda fl, ends: Grid(fl, min(ends), max(ends)), st.integers(-3, 4), st.tuples(*[st.integers(-6, 6)] * 2)
)


def numbers(grid: Grid) -> list[Fraction]:
    return [code / Fraction(2) ** grid.fl for code in range(grid.low, grid.high + 1)]


def is_exactly(found: object, results: list[Fraction]) -> Carried:
    """Make sure that a grid holds these numbers and reaches as far as they do."""
    assert isinstance(found, Carried)
    codes = [number * Fraction(2) ** found.top.fl for number in results]
    assert all(code.denominator == 1 for code in codes)
    assert (found.top.low, found.top.high) == (min(codes), max(codes))
    return found


@given(
    SMALL, SMALL, st.sampled_from(("SUM", "MAX", "PROD")), st.sampled_from(((), (0.5, -1.0), (0.0, 4.0), (-2.0, -0.25)))
)
def test_joints_reach_as_far_as_their_bottoms_can_bring_them(
    one: Grid, other: Grid, operation: str, factors: tuple[float, ...]
) -> None:
    coeff = factors if operation == "SUM" else ()
    found = carried(Eltwise(operation, coeff), [one, other], [(1, 1), (1, 1)])
    a, b = (Fraction(factor) for factor in coeff or (1.0, 1.0))
    join = {"SUM": lambda x, y: a * x + b * y, "MAX": max, "PROD": lambda x, y: x * y}[operation]
    pairs = itertools.product(numbers(one), numbers(other))
    work = is_exactly(found, [join(x, y) for x, y in pairs])
    if operation != "PROD":
        # A code, shifted so, stands for the same number; a factor has moved the radix point.
        moved = [
            grid.fl - (math.frexp(f)[1] - 1 if f else 0)
            for grid, f in zip((one, other), coeff or (1.0, 1.0), strict=True)
        ]
        assert work.alignment == tuple(work.top.fl - fl for fl in moved)


@given(SMALL, SMALL)
def test_stacked_channels_meet_on_the_finer_grid(one: Grid, other: Grid) -> None:
    work = is_exactly(carried(Concat(), [one, other], [(1, 1), (1, 1)]), [*numbers(one), *numbers(other)])
    assert work.top.fl == max(one.fl, other.fl)
    assert work.alignment == (work.top.fl - one.fl, work.top.fl - other.fl)


@pytest.mark.parametrize(
    ("op", "shift", "zeros"),
    [
        (Pooling("AVE", (2, 2), (2, 2)), 2, False),
        (Pooling("AVE", (1, 2), (1, 2)), 1, False),
        (Pooling("AVE", (4, 4), (4, 4)), 4, False),
        (Pooling("AVE", (2, 2), (2, 2), pad=(1, 1)), 2, True),
    ],
)
@pytest.mark.parametrize("grid", [Grid(3, 2, 9), Grid(0, -8, 7), Grid(-2, -5, -1)])
def test_a_mean_moves_the_radix_point(op: Pooling, shift: int, zeros: bool, grid: Grid) -> None:
    found = carried(op, [grid], [(1, 1, 6, 6)])
    assert isinstance(found, Carried)
    assert (found.right_shift, found.top.fl) == (shift, grid.fl + shift)
    # A mean lies between the ends; zeros beyond the rim may be among its numbers.
    low, high = (min(grid.low, 0), max(grid.high, 0)) if zeros else (grid.low, grid.high)
    assert (found.top.low, found.top.high) == (low << shift, high << shift)


@given(
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 3),
    st.booleans(),
)
def test_divisors_are_those_of_the_pooling(size: tuple[int, int], kernel: int, stride: int, pad: int, up: bool) -> None:
    op = Pooling("AVE", (kernel, kernel), (min(stride, kernel),) * 2, (min(pad, kernel - 1),) * 2, round_up=up)
    if min(size) + 2 * op.pad[0] < kernel:
        return
    form = op.form([(1, 1, *size)])
    assert isinstance(form, Window)
    # The mean of ones, times what it was divided by, is how many of them there were.
    picture = np.ones((1, 1, *size))
    means = op.forward([picture], ())[0][0, 0]
    for (row, column), mean in np.ndenumerate(means):
        starts = [place * op.stride[0] - op.pad[0] for place in (row, column)]
        met = [
            sum(0 <= at < length for at in range(start, start + kernel))
            for start, length in zip(starts, size, strict=True)
        ]
        np.testing.assert_allclose(mean * form.divisors((1, 1, *size))[row, column], math.prod(met))


def test_a_mean_too_long_for_float32_is_an_obstacle() -> None:
    found = carried(Pooling("AVE", (4, 4), (4, 4)), [Grid(0, -(1 << 21), 1 << 21)], [(1, 1, 4, 4)])
    assert not isinstance(found, Carried)
    assert found.kind == "wide sum"
