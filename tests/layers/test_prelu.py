"""PReLU against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.errors import ModelError


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("one_slope", [False, True])
def test_each_number(layer, check, rng, shape: tuple[int, ...], one_slope: bool) -> None:
    x = rng.normal(size=shape).astype(np.float32)
    slopes = rng.normal(size=() if one_slope else 3).astype(np.float32)
    wanted = x.astype(np.float64)
    for index, value in np.ndenumerate(x):
        if value < 0:
            wanted[index] *= float(slopes if one_slope else slopes[index[1]])
    text = "prelu_param { channel_shared: true }" if one_slope else ""
    check(layer(f'type: "PReLU" {text}'), [x], [wanted], [np.asarray(slopes)])


def test_one_axis_has_no_channels(layer) -> None:
    with pytest.raises(ModelError, match="1 axes"):
        layer('type: "PReLU"').infer([(3,)])
