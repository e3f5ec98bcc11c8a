"""InitWeights: gives layers new weights, as their fillers say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ristretto.errors import ModelError, in_layer
from ristretto.net import Layer, Net, Shape


@dataclass(frozen=True)
class InitWeights:
    """Fills the weights of every layer of one phase, as Caffe does before training.

    Each blob draws from a generator of its own, which the seed, the layer's name and the blob's index determine: a
    layer's weights depend on nothing else in the net.

    Parameters
    ----------
    seed : int
        At least 0.
    inputs : mapping of str to shape
        The shapes of the data layers' tops, by blob name; those that the prototxt declares may be left out.
    """

    seed: int = 0
    inputs: Mapping[str, Shape] = field(default_factory=dict)

    def __call__(self, net: Net) -> Net:
        """Give the net with new weights in place of any that it had.

        Raises
        ------
        ModelError
            When the net's shapes do not fit together, when Caffe cannot fill a blob as its filler says, or when two
            layers share weights.
        """
        net = replace(net, layers=tuple(replace(layer, blobs=()) for layer in net))
        shapes = net.shapes(self.inputs)
        _refuse_shared(net)
        return replace(net, layers=tuple(self._filled(layer, net, shapes) for layer in net))

    def _filled(self, layer: Layer, net: Net, shapes: Mapping[str, tuple[Shape, ...]]) -> Layer:
        wanted = () if layer.op.is_data else layer.op.blob_shapes(net.bottom_shapes(layer, shapes))
        if not wanted:
            return layer
        assert len(layer.fillers) >= len(wanted), f"{layer.type} does not say how all of its blobs are filled"
        blobs = []
        for index, (shape, filler) in enumerate(zip(wanted, layer.fillers, strict=False)):
            with in_layer(layer.name):
                blob = filler.fill(shape, self._generator(layer.name, index))
            blob.flags.writeable = False
            blobs.append(blob)
        return replace(layer, blobs=tuple(blobs))

    def _generator(self, layer: str, blob: int) -> np.random.Generator:
        key = hashlib.sha256(f"{blob} {layer}".encode()).digest()
        return np.random.Generator(np.random.PCG64([self.seed, *np.frombuffer(key, "<u4").tolist()]))


def _refuse_shared(net: Net) -> None:
    owners: dict[str, str] = {}
    for layer in net:
        for name in set(layer.shared):
            if name in owners:
                raise ModelError(
                    f"shares the weights '{name}' with layer '{owners[name]}', which cannot be initialised here",
                    layer=layer.name,
                    hint="take the names out of its param blocks",
                )
            owners[name] = layer.name
