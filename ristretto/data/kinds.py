"""The kinds of data layers, and how those of a phase are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ristretto.data.datums import open_datums
from ristretto.data.dummy import open_dummy
from ristretto.data.hdf5 import open_hdf5
from ristretto.data.image_files import open_image_list
from ristretto.data.places import find
from ristretto.data.source import BatchSource, MergedSource
from ristretto.errors import DataError
from ristretto.layers.data import Data
from ristretto.layers.dummy_data import DummyData
from ristretto.layers.hdf5_data import HDF5Data
from ristretto.layers.image_data import ImageData
from ristretto.net import Layer, Op, Phase

Opener = Callable[[Layer, Phase, Callable[[str], Path]], BatchSource]
"""Opens a data layer for a phase; the last argument finds a file that the prototxt names."""

KINDS: Mapping[type[Op], Opener] = {
    Data: open_datums,
    DummyData: open_dummy,
    HDF5Data: open_hdf5,
    ImageData: open_image_list,
}
"""The data layers that have a source: one file each, and one entry here."""


def open_sources(layers: Sequence[Layer], *, phase: Phase, search_path: Sequence[Path] = ()) -> BatchSource:
    """Open the sources of a net's data layers.

    Parameters
    ----------
    layers : sequence of Layer
        The data layers of one phase.
    phase : Phase
        Decides where pictures are cropped.
    search_path : sequence of Path
        Where a relative `source` or `mean_file` is looked for after the current folder: each of these folders and
        all above it.

    Returns
    -------
    BatchSource
        One for all layers: their tops are the blobs of a batch.

    Raises
    ------
    DataError
        When there is no data layer, one has no source, or its source is missing, empty, damaged or does not fit its
        settings.
    """
    if not layers:
        raise DataError(f"no data layer in the {phase.value} phase", hint="add one, with an include rule if need be")
    sources = [_open(layer, phase, search_path) for layer in layers]
    return sources[0] if len(sources) == 1 else MergedSource(sources)


def _open(layer: Layer, phase: Phase, search_path: Sequence[Path]) -> BatchSource:
    opener = KINDS.get(type(layer.op))
    if opener is None:
        known = ", ".join(kind.type for kind in KINDS)
        raise DataError(
            f"layer '{layer.name}': {layer.type} has no source that can be opened",
            hint=f"say with --data where its data are, or use a prototxt with one of {known}",
        )
    try:
        return opener(layer, phase, partial(find, search_path=search_path))
    except DataError as error:
        raise DataError(f"layer '{layer.name}': {error.message}", hint=error.hint) from error
