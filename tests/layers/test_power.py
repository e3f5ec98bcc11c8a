"""Power against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("text", "power", "scale", "shift"),
    [
        ("", 1, 1, 0),
        ("power: 2", 2, 1, 0),
        ("scale: -0.5 shift: 3", 1, -0.5, 3),
        ("power: -1.5 scale: 0.25 shift: 4", -1.5, 0.25, 4),
        ("power: 3 scale: 0.5", 3, 0.5, 0),
    ],
)
def test_each_number(layer, check, rng, text: str, power: float, scale: float, shift: float) -> None:
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    wanted = np.array([(shift + scale * v) ** power for v in x.astype(np.float64).flat]).reshape(x.shape)
    check(layer(f'type: "Power" power_param {{ {text} }}'), [x], [wanted])


@pytest.mark.parametrize(
    ("text", "value"),
    [("scale: 0 shift: 3 power: 2", 9), ("power: 0", 1), ("power: 0 shift: 5 scale: 0", 1), ("scale: 0", 0)],
)
def test_without_scale_or_power_the_bottom_does_not_matter(layer, check, text: str, value: float) -> None:
    x = np.array([[np.nan, np.inf, -1, 2]], np.float32)
    check(layer(f'type: "Power" power_param {{ {text} }}'), [x], [np.full(x.shape, float(value))])


@pytest.mark.filterwarnings("error")
def test_what_has_no_power_is_not_a_number(layer, onnx_tops) -> None:
    x = np.array([-4, 4, 0], np.float32)
    op = layer('type: "Power" power_param { power: -0.5 }')
    (y,) = op.forward([x], ())
    np.testing.assert_array_equal(y, np.float32([np.nan, 0.5, np.inf]))
    np.testing.assert_array_equal(onnx_tops(op, [x], ())[0], y)


def test_one_number_without_axes(layer, check) -> None:
    check(layer('type: "Power" power_param { scale: 3 shift: 1 }'), [np.array(2, np.float32)], [np.array(7.0)])
