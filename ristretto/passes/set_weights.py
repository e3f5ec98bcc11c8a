"""SetWeights: gives layers other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ristretto.errors import ModelError
from ristretto.net import Layer, Net
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class SetWeights:
    """Puts weights in the place of those that layers have.

    Parameters
    ----------
    weights : mapping of str to tuple of float32 arrays
        All blobs of a layer, by layer name, in real units; layers of one name in several phases all get them.
    """

    weights: Mapping[str, tuple[Array, ...]]

    def __call__(self, net: Net) -> Net:
        """Give the net with these weights; the same one where none are given.

        Raises
        ------
        ModelError
            When a named layer is not there, or its weights have other shapes.
        """
        if missing := sorted(self.weights.keys() - {layer.name for layer in net}):
            raise ModelError(f"net '{net.name}' has no layer '{missing[0]}' to give weights")
        if not self.weights:
            return net
        return replace(net, layers=tuple(self._with(layer) for layer in net))

    def _with(self, layer: Layer) -> Layer:
        if layer.name not in self.weights:
            return layer
        blobs = self.weights[layer.name]
        if [blob.shape for blob in blobs] != [blob.shape for blob in layer.blobs]:
            raise ModelError("new weights of another shape than the old ones", layer=layer.name)
        for blob in blobs:
            blob.flags.writeable = False
        return replace(layer, blobs=tuple(blobs))
