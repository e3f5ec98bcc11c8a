"""The verb `inspect`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.api.loading import ModelSource, WeightsSource, load, undeclared_shapes
from ristretto.errors import DataError
from ristretto.net import Layer, LayerQuant, Net, Phase, Shape


@dataclass(frozen=True)
class LayerRow:
    """One layer as `inspect` lists it; None stands for what is not known.

    Parameters
    ----------
    name, type : str
    bottoms, tops : tuple of str
    shapes : tuple of shapes or None
        Of the tops.
    parameters : int or None
        Weights and biases.
    macs : int or None
        Multiply-accumulates for one picture.
    quant : LayerQuant or None
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    shapes: tuple[Shape, ...] | None
    parameters: int | None
    macs: int | None
    quant: LayerQuant | None


@dataclass(frozen=True)
class Inspection:
    """What `inspect` gives.

    Parameters
    ----------
    name : str
        The net's.
    phase : Phase
    layers : tuple of LayerRow
    notes : tuple of str
    """

    name: str
    phase: Phase
    layers: tuple[LayerRow, ...]
    notes: tuple[str, ...]


def inspect(model: ModelSource, weights: WeightsSource | None = None, *, phase: Phase = Phase.TEST) -> Inspection:
    """List the layers of a net.

    Parameters
    ----------
    model : path or Model
        Prototxt, quantized or not: a file, or one that has been read.
    weights : path, Net or None
        Caffemodel, or the net that holds its weights; with it, parameters are counted as they are there and checked
        against the prototxt.
    phase : Phase
        Whose layers are listed.

    Returns
    -------
    Inspection
        Shapes are None where the data that determines them cannot be opened; a note then says why.
    """
    read, whole = load(model, weights)
    net = whole.for_phase(phase)
    notes = list(read.notes)
    shapes: Mapping[str, tuple[Shape, ...]] | None
    try:
        inputs = undeclared_shapes(read, net, phase)
    except DataError as error:
        notes.append(f"shapes are unknown: {error.message}")
        shapes = None
    else:
        shapes = net.shapes(inputs)
    return Inspection(net.name, phase, layer_rows(net, shapes), tuple(notes))


def layer_rows(net: Net, shapes: Mapping[str, tuple[Shape, ...]] | None) -> tuple[LayerRow, ...]:
    """List the layers of a net of one phase, given the shapes of their tops by layer name, or None."""
    return tuple(_row(net, layer, shapes) for layer in net)


def _row(net: Net, layer: Layer, shapes: Mapping[str, tuple[Shape, ...]] | None) -> LayerRow:
    bottoms = None if shapes is None or layer.op.is_data else net.bottom_shapes(layer, shapes)
    wanted = layer.op.blob_shapes(bottoms) if bottoms is not None else ()
    parameters = sum(math.prod(shape) for shape in (wanted or tuple(blob.shape for blob in layer.blobs)))
    return LayerRow(
        name=layer.name,
        type=layer.type,
        bottoms=layer.bottoms,
        tops=layer.tops,
        shapes=None if shapes is None else shapes[layer.name][: len(layer.tops)],
        parameters=parameters if wanted or layer.blobs or shapes is not None else None,
        macs=None if shapes is None else 0 if bottoms is None else layer.op.macs(bottoms),
        quant=layer.quant,
    )
