"""A depthwise convolution leaves under the name that the fork knows, with its groups written out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ristretto.caffe.reader import read_model
from ristretto.caffe.writer import rewritten_text
from ristretto.formats import FixedPoint
from ristretto.layers.convolution import Convolution
from ristretto.net import LayerQuant, QuantSpec
from ristretto.passes import QuantizeLayers

QUANT = LayerQuant(FixedPoint(8, 5), FixedPoint(8, 4), FixedPoint(8, 6))

NET = """\
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [1, 4, 6, 6] }} }} }}
layer {{
  name: "dw"
  type: "{kind}"
  bottom: "data"
  top: "dw"
  convolution_param {{
    num_output: 4  # as many as channels
{group}    kernel_size: 3
    weight_filler {{ type: "msra" }}
{last}  }}
{formats}}}
"""

FORMATS = """\
  quantization_param {
    bw_layer_in: 8
    bw_layer_out: 8
    bw_params: 8
    fl_layer_in: 5
    fl_layer_out: 4
    fl_params: 6
  }
"""


def quantized(folder: Path, text: str) -> str:
    path = folder / "net.prototxt"
    path.write_text(text)
    model = read_model(path)
    net = QuantizeLayers(QuantSpec("dynamic_fixed_point", {"dw": QUANT}))(model.net)
    return rewritten_text(model.prototxt, model.net, net)


@pytest.mark.parametrize(
    ("kind", "group", "new_group", "new_last"),
    [
        ("DepthwiseConvolution", "", "", "    group: 4\n"),
        ("DepthwiseConvolution", "    group: 4\n", "    group: 4\n", ""),
        ("ConvolutionDepthwise", "", "", "    group: 4\n"),
        ("ConvolutionDepthwise", "    group: 2  # unread\n", "    group: 4  # unread\n", ""),
        ("Convolution", "    group: 2\n", "    group: 2\n", ""),
        ("Convolution", "", "", ""),
    ],
)
def test_the_groups_are_written_out(tmp_path: Path, kind: str, group: str, new_group: str, new_last: str) -> None:
    text = quantized(tmp_path, NET.format(kind=kind, group=group, last="", formats=""))
    assert text == NET.format(kind="ConvolutionRistretto", group=new_group, last=new_last, formats=FORMATS)
    (tmp_path / "again.prototxt").write_text(text)
    again = read_model(tmp_path / "again.prototxt")
    (layer,) = (layer for layer in again.net if layer.quant)
    assert type(layer.op) is Convolution
    assert layer.quant == QUANT
    assert rewritten_text(again.prototxt, again.net, again.net) == text


def test_on_one_line(tmp_path: Path) -> None:
    head = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 4, 6, 6] } } }\n'
    layer = 'layer { name: "dw" type: "DepthwiseConvolution" bottom: "data" top: "dw" convolution_param {'
    text = quantized(tmp_path, head + layer + " num_output: 4 kernel_size: 3 } }")
    wanted = layer.replace("DepthwiseConvolution", "ConvolutionRistretto") + " num_output: 4 kernel_size: 3 group: 4 }"
    assert text.startswith(head + wanted)


def test_without_formats_the_text_stays(tmp_path: Path) -> None:
    text = NET.format(kind="DepthwiseConvolution", group="", last="", formats="")
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    model = read_model(path)
    assert rewritten_text(model.prototxt, model.net, model.net) is model.prototxt.text
