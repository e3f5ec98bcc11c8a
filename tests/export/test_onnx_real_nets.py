"""Trained nets: onnxruntime within one code of ours in every layer, `qonnx` the same where sums are exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ristretto.api.feeding import open_test
from ristretto.api.watch import Silent
from ristretto.caffe.reader import load_weights, read_model
from ristretto.export.onnx.runners import in_onnxruntime
from ristretto.formats import HALF_EVEN
from ristretto.net import Net
from ristretto.passes import FoldBatchNorm
from tests.export.onnx_nets import QONNX, compared, condensed, hold_explained

NETS = [
    ("squeezenet_v1.0", (8, 8, 8), 1),
    ("cifar10_full", (8, 8, 8), 4),
    ("cifar10_full", (4, 4, 8), 4),
    ("cifar10_full", (16, 16, 16), 4),
    ("resnet20_cifar10", (8, 8, 8), 2),
]


def quantized(shared: Path, name: str, widths: tuple[int, int, int], count: int) -> tuple[Net, dict[str, np.ndarray]]:
    """Give a net with BatchNorm folded, in formats that cover its first pictures, and these."""
    folder = shared / "data" / "models" / name
    (weights,) = folder.glob("*.caffemodel")
    read = read_model(folder / "train_val.prototxt")
    net, source = open_test(read, load_weights(read.net, weights), Silent())
    batch = {blob: array[:count] for blob, array in next(iter(source.batches(1))).items()}
    net = FoldBatchNorm()(net)
    return condensed(net, batch, *widths), batch


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(("name", "widths", "count"), NETS)
def test_every_layer_is_within_one_code(shared: Path, name: str, widths: tuple[int, int, int], count: int) -> None:
    net, batch = quantized(shared, name, widths, count)
    short = max(widths) <= 8
    for runner in (in_onnxruntime(), in_onnxruntime(optimized=True)):
        comparison = compared("onnx", net, batch, runner)
        hold_explained(comparison)
        assert len(comparison.places) == 2 * sum(layer.quant is not None for layer in net)
        assert any(place.ties for place in comparison.places)
        assert short or any(place.sums for place in comparison.places)
    comparison = compared("qonnx", net, batch, QONNX)
    hold_explained(comparison)
    if short:
        assert not any(place.off_by_one for place in comparison.places)
        assert not any(output.differ for output in comparison.outputs)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet_v1.0", "cifar10_full", "resnet20_cifar10"])
def test_with_halves_to_even_a_whole_run_gives_our_scores(shared: Path, name: str) -> None:
    """Of SqueezeNet the means at its end are float32, in another order."""
    net, batch = quantized(shared, name, (8, 8, 8), 1)
    comparison = compared("onnx", net, batch, in_onnxruntime(optimized=True), HALF_EVEN)
    assert not any(place.off_by_one or place.further for place in comparison.places)
    (output,) = comparison.outputs
    assert output.largest < 1e-4
    assert output.other_class == 0
