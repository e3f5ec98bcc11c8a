"""Blobs that a CPU build of the original fork computed, against our executors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from ristretto import api
from ristretto.execute import IntegerExecutor, SimulateExecutor
from ristretto.execute.executor import Executor
from ristretto.formats import EMULATIONS, EXACT, Arithmetic, FixedPoint
from ristretto.net import Phase

BIT_FOR_BIT = {
    "lenet_dfp": "lenet",
    "lenet_dfp_3bit": "lenet",
    "cifar10_full_dfp": "cifar10_full",
    "squeezenet_dfp": "squeezenet_v1.0",
}
OFF_WITH_16_BITS = {
    "data.top0": 0,
    "conv1.top0": 11,
    "pool1.top0": 1,
    "conv2.top0": 11,
    "pool2.top0": 4,
    "ip1.top0": 24,
    "relu1.top0": 11,
    "ip2.top0": 2,
}
"""How many numbers of each blob differ, of 46,080 of conv1 to 40 of ip2: the golden blobs do not change, nor do we."""
EXECUTORS = (IntegerExecutor, SimulateExecutor)


def compute(
    shared: Path, name: str, weights: str, kind: type[Executor], arithmetic: Arithmetic = EXACT
) -> tuple[dict[str, np.ndarray], ...]:
    """Give the fork's blobs and ours, by LAYER.topK, in the net's order."""
    golden = dict(np.load(shared / "golden" / f"{name}.npz"))
    batch = golden.pop("input")
    model = shared / "data" / "models" / weights / f"{weights}.caffemodel"
    _, whole = api.load(shared / "golden" / f"{name}.prototxt", model)
    net = whole.for_phase(Phase.TEST)
    (layer,) = net.data_layers
    run = kind(net, {layer.tops[0]: batch.shape}, keep=golden, arithmetic=arithmetic).run({layer.tops[0]: batch})
    assert set(run.kept) == set(golden)
    return golden, {key: run.kept[key] for key in golden}


@pytest.mark.shared
@pytest.mark.parametrize("kind", EXECUTORS)
@pytest.mark.parametrize(("name", "weights"), BIT_FOR_BIT.items())
def test_every_blob_is_the_forks_bit_for_bit(shared: Path, name: str, weights: str, kind: type[Executor]) -> None:
    golden, ours = compute(shared, name, weights, kind)
    assert {key: int((ours[key] != value).sum()) for key, value in golden.items()} == dict.fromkeys(golden, 0)


@pytest.mark.shared
@pytest.mark.parametrize("kind", EXECUTORS)
def test_with_16_bits_every_blob_is_the_forks_up_to_its_own_rounding(shared: Path, kind: type[Executor]) -> None:
    """The fork's float32 sums of 16-bit products are rounded; ours are exact.

    Few outputs are off at all, each by one code.
    """
    golden, ours = compute(shared, "lenet_dfp_16bit", "lenet", kind)
    net = api.load(shared / "golden" / "lenet_dfp_16bit.prototxt")[1]
    quants = {layer.name: layer.quant for layer in net}
    off = {key: int((ours[key] != value).sum()) for key, value in golden.items()}
    assert off == OFF_WITH_16_BITS
    for key, value in golden.items():
        quant = quants[key.split(".")[0]]
        if quant is not None:
            assert isinstance(quant.layer_out, FixedPoint)
            assert np.abs(ours[key] - value).max() <= 2.0**-quant.layer_out.fl


@pytest.mark.shared
@pytest.mark.parametrize("kind", EXECUTORS)
@pytest.mark.parametrize(("name", "near"), [("lenet_pow2", 2e-5), ("lenet_dfp_16bit", 2.0**-10)])
def test_emulation_adds_up_floats_as_the_fork_does(shared: Path, name: str, near: float, kind: type[Executor]) -> None:
    """Sums that float32 rounds depend on their order, which the fork's BLAS chose and `layers/sums.py` repeats.

    The first layer of the power-of-two net reads pixels of 8 bits: its sums are exact in any order. For the others
    numpy's BLAS must add up a block as the fork's did; its kernels for AVX-512 do.
    """
    golden, ours = compute(shared, name, "lenet", kind, EMULATIONS["fork-cpu"])
    # What the BLAS runs, not what the processor could: OPENBLAS_CORETYPE may ask for other kernels.
    kernels = {library.get("architecture") for library in threadpool_info() if library["user_api"] == "blas"}
    exact = set(golden) if kernels <= {"SkylakeX", "Cooperlake", "SapphireRapids"} else {"data.top0"}
    if name == "lenet_pow2":
        exact |= {"conv1.top0", "pool1.top0"}
    for key, value in golden.items():
        np.testing.assert_allclose(ours[key], value, atol=near, err_msg=key)
    assert {key: int((ours[key] != golden[key]).sum()) for key in exact} == dict.fromkeys(exact, 0)
