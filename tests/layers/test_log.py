"""Log against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(
    ("text", "base", "scale", "shift"),
    [
        ("", math.e, 1, 0),
        ("base: 2 scale: 0.5 shift: 3", 2, 0.5, 3),
        ("base: 0.5", 0.5, 1, 0),
        ("base: 10 scale: -1 shift: 4", 10, -1, 4),
    ],
)
def test_each_number(layer, check, rng, text: str, base: float, scale: float, shift: float) -> None:
    x = rng.uniform(0.1, 3, size=(2, 3, 4)).astype(np.float32)
    wanted = np.array([math.log(shift + scale * v, base) for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer(f'type: "Log" log_param {{ {text} }}'), [x], [wanted])


@pytest.mark.filterwarnings("error")
def test_what_has_no_logarithm(layer, onnx_tops) -> None:
    x = np.array([0, -1], np.float32)
    (y,) = layer('type: "Log"').forward([x], ())
    np.testing.assert_array_equal(y, np.float32([-np.inf, np.nan]))
    np.testing.assert_array_equal(onnx_tops(layer('type: "Log"'), [x], ())[0], y)


@pytest.mark.parametrize(("base", "message"), [("0", "base 0 is not"), ("-2", "base -2"), ("1", "base 1 has no log")])
def test_impossible_bases(layer, base: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Log" log_param {{ base: {base} }}')
