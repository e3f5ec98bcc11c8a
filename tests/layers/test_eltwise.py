"""Eltwise against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ristretto.errors import ModelError

JOIN = {
    "PROD": lambda values, _: math.prod(values),
    "SUM": lambda values, coeff: sum(c * v for c, v in zip(coeff, values, strict=True)),
    "MAX": lambda values, _: max(values),
}


@pytest.mark.parametrize("operation", JOIN)
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("with_coeff", [False, True])
def test_each_number(layer, check, rng, operation: str, count: int, with_coeff: bool) -> None:
    if operation == "PROD" and with_coeff:
        with pytest.raises(ModelError, match="PROD takes no coeff"):
            layer('type: "Eltwise" eltwise_param { operation: PROD coeff: 1 coeff: 1 }')
        return
    bottoms = [rng.normal(size=(2, 3, 4)).astype(np.float32) for _ in range(count)]
    coeff = [1.0, -1.0, 0.25, 3.0][:count] if with_coeff else [1.0] * count
    wanted = np.empty(bottoms[0].shape)
    for place in np.ndindex(wanted.shape):
        wanted[place] = JOIN[operation]([float(b[place]) for b in bottoms], coeff)
    text = "".join(f" coeff: {c}" for c in coeff) if with_coeff else ""
    op = layer(f'type: "Eltwise" eltwise_param {{ operation: {operation} {text} }}')
    check(op, bottoms, [wanted])


def test_a_sum_is_the_default(layer) -> None:
    assert layer('type: "Eltwise"').forward([np.float32([1]), np.float32([2])], ())[0] == 3


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("", [(2, 3), (2, 4)], "cannot be joined"),
        ("", [(2, 3), (2, 3, 1)], "cannot be joined"),
        ("eltwise_param { coeff: 1 }", [(2, 3), (2, 3)], "1 coeff for 2 bottoms"),
        ("eltwise_param { coeff: 1 coeff: 1 coeff: 1 }", [(2, 3), (2, 3)], "3 coeff for 2 bottoms"),
    ],
)
def test_what_does_not_fit(layer, text: str, shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Eltwise" {text}').infer(shapes)
    assert layer('type: "Eltwise"').bottom_counts()[0] == 2
