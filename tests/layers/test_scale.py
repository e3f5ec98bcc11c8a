"""Scale against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(
    ("text", "axis", "part"),
    [
        ("", 1, (3,)),
        ("axis: 0 num_axes: 2", 0, (2, 3)),
        ("axis: -2", 2, (4,)),
        ("axis: -2 num_axes: -1", 2, (4, 5)),
        ("num_axes: 0", 0, ()),
    ],
)
@pytest.mark.parametrize("as_bottom", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_each_number(
    layer, check, rng, text: str, axis: int, part: tuple[int, ...], as_bottom: bool, bias: bool
) -> None:
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    factors, summands = (np.asarray(rng.normal(size=part), np.float32) for _ in range(2))
    wanted = np.empty(x.shape)
    for index, value in np.ndenumerate(x):
        place = index[axis : axis + len(part)]
        wanted[index] = float(value) * float(factors[place]) + (float(summands[place]) if bias else 0)
    op = layer(f'type: "Scale" scale_param {{ {text} bias_term: {str(bias).lower()} }}')
    blobs = ([] if as_bottom else [factors]) + ([summands] if bias else [])
    check(op, [x, factors] if as_bottom else [x], [wanted], blobs)
    assert op.macs([x.shape]) == 0


def test_factors_that_cover_all_axes_of_a_short_bottom(layer, check) -> None:
    x, factors = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    check(layer('type: "Scale" scale_param { axis: 0 }'), [x], [np.array([4.0, 10, 18])], [factors])


@pytest.mark.parametrize(
    ("text", "bottoms", "message"),
    [
        ("", [(3,)], "axis 1"),
        ("num_axes: 4", [(2, 3, 4, 5)], "reach past"),
        ("", [(2, 3, 4, 5), (3, 5)], "do not fit"),
        ("axis: 2", [(2, 3, 4, 5), (4, 5, 1)], "do not fit"),
    ],
)
def test_what_does_not_fit(layer, text: str, bottoms: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Scale" scale_param {{ {text} }}').infer(bottoms)
