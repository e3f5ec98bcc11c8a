"""Counting into bins against fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ristretto.kernels.histogram import count

MIDDLE = 32


@given(
    hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([1.0, 3.0, 8.0, 32.0]),
)
def test_every_number_is_counted_in_the_bin_around_it(x: np.ndarray, scale: float) -> None:
    counts = np.zeros(2 * MIDDLE + 1, np.int64)
    wanted = counts.copy()
    count(x, scale, counts)
    for number in x:
        exact = Fraction(float(number)) * Fraction(scale)
        wanted[MIDDLE + math.floor(abs(exact) + Fraction(1, 2)) * (-1 if exact < 0 else 1)] += 1
    np.testing.assert_array_equal(counts, wanted)


def test_the_ends_are_counted_and_counts_are_added_to() -> None:
    counts = np.zeros(5, np.int64)
    for _ in range(2):
        count(np.float32([-1, -0.75, -0.24, 0, 0.25, 1]), 2.0, counts)
    assert counts.tolist() == [4, 0, 4, 2, 2]
