"""Layers of every kind in a model: for any number of pictures, among newer operations, read by OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ristretto.caffe.reader import load_weights, read_model
from ristretto.execute import FloatExecutor
from ristretto.export import Subject
from ristretto.export.onnx.dialect import Plain
from ristretto.export.onnx.model import write
from ristretto.net import Net, Phase
from ristretto.passes import InitWeights
from tests.execute.nets import nets
from tests.export.onnx_nets import net_of, run, written

MODELS = Path(__file__).resolve().parents[2] / "models"
DATA = """name: "layers"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }
"""
LAYERS = {
    "MVN": 'type: "MVN" mvn_param { across_channels: true }',
    "Reduction to a mean": 'type: "Reduction" reduction_param { operation: MEAN axis: 1 }',
    "Reduction to a sum": 'type: "Reduction" reduction_param { operation: SUM axis: 2 }',
    "Reduction of sizes": 'type: "Reduction" reduction_param { operation: ASUM axis: 1 }',
    "Reduction of squares": 'type: "Reduction" reduction_param { operation: SUMSQ axis: -1 }',
    "BatchNorm": 'type: "BatchNorm" batch_norm_param { use_global_stats: true }',
    "BatchNorm of the batch": 'type: "BatchNorm" batch_norm_param { use_global_stats: false }',
    "LRN": 'type: "LRN"',
    "LRN within channels": 'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }',
    "ArgMax": 'type: "ArgMax" argmax_param { top_k: 3 out_max_val: true }',
    "Normalize": 'type: "Normalize" norm_param { across_spatial: false }',
    "Interp": 'type: "Interp" interp_param { height: 9 width: 8 }',
    "Upsample": 'type: "Upsample" upsample_param { scale: 2 }',
    "ShuffleChannel": 'type: "ShuffleChannel" shuffle_channel_param { group: 2 }',
    "Tile": 'type: "Tile" tile_param { axis: 1 tiles: 2 }',
    "Permute": 'type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }',
    "Flatten": 'type: "Flatten"',
    "Reshape": 'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 3 } }',
    "Pooling by means": 'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }',
    "Pooling by chance": 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }',
    "PReLU": 'type: "PReLU"',
    "Scale": 'type: "Scale" scale_param { bias_term: true }',
    "Softmax": 'type: "Softmax"',
    "Deconvolution": 'type: "Deconvolution" convolution_param { num_output: 3 kernel_size: 3 stride: 2 }',
    "InnerProduct": 'type: "InnerProduct" inner_product_param { num_output: 5 }',
    "InnerProduct of rows": 'type: "InnerProduct" inner_product_param { num_output: 5 axis: 3 }',
    "Power": 'type: "Power" power_param { power: 2 scale: 0.5 shift: 1 }',
    "Threshold": 'type: "Threshold"',
}
FIXED = "Interp"
"""Its form names the whole shape of its top, the number of pictures with it."""


class Newer(Plain):
    """Float32 with the operations that words of 4 and 16 bits need."""

    opset: ClassVar[int] = 21


def one_layer(name: str) -> tuple[Net, np.ndarray]:
    net = net_of(DATA + f'layer {{ name: "it" bottom: "data" top: "it" {LAYERS[name]} }}')
    return net, np.random.default_rng(4).random((2, 4, 6, 6), np.float32) + np.float32(0.1)


@pytest.mark.parametrize("name", list(LAYERS))
@pytest.mark.parametrize("dialect", [Plain(), Newer()], ids=["opset 17", "opset 21"])
def test_a_layer_computes_the_same_in_every_opset(name: str, dialect: Plain) -> None:
    net, x = one_layer(name)
    model = write(Subject(net, {}), dialect, open_batch=True).model
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == dialect.opset
    expected = FloatExecutor(net, {}).run({"data": x}).outputs["it"]
    np.testing.assert_allclose(run(model, {"data": x})[0], expected, rtol=1e-4, atol=1e-6)


def test_a_layer_for_one_number_of_pictures_says_so() -> None:
    net, x = one_layer(FIXED)
    found = written("onnx-float", net, {})
    assert found.notes == (
        "the number of pictures is fixed: layer 'it': its Resize in ONNX is for a fixed number of pictures",
    )
    assert run(found.model, {"data": x})[0].shape == (2, 4, 9, 8)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != FIXED])
def test_a_layer_takes_any_number_of_pictures(name: str) -> None:
    net, x = one_layer(name)
    found = written("onnx-float", net, {})
    assert found.notes == ()
    x = np.concatenate([x, x[::-1] * 2, x[:1] / 2])
    expected = FloatExecutor(net, {"data": x.shape}).run({"data": x}).outputs["it"]
    (given,) = run(found.model, {"data": x})
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-6)
    (output,) = found.model.graph.output
    assert output.type.tensor_type.shape.dim[0].dim_param == "N"


@settings(max_examples=25)
@given(drawn=nets(quants=st.none()), more=st.integers(1, 4))
def test_random_nets_take_any_number_of_pictures(drawn: tuple[Net, dict[str, np.ndarray]], more: int) -> None:
    net, batch = drawn
    found = written("onnx-float", net, {})
    assert found.notes == ()
    x = np.concatenate([batch["data"]] * more)
    expected = FloatExecutor(net, {"data": x.shape}).run({"data": x}).outputs
    feeds = {"data": x} if found.model.graph.input else {}
    for blob, output in zip(found.trunk.outputs, run(found.model, feeds), strict=True):
        reach = 1e-5 * max(1.0, float(np.abs(expected[blob]).max()))
        np.testing.assert_allclose(output, expected[blob], rtol=1e-4, atol=reach, err_msg=blob)


@pytest.mark.parametrize("name", ["googlenet", "mobilenet_v1", "squeezenet_v1.1"])
def test_deploy_nets_of_the_zoo_are_open(name: str) -> None:
    net = InitWeights(seed=1)(read_model(MODELS / name / "deploy.prototxt").net.for_phase(Phase.TEST))
    found = written("onnx-float", net, {})
    assert found.notes == ()
    assert found.trunk.outputs == ("prob",)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["squeezenet_v1.0", "resnet20_cifar10"])
def test_opencv_reads_trained_nets(shared: Path, tmp_path: Path, name: str) -> None:
    folder = shared / "data" / "models" / name
    (weights,) = folder.glob("*.caffemodel")
    net = load_weights(read_model(folder / "train_val.prototxt").net, weights).for_phase(Phase.TEST)
    pictures, labels = net.data_layers[0].tops
    shape = (1, 3, 227, 227) if "squeeze" in name else (1, 3, 32, 32)
    inputs = {pictures: shape, labels: (1,)}
    x = np.random.default_rng(2).normal(0, 50, shape).astype(np.float32)
    found = written("onnx-float", net, inputs, batch=1)
    file = tmp_path / "net.onnx"
    onnx.save(found.model, file)
    theirs = cv2.dnn.readNetFromONNX(str(file))
    theirs.setInput(x, pictures)
    (blob,) = found.trunk.outputs
    keep = net.version(blob)
    batch = {pictures: x, labels: np.zeros(1, np.float32)}
    expected = FloatExecutor(net, inputs, keep=[keep]).run(batch).kept[keep]
    reach = 1e-4 * float(np.abs(expected).max())
    np.testing.assert_allclose(theirs.forward(), expected, rtol=1e-4, atol=reach)
