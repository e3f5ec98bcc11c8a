from __future__ import annotations

import itertools

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.execute import EXECUTORS
from ristretto.net import Layer, Net, Phase

ONE = 'name: "u" type: "Upsample" bottom: "x" top: "y" upsample_param {{ {settings} }}'
TWO = 'name: "u" type: "Upsample" bottom: "x" bottom: "places" top: "y" upsample_param {{ {settings} }}'


@pytest.mark.parametrize(
    ("settings", "down", "across"), [("", 1, 1), ("scale: 2", 2, 2), ("scale_h: 3 scale_w: 2", 3, 2)]
)
def test_each_pixel_becomes_a_block(layer, check, rng, settings, down, across) -> None:
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    top = np.empty((2, 3, 4 * down, 5 * across))
    for n, c, h, w in itertools.product(*(range(size) for size in top.shape)):
        top[n, c, h, w] = x[n, c, h // down, w // across]
    op = layer(ONE.format(settings=settings))
    check(op, [x], [top])
    assert op.bottom_counts() == (1, 2)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ("", (4, 6)),
        ("scale: 3", (6, 9)),
        ("scale_h: 2 scale_w: 3", (4, 9)),
        ("pad_out_h: true", (3, 6)),
        ("scale: 2 pad_out_w: true", (4, 5)),
        ("scale: 2 upsample_h: 5 upsample_w: 7", (5, 7)),
    ],
)
def test_each_number_goes_to_its_place(layer, check, rng, settings, size) -> None:
    x = rng.standard_normal((2, 3, 2, 3)).astype(np.float32)
    pixels = size[0] * size[1]
    places = np.stack([rng.permutation(pixels)[:6] for _ in range(6)]).reshape(x.shape).astype(np.float32)
    top = np.zeros((2, 3, *size))
    for n, c, h, w in itertools.product(*(range(length) for length in x.shape)):
        place = int(places[n, c, h, w])
        top[n, c, place // size[1], place % size[1]] = x[n, c, h, w]
    check(layer(TWO.format(settings=settings)), [x, places], [top])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_with_a_max_pooling_it_leaves_the_maxima_where_they_were(layer, rng, executor) -> None:
    """SegNet's pair of layers."""
    texts = [
        'name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 5, 6] } }',
        'name: "p" type: "Pooling" bottom: "x" top: "p" top: "places" pooling_param { kernel_size: 2 stride: 2 }',
        TWO.format(settings="upsample_h: 5 upsample_w: 6").replace('"x"', '"p"'),
    ]
    wires = [((), ("x",)), (("x",), ("p", "places")), (("p", "places"), ("y",))]
    layers = [Layer(f"l{i}", layer(text), *wire) for i, (text, wire) in enumerate(zip(texts, wires, strict=True))]
    net = Net("pair", tuple(layers)).for_phase(Phase.TEST)
    x = rng.permutation(180).reshape(2, 3, 5, 6).astype(np.float32)
    top = np.zeros(x.shape)
    for n, c, h, w in itertools.product(range(2), range(3), range(0, 5, 2), range(0, 6, 2)):
        window = x[n, c, h : h + 2, w : w + 2]
        row, column = np.argwhere(window == window.max())[0]
        top[n, c, h + row, w + column] = window.max()
    np.testing.assert_array_equal(EXECUTORS[executor](net, {}).run({"x": x}).outputs["y"], top)


@pytest.mark.parametrize("place", [-1, 16])
def test_a_place_outside_is_named(layer, place) -> None:
    op = layer(TWO.format(settings=""))
    with pytest.raises(ModelError, match=f"place {place} in a picture of 4 by 4"):
        op.forward([np.ones((1, 1, 2, 2)), np.array([[[[0, 1], [2, place]]]])], [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ONE.format(settings="scale: 0"), "at least 1"),
        (ONE.format(settings="scale: 2 scale_h: 2"), "scale stands beside"),
        (ONE.format(settings="scale_h: 2"), "at least 1"),
        (ONE.format(settings="upsample_h: 4 upsample_w: 4"), "need a second bottom"),
        (TWO.format(settings="upsample_h: 4"), "at least 1"),
        (TWO.format(settings="scale: 3 pad_out_h: true"), "scale of 2 only"),
    ],
)
def test_faults_are_named(layer, text, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(text)


def test_misfits_are_named(layer, misfit) -> None:
    misfit(layer(ONE.format(settings="")), [(1, 4)], "its bottom has 2 axes")
    misfit(layer(TWO.format(settings="")), [(1, 1, 2, 2), (1, 1, 2, 3)], "places of shape (1, 1, 2, 3)")
