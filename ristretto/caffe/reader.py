"""From prototxt and caffemodel to a net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ristretto.caffe.caffemodel import read_weights
from ristretto.caffe.messages import as_fields
from ristretto.caffe.printer import print_message
from ristretto.caffe.prototxt import Prototxt, parse, read_text, scan
from ristretto.caffe.quantization import read_quant
from ristretto.caffe.unknown import Unknown
from ristretto.caffe.upgrade import Upgraded, upgrade_net
from ristretto.errors import FormatError, ModelError
from ristretto.layers import LAYERS
from ristretto.net import Fields, Layer, Net, Op, ParamSpec, Phase, Rule

OPS: Mapping[str, type[Op]] = {op.type: op for op in LAYERS} | {
    # An operation that inherits its quantized type is written as its parent, and read as it.
    op.quantized_type: op
    for op in LAYERS
    if vars(op).get("quantized_type")
}
"""The operation of every layer type, quantized ones included."""

LEGACY_NOTE = "what is written is in today's format; comments and spacing of a legacy file are not kept"


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
        Its text, for lossless emission; that of the upgraded net when the file is a legacy one (V0, V1).
    notes : tuple of str
        What the user should know: that it is a legacy file, fields that nothing here reads.
    """

    path: Path
    net: Net
    prototxt: Prototxt
    notes: tuple[str, ...] = ()


def read_model(path: str | Path) -> Model:
    """Read a prototxt.

    Raises
    ------
    PrototxtError
        When the file is missing or is no prototxt, with line and column.
    ModelError
        When a layer's type is unknown or its parameters make no sense.
    """
    return model_of(read_text(path), path)


def model_of(text: str, path: str | Path) -> Model:
    """Read the text of a prototxt, wherever it is.

    Parameters
    ----------
    text : str
        As `read_text` gives it.
    path : path
        What errors call it, and where its data are looked for from.

    Raises
    ------
    PrototxtError, ModelError
        As `read_model` does.
    """
    prototxt = scan(text, str(path))
    message = parse(text, str(path))
    if not message.layer and not message.layers:
        hint = "a solver names its net in `net`: give that file" if prototxt.is_solver else ""
        raise ModelError(f"{path} has no layers", hint=hint)
    if message.state.stage:
        raise ModelError(f"{path} sets stages of its own in `state`, which is not supported", hint="take them out")
    upgraded = upgrade_net(message, str(path))
    notes, places = _notes(message, prototxt, upgraded), upgraded.origins
    if upgraded.is_legacy:
        # Its own text has no place for a quantized layer: the upgraded net's takes over.
        prototxt = scan(print_message(upgraded.message), str(path))
        places = tuple(range(len(prototxt.layers)))
    layers = tuple(
        _read_layer(as_fields(item), place) for item, place in zip(upgraded.message.layer, places, strict=True)
    )
    return Model(Path(path), Net(message.name, layers), prototxt, notes)


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


def _notes(message: Any, prototxt: Prototxt, upgraded: Upgraded) -> tuple[str, ...]:
    legacy = upgraded.is_legacy
    notes = [f"{upgraded.version} format: {LEGACY_NOTE}"] if legacy else []
    notes += [f"left out: {what}" for what in upgraded.left_out]
    fate = "it has no effect and is not kept" if legacy else "it is kept and has no effect here"
    notes += [
        f"line {field.line}: unknown field '{field.name}'"
        + (f" in {field.parent}" if field.parent else "")
        + (f", {field.count} times in all" if field.count > 1 else "")
        + f"; {fate}"
        for field in prototxt.unknown
    ]
    # In Caffe this field is no rule: the layer takes part in both nets, and acts in both as in that phase.
    if fixed := [layer.name for layer in message.layer if layer.HasField("phase")]:
        others = f" and {len(fixed) - 1} more" if len(fixed) > 1 else ""
        notes.append(f"layer '{fixed[0]}'{others} with a phase of its own; the phase of the run decides here")
    return tuple(notes)


def _read_layer(fields: Fields, index: int) -> Layer:
    name, type_name = fields.text("name"), fields.text("type")
    try:
        op = OPS[type_name].parse(fields) if type_name in OPS else Unknown(type_name, tuple(sorted(OPS)))
        quant = read_quant(fields.message("quantization_param")) if type_name != op.type else None
    except (ModelError, FormatError) as error:
        raise ModelError(error.message, layer=name, hint=error.hint) from error
    if fields.has("include") and fields.has("exclude"):
        raise ModelError("include and exclude rules stand together", layer=name, hint="keep the rules of one kind")
    return Layer(
        name=name,
        op=op,
        bottoms=tuple(fields.values["bottom"]),
        tops=tuple(fields.values["top"]),
        include=tuple(_read_rule(rule) for rule in fields.values["include"]),
        exclude=tuple(_read_rule(rule) for rule in fields.values["exclude"]),
        quant=quant,
        params=tuple(_read_param(spec) for spec in fields.values["param"]),
        fillers=op.parse_fillers(fields),
        loss_weights=fields.numbers("loss_weight"),
        propagate_down=tuple(fields.values["propagate_down"]),
        source=index,
    )


def _read_param(spec: Fields) -> ParamSpec:
    return ParamSpec(spec.text("name"), spec.number("lr_mult"), spec.number("decay_mult"))


def _read_rule(rule: Fields) -> Rule:
    return Rule(
        phase=Phase(rule.text("phase")) if rule.has("phase") else None,
        min_level=rule.integer("min_level") if rule.has("min_level") else None,
        max_level=rule.integer("max_level") if rule.has("max_level") else None,
        stages=frozenset(rule.values["stage"]),
        not_stages=frozenset(rule.values["not_stage"]),
    )
