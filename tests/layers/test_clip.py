"""Clip against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


def test_each_number(layer, check, rng) -> None:
    x = (2 * rng.normal(size=(2, 3, 4, 5))).astype(np.float32)
    wanted = [max(-0.5, min(v, 1.25)) for v in x.astype(np.float64).flat]
    check(layer('type: "Clip" clip_param { min: -0.5 max: 1.25 }'), [x], [np.array(wanted).reshape(x.shape)])


@pytest.mark.parametrize(("low", "rectifies"), [(0, True), (-1, False), (0.5, False)])
def test_only_zero_as_lower_bound_rectifies(layer, low: float, rectifies: bool) -> None:
    assert layer(f'type: "Clip" clip_param {{ min: {low} max: 6 }}').rectifies is rectifies


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max: 6", "lacks min"),
        ("min: 6", "lacks max"),
        ("min: 2 max: 1", "min 2 lies above max 1"),
        ("min: nan max: 1", "min nan lies above max 1"),
    ],
)
def test_bounds_that_make_no_sense(layer, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Clip" clip_param {{ {text} }}')
