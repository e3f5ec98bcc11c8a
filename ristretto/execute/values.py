"""What a run of a net works on, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ristretto.net.op import Array

FloatArray = NDArray[np.float32]


@dataclass(eq=False)
class State:
    """One run of a net: the blobs as they stand, and what is to be kept of them.

    Parameters
    ----------
    blobs : dict of str to float32 array
        The current numbers of each blob, by name; real units.
    keep : frozenset of str
        Which values to keep, as ``LAYER.topK``: the blob right after that layer ran.
    kept : dict of str to float32 array
        Those values, in real units.
    companions : dict of str to float
        Figures beside an output (``accuracy_argmax``).
    pictures : dict of str to mapping of str to array
        What each picture adds to a layer's first top and to the figures beside it, by layer name and suffix.
    """

    blobs: dict[str, FloatArray]
    keep: frozenset[str] = frozenset()
    kept: dict[str, FloatArray] = field(default_factory=dict)
    companions: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, Mapping[str, Array]] = field(default_factory=dict)

    def store(self, layer: str, tops: tuple[str, ...], values: tuple[FloatArray, ...]) -> None:
        """Set a layer's tops, and keep those that are asked for."""
        for index, (top, value) in enumerate(zip(tops, values, strict=False)):
            self.blobs[top] = value
            key = f"{layer}.top{index}"
            if key in self.keep:
                self.kept[key] = value


@dataclass(frozen=True, eq=False)
class Run:
    """What a run gives.

    Parameters
    ----------
    outputs : mapping of str to array
        The net's output blobs, in real units, in alphabetical order.
    kept : mapping of str to float32 array
        The values asked for, by ``LAYER.topK``.
    companions : mapping of str to float
        Figures beside the outputs.
    pictures : mapping of str to mapping of str to array
        What each picture adds to an output and to the figures beside it, by blob and suffix (see `Op.per_picture`);
        only of outputs whose layer knows.
    """

    outputs: Mapping[str, Array]
    kept: Mapping[str, FloatArray]
    companions: Mapping[str, float]
    pictures: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
