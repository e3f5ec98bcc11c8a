from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.net import Layer, Net, Phase

TEXT = 'name: "n" type: "Normalize" bottom: "x" top: "y" norm_param {{ {settings} }}'


def normalized(x: np.ndarray, scale: np.ndarray, *, across: bool, eps: float) -> np.ndarray:
    count, channels, height, width = x.shape
    top = np.empty(x.shape)
    for n in range(count):
        for h in range(height):
            for w in range(width):
                squares = x[n].ravel() if across else x[n, :, h, w]
                length = math.sqrt(sum(float(v) ** 2 for v in squares) + eps)
                for c in range(channels):
                    top[n, c, h, w] = float(x[n, c, h, w]) / length * float(scale[c % len(scale)])
    return top


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("one", [True, False])
@pytest.mark.parametrize("eps", [1e-10, 0.5])
def test_numbers_are_divided_by_their_length(layer, check, rng, across, one, eps) -> None:
    settings = f"across_spatial: {across} channel_shared: {one} eps: {eps}".lower()
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    scale = rng.uniform(1, 20, 1 if one else 3).astype(np.float32)
    op = layer(TEXT.format(settings=settings))
    check(op, [x], [normalized(x, scale, across=across, eps=op.eps)], [scale])


def test_defaults_are_those_of_ssd(layer) -> None:
    op = layer(TEXT.format(settings=""))
    assert (op.across_spatial, op.channel_shared) == (True, True)
    assert op.eps == pytest.approx(1e-10)


def test_zeros_stay_zeros(layer) -> None:
    op = layer(TEXT.format(settings="across_spatial: false"))
    assert not op.forward([np.zeros((1, 3, 2, 2), np.float32)], [np.ones(1, np.float32)])[0].any()


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1)])
def test_a_shared_scale_may_have_any_number_of_axes(layer, shape) -> None:
    data = Layer("d", layer('name: "d" type: "Input" top: "x" input_param { shape { dim: [1, 3, 2, 2] } }'), (), ("x",))
    one = Layer("n", layer(TEXT.format(settings="")), ("x",), ("y",), (np.full(shape, 2, np.float32),))
    net = Net("net", (data, one)).for_phase(Phase.TEST)
    assert net.shapes({})["n"] == ((1, 3, 2, 2),)
    x = np.ones((1, 3, 2, 2), np.float32)
    np.testing.assert_allclose(one.op.forward([x], one.blobs)[0], 2 / math.sqrt(12), rtol=1e-6)


def test_misfits_are_named(layer, misfit) -> None:
    misfit(layer(TEXT.format(settings="")), [(3,)], "its bottom has 1 axes")
