"""Exp against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(
    ("text", "base", "scale", "shift"),
    [
        ("", math.e, 1, 0),
        ("base: -1 scale: 0.5 shift: -2", math.e, 0.5, -2),
        ("base: 2", 2, 1, 0),
        ("base: 0.25 scale: -1.5 shift: 1", 0.25, -1.5, 1),
        ("base: 1 shift: 3", 1, 1, 3),
    ],
)
def test_each_number(layer, check, rng, text: str, base: float, scale: float, shift: float) -> None:
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    wanted = np.array([math.pow(base, shift + scale * v) for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer(f'type: "Exp" exp_param {{ {text} }}'), [x], [wanted])


@pytest.mark.filterwarnings("error")
def test_what_is_too_large_is_infinite(layer) -> None:
    np.testing.assert_array_equal(
        layer('type: "Exp"').forward([np.array([1000, -1000], np.float32)], ()), [[np.inf, 0]]
    )


@pytest.mark.parametrize("base", ["0", "-2", "inf", "nan"])
def test_impossible_bases(layer, base: str) -> None:
    with pytest.raises(ModelError, match=f"base {base} is not a finite number above zero"):
        layer(f'type: "Exp" exp_param {{ base: {base} }}')
