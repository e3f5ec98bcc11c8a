"""SpellOutSharing: blobs that share memory in Caffe, kept alike where one of them is changed in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ristretto.formats import EXACT, Arithmetic
from ristretto.layers.reshape import Reshape
from ristretto.net import Layer, Net, Shape


@dataclass(frozen=True)
class SpellOutSharing:
    """Inserts a copy wherever a blob changes in place that has other names with later readers.

    Caffe's Split, Reshape, Flatten, a Slice into one and a Concat of one give their tops the memory of their bottom. A
    layer that works in place, and a quantized layer that trims its input, then change what all of these names hold.
    Here every blob is a value of its own; the copies that this pass inserts make the difference disappear.

    Parameters
    ----------
    shapes : mapping of str to tuple of shapes
        Of every layer's tops.
    arithmetic : Arithmetic
        Decides whether a quantized layer trims its input at all.
    """

    shapes: Mapping[str, tuple[Shape, ...]]
    arithmetic: Arithmetic = EXACT

    def __call__(self, net: Net) -> Net:
        """Give the net with its copies; the same net when there is nothing to copy."""
        memory: dict[str, set[str]] = {}
        shape: dict[str, Shape] = {}
        layers: list[Layer] = []
        for index, layer in enumerate(net.layers):
            layers.append(layer)
            for top, size in zip(layer.tops, self.shapes[layer.name], strict=False):
                shape[top] = size
                if top not in layer.bottoms:
                    memory.get(top, set()).discard(top)
                    memory[top] = {top}
            if layer.op.shares_memory(len(layer.bottoms), len(layer.tops)):
                together = memory[layer.bottoms[0]].union(layer.tops)
                memory.update(dict.fromkeys(together, together))
            for changed in self._changed(layer):
                for other in sorted(memory[changed] - {changed}):
                    if other not in layer.tops and is_read(net, other, index):
                        copy = Reshape(dims=shape[other])
                        layers.append(Layer(f"{other} after {layer.name}", copy, (changed,), (other,)))
        return net if len(layers) == len(net.layers) else replace(net, layers=tuple(layers))

    def _changed(self, layer: Layer) -> Iterator[str]:
        """Give the blobs that a layer changes in place."""
        yield from (top for top in layer.tops if top in layer.bottoms)
        if layer.quant and not layer.op.trims_inside and layer.quant.under(self.arithmetic).layer_in:
            yield layer.bottoms[0]


def is_read(net: Net, blob: str, index: int) -> bool:
    """Whether a later layer reads what a blob holds after a layer, or nobody overwrites it up to the net's end.

    Parameters
    ----------
    net : Net
    blob : str
        Its name.
    index : int
        The layer's place in the net.
    """
    for later in net.layers[index + 1 :]:
        if blob in later.bottoms:
            return True
        if blob in later.tops:
            return False
    return blob in net.outputs
