from __future__ import annotations

import numpy as np
import pytest

TEXT = 'name: "l" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "l"'


@pytest.mark.parametrize("targets", [(3, 2, 4), (3, 8)])
def test_loss_is_half_the_mean_squared_distance(layer, check, rng, targets) -> None:
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 2, 4), targets))
    total = sum((float(x) - float(y)) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True))
    op = layer(TEXT)
    check(op, [a, b], [np.array(total / 6)], onnx_form=False)
    assert op.higher_is_better is False
    assert op.bottom_counts() == (2, 2)


@pytest.mark.parametrize("targets", [(4, 6), (3, 9)])
def test_misfits_are_named(layer, misfit, targets) -> None:
    misfit(layer(TEXT), [(3, 8), targets], "do not fit")
