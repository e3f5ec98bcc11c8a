"""Ranges where layers work in place: each is that of the numbers which the layer reads or makes itself."""

from __future__ import annotations

import numpy as np
import pytest

from ristretto.calibrate import Range, calibrate
from ristretto.layers import BatchNorm, Convolution, Input, ReLU, Scale
from ristretto.net import Layer, Net, Phase


def numbers(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def test_batch_norm_in_place_hides_no_range() -> None:
    """conv makes 3x, BatchNorm takes it to (3x - 6) / 2, Scale to 6 - 3x, ReLU cuts below 0; the next reads that."""
    net = Net(
        "net",
        (
            Layer("data", Input(((1, 1, 1, 3),)), tops=("data",)),
            Layer(
                "conv", Convolution(1, (1, 1), bias_term=False), ("data",), ("c",), (numbers(3).reshape(1, 1, 1, 1),)
            ),
            Layer("bn", BatchNorm(eps=0.0), ("c",), ("c",), (numbers(6), numbers(4), numbers(1))),
            Layer("scale", Scale(), ("c",), ("c",), (numbers(-2),)),
            Layer("relu", ReLU(), ("c",), ("c",)),
            Layer("next", Convolution(1, (1, 1), bias_term=False), ("c",), ("n",), (numbers(1).reshape(1, 1, 1, 1),)),
        ),
    ).for_phase(Phase.TEST)
    stats = calibrate(net, {}, [{"data": numbers(-1, 2, 5).reshape(1, 1, 1, 3)}])
    conv, after = stats.layers["conv"], stats.layers["next"]
    assert (conv.layer_out.range.min, conv.layer_out.range.max) == (-3, 15)
    assert (after.layer_in.range.min, after.layer_in.range.max) == pytest.approx((0, 9), abs=1e-5)
    assert (conv.final_out.min, conv.final_out.max) == pytest.approx((0, 9), abs=1e-5)
    assert conv.final_in == Range(-1, 5)
    assert not conv.rectified
