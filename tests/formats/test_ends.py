"""Where numbers saturate, against codes that are rounded as fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.formats.ends import saturates
from tests.execute.nets import formats


@given(
    formats(8),
    st.lists(st.floats(-600, 600, width=32) | st.integers(-40, 40).map(lambda k: k / 2), min_size=1, max_size=9),
    st.sampled_from((EXACT, HALF_EVEN)),
)
def test_a_number_saturates_when_its_rounded_code_is_beyond_the_ends(
    fmt: FixedPoint, numbers: list[float], arithmetic: Arithmetic
) -> None:
    x = np.array(numbers, np.float32)
    scaled = [Fraction(float(v)) * Fraction(2) ** fmt.fl for v in x]
    away = [math.floor(abs(v) + Fraction(1, 2)) * (-1 if v < 0 else 1) for v in scaled]
    codes = [round(v) for v in scaled] if arithmetic.half_even else away
    assert saturates(fmt, x, arithmetic).tolist() == [not fmt.low_code <= code <= fmt.high_code for code in codes]


def test_half_a_step_beyond_the_ends_saturates_unless_it_goes_to_the_even_end() -> None:
    x = np.array([-4.5, -4.25, 3.25, 3.5])
    assert saturates(FixedPoint(3, 0), x, EXACT).tolist() == [True, False, False, True]
    assert saturates(FixedPoint(3, 0), x, HALF_EVEN).tolist() == [False, False, False, True]


def test_infinities_saturate() -> None:
    assert saturates(FixedPoint(8, 90), np.array([np.inf, -np.inf, 0.0])).tolist() == [True, True, False]
