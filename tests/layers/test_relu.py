"""ReLU against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.layers import ReLU

TEXT = 'type: "ReLU" relu_param {{ negative_slope: {} }}'


@pytest.mark.parametrize("slope", [0, 0.1, -0.5, 2])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4), (1,)])
def test_negative_numbers_become_small(layer, check, rng, slope, shape) -> None:
    op = layer(TEXT.format(slope))
    x = rng.standard_normal(shape).astype(np.float32)
    x.flat[0] = 0
    wanted = np.array([v if v > 0 else float(np.float32(slope)) * v for v in x.astype(np.float64).flat]).reshape(shape)
    check(op, [x], [wanted])
    assert op.rectifies is (slope == 0)


def test_without_settings_there_is_no_slope(layer) -> None:
    assert layer('type: "ReLU"') == ReLU(negative_slope=0.0)


def test_nan_stays_to_be_seen(layer) -> None:
    for op in (ReLU(), ReLU(0.5)):
        assert np.isnan(op.forward([np.float32([np.nan])], [])[0]).all()
