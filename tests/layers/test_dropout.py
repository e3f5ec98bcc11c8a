"""Dropout: the bottom itself in TEST, scaled in TRAIN."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError
from ristretto.layers import Dropout
from ristretto.net import Phase

TEXT = 'type: "Dropout" dropout_param {{ dropout_ratio: {} }}'


def test_nothing_happens_in_test(layer, check, rng) -> None:
    op = layer('type: "Dropout"')
    assert op == Dropout(dropout_ratio=0.5, training=False)
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    check(op, [x], [x.astype(np.float64)])


@pytest.mark.parametrize(("ratio", "factor"), [(0.5, 2), (0.75, 4), (0, 1)])
def test_in_training_the_largest_number_is_the_scaled_one(layer, check, rng, ratio, factor) -> None:
    op = layer(TEXT.format(ratio), Phase.TRAIN)
    x = rng.standard_normal((2, 3)).astype(np.float32)
    check(op, [x], [x.astype(np.float64) * factor])


@pytest.mark.parametrize("ratio", [1, -0.5, 1.5])
def test_a_ratio_without_sense_is_named(layer, ratio) -> None:
    with pytest.raises(ModelError, match=f"dropout_ratio {ratio}"):
        layer(TEXT.format(ratio))
