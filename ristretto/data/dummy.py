"""DummyData layers: blobs that a filler makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ristretto.data.source import Batch, BatchSource
from ristretto.errors import DataError, ModelError
from ristretto.identity import FileHash, digest
from ristretto.layers.dummy_data import DummyData
from ristretto.net import Layer, Phase
from ristretto.net.limits import check_size

STREAM = 3 << 32
"""Of random numbers, apart from those of crops and shuffling."""


class DummySource:
    """Batches of what the fillers of a layer make.

    Parameters
    ----------
    op : DummyData
        Shapes and fillers.
    name : str
        The layer's, for reports.
    tops : tuple of str

    Raises
    ------
    DataError
        When a shape holds far too much, or a filler is unknown or cannot take the shape.

    Notes
    -----
    Random fillers make other numbers in every batch, as in Caffe, but the same ones in every pass.
    """

    def __init__(self, op: DummyData, name: str, tops: tuple[str, ...]) -> None:
        self.names = (f"DummyData layer '{name}'",)
        self.shapes = {top: op.declared_shape(index) for index, top in enumerate(tops)}
        self._fillers = {top: op.filler(index) for index, top in enumerate(tops)}
        try:
            for top, shape in self.shapes.items():
                check_size(f"its top '{top}'", shape)
            self._batch(0)
        except ModelError as error:
            raise DataError(error.message, hint=error.hint) from error

    @property
    def period(self) -> int | None:
        """One batch where all is constant."""
        return 1 if all(filler.type == "constant" for filler in self._fillers.values()) else None

    def batches(self, count: int, start: int = 0) -> Iterator[Batch]:
        """Give batches ``start .. start + count - 1``."""
        return map(self._batch, range(start, start + count))

    def fingerprint(self, count: int, hashed: FileHash) -> str | None:
        """Give a digest of the fillers; what they draw is the same in every run."""
        return digest("fillers", {top: (self.shapes[top], filler) for top, filler in self._fillers.items()}, STREAM)

    def _batch(self, number: int) -> Batch:
        blobs = {}
        for index, (top, filler) in enumerate(self._fillers.items()):
            key = np.array([STREAM + index, number], np.uint64)
            blobs[top] = filler.fill(self.shapes[top], np.random.Generator(np.random.Philox(key=key)))
        return blobs


def open_dummy(layer: Layer, phase: Phase, find: Callable[[str], Path]) -> BatchSource:
    """Give what the fillers of a DummyData layer make; it needs no file, and the phase makes no difference."""
    op = layer.op
    assert isinstance(op, DummyData)
    return DummySource(op, layer.name, layer.tops)
