"""From a net to the pieces of a model: for each layer the trim of its input, itself, the trim of its top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ristretto.errors import ModelError, in_layer
from ristretto.execute.executor import check_ready
from ristretto.execute.onnx_segment import OnnxPiece
from ristretto.export.onnx.dialect import Dialect, number
from ristretto.formats import Format
from ristretto.net import Layer, Net, OnnxNode, Shape
from ristretto.net.op import Array
from ristretto.net.quant import LAYER_IN, LAYER_OUT

AXES_ARE_INPUTS = 18
"""From this version of ONNX's operations on, all that reduce take their axes as an input; ReduceSum does before."""
MOVED = ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare")


def trim_name(layer: str, place: str) -> str:
    """Name the piece that trims a layer's input or its top."""
    return f"{layer}:{place}"


def pieces_of(net: Net, shapes: Mapping[str, tuple[Shape, ...]], dialect: Dialect) -> list[OnnxPiece]:
    """Give a net's pieces, in order.

    Parameters
    ----------
    net : Net
        Of one phase, with its weights; every layer has a form in ONNX.
    shapes : mapping of str to tuple of shapes
        Of every layer's tops.
    dialect : Dialect

    Raises
    ------
    ModelError
        When weights are missing or do not fit, or the dialect has no word for a format.
    """
    pieces: list[OnnxPiece] = []
    for layer in net:
        if not layer.op.is_data:
            with in_layer(layer.name):
                pieces += _of_layer(layer, net.bottom_shapes(layer, shapes), shapes[layer.name], dialect)
    names = {piece.name for piece in pieces}
    if len(names) < len(pieces):
        twice = next(piece.name for piece in pieces if sum(piece.name == other.name for other in pieces) > 1)
        raise ModelError("its name is one that the export gives itself", layer=twice, hint="rename the layer")
    return pieces


def _of_layer(layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape], dialect: Dialect) -> Iterator[OnnxPiece]:
    quant = dialect.formats(layer)
    check_ready(layer if quant else replace(layer, quant=None), bottoms)
    if quant and layer.op.trims_inside:
        raise ModelError(
            f"{layer.type} trims every number on its way, which ONNX has no word for",
            hint=f'write type: "{layer.op.type}" to leave the layer in float',
        )
    if quant and quant.layer_in:
        yield _trim(layer.name, LAYER_IN, layer.bottoms[0], bottoms[0], quant.layer_in, dialect)
    operands = dialect.operands(layer, layer.op.blob_shapes(bottoms), quant)
    nodes = [modern(node, dialect.opset) for node in layer.op.onnx(bottoms) or ()]
    if operands.bounds:
        nodes = _held(nodes, operands.bounds)
    yield OnnxPiece(layer.name, layer.bottoms, layer.tops, tops, (*operands.nodes, *nodes), operands.weights)
    if quant and quant.layer_out:
        yield _trim(layer.name, LAYER_OUT, layer.tops[0], tops[0], quant.layer_out, dialect)


def _trim(layer: str, place: str, blob: str, shape: Shape, fmt: Format, dialect: Dialect) -> OnnxPiece:
    """Trim a blob in place: every later reader sees what comes out."""
    return OnnxPiece(trim_name(layer, place), (blob,), (blob,), (shape,), dialect.trim(fmt), {})


def modern(node: OnnxNode, opset: int) -> OnnxNode:
    """Give a node of a layer's form, which is written for opset 17, as a later one has it."""
    if opset < AXES_ARE_INPUTS or node.op_type not in MOVED or "axes" not in node.attributes:
        return node
    name = f"{node.outputs[0]}_axes"
    axes: dict[str, Array] = {name: np.array(node.attributes["axes"], np.int64)}
    attributes = {key: value for key, value in node.attributes.items() if key != "axes"}
    return replace(node, inputs=(*node.inputs, name), attributes=attributes, constants={**node.constants, **axes})


def _held(nodes: Sequence[OnnxNode], bounds: tuple[float, float]) -> list[OnnxNode]:
    """Put a Clip in front of what the nodes read of the first bottom."""
    ends = {"b0_low": number(bounds[0]), "b0_high": number(bounds[1])}
    clip = OnnxNode("Clip", ("b0", *ends), ("b0_held",), {}, ends)
    swapped = {"b0": "b0_held"}
    return [clip, *(replace(node, inputs=tuple(swapped.get(i, i) for i in node.inputs)) for node in nodes)]
