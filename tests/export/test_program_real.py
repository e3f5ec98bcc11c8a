"""Programs of real nets, against blobs that the original fork computed, and against our executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ristretto import api
from ristretto.execute import FloatExecutor, IntegerExecutor
from ristretto.export.base import Subject
from ristretto.formats import EXACT, HALF_EVEN, Arithmetic, FixedPoint
from ristretto.net import LayerQuant, Phase, QuantSpec
from ristretto.passes import FoldBatchNorm, QuantizeLayers
from tests.export.programs import check, compiled, needs_compiler

pytestmark = [pytest.mark.shared, pytest.mark.slow, needs_compiler]

GOLDEN = {
    "lenet_dfp": "lenet",
    "lenet_dfp_3bit": "lenet",
    "lenet_dfp_16bit": "lenet",
    "lenet_pow2": "lenet",
    "cifar10_full_dfp": "cifar10_full",
    "squeezenet_dfp": "squeezenet_v1.0",
}
NOT_THE_FORKS = {"lenet_dfp_16bit", "lenet_pow2"}
"""Where the fork rounds sums of 16-bit words, and trims no activations beside powers of two."""


def subject(shared: Path, name: str, arithmetic: Arithmetic = EXACT) -> tuple[Subject, np.ndarray]:
    """Give a net of the fork's with its pictures; beside a single one stands its mirror image."""
    model = shared / "data" / "models" / GOLDEN[name] / f"{GOLDEN[name]}.caffemodel"
    _, whole = api.load(shared / "golden" / f"{name}.prototxt", model)
    x = np.load(shared / "golden" / f"{name}.npz")["input"]
    pictures = x if len(x) > 1 else np.concatenate([x, x[..., ::-1]])
    return Subject(whole.for_phase(Phase.TEST), {"data": pictures.shape}, arithmetic=arithmetic), pictures


@pytest.mark.parametrize("name", GOLDEN)
def test_a_program_gives_the_forks_numbers(shared: Path, tmp_path: Path, name: str) -> None:
    net, pictures = subject(shared, name)
    program = compiled(net, tmp_path, "-O2")
    check(net, {"data": pictures}, program, IntegerExecutor)
    if name not in NOT_THE_FORKS:
        golden = np.load(shared / "golden" / f"{name}.npz")
        count = len(golden["input"])
        for output, result in zip(program.outputs, program({"data": pictures[:count]}), strict=True):
            maker = net.net.producer(output["blob"])
            assert maker
            np.testing.assert_array_equal(result, golden[f"{maker.name}.top0"].reshape(result.shape))


@pytest.mark.parametrize("name", ["lenet_dfp_3bit", "cifar10_full_dfp"])
def test_halves_may_go_to_even_codes(shared: Path, tmp_path: Path, name: str) -> None:
    net, pictures = subject(shared, name, HALF_EVEN)
    check(net, {"data": pictures}, compiled(net, tmp_path, "-O2"), IntegerExecutor)


@pytest.mark.parametrize("bits", [8, 13])
def test_residuals_are_added(shared: Path, tmp_path: Path, bits: int) -> None:
    """ResNet-20, its BatchNorm folded: blobs are trimmed in place for all who read them later."""
    folder = shared / "data" / "models" / "resnet20_cifar10"
    _, whole = api.load(folder / "train_val.prototxt", folder / "resnet20.caffemodel")
    net = FoldBatchNorm()(whole.for_phase(Phase.TEST))
    x = np.random.default_rng(2).normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
    (data,) = net.data_layers
    inputs = {data.tops[0]: x.shape, **{top: (2,) for top in data.tops[1:]}}
    batch = {top: x if len(shape) == 4 else np.zeros(shape, np.float32) for top, shape in inputs.items()}
    layers = [layer for layer in net if layer.op.part]
    kept = FloatExecutor(net, inputs, keep=[f"{layer.name}.top0" for layer in layers]).run(batch).kept
    largest = {layer.name: max(float(np.abs(kept[f"{layer.name}.top0"]).max()), 1.0) for layer in layers}
    formats = {
        layer.name: LayerQuant(
            FixedPoint.covering(bits, 4.0),
            FixedPoint.covering(bits, largest[layer.name]),
            FixedPoint.covering(8, max(float(np.abs(blob).max()) for blob in layer.blobs)),
        )
        for layer in layers
    }
    quantized = QuantizeLayers(QuantSpec("dynamic_fixed_point", formats))(net)
    residual = Subject(quantized, inputs)
    check(residual, batch, compiled(residual, tmp_path, "-O2"), IntegerExecutor)
