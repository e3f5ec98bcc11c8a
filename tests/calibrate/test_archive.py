"""What calibration saw, put away and taken out again."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from ristretto.calibrate import CalibrationStats, Distribution, calibrate, from_arrays, to_arrays
from ristretto.layers import Accuracy, Convolution, InnerProduct, Input, ReLU
from ristretto.net import Layer, Net, Phase


@pytest.fixture(scope="module")
def net() -> Net:
    """Two layers read what a third makes; names need not be fit for files."""
    rng = np.random.default_rng(1)

    def blobs(*shape: int) -> tuple[np.ndarray, ...]:
        return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[:1]).astype(np.float32)

    layers = (
        Layer("data", Input(((4, 1, 3, 3), (4,))), (), ("data", "label")),
        Layer("../a b\\ü", Convolution(2, (1, 1)), ("data",), ("a",), blobs(2, 1, 1, 1)),
        Layer("relu", ReLU(), ("a",), ("a",)),
        Layer("ip1", InnerProduct(3), ("a",), ("b",), blobs(3, 18)),
        Layer("ip2", InnerProduct(3), ("a",), ("c",), blobs(3, 18)),
        Layer("accuracy", Accuracy(), ("b", "label"), ("accuracy",)),
    )
    return Net("net", layers).for_phase(Phase.TEST)


@pytest.fixture(scope="module")
def stats(net: Net) -> CalibrationStats:
    rng = np.random.default_rng(2)
    batches = [
        {"data": rng.normal(size=(4, 1, 3, 3)).astype(np.float32), "label": rng.integers(0, 3, 4)} for _ in range(3)
    ]
    return calibrate(net, {}, batches, source="made up")


def test_all_of_it_comes_back(net: Net, stats: CalibrationStats) -> None:
    arrays = to_arrays(stats)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    found = from_arrays(arrays, net, "made up")
    assert (found.batches, found.source, list(found.layers)) == (3, "made up", list(stats.layers))
    compared = 0
    for name, before in stats.layers.items():
        after = found.layers[name]
        assert after.layer is net[name]
        for field in fields(before):
            one, other = getattr(before, field.name), getattr(after, field.name)
            if isinstance(one, np.ndarray):
                assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
            elif isinstance(one, Distribution):
                assert (one.range, one.step, one.counts.tobytes()) == (other.range, other.step, other.counts.tobytes())
            else:
                assert one == other or one is other
                assert type(one) is type(other)
            compared += 1
    assert compared == 3 * 10
    assert {layer.rectified for layer in found.layers.values()} == {True, False}
    assert {layer.ranked for layer in found.layers.values()} == {True, False}


def test_a_blob_that_several_layers_read_is_kept_once(stats: CalibrationStats) -> None:
    counts = [name for name in to_arrays(stats) if name.startswith("counts")]
    # The data; `a` as the convolution makes it and as the others read it; `b`, `c`.
    assert len(counts) == 5
