"""Softmax against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.layers import Softmax

TEXT = 'type: "Softmax" softmax_param {{ {} }}'


def shares(x: np.ndarray, axis: int) -> np.ndarray:
    top = np.moveaxis(np.empty(x.shape), axis, -1)
    rows = np.moveaxis(x.astype(np.float64), axis, -1)
    for place in np.ndindex(rows.shape[:-1]):
        powers = [math.exp(v - max(rows[place])) for v in rows[place]]
        top[place] = [power / sum(powers) for power in powers]
    return np.moveaxis(top, -1, axis)


@pytest.mark.parametrize(
    ("settings", "shape", "axis"),
    [("", (3, 5), 1), ("", (2, 4, 2, 3), 1), ("axis: -1", (2, 2, 5), 2), ("axis: 0", (4, 2), 0), ("", (2, 1), 1)],
)
def test_powers_are_shared_out(layer, check, rng, settings, shape, axis) -> None:
    x = rng.standard_normal(shape).astype(np.float32) * 4
    check(layer(TEXT.format(settings)), [x], [shares(x, axis)])


def test_huge_scores_do_not_overflow(layer, check) -> None:
    x = np.float32([[3e38, -3e38, 0], [1e30, 1e30, 0], [-3e38, -3e38, -3e38]])
    check(layer('type: "Softmax"'), [x], [np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3])])


def test_an_axis_that_is_not_there_is_named(misfit) -> None:
    misfit(Softmax(axis=2), [(2, 3)], "axis 2")


def test_settings_are_read_as_caffe_does(layer) -> None:
    assert layer('type: "Softmax"') == Softmax(axis=1)
