"""Powers against Python's float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ristretto.kernels.power import power


@given(st.floats(1, 2**20, width=32), st.sampled_from([-0.75, -0.5, -1.0, 0.3]))
def test_float32_comes_as_near_as_float32_can(x: float, exponent: float) -> None:
    out = np.empty(1, np.float32)
    power(np.float32([x]), out, exponent)
    exact = x ** float(np.float32(exponent))
    assert abs(float(out[0]) - exact) <= 0.51 * float(np.spacing(np.float32(exact)))


def test_float64_stays_float64() -> None:
    out = np.empty(2)
    power(np.array([2.0, 3.0]), out, -0.75)
    assert out == pytest.approx([2**-0.75, 3**-0.75], rel=1e-15)
