"""Layers against OpenCV's own reader and executor of Caffe nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.reader import read_model
from ristretto.execute import FloatExecutor, IntegerExecutor, SimulateExecutor
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Net, Phase

Blobs = Mapping[str, Sequence[np.ndarray]]
INPUT = 'layer {{ name: "{0}" type: "Input" top: "{0}" input_param {{ shape {{ dim: {1} }} }} }}\n'


class Pair:
    """One net in both programs.

    Parameters
    ----------
    folder : Path
        Where its prototxt goes.
    inputs : mapping of str to array
        Its input blobs; their shapes are those of the net's Input layers.
    text : str
        The layers behind the Input layers.
    rng : Generator
        Gives the weights.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, np.ndarray], text: str, rng: np.random.Generator) -> None:
        self.inputs = inputs
        heads = [INPUT.format(name, list(array.shape)) for name, array in inputs.items()]
        path = folder / "net.prototxt"
        path.write_text("".join([*heads, text]))
        net = read_model(path).net.for_phase(Phase.TEST)
        shapes = net.shapes({})
        layers = []
        for layer in net:
            wanted = () if layer.op.is_data else layer.op.blob_shapes(net.bottom_shapes(layer, shapes))
            layers.append(replace(layer, blobs=tuple(rng.normal(0, 1, s).astype(np.float32) for s in wanted)))
        self.net = Net("net", tuple(layers), net.state)
        self.theirs = cv2.dnn.readNetFromCaffe(
            np.frombuffer(path.read_bytes(), np.uint8), np.frombuffer(encode_weights(self.net), np.uint8)
        )

    def ours(self, blob: str) -> np.ndarray:
        return FloatExecutor(self.net, {}).run(self.inputs).outputs[blob]

    def opencvs(self, layer: str) -> np.ndarray:
        for name, array in self.inputs.items():
            self.theirs.setInput(array, name)
        return self.theirs.forward(layer)

    def hold(self, top: str, rtol: float = 1e-4, atol: float = 1e-5) -> None:
        """Compare the top of the layer of that name."""
        np.testing.assert_allclose(self.ours(top), self.opencvs(top), rtol=rtol, atol=atol)


@pytest.fixture
def pair(tmp_path: Path, rng: np.random.Generator):
    """From input shapes and a text to a net in both programs."""

    def make(text: str, **shapes: tuple[int, ...]) -> Pair:
        return Pair(
            tmp_path, {name: rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}, text, rng
        )

    return make


@pytest.mark.parametrize(
    "settings",
    [
        "num_output: 6 kernel_size: 3",
        "num_output: 6 kernel_size: 4 stride: 2 pad: 1",
        "num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 2",
        "num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 4 bias_term: false",
        "num_output: 6 kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 2 pad_h: 0 pad_w: 1",
    ],
)
def test_deconvolution(pair, settings) -> None:
    """Without dilation, which OpenCV does not know here."""
    text = 'layer {{ name: "y" type: "Deconvolution" bottom: "x" top: "y" convolution_param {{ {} }} }}'
    pair(text.format(settings), x=(2, 4, 5, 6)).hold("y")


@pytest.mark.parametrize("kind", ["DepthwiseConvolution", "ConvolutionDepthwise"])
def test_depthwise_convolution(pair, kind, rng, tmp_path) -> None:
    """OpenCV knows neither name: it gets the same weights under Convolution's."""
    text = 'layer {{ name: "y" type: "{}" bottom: "x" top: "y" convolution_param {{ {} }} }}'
    settings = "num_output: 4 kernel_size: 3 stride: 2 pad: 1"
    theirs = pair(text.format("Convolution", f"{settings} group: 4"), x=(2, 4, 7, 6))
    path = tmp_path / "other.prototxt"
    path.write_text(INPUT.format("x", [2, 4, 7, 6]) + text.format(kind, settings))
    net = read_model(path).net.for_phase(Phase.TEST)
    layers = tuple(replace(layer, blobs=theirs.net[layer.name].blobs) for layer in net)
    ours = FloatExecutor(replace(net, layers=layers), {}).run(theirs.inputs).outputs["y"]
    np.testing.assert_allclose(ours, theirs.opencvs("y"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0)])
def test_permute(pair, order) -> None:
    settings = " ".join(f"order: {axis}" for axis in order)
    text = f'layer {{ name: "y" type: "Permute" bottom: "x" top: "y" permute_param {{ {settings} }} }}'
    pair(text, x=(2, 3, 4, 5)).hold("y", rtol=0, atol=0)


@pytest.mark.parametrize(("across", "one"), [("true", "true"), ("false", "true"), ("false", "false")])
def test_normalize(pair, across, one) -> None:
    """OpenCV takes no scale for each channel where the whole picture has one length."""
    settings = f"across_spatial: {across} channel_shared: {one}"
    text = f'layer {{ name: "y" type: "Normalize" bottom: "x" top: "y" norm_param {{ {settings} }} }}'
    pair(text, x=(2, 3, 4, 5)).hold("y")


