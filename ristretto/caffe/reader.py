"""From prototxt and caffemodel to a net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ristretto.caffe.caffemodel import read_weights
from ristretto.caffe.messages import as_fields
from ristretto.caffe.prototxt import Prototxt, parse, read_text, scan
from ristretto.caffe.quantization import read_quant
from ristretto.errors import FormatError, ModelError
from ristretto.layers import LAYERS
from ristretto.layers.input import Input
from ristretto.net import Fields, Layer, Net, Op, Phase, Rule

OPS: Mapping[str, type[Op]] = {op.type: op for op in LAYERS} | {
    op.quantized_type: op for op in LAYERS if op.quantized_type
}
"""The operation of every layer type, quantized ones included."""


@dataclass(frozen=True, eq=False)
class Model:
    """A prototxt, read.

    Parameters
    ----------
    path : Path
        The file.
    net : Net
        All its layers, of all phases, without weights.
    prototxt : Prototxt
        Its text, for lossless emission.
    """

    path: Path
    net: Net
    prototxt: Prototxt


def read_model(path: str | Path) -> Model:
    """Read a prototxt.

    Raises
    ------
    PrototxtError
        When the file is missing or is no prototxt, with line and column.
    ModelError
        When a layer's type is unknown or its parameters make no sense.
    """
    text = read_text(path)
    prototxt = scan(text, str(path))
    message = parse(text, str(path))
    if message.layers:
        raise ModelError(
            f"{path} is in the V1 format of 2014 (`layers {{ type: CONVOLUTION }}`)",
            hint="upgrade it with Caffe's upgrade_net_proto_text",
        )
    inputs = tuple(
        Layer(name=blob, op=Input(shapes=(shape,)), tops=(blob,))
        for blob, shape in zip(message.input, _input_shapes(message, path), strict=True)
    )
    layers = tuple(_read_layer(as_fields(item), index) for index, item in enumerate(message.layer))
    return Model(Path(path), Net(message.name, inputs + layers), prototxt)


def load_weights(net: Net, path: str | Path) -> Net:
    """Give the net with the weights of a caffemodel, matched by layer name as Caffe does.

    Raises
    ------
    CaffemodelError
        When the file is missing, truncated or of another kind, or holds NaN.
    ModelError
        When no layer of the net finds weights there.
    """
    weights = read_weights(path).layers
    layers = tuple(replace(layer, blobs=weights.get(layer.name, ())) for layer in net)
    if not any(layer.blobs for layer in layers):
        raise ModelError(
            f"no layer of net '{net.name}' has weights in {path}",
            hint="weights are matched by layer name: does the caffemodel belong to this prototxt?",
        )
    return replace(net, layers=layers)


def _input_shapes(message: Any, path: str | Path) -> list[tuple[int, ...]]:
    if message.input_shape:
        shapes = [tuple(shape.dim) for shape in message.input_shape]
    else:
        dims = list(message.input_dim)
        shapes = [tuple(dims[i : i + 4]) for i in range(0, len(dims), 4)]
    if len(shapes) != len(message.input):
        raise ModelError(f"{path} names {len(message.input)} inputs and {len(shapes)} shapes for them")
    return shapes


def _read_layer(fields: Fields, index: int) -> Layer:
    name, type_name = fields.text("name"), fields.text("type")
    if type_name not in OPS:
        known = ", ".join(sorted(OPS))
        raise ModelError(f"unknown layer type '{type_name}'", layer=name, hint=f"known types: {known}")
    try:
        op = OPS[type_name].parse(fields)
        quant = read_quant(fields.message("quantization_param")) if type_name != op.type else None
    except (ModelError, FormatError) as error:
        raise ModelError(error.message, layer=name, hint=error.hint) from error
    return Layer(
        name=name,
        op=op,
        bottoms=tuple(fields.values["bottom"]),
        tops=tuple(fields.values["top"]),
        include=tuple(_read_rule(rule) for rule in fields.values["include"]) + _phase_rule(fields),
        exclude=tuple(_read_rule(rule) for rule in fields.values["exclude"]),
        quant=quant,
        source=index,
    )


def _phase_rule(fields: Fields) -> tuple[Rule, ...]:
    """A layer's own ``phase`` field is set by Caffe itself when it splits a net; some files carry it."""
    return (Rule(phase=Phase(fields.text("phase"))),) if fields.has("phase") and not fields.has("include") else ()


def _read_rule(rule: Fields) -> Rule:
    return Rule(
        phase=Phase(rule.text("phase")) if rule.has("phase") else None,
        min_level=rule.integer("min_level") if rule.has("min_level") else None,
        max_level=rule.integer("max_level") if rule.has("max_level") else None,
        stages=frozenset(rule.values["stage"]),
        not_stages=frozenset(rule.values["not_stage"]),
    )
