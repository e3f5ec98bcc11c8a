from __future__ import annotations

import itertools

import numpy as np
import pytest

TEXT = 'name: "a" type: "Axpy" bottom: "a" bottom: "x" bottom: "y" top: "t"'


@pytest.mark.parametrize(("factors", "blob"), [((2, 3, 1, 1), (2, 3, 4, 5)), ((2, 3), (2, 3, 4, 5)), ((2, 3), (2, 3))])
def test_each_channel_is_scaled_and_added(layer, check, rng, factors, blob) -> None:
    a, x, y = (rng.standard_normal(shape).astype(np.float32) for shape in (factors, blob, blob))
    top = np.empty(blob)
    for place in itertools.product(*(range(size) for size in blob)):
        top[place] = float(a[place[:2]].reshape(())) * float(x[place]) + float(y[place])
    check(layer(TEXT), [a, x, y], [top])


@pytest.mark.parametrize(
    ("shapes", "fault"),
    [
        ([(2, 3, 1, 1), (2, 3, 4, 4), (2, 3, 4, 5)], "cannot be added"),
        ([(2, 4, 1, 1), (2, 3, 4, 4), (2, 3, 4, 4)], "factors of shape (2, 4, 1, 1)"),
        ([(2, 3, 4, 1), (2, 3, 4, 4), (2, 3, 4, 4)], "factors of shape (2, 3, 4, 1)"),
    ],
)
def test_misfits_are_named(layer, misfit, shapes, fault) -> None:
    misfit(layer(TEXT), shapes, fault)
