"""ELU against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest


@pytest.mark.parametrize(("text", "alpha"), [("", 1.0), ("elu_param { alpha: 0.25 }", 0.25)])
def test_each_number(layer, check, rng, text: str, alpha: float) -> None:
    x = (2 * rng.normal(size=(2, 3, 4))).astype(np.float32)
    wanted = [v if v > 0 else alpha * (math.exp(v) - 1) for v in x.astype(np.float64).flat]
    check(layer(f'type: "ELU" {text}'), [x], [np.array(wanted).reshape(x.shape)])


def test_large_numbers_stay_out_of_the_exponential(layer) -> None:
    with np.errstate(all="raise"):
        (y,) = layer('type: "ELU"').forward([np.array([1e30, -1e30], np.float32)], ())
    np.testing.assert_array_equal(y, np.float32([1e30, -1]))
