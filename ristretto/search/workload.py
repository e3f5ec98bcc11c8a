"""Workload: what a net holds and does for one picture, as far as widths change its cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ristretto.net import Net, Shape

Place = tuple[str, str]
"""A layer's name, and which of its places: ``layer_in``, ``layer_out`` or ``params``, the fields of `LayerWidths`."""


@dataclass(frozen=True)
class LayerWork:
    """What one layer holds and does.

    Parameters
    ----------
    parameters : int
        Numbers of weights and biases.
    macs : int
        Multiply-accumulates for one picture.
    inputs : int
        Numbers in the blob that it reads, for one picture.
    """

    parameters: int
    macs: int
    inputs: int


@dataclass(frozen=True)
class Blob:
    """A blob that quantized layers read or make.

    Parameters
    ----------
    name : str
    numbers : int
        For one picture.
    places : tuple of Place
        Who reads or makes it; versions that are computed in place of each other are one blob.
    """

    name: str
    numbers: int
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Workload:
    """What the layers of a net that can be quantized hold and do for one picture.

    Parameters
    ----------
    layers : mapping of str to LayerWork
        By name, in net order.
    blobs : tuple of Blob
        In the order in which they are met.
    macs : int
        Multiply-accumulates of the whole net for one picture, layers that cannot be quantized included.
    """

    layers: Mapping[str, LayerWork]
    blobs: tuple[Blob, ...]
    macs: int

    @classmethod
    def of(cls, net: Net, inputs: Mapping[str, Shape], names: Iterable[str]) -> Workload:
        """Count what a net does.

        Parameters
        ----------
        net : Net
            Of one phase, with weights.
        inputs : mapping of str to shape
            The shapes of the data layers' tops for one batch; its first axis is that of the pictures.
        names : iterable of str
            The layers that can be quantized.
        """
        shapes = net.shapes(inputs)
        layers: dict[str, LayerWork] = {}
        numbers: dict[str, int] = {}
        places: dict[str, list[Place]] = {}
        chosen = set(names)
        for layer in (layer for layer in net if layer.name in chosen):
            bottoms = net.bottom_shapes(layer, shapes)
            read, made = _numbers(bottoms[0]), _numbers(shapes[layer.name][0])
            layers[layer.name] = LayerWork(sum(blob.size for blob in layer.blobs), layer.op.macs(bottoms), read)
            for blob, count, place in ((layer.bottoms[0], read, "layer_in"), (layer.tops[0], made, "layer_out")):
                numbers[blob] = max(numbers.get(blob, 0), count)
                places.setdefault(blob, []).append((layer.name, place))
        blobs = tuple(Blob(name, numbers[name], tuple(places[name])) for name in places)
        return cls(layers, blobs, count_macs(net, shapes))


def count_macs(net: Net, shapes: Mapping[str, tuple[Shape, ...]]) -> int:
    """Give the multiply-accumulates of a net for one picture, from the shapes of its layers' tops."""
    return sum(layer.op.macs(net.bottom_shapes(layer, shapes)) for layer in net if not layer.op.is_data)


def _numbers(shape: Shape) -> int:
    return math.prod(shape[1:])
