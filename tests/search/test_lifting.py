"""One row of codes that moves all outputs of a layer together."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ristretto.formats import FixedPoint
from ristretto.search.refine.lifting import lifted
from ristretto.search.refine.moments import Moments


@given(hnp.arrays(np.float64, (5, 4), elements=st.integers(-8, 7)), st.integers(-2, 4), st.integers(-20, 20))
def test_lifting_adds_one_row_of_codes_to_all(codes: NDArray[np.float64], fl: int, steps: int) -> None:
    fmt, shift = FixedPoint(4, fl), steps * 2.0 ** (1 - fl)
    inputs = np.random.default_rng(5).uniform(0.25, 1.5, (30, 4))
    inputs[:, -1] = 1
    seen = Moments(inputs.T @ inputs, inputs.T @ inputs)
    weights = codes * 2.0**-fl
    found = lifted(weights, seen, fmt, shift)
    added = found - weights
    assert (added == added[0]).all()
    np.testing.assert_array_equal(fmt.trim(found.astype(np.float32)), found)
    # No single code more or less, of those the format has, would come closer.
    missing = float(np.square(inputs @ added[0] - shift).sum())
    assert missing <= float(np.square(shift) * len(inputs)) * (1 + 1e-12)
    for place, sign in product(range(4), (-1, 1)):
        other = found.copy()
        other[:, place] += sign * 2.0**-fl
        if (fmt.trim(other.astype(np.float32)) == other).all():
            rest = float(np.square(inputs @ (other - weights)[0] - shift).sum())
            assert rest >= missing * (1 - 1e-9)


def test_the_bias_is_lifted_first() -> None:
    inputs = np.array([[0.5, 1.0], [2.0, 1.0]])
    seen = Moments(inputs.T @ inputs, inputs.T @ inputs)
    found = lifted(np.zeros((2, 2)), seen, FixedPoint(4, 0), -3.0)
    np.testing.assert_array_equal(found, [[0, -3], [0, -3]])
