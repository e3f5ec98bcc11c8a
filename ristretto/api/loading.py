"""Reading a net, and opening its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ristretto.api.watch import Watcher
from ristretto.caffe.reader import Model, load_weights, read_model
from ristretto.data import BatchSource, open_sources
from ristretto.net import Layer, Net, Phase


def load(model: str | Path, weights: str | Path | None = None) -> tuple[Model, Net]:
    """Read a prototxt, and the weights of a caffemodel if one is given.

    Parameters
    ----------
    model : path
        A prototxt, quantized or not.
    weights : path or None
        A caffemodel.

    Returns
    -------
    Model, Net
        The prototxt, and its net with all phases.
    """
    read = read_model(model)
    return read, read.net if weights is None else load_weights(read.net, weights)


def open_data(read: Model, layers: Sequence[Layer], phase: Phase) -> BatchSource:
    """Open the data of a net's data layers; relative paths are looked for from the prototxt's folder on, too."""
    return open_sources(layers, phase=phase, search_path=(read.path.parent,))


def pass_on(read: Model, watcher: Watcher) -> None:
    """Tell of what was met while a prototxt was read."""
    for note in read.notes:
        watcher.note(note)
