"""TanH against a plain loop."""

from __future__ import annotations

import math

import numpy as np

OP = 'type: "TanH"'


def test_each_number(layer, check, rng) -> None:
    x = (2 * rng.normal(size=(2, 3, 4))).astype(np.float32)
    wanted = np.array([math.tanh(v) for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer(OP), [x], [wanted])


def test_float32_is_rounded_once(layer, rng) -> None:
    x = rng.normal(size=1000).astype(np.float32)
    wanted = np.float32([math.tanh(v) for v in x.astype(np.float64)])
    np.testing.assert_array_equal(layer(OP).forward([x], ())[0], wanted)