def test_shuffle_channel(pair) -> None:
    text = 'layer { name: "y" type: "ShuffleChannel" bottom: "x" top: "y" shuffle_channel_param { group: 3 } }'
    pair(text, x=(2, 6, 4, 5)).hold("y", rtol=0, atol=0)


@pytest.mark.parametrize("settings", ["height: 9 width: 8", "zoom_factor: 3", "height: 3 width: 2"])
def test_interp(pair, settings) -> None:
    text = f'layer {{ name: "y" type: "Interp" bottom: "x" top: "y" interp_param {{ {settings} }} }}'
    pair(text, x=(2, 3, 5, 6)).hold("y")


@pytest.mark.parametrize(
    "settings",
    [
        "min_size: 20 clip: false variance: 0.1",
        "min_size: 20 max_size: 45 aspect_ratio: 2 aspect_ratio: 3 flip: true clip: true",
        "min_size: 20 aspect_ratio: 2 flip: false clip: false offset: 0.25 step: 16",
        "min_size: 30 max_size: 60 aspect_ratio: 2 clip: false step_h: 8 step_w: 12 offset: 0.5",
    ],
)
def test_prior_box(pair, settings) -> None:
    """OpenCV has other defaults than Caffe, and takes the picture's size from the picture alone."""
    variance = "" if "variance" in settings else "variance: [0.1, 0.1, 0.2, 0.2]"
    text = 'layer {{ name: "y" type: "PriorBox" bottom: "x" bottom: "data" top: "y" prior_box_param {{ {} {} }} }}'
    pair(text.format(settings, variance), x=(1, 3, 5, 6), data=(1, 3, 100, 120)).hold("y", rtol=1e-5, atol=1e-6)


SSD = """
layer {{ name: "priors" type: "PriorBox" bottom: "map" bottom: "data" top: "priors" prior_box_param {{
  min_size: 30 max_size: 60 aspect_ratio: 2 flip: true clip: false variance: [0.1, 0.1, 0.2, 0.2] }} }}
layer {{ name: "y" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "priors" top: "y"
  detection_output_param {{ num_classes: 3 share_location: {} background_label_id: {} {} }} }}
"""


@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize(
    ("shared_location", "background", "settings"),
    [
        (True, 0, "code_type: CENTER_SIZE nms_param { nms_threshold: 0.45 top_k: 40 } keep_top_k: 20"),
        (True, 0, "code_type: CENTER_SIZE nms_param { nms_threshold: 0.2 } keep_top_k: 200 confidence_threshold: 0.1"),
        (True, 0, "code_type: CORNER nms_param { nms_threshold: 0.3 top_k: 15 } keep_top_k: 12"),
        (False, 0, "code_type: CENTER_SIZE nms_param { nms_threshold: 0.45 } keep_top_k: 40"),
        (True, 2, "code_type: CENTER_SIZE nms_param { nms_threshold: 0.45 } keep_top_k: 40"),
    ],
)
def test_detection_output(pair, rng, shared_location, background, settings, pictures) -> None:
    priors = 4 * 5 * 4
    both = pair(
        SSD.format(str(shared_location).lower(), background, settings),
        loc=(pictures, priors * (1 if shared_location else 3) * 4),
        conf=(pictures, priors * 3),
        map=(pictures, 8, 4, 5),
        data=(pictures, 3, 100, 120),
    )
    # All different, and above 0, as probabilities are.
    scores = both.inputs["conf"]
    scores[:] = ((1 + rng.permutation(scores.size)) / scores.size).reshape(scores.shape)
    hold_detections(both, "y")


def hold_detections(both: Pair, top: str) -> None:
    """Compare detections, without the rows that are left over: OpenCV has zeros there."""
    ours, theirs = both.ours(top)[0, 0], both.opencvs(top)[0, 0]
    found, theirs = ours[ours[:, 0] >= 0], theirs[theirs[:, 2] > 0]
    assert 10 < len(found) <= len(ours)

    def in_order(rows: np.ndarray) -> np.ndarray:
        return rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))]

    np.testing.assert_array_equal(found, in_order(found))
    np.testing.assert_allclose(found, in_order(theirs), rtol=1e-4, atol=1e-5)


WHOLE_SSD = """
layer { name: "base" type: "Convolution" bottom: "data" top: "base"
  convolution_param { num_output: 8 kernel_size: 3 stride: 4 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "base" top: "base" }
layer { name: "norm" type: "Normalize" bottom: "base" top: "norm"
  norm_param { across_spatial: false channel_shared: false } }
layer { name: "loc" type: "Convolution" bottom: "norm" top: "loc" convolution_param { num_output: 16 kernel_size: 1 } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm" permute_param { order: [0, 2, 3, 1] } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" flatten_param { axis: 1 } }
layer { name: "conf" type: "Convolution" bottom: "norm" top: "conf"
  convolution_param { num_output: 12 kernel_size: 3 pad: 1 } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm" permute_param { order: [0, 2, 3, 1] } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_perm" top: "conf_flat" flatten_param { axis: 1 } }
layer { name: "conf_rows" type: "Reshape" bottom: "conf_flat" top: "conf_rows"
  reshape_param { shape { dim: [0, -1, 3] } } }
layer { name: "prob" type: "Softmax" bottom: "conf_rows" top: "prob" softmax_param { axis: 2 } }
layer { name: "prob_flat" type: "Flatten" bottom: "prob" top: "prob_flat" flatten_param { axis: 1 } }
layer { name: "priors" type: "PriorBox" bottom: "norm" bottom: "data" top: "priors" prior_box_param {
  min_size: 10 max_size: 18 aspect_ratio: 2 flip: true clip: false variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "found" type: "DetectionOutput" bottom: "loc_flat" bottom: "prob_flat" bottom: "priors" top: "found"
  detection_output_param { num_classes: 3 share_location: true background_label_id: 0 code_type: CENTER_SIZE
    nms_param { nms_threshold: 0.45 top_k: 60 } keep_top_k: 30 confidence_threshold: 0.2 } }
"""


