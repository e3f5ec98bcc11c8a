from __future__ import annotations

import itertools

import numpy as np
import pytest

from ristretto.errors import ModelError

TEXT = 'name: "p" type: "Permute" bottom: "x" top: "y" permute_param {{ {orders} }}'


def permuted(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    top = np.empty([x.shape[axis] for axis in axes])
    for place in itertools.product(*(range(size) for size in top.shape)):
        source = [0] * x.ndim
        for axis, index in zip(axes, place, strict=True):
            source[axis] = index
        top[place] = x[tuple(source)]
    return top


@pytest.mark.parametrize(
    ("order", "axes"),
    [((0, 2, 3, 1), (0, 2, 3, 1)), ((3,), (3, 0, 1, 2)), ((), (0, 1, 2, 3)), ((2, 1), (2, 1, 0, 3))],
)
def test_axes_are_reordered_and_the_rest_follows(layer, check, rng, order, axes) -> None:
    op = layer(TEXT.format(orders=" ".join(f"order: {axis}" for axis in order)))
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    check(op, [x], [permuted(x, axes)])


def test_an_axis_named_twice_is_refused(layer) -> None:
    with pytest.raises(ModelError, match=r"order \[1, 1\] names an axis twice"):
        layer(TEXT.format(orders="order: 1 order: 1"))


def test_misfits_are_named(layer, misfit) -> None:
    misfit(layer(TEXT.format(orders="order: 4")), [(1, 2, 3, 4)], "order [4] of a bottom with 4 axes")
