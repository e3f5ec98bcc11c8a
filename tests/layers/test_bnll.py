"""BNLL against a plain loop."""

from __future__ import annotations

import math

import numpy as np

OP = 'type: "BNLL"'


def test_each_number(layer, check, rng) -> None:
    x = (4 * rng.normal(size=(2, 3, 4))).astype(np.float32)
    wanted = np.array([math.log(1 + math.exp(v)) for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer(OP), [x], [wanted])


def test_large_numbers_pass_and_small_ones_vanish(layer) -> None:
    x = np.array([1e30, 1000, -1000, -1e30], np.float32)
    with np.errstate(all="raise", under="ignore"):
        (y,) = layer(OP).forward([x], ())
    np.testing.assert_array_equal(y, np.float32([1e30, 1000, 0, 0]))
