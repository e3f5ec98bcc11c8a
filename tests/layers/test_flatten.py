"""Flatten: the same numbers in the same order."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(
    ("text", "top"),
    [
        ("", (2, 60)),
        ("axis: 0", (120,)),
        ("axis: 2", (2, 3, 20)),
        ("axis: -2", (2, 3, 20)),
        ("axis: 1 end_axis: 2", (2, 12, 5)),
        ("axis: 0 end_axis: -2", (24, 5)),
        ("axis: 3", (2, 3, 4, 5)),
        ("axis: 2 end_axis: 1", (2, 3, 1, 4, 5)),
    ],
)
def test_shapes(layer, check, rng, text: str, top: tuple[int, ...]) -> None:
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    wanted = np.array([float(x[place]) for place in np.ndindex(x.shape)]).reshape(top)
    check(layer(f'type: "Flatten" flatten_param {{ {text} }}'), [x], [wanted])


@pytest.mark.parametrize(
    ("text", "message"), [("axis: 4", "axis 4"), ("end_axis: -5", "axis -5"), ("axis: 3 end_axis: 1", "lies before")]
)
def test_axes_that_are_not_there(layer, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Flatten" flatten_param {{ {text} }}').infer([(2, 3, 4, 5)])
