"""Rounding kernels against Python's integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ristretto.kernels.trim import requantize, round_real, shift_round

ENDS = st.integers(1, 32).map(lambda bits: (-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
"""The least and the greatest code of a word."""


def nearest(x: Fraction, half_even: bool) -> int:
    if half_even:
        return round(x)
    size = math.floor(abs(x) + Fraction(1, 2))
    return -size if x < 0 else size


@given(st.integers(-(2**62) + 1, 2**62 - 1), st.integers(-32, 62), ENDS, st.booleans())
@example(2**62 - 1, 62, (-(2**31), 2**31 - 1), False)
@example(-(2**62) + 1, 62, (-(2**31), 2**31 - 1), True)
@example(2**61, 62, (-1, 0), False)
@example(-1, -32, (-(2**31), 2**31 - 1), False)
@example(1, -32, (-(2**31), 2**31 - 1), False)
@example(2**62 - 1, -32, (-1, 0), False)
def test_any_shift_rounds_once_and_saturates(total: int, shift: int, ends: tuple[int, int], half_even: bool) -> None:
    low, high = ends
    wanted = min(max(nearest(Fraction(total) / Fraction(2) ** shift, half_even), low), high)
    assert shift_round(total, shift, low, high, half_even) == wanted


@given(st.integers(1, 40), st.integers(-(2**20), 2**20), st.integers(-1, 1), st.booleans())
def test_ties_and_their_neighbours(shift: int, code: int, off: int, half_even: bool) -> None:
    total = (code << shift) + (1 << (shift - 1)) + off
    wanted = nearest(Fraction(total, 1 << shift), half_even)
    assert shift_round(total, shift, -(2**31), 2**31 - 1, half_even) == wanted


@pytest.mark.parametrize("source", [np.int8, np.int16])
@pytest.mark.parametrize("target", [np.int8, np.int16])
@pytest.mark.parametrize("half_even", [False, True])
@pytest.mark.parametrize("shift", [-32, -9, -1, 0, 1, 3, 8, 16, 17, 62])
def test_every_code_moves_to_another_grid(source: type, target: type, half_even: bool, shift: int) -> None:
    ends, fits = np.iinfo(source), np.iinfo(target)
    codes = np.arange(ends.min, ends.max + 1, 1 if source is np.int8 else 37).astype(source)
    codes[-1] = ends.max
    out = np.empty(codes.shape, target)
    requantize(codes, out, shift, fits.min, fits.max, half_even)
    scaled = [nearest(Fraction(int(code)) / Fraction(2) ** shift, half_even) for code in codes]
    np.testing.assert_array_equal(out, [min(max(code, fits.min), fits.max) for code in scaled])


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
@example(0.49999999999999994, False)
@example(-0.49999999999999994, True)
@example(4503599627370495.5, False)
@example(4503599627370495.5, True)
@example(4503599627370497.0, False)
@example(5e-324, False)
def test_a_real_number_rounds_to_the_nearest_integer(x: float, half_even: bool) -> None:
    assert round_real(x, half_even) == nearest(Fraction(x), half_even)


@given(st.integers(-(2**52), 2**52), st.booleans())
def test_a_half_goes_where_it_should(whole: int, half_even: bool) -> None:
    x = whole / 2
    assert round_real(x, half_even) == nearest(Fraction(x), half_even)


def test_what_has_no_nearest_integer_stays() -> None:
    assert math.isnan(round_real(math.nan, False))
    assert round_real(math.inf, False) == math.inf
    assert round_real(-math.inf, True) == -math.inf