def test_a_whole_detector(pair) -> None:
    hold_detections(pair(WHOLE_SSD, data=(2, 3, 32, 40)), "found")


def test_a_quantized_detector_gives_the_same_detections_in_codes(pair) -> None:
    both = pair(WHOLE_SSD, data=(2, 3, 32, 40))
    formats = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(8, 5))
    layers = tuple(replace(layer, quant=formats if layer.op.part else None) for layer in both.net)
    net = replace(both.net, layers=layers)
    simulated, computed = (ex(net, {}).run(both.inputs).outputs["found"] for ex in (SimulateExecutor, IntegerExecutor))
    np.testing.assert_array_equal(computed, simulated)
    assert (computed[0, 0, :, 0] >= 0).sum() > 10
    assert not np.array_equal(computed, both.ours("found"))


WHOLE = (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("kind", "settings", "shapes"),
    [
        ("BatchNorm", "", [WHOLE]),
        ("Scale", "scale_param { bias_term: true }", [WHOLE]),
        ("Scale", "scale_param { axis: 0 }", [WHOLE, (2, 3)]),
        ("PReLU", "", [WHOLE]),
        ("ELU", "elu_param { alpha: 0.5 }", [WHOLE]),
        ("Sigmoid", "", [WHOLE]),
        ("TanH", "", [WHOLE]),
        ("AbsVal", "", [WHOLE]),
        ("BNLL", "", [WHOLE]),
        ("Swish", "", [WHOLE]),
        ("ReLU6", "", [WHOLE]),
        ("Power", "power_param { power: 2 scale: 0.5 shift: 1 }", [WHOLE]),
        ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }", [WHOLE]),
        ("Eltwise", "", [WHOLE, WHOLE]),
        ("Eltwise", "eltwise_param { operation: PROD }", [WHOLE, WHOLE, WHOLE]),
        ("Eltwise", "eltwise_param { operation: MAX }", [WHOLE, WHOLE]),
        ("Eltwise", "eltwise_param { coeff: 1 coeff: -0.5 }", [WHOLE, WHOLE]),
        ("Flatten", "", [WHOLE]),
        ("Flatten", "flatten_param { axis: 1 end_axis: 2 }", [WHOLE]),
        ("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }", [WHOLE]),
        ("Reshape", "reshape_param { shape { dim: 6 dim: 2 } axis: 1 num_axes: 2 }", [WHOLE]),
        ("Crop", "crop_param { axis: 2 offset: 1 offset: 2 }", [(2, 3, 6, 7), WHOLE]),
        ("Crop", "crop_param { axis: 1 offset: 1 }", [(2, 4, 6, 7), WHOLE]),
        ("MVN", "", [WHOLE]),
        ("MVN", "mvn_param { across_channels: true }", [WHOLE]),
        ("MVN", "mvn_param { normalize_variance: false }", [WHOLE]),
        ("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", [WHOLE]),
        ("Softmax", "softmax_param { axis: 2 }", [WHOLE]),
        ("Split", "", [WHOLE]),
    ],
)
def test_layers_of_caffe(pair, kind, settings, shapes) -> None:
    """Those that OpenCV knows. It has no Bias, Clip, Threshold, ArgMax, Reduction, Embed, and another Tile."""
    inputs = {f"x{i}": shape for i, shape in enumerate(shapes)}
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    pair(f'layer {{ name: "y" type: "{kind}" {bottoms} top: "y" {settings} }}', **inputs).hold("y")


@pytest.mark.parametrize("settings", ["slice_point: 1", "axis: 2 slice_point: 3", "axis: -1 slice_point: 2"])
def test_slice(pair, settings) -> None:
    """With points: without them OpenCV cuts as many pieces as have a reader."""
    text = f'layer {{ name: "y" type: "Slice" bottom: "x" top: "y" top: "z" slice_param {{ {settings} }} }}'
    both = pair(text, x=(2, 4, 4, 5))
    both.theirs.setInput(both.inputs["x"], "x")
    for top, theirs in zip(("y", "z"), both.theirs.forwardAndRetrieve(["y"])[0], strict=True):
        np.testing.assert_array_equal(both.ours(top), theirs)
