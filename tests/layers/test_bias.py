"""Bias against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize(
    ("text", "axis", "part"),
    [
        ("", 1, (3,)),
        ("axis: 0", 0, (2,)),
        ("axis: -1", 3, (5,)),
        ("axis: 1 num_axes: 2", 1, (3, 4)),
        ("axis: 1 num_axes: -1", 1, (3, 4, 5)),
        ("num_axes: 0", 0, ()),
        ("axis: 0 num_axes: -1", 0, (2, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("as_bottom", [False, True])
def test_each_number(layer, check, rng, text: str, axis: int, part: tuple[int, ...], as_bottom: bool) -> None:
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    summand = np.asarray(rng.normal(size=part), np.float32)
    wanted = np.empty(x.shape)
    for index, value in np.ndenumerate(x):
        wanted[index] = float(value) + float(summand[index[axis : axis + len(part)]])
    op = layer(f'type: "Bias" bias_param {{ {text} }}')
    check(op, [x, summand] if as_bottom else [x], [wanted], [] if as_bottom else [summand])
    assert op.bottom_counts() == (1, 2)


@pytest.mark.parametrize(
    ("text", "bottoms", "message"),
    [
        ("axis: 4", [(2, 3, 4, 5)], "axis 4"),
        ("axis: 2 num_axes: 3", [(2, 3, 4, 5)], "reach past"),
        ("", [(2, 3, 4, 5), (4,)], "do not fit"),
        ("axis: 3", [(2, 3, 4, 5), (5, 1)], "do not fit"),
    ],
)
def test_what_does_not_fit(layer, text: str, bottoms: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(f'type: "Bias" bias_param {{ {text} }}').infer(bottoms)


def test_num_axes_below_minus_one(layer) -> None:
    with pytest.raises(ModelError, match="num_axes -2 is negative"):
        layer('type: "Bias" bias_param { num_axes: -2 }')
