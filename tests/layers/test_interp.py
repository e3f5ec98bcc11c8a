from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ristretto.errors import ModelError

TEXT = 'name: "i" type: "Interp" bottom: "x" top: "y" interp_param {{ {settings} }}'


def resized(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a picture whose rim is cut already; corners stay in the corners."""
    top = np.empty((*x.shape[:2], height, width))
    steps = [(old - 1) / (new - 1) if new > 1 else 0.0 for old, new in zip(x.shape[2:], (height, width), strict=True)]
    for n, c, h, w in itertools.product(*(range(size) for size in top.shape)):
        total = 0.0
        for i, j in itertools.product(range(x.shape[2]), range(x.shape[3])):
            near = [max(0.0, 1 - abs(place * step - at)) for place, step, at in zip((h, w), steps, (i, j), strict=True)]
            total += math.prod(near) * float(x[n, c, i, j])
        top[n, c, h, w] = total
    return top


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ("height: 7 width: 4", (7, 4)),
        ("height: 3 width: 1", (3, 1)),
        ("height: 5 width: 6", (5, 6)),
        ("zoom_factor: 3", (13, 16)),
        ("shrink_factor: 2", (3, 3)),
        ("shrink_factor: 2 zoom_factor: 3", (7, 7)),
        ("zoom_factor: 2 height: 20 width: 20", (9, 11)),
        ("zoom_factor: 2 shrink_factor: 2 height: 4 width: 8", (4, 8)),
    ],
)
def test_pixels_lie_between_their_neighbours(layer, check, rng, settings, size) -> None:
    x = rng.standard_normal((2, 3, 5, 6)).astype(np.float32)
    op = layer(TEXT.format(settings=settings))
    check(op, [x], [resized(x, *size)], atol=1e-5)


def test_negative_padding_cuts_the_rim_off(layer, check, rng) -> None:
    x = rng.standard_normal((1, 2, 6, 7)).astype(np.float32)
    op = layer(TEXT.format(settings="zoom_factor: 2 pad_beg: -1 pad_end: -2"))
    check(op, [x], [resized(x[:, :, 1:4, 1:5], 5, 7)])


def test_a_second_bottom_gives_the_size(layer, check, rng) -> None:
    x, other = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 2, 3, 4), (1, 5, 7, 9)))
    op = layer('name: "i" type: "Interp" bottom: "x" bottom: "o" top: "y"')
    check(op, [x, other], [resized(x, 7, 9)])
    assert op.bottom_counts() == (1, 2)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (TEXT.format(settings=""), "no size to resize to"),
        (TEXT.format(settings="height: 3"), "no size to resize to"),
        (TEXT.format(settings="zoom_factor: 0"), "must be at least 1"),
        (TEXT.format(settings="height: 0 width: 3"), "must be at least 1"),
        (TEXT.format(settings="zoom_factor: 2 pad_beg: 1"), "must not be positive"),
        (TEXT.format(settings='zoom_factor: 2 interp_type: "nearest_neighbor"'), "interp_type nearest_neighbor"),
        ('type: "Interp" bottom: "x" bottom: "o" top: "y" interp_param { zoom_factor: 2 }', "two sizes to resize to"),
    ],
)
def test_faults_are_named(layer, text, fault) -> None:
    with pytest.raises(ModelError, match=fault):
        layer(text)


def test_misfits_are_named(layer, misfit) -> None:
    misfit(layer(TEXT.format(settings="zoom_factor: 2 pad_beg: -2 pad_end: -2")), [(1, 1, 4, 9)], "leave nothing")
    misfit(layer(TEXT.format(settings="zoom_factor: 2")), [(1, 4)], "four axes")
