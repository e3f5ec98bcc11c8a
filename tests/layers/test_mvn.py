"""MVN against plain loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from ristretto.errors import ModelError


def wanted(x: np.ndarray, across: bool, variance: bool, eps: float) -> np.ndarray:
    """Collect the numbers of each picture or channel, then go over them again."""
    y = np.empty(x.shape)
    for key in product(*(range(n) for n in x.shape[: 1 if across else 2])):
        values = [float(v) for v in x[key].flat]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) + eps
        y[key] = np.array([(v - mean) / (deviation if variance else 1) for v in values]).reshape(x[key].shape)
    return y


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("variance", [False, True])
def test_each_number(layer, check, rng, across: bool, variance: bool) -> None:
    x = (5 + 2 * rng.normal(size=(2, 3, 4, 5))).astype(np.float32)
    text = f"across_channels: {str(across).lower()} normalize_variance: {str(variance).lower()} eps: 0.5"
    op = layer(f'type: "MVN" mvn_param {{ {text} }}')
    check(op, [x], [wanted(x, across, variance, 0.5)], rtol=1e-4, atol=1e-5)


def test_eps_keeps_a_flat_picture_from_being_divided_by_nothing(layer, check) -> None:
    check(layer('type: "MVN"'), [np.full((1, 2, 3, 3), 4, np.float32)], [np.zeros((1, 2, 3, 3))])


def test_the_top_has_four_axes(layer, check, rng) -> None:
    x = rng.normal(size=(2, 6)).astype(np.float32)
    op = layer('type: "MVN" mvn_param { across_channels: true eps: 0.5 }')
    check(op, [x], [wanted(x, True, True, 0.5).reshape(2, 6, 1, 1)], rtol=1e-4, atol=1e-5)


def test_five_axes(layer) -> None:
    with pytest.raises(ModelError, match="5 axes"):
        layer('type: "MVN"').infer([(1, 2, 3, 4, 5)])
