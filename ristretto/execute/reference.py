"""A step that runs one layer's own forward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.values import State
from ristretto.net import Layer


@dataclass(frozen=True, eq=False)
class ReferenceStep:
    """Runs `layer.op.forward`."""

    layer: Layer

    def run(self, state: State) -> None:
        """Run the layer.

        Raises
        ------
        ModelError
            When the layer cannot take the numbers that it gets: a label beyond the classes, say.
        """
        layer = self.layer
        # A score is kept as float64 for the sake of means. A layer that reads it gets what it has in Caffe, and in the
        # later half of a net that is cut behind it.
        values = [np.asarray(state.blobs[blob], np.float32) for blob in layer.bottoms]
        with in_layer(layer.name):
            tops = layer.op.forward(values, layer.blobs)
        state.store(layer.name, layer.tops, tuple(tops))
        if layer.op.higher_is_better is not None:
            for suffix, figure in layer.op.companions(values).items():
                state.companions[f"{layer.tops[0]}_{suffix}"] = figure
            state.pictures[layer.name] = layer.op.per_picture(values)
