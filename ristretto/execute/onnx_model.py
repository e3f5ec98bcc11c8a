"""A whole float net as one ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx

from ristretto.errors import ModelError
from ristretto.execute.executor import check_ready
from ristretto.execute.onnx_segment import Segment
from ristretto.formats import EXACT
from ristretto.net import Net, Shape
from ristretto.passes import SpellOutSharing


def model_of(net: Net, inputs: Mapping[str, Shape]) -> onnx.ModelProto:
    """Give the model that the float executor computes, for other runtimes.

    Parameters
    ----------
    net : Net
        Of one phase, with its weights; formats that it carries are left out.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch; those that the prototxt declares may be left out.

    Returns
    -------
    ModelProto
        It reads the data layers' tops as ``in:BLOB`` and gives the net's outputs, in alphabetical order of their
        blobs, as ``LAYER.topK``. All shapes are fixed.

    Raises
    ------
    ModelError
        When weights are missing or do not fit, or a layer has no form in ONNX.
    """
    net = SpellOutSharing(net.shapes(inputs), EXACT)(net)
    shapes = net.shapes(inputs)
    layers = [replace(layer, quant=None) for layer in net if not layer.op.is_data]
    for layer in layers:
        bottoms = net.bottom_shapes(net[layer.name], shapes)
        check_ready(layer, bottoms)
        if layer.op.onnx(bottoms) is None:
            raise ModelError(f"{layer.type} has no form in ONNX", layer=layer.name, hint="cut the net before it")
    fed = {top: shape for layer in net.data_layers for top, shape in zip(layer.tops, shapes[layer.name], strict=True)}
    return Segment.build(layers, fed, shapes, net.outputs, ()).model
