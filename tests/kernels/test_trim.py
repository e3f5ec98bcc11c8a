"""Rounding against Python's fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from ristretto.kernels.trim import round_real


def nearest(x: Fraction, half_even: bool) -> int:
    if half_even:
        return round(x)
    size = math.floor(abs(x) + Fraction(1, 2))
    return -size if x < 0 else size


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
