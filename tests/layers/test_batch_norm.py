"""BatchNorm against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.net import Phase


def blobs(rng: np.random.Generator, weight: float) -> list[np.ndarray]:
    """Means, variances and the sum of their weights, for three channels."""
    return [
        rng.normal(size=3).astype(np.float32) * np.float32(weight or 1),
        rng.uniform(0.5, 2, size=3).astype(np.float32) * np.float32(weight or 1),
        np.array([weight], np.float32),
    ]


def normalized(x: np.ndarray, means: list[float], variances: list[float], eps: float) -> np.ndarray:
    """One number after another."""
    y = np.empty(x.shape)
    for index, value in np.ndenumerate(x):
        y[index] = (float(value) - means[index[1]]) / math.sqrt(variances[index[1]] + eps)
    return y


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (1, 3, 1, 1)])
@pytest.mark.parametrize("weight", [1.0, 999.5])
def test_stored_statistics(layer, check, rng, shape: tuple[int, ...], weight: float) -> None:
    x = rng.normal(size=shape).astype(np.float32)
    stored = blobs(rng, weight)
    means, variances = ([float(v) / weight for v in blob] for blob in stored[:2])
    wanted = normalized(x, means, variances, 0.25)
    check(layer('type: "BatchNorm" batch_norm_param { eps: 0.25 }'), [x], [wanted], stored)


def test_a_weight_of_zero_means_that_nothing_is_stored(layer, check, rng) -> None:
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    wanted = normalized(x, [0.0] * 3, [0.0] * 3, 0.25)
    check(layer('type: "BatchNorm" batch_norm_param { eps: 0.25 }'), [x], [wanted], blobs(rng, 0.0))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5), (1, 3, 1, 1)])
@pytest.mark.parametrize(("phase", "text"), [(Phase.TRAIN, ""), (Phase.TEST, "use_global_stats: false")])
def test_the_batchs_own_statistics(layer, check, rng, shape: tuple[int, ...], phase: Phase, text: str) -> None:
    x = (3 + rng.normal(size=shape)).astype(np.float32)
    means, variances = [], []
    for channel in range(3):
        values = [float(v) for v in x[:, channel].flat]
        means.append(sum(values) / len(values))
        variances.append(sum((v - means[-1]) ** 2 for v in values) / len(values))
    op = layer(f'type: "BatchNorm" batch_norm_param {{ eps: 0.25 {text} }}', phase)
    check(op, [x], [normalized(x, means, variances, 0.25)], blobs(rng, 1.0), rtol=1e-4, atol=1e-5)


def test_the_prototxt_overrules_the_phase(layer) -> None:
    stated = 'type: "BatchNorm" batch_norm_param { use_global_stats: true }'
    assert layer(stated, Phase.TRAIN) == layer(stated, Phase.TEST)
    assert layer('type: "BatchNorm"', Phase.TRAIN) != layer('type: "BatchNorm"', Phase.TEST)
    assert layer('type: "BatchNorm"').eps == np.float32(1e-5)


def test_float32_follows_caffes_order_of_steps(layer, rng) -> None:
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    stored = blobs(rng, 999.5)
    factor = np.float32(1) / stored[2]
    wanted = np.empty_like(x)
    for index, value in np.ndenumerate(x):
        mean, variance = stored[0][index[1]] * factor[0], stored[1][index[1]] * factor[0]
        wanted[index] = (value - mean) / np.sqrt(variance + np.float32(1e-5))
    np.testing.assert_array_equal(layer('type: "BatchNorm"').forward([x], stored)[0], wanted)


def test_one_axis_has_no_channels(layer) -> None:
    with pytest.raises(ModelError, match="1 axes"):
        layer('type: "BatchNorm"').infer([(3,)])
