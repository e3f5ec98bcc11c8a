"""Writing a folded net: its text is the source's without the layers that were folded, and OpenCV reads it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ristretto.caffe.caffemodel import encode_weights
from ristretto.caffe.prototxt import LayerEdit, encode, parse, scan
from ristretto.caffe.reader import Model, load_weights, read_model
from ristretto.caffe.writer import rewritten_text
from ristretto.errors import PrototxtError
from ristretto.execute import FloatExecutor
from ristretto.formats import FixedPoint
from ristretto.layers import BatchNorm
from ristretto.net import LayerQuant, Net, Phase, QuantSpec
from ristretto.passes import FoldBatchNorm, QuantizeLayers

BEFORE = """\
name: "chains"  # one of each
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } }
}

# in place, without a bias
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param {
    bias_term: false  # BatchNorm has one
    num_output: 6
    kernel_size: 3
  }
}
layer {
  name: "bn1"
  type: "BatchNorm"
  bottom: "conv1"
  top: "conv1"
  param { lr_mult: 0 }
  batch_norm_param { use_global_stats: true }
} # bn1
layer {
  name: "scale1"
  type: "Scale"
  bottom: "conv1"
  top: "conv1"
  scale_param { bias_term: true }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: 'its ' '"2"' convolution_param { num_output: 6
  kernel_size: 3 pad: 1 group: 2 } }layer { name: "bn2" type: "BatchNorm" bottom: "its \\"2\\"" top: "bn2" }layer {
  name: "sum" type: "Eltwise" bottom: "bn2" bottom: "conv1" top: "sum" }
layer {
  name: "up"
  type: "Deconvolution"
  bottom: "sum"
  top: ["up"]
  unknown_field: 3
  convolution_param { num_output: 4 kernel_size: 2 stride: 2 group: 2 }
}
layer {
  name: "scale3"
  type: "Scale"
  bottom: "up"
  top: "b\\\\n\\"3\\""
}
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "b\\\\n\\"3\\""
  top: "ip"
  inner_product_param { num_output: 5 bias_term: 0 }
}
layer {
  name: "bias4"
  type: "Bias"
  bottom: "ip"
  top: "out"
}
"""

AFTER = """\
name: "chains"  # one of each
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } }
}

# in place, without a bias
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param {
    bias_term: true  # BatchNorm has one
    num_output: 6
    kernel_size: 3
  }
}
 # bn1
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: 'bn2'  convolution_param { num_output: 6
  kernel_size: 3 pad: 1 group: 2 } } layer {
  name: "sum" type: "Eltwise" bottom: "bn2" bottom: "conv1" top: "sum" }
