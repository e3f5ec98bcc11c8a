"""Reduction against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError

REDUCE = {
    "SUM": sum,
    "ASUM": lambda values: sum(abs(v) for v in values),
    "SUMSQ": lambda values: sum(v * v for v in values),
    "MEAN": lambda values: sum(values) / len(values),
}


@pytest.mark.parametrize("operation", REDUCE)
@pytest.mark.parametrize(("axis", "kept"), [(0, 0), (1, 1), (3, 3), (-2, 2)])
@pytest.mark.parametrize("coeff", [1.0, -0.25])
def test_each_row(layer, check, rng, operation: str, axis: int, kept: int, coeff: float) -> None:
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    wanted = np.empty(x.shape[:kept])
    for place in np.ndindex(wanted.shape):
        wanted[place] = coeff * REDUCE[operation]([float(v) for v in x[place].flat])
    op = layer(f'type: "Reduction" reduction_param {{ operation: {operation} axis: {axis} coeff: {coeff} }}')
    check(op, [x], [wanted], atol=1e-5)


def test_by_default_all_numbers_are_added(layer) -> None:
    assert layer('type: "Reduction"').forward([np.float32([[1, 2], [3, 4]])], ())[0] == 10


@pytest.mark.parametrize(("axis", "bottom"), [(2, (3, 4)), (-3, (3, 4)), (0, ())])
def test_axes_that_are_not_there(layer, axis: int, bottom: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=f"axis {axis}"):
        layer(f'type: "Reduction" reduction_param {{ axis: {axis} }}').infer([bottom])
