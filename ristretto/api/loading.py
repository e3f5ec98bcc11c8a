"""Reading a net, and opening its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ristretto.api.watch import Watcher
from ristretto.caffe.reader import Model, load_weights, read_model
from ristretto.data import BatchSource, open_sources
from ristretto.errors import RistrettoError
from ristretto.net import Layer, Net, Phase, Shape

T = TypeVar("T")

ModelSource = str | Path | Model
"""A prototxt: a file, or one that has been read."""
WeightsSource = str | Path | Net
"""Weights: a caffemodel, or the net of all phases that holds them."""


def load(model: ModelSource, weights: WeightsSource | None = None) -> tuple[Model, Net]:
    """Read a prototxt, and the weights of a caffemodel if one is given.

    Parameters
    ----------
    model : path or Model
        A prototxt, quantized or not.
    weights : path, Net or None
        A caffemodel, or the prototxt's net with its weights.

    Returns
    -------
    Model, Net
        The prototxt, and its net with all phases.
    """
    read = prototxt_of(model)
    if isinstance(weights, Net):
        return read, weights
    return read, read.net if weights is None else load_weights(read.net, weights)


def prototxt_of(model: ModelSource) -> Model:
    """Read a prototxt, where it has not been read."""
    return model if isinstance(model, Model) else read_model(model)


def with_weights(net: Net, weights: WeightsSource) -> Net:
    """Give a net with weights that are matched by layer name: those of a caffemodel, or another net's."""
    if not isinstance(weights, Net):
        return load_weights(net, weights)
    held = {layer.name: layer.blobs for layer in weights if layer.blobs}
    return replace(net, layers=tuple(replace(layer, blobs=held.get(layer.name, ())) for layer in net))


def open_data(read: Model, layers: Sequence[Layer], phase: Phase) -> BatchSource:
    """Open the data of a net's data layers; relative paths are looked for from the prototxt's folder on, too."""
    return open_sources(layers, phase=phase, search_path=(read.path.parent,))


def undeclared_shapes(read: Model, net: Net, phase: Phase) -> Mapping[str, Shape]:
    """Give the shapes that the data decide, by blob; nothing is opened where the prototxt declares all of them."""
    sourced = [layer for layer in net.data_layers if layer.op.declared_shape(0) is None]
    return open_data(read, sourced, phase).shapes if sourced else {}


def chosen(what: str, name: str, known: Mapping[str, T]) -> T:
    """Look up what a name stands for.

    Raises
    ------
    RistrettoError
        When it stands for nothing.
    """
    if name not in known:
        raise RistrettoError(f"no {what} is called '{name}'", hint=f"there are: {', '.join(known)}")
    return known[name]


def pass_on(read: Model, watcher: Watcher) -> None:
    """Tell of what was met while a prototxt was read."""
    for note in read.notes:
        watcher.note(note)
