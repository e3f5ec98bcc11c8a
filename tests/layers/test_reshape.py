"""Reshape: the same numbers in the same order, in the shapes of Caffe's documentation and beyond."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


def reshape(dims: str, rest: str = "") -> str:
    return f'type: "Reshape" reshape_param {{ shape {{ {"".join(f"dim: {d} " for d in dims.split())} }} {rest} }}'


@pytest.mark.parametrize(
    ("dims", "rest", "bottom", "top"),
    [
        ("0 -1", "", (2, 3, 4), (2, 12)),
        ("0 0 2 -1", "", (2, 3, 4), (2, 3, 2, 2)),
        ("8 3", "", (2, 3, 4), (8, 3)),
        ("-1", "", (2, 3, 4), (24,)),
        ("2 2", "axis: 2", (2, 3, 4), (2, 3, 2, 2)),
        ("-1", "axis: 1", (2, 3, 4), (2, 12)),
        ("0 2 -1", "axis: 1", (2, 3, 4), (2, 3, 2, 2)),
        ("6", "axis: 0 num_axes: 2", (2, 3, 4), (6, 4)),
        ("1", "axis: 1 num_axes: 0", (2, 3, 4), (2, 1, 3, 4)),
        ("1", "axis: -1 num_axes: 0", (2, 3, 4), (2, 3, 4, 1)),
        ("2 -1", "axis: -2", (2, 3, 4), (2, 3, 2, 2)),
        ("1 -1", "axis: 0 num_axes: 1", (2, 3, 4), (1, 2, 3, 4)),
        ("0 0", "axis: 0 num_axes: 1", (6, 1, 4), (6, 1, 1, 4)),
        ("", "axis: 0 num_axes: 1", (1, 3, 4), (3, 4)),
        ("1 1", "", (), (1, 1)),
        ("", "", (1,), ()),
        ("0 -1", "axis: 0", (0, 3), None),
    ],
)
def test_shapes(layer, check, rng, dims: str, rest: str, bottom: tuple[int, ...], top: tuple[int, ...] | None) -> None:
    op = layer(reshape(dims, rest))
    if top is None:
        with pytest.raises(ModelError, match="0 does not divide"):
            op.infer([bottom])
        return
    x = np.asarray(rng.normal(size=bottom), np.float32)
    wanted = np.array([float(x[place]) for place in np.ndindex(x.shape)]).reshape(top)
    check(op, [x], [wanted])


@pytest.mark.parametrize(
    ("dims", "rest", "message"),
    [
        ("5 -1", "", "5 does not divide the 24 numbers"),
        ("5 5", "", r"top of shape \(5, 5\) cannot hold"),
        ("0 0 0 0", "", "has a 0 where the bottom's shape"),
        ("24", "axis: 4", "axis 4 and num_axes -1"),
        ("24", "axis: -5", "axis -5"),
        ("24", "axis: 2 num_axes: 2", "axis 2 and num_axes 2"),
    ],
)
def test_what_does_not_fit(layer, dims: str, rest: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(reshape(dims, rest)).infer([(2, 3, 4)])


@pytest.mark.parametrize(
    ("dims", "rest", "message"),
    [("-1 -1", "", "-1 twice"), ("2 -2", "", "negative length"), ("1", "num_axes: -2", "num_axes -2 is negative")],
)
def test_settings_without_meaning(layer, dims: str, rest: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        layer(reshape(dims, rest))
