"""TrimWeights: puts weights on the grids of their formats."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ristretto.net import Layer, Net
from ristretto.net.op import Array


@dataclass(frozen=True)
class TrimWeights:
    """Replaces the weights of every quantized layer by what its format makes of them.

    Whoever trims them again, as the fork does in every forward pass, changes nothing.
    """

    def __call__(self, net: Net) -> Net:
        """Give the net with weights that its formats hold; the same one where all are so already."""
        layers = tuple(self._trimmed(layer) for layer in net)
        if all(new is old for new, old in zip(layers, net.layers, strict=True)):
            return net
        return replace(net, layers=layers)

    @staticmethod
    def _trimmed(layer: Layer) -> Layer:
        if layer.quant is None or layer.quant.params is None or layer.op.part is None:
            return layer
        fmt = layer.quant.params
        covered = len(layer.blobs) if fmt.covers_bias else 1
        blobs: tuple[Array, ...] = (*map(fmt.trim, layer.blobs[:covered]), *layer.blobs[covered:])
        if all((new == old).all() for new, old in zip(blobs, layer.blobs, strict=True)):
            return layer
        for blob in blobs:
            blob.flags.writeable = False
        return replace(layer, blobs=blobs)
