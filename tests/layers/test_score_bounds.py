"""What a layer says of the numbers that its score or loss can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ristretto.layers import LAYERS, EuclideanLoss
from ristretto.net import Op

BOUNDED = [op for op in LAYERS if op.score_bounds != (-math.inf, math.inf)]
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def test_scores_and_losses_alone_are_bounded() -> None:
    assert {op.type for op in BOUNDED} == {"Accuracy", "EuclideanLoss", "HingeLoss", "SoftmaxWithLoss"}
    assert all(op.higher_is_better is not None for op in BOUNDED)


@pytest.mark.parametrize("op", BOUNDED, ids=lambda op: op.type)
@given(scores=hnp.arrays(np.float32, (5, 4), elements=NUMBERS), data=st.data())
def test_no_score_lies_beyond_its_bounds(op: type[Op], scores: np.ndarray, data: st.DataObject) -> None:
    """Whatever the numbers are; one that is NaN never holds, wherever it may lie."""
    shape, values = ((5, 4), NUMBERS) if op is EuclideanLoss else ((5,), st.integers(0, 3))
    labels = data.draw(hnp.arrays(np.float32, shape, elements=values))
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(op().forward([scores, labels], [])[0])
    low, high = op.score_bounds
    assert math.isnan(value) or low <= value <= high