layer {
  name: "up"
  type: "Deconvolution"
  bottom: "sum"
  top: ["b\\\\n\\"3\\""]
  unknown_field: 3
  convolution_param { num_output: 4 kernel_size: 2 stride: 2 group: 2 }
}
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "b\\\\n\\"3\\""
  top: "out"
  inner_product_param { num_output: 5 bias_term: true }
}
"""


def with_weights(net: Net) -> Net:
    """The net with random weights that make sense, found by its TEST phase."""
    test = net.for_phase(Phase.TEST)
    shapes, rng, blobs = test.shapes({}), np.random.default_rng(3), {}
    for layer in test:
        wanted = () if layer.op.is_data else layer.op.blob_shapes(test.bottom_shapes(layer, shapes))
        drawn = [rng.normal(0, 1, shape).astype(np.float32) for shape in wanted]
        if isinstance(layer.op, BatchNorm):
            drawn[1:] = [np.abs(drawn[1]) + np.float32(0.2), np.float32([2.5])]
        blobs[layer.name] = tuple(drawn)
    return Net(net.name, tuple(layer.__class__(**{**vars(layer), "blobs": blobs[layer.name]}) for layer in net))


def read(folder: Path, text: str, name: str = "net.prototxt") -> Model:
    (folder / name).write_bytes(encode(text))
    return read_model(folder / name)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return read(tmp_path, BEFORE)


def test_the_folded_text(model: Model, tmp_path: Path) -> None:
    before = with_weights(model.net)
    after = FoldBatchNorm()(before)
    text = rewritten_text(model.prototxt, model.net, after)
    assert text == AFTER
    again = read(tmp_path, text, "folded.prototxt")
    assert [(layer.name, layer.op, layer.bottoms, layer.tops) for layer in again.net] == [
        (layer.name, layer.op, layer.bottoms, layer.tops) for layer in after
    ]
    assert rewritten_text(again.prototxt, again.net, again.net) is again.prototxt.text


def test_the_folded_files_compute_the_same_here(model: Model, tmp_path: Path) -> None:
    before = with_weights(model.net)
    after = FoldBatchNorm()(before)
    again = read(tmp_path, rewritten_text(model.prototxt, model.net, after), "folded.prototxt").net
    (tmp_path / "folded.caffemodel").write_bytes(encode_weights(after))
    loaded = load_weights(again, tmp_path / "folded.caffemodel")
    batch = {"data": np.random.default_rng(4).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)}
    wanted, got = (FloatExecutor(net.for_phase(Phase.TEST), {}).run(batch).outputs["out"] for net in (before, loaded))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_a_folded_net_is_quantized_in_the_same_text(model: Model, tmp_path: Path) -> None:
    eight = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(8, 7))
    spec = QuantSpec("dynamic_fixed_point", dict.fromkeys(("conv1", "ip"), eight))
    after = QuantizeLayers(spec)(FoldBatchNorm()(with_weights(model.net)))
    text = rewritten_text(model.prototxt, model.net, after)
    again = read(tmp_path, text, "quantized.prototxt")
    assert [(layer.name, layer.type, layer.quant, layer.tops) for layer in again.net] == [
        (layer.name, layer.type, layer.quant, layer.tops) for layer in after
    ]
    blocks = text.split("quantization_param")
    assert len(blocks) == 3
    source = read(tmp_path, AFTER, "folded.prototxt")
    assert rewritten_text(source.prototxt, source.net, QuantizeLayers(spec)(source.net)) == text


def test_a_depthwise_convolution_gets_its_bias_and_its_groups(tmp_path: Path) -> None:
    text = BEFORE.replace('type: "Convolution"\n', 'type: "DepthwiseConvolution"\n').replace(
        "num_output: 6", "num_output: 3"
    )
    model = read(tmp_path, text[: text.index('layer { name: "conv2"')])
    eight = LayerQuant(FixedPoint(8, 4), FixedPoint(8, 3), FixedPoint(8, 7))
    folded = FoldBatchNorm()(with_weights(model.net))
    after = QuantizeLayers(QuantSpec("dynamic_fixed_point", {"conv1": eight}))(folded)
    written = rewritten_text(model.prototxt, model.net, after)
    again = read(tmp_path, written, "quantized.prototxt").net["conv1"]
    assert (again.type, again.op.group, again.op.bias_term) == ("ConvolutionRistretto", 3, True)
    assert "bias_term: true  # BatchNorm has one" in written


# OpenCV wants plain spelling: no text in pieces, no list, no unknown fields.
PLAIN = (
    BEFORE.replace("'its ' '\"2\"'", '"conv2"').replace('"its \\"2\\""', '"conv2"')
    .replace('["up"]', '"up"').replace("  unknown_field: 3\n", "").replace('b\\\\n\\"3\\"', "scale3")
    .replace("bias_term: 0", "bias_term: false")
)  # fmt: skip


@pytest.mark.parametrize("folded", [False, True])
def test_opencv_reads_it_and_agrees(tmp_path: Path, folded: bool) -> None:
    # OpenCV knows no Bias; without it the inner product is the last layer.
    model = read(tmp_path, PLAIN[: PLAIN.index('layer {\n  name: "bias4"')])
    before = with_weights(model.net)
    net = FoldBatchNorm()(before) if folded else before
    assert len(net.layers) == (7 if folded else 11)
    prototxt = encode(rewritten_text(model.prototxt, model.net, net))
    theirs = cv2.dnn.readNetFromCaffe(np.frombuffer(prototxt, np.uint8), np.frombuffer(encode_weights(net), np.uint8))
    # Its own folding goes wrong where the convolution has no bias (seen in 4.x).
    theirs.enableFusion(False)
    batch = {"data": np.random.default_rng(4).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)}
    theirs.setInput(batch["data"], "data")
    ours = FloatExecutor(before.for_phase(Phase.TEST), {}).run(batch).outputs["ip"]
    np.testing.assert_allclose(theirs.forward("ip"), ours, rtol=1e-4, atol=1e-4 * np.abs(ours).max())


AWAY = {
    "the whole of a line": ('layer { type: "A" }\nlayer { type: "B" }\nlayer{}\n', 'layer { type: "A" }\nlayer{}\n'),
    "several lines, CRLF": ('layer {}\r\n\tlayer {\r\n type: "B"\r\n\t}  \r\nlayer {}', "layer {}\r\nlayer {}"),
    "between others": ('layer {} layer { type: "B" }; layer {}', "layer {} layer {}"),
    "without a space": ('layer{}layer{type:"B"}layer{}', "layer{} layer{}"),
    "the end of the file": ('layer{}\nlayer{type:"B"}', "layer{}\n"),
    "the end of a line and of the file": ("layer{}layer{}", "layer{}"),
    "no comment behind it": ("layer{}\nlayer<># B\nlayer{}", "layer{}\n# B\nlayer{}"),
    "not a field of the net": ('layer{} layer{} name: "n"', 'layer{} name: "n"'),
}


@pytest.mark.parametrize("name", AWAY)
def test_a_layer_is_taken_away(name: str) -> None:
    before, after = AWAY[name]
    assert scan(before, "net").rewrite({1: None}) == after
    parse(after, "net")


def test_several_layers_are_taken_away_beside_edits() -> None:
    text = 'layer{type:"A"}layer{type:"B" top:"b"}layer{type:"C"}layer{type:"D"top:"x"top:["y","z"]}'
    edits = {0: None, 1: LayerEdit("B", None, tops=("c",)), 2: None, 3: LayerEdit("D", None, tops=("x", "e\n", "f'"))}
    # The gap that the third leaves keeps two words apart.
    assert scan(text, "net").rewrite(edits) == 'layer{type:"B" top:"c"} layer{type:"D"top:"x"top:["e\\012","f\'"]}'


def test_a_layer_in_a_list_is_not_taken_away() -> None:
    with pytest.raises(PrototxtError, match=r"net:2:3: a layer in a list cannot be taken away") as caught:
        scan("layer: [{},\n  {} ]", "net").rewrite({1: None})
    assert "layer { }" in caught.value.hint
