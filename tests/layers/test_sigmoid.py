"""Sigmoid against a plain loop."""

from __future__ import annotations

import math

import numpy as np

OP = 'type: "Sigmoid"'


def test_each_number(layer, check, rng) -> None:
    x = (4 * rng.normal(size=(2, 3, 4))).astype(np.float32)
    wanted = np.array([1 / (1 + math.exp(-v)) for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer(OP), [x], [wanted])


def test_numbers_of_any_size(layer) -> None:
    x = np.array([-np.inf, -1e30, -200, 0, 200, 1e30, np.inf], np.float32)
    with np.errstate(all="raise", under="ignore"):
        (y,) = layer(OP).forward([x], ())
    np.testing.assert_array_equal(y, np.float32([0, 0, 0, 0.5, 1, 1, 1]))


def test_one_number_without_axes(layer, check) -> None:
    check(layer(OP), [np.array(0.0, np.float32)], [np.array(0.5)])
