"""A step that runs one layer's own forward, in real units or, where that is the same, on codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.values import Coded, State, Value, real
from ristretto.net import Layer


@dataclass(frozen=True, eq=False)
class ReferenceStep:
    """Runs `layer.op.forward`; on codes when all bottoms are codes of one format and the operation allows it."""

    layer: Layer

    def run(self, state: State) -> None:
        """Run the layer.

        Raises
        ------
        ModelError
            When the layer cannot take the numbers that it gets: a label beyond the classes, say.
        """
        layer = self.layer
        values = [state.blobs[blob] for blob in layer.bottoms]
        with in_layer(layer.name):
            tops = _on_codes(layer, values) or layer.op.forward([real(value) for value in values], layer.blobs)
        state.store(layer.name, layer.tops, tuple(tops))
        if layer.op.higher_is_better is not None:
            for suffix, figure in layer.op.companions([real(value) for value in values]).items():
                state.companions[f"{layer.tops[0]}_{suffix}"] = figure


def _on_codes(layer: Layer, values: list[Value]) -> tuple[Coded, ...] | None:
    coded = [value for value in values if isinstance(value, Coded)]
    if not coded or len(coded) < len(values) or any(value.fmt != coded[0].fmt for value in coded):
        return None
    tops = layer.op.forward_codes([value.codes for value in coded])
    return None if tops is None else tuple(Coded(np.asarray(top), coded[0].fmt) for top in tops)
