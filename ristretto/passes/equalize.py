"""Equalize: channels of layers that follow each other made alike in range, by factors that cancel out.

A layer's weights share one radix point, so an output channel whose weights are small has few codes. A ReLU lets a
positive factor through: what a channel's weights are multiplied by, the weights of the next layer that read the channel
are divided by, and the net computes what it did (cross-layer equalization: Nagel and others, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import ModelError, in_layer
from ristretto.net import Geometry, Layer, Net, Shape
from ristretto.net.op import Array
from ristretto.passes.reach import Link, Wiring

Exponents = NDArray[np.int64]


@dataclass(frozen=True)
class Equalize:
    """Multiplies output channels by powers of two, and divides the weights that read them by the same.

    Each channel of a layer has a range there, that of the weights and the bias that make it, and one in the layers
    that read it, that of the weights it meets; either is seen as a share of its layer's greatest. A channel's factor
    brings the two together.

    As powers of two move no bit of a number but its exponent, the float net computes the same to the last bit, unless a
    number becomes too small for float32. No layer's greatest weight grows.

    A layer is left alone where anything but layers that keep channels apart (`Op.channel_starts`) and layers with
    weights of their own sees its output, in any phase; where weights are shared; and where they have a format.

    Parameters
    ----------
    inputs : mapping of str to shape
        Of the data layers' tops in TEST, by blob name.
    rounds : int
        How often all layers are gone through at most; a factor changes the ranges of the layers beside it.
    limit : int
        The greatest factor is 2 to this power, the least 2 to minus it.
    """

    inputs: Mapping[str, Shape]
    rounds: int = 20
    limit: int = 8

    def __call__(self, net: Net) -> Net:
        """Give the equalized net; the same one where no factor helps.

        Raises
        ------
        ModelError
            When the net cannot take these inputs, or weights are missing.
        """
        wiring = Wiring.of(net, self.inputs)
        links = wiring.links()
        names = {name for link in links for name in (link.writer, *(reader for reader, _ in link.readers))}
        ranges = {layer.name: _Ranges.of(layer, wiring) for layer in net if layer.name in names}
        for _ in range(self.rounds):
            # A list: every link gets its turn.
            if not any([self._bring_together(link, ranges) for link in links]):
                break
        changed = {name: found for name, found in ranges.items() if found.outputs.any() or found.inputs.any()}
        if not changed:
            return net
        return replace(net, layers=tuple(_scaled(each, changed.get(each.name)) for each in net))

    def _bring_together(self, link: Link, ranges: Mapping[str, _Ranges]) -> bool:
        """Choose the factors of one link anew; say whether any changed."""
        writer = ranges[link.writer]
        # A channel that is always zero, or that nobody looks at, has no range to speak of, nor has one of NaN.
        with np.errstate(divide="ignore", invalid="ignore"):
            made = writer.made()
            places = [(ranges[name], slice(start, start + len(made))) for name, start in link.readers]
            seen = np.max([reader.seen()[place] for reader, place in places], axis=0)
            wish = np.rint((np.log2(seen) - np.log2(made)) / 2)
        step = np.where(np.isfinite(wish), wish, 0).astype(np.int64)
        step = np.clip(writer.outputs + step, -self.limit, self.limit) - writer.outputs
        writer.outputs[:] += step
        for reader, place in places:
            reader.inputs[place] -= step
        return bool(step.any())


@dataclass(frozen=True, eq=False)
class _Ranges:
    """The greatest weights of a layer from each input channel to each output, and the factors found so far.

    Parameters
    ----------
    walk : Geometry
    greatest : float64 array (groups, outputs of a group, inputs of a group), real units
        Without the factors.
    bias : float64 array (outputs,), real units
    outputs, inputs : int64 arrays, (outputs,) and (inputs,)
        Powers of two.
    """

    walk: Geometry
    greatest: NDArray[np.float64]
    bias: NDArray[np.float64]
    outputs: Exponents = field(init=False)
    inputs: Exponents = field(init=False)

    def __post_init__(self) -> None:
        groups, outputs, inputs = self.greatest.shape
        object.__setattr__(self, "outputs", np.zeros(groups * outputs, np.int64))
        object.__setattr__(self, "inputs", np.zeros(groups * inputs, np.int64))

    @classmethod
    def of(cls, layer: Layer, wiring: Wiring) -> _Ranges:
        """Measure a layer that a link names."""
        if not layer.blobs:
            raise ModelError("no weights", layer=layer.name, hint="does the caffemodel belong to this prototxt?")
        bottom = wiring.bottom(layer.name)
        walk = layer.op.geometry(bottom)
        assert walk is not None, "links are between such layers"
        rows = layer.op.weight_rows(layer.blobs[0], walk)
        each = np.abs(rows).reshape(walk.groups, walk.out_shape[0] // walk.groups, bottom[1] // walk.groups, -1)
        bias = np.abs(layer.blobs[1]).reshape(-1) if len(layer.blobs) > 1 else np.zeros(walk.out_shape[0])
        return cls(walk, each.max(axis=-1).astype(np.float64), bias.astype(np.float64))

    def _now(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Give the greatest weights and the biases with the factors found so far, and the greatest of them all."""
        groups, outputs, inputs = self.greatest.shape
        powers = self.outputs.reshape(groups, outputs, 1) + self.inputs.reshape(groups, 1, inputs)
        weights, bias = np.ldexp(self.greatest, powers), np.ldexp(self.bias, self.outputs)
        return weights, bias, max(float(weights.max()), float(bias.max()))

    def made(self) -> NDArray[np.float64]:
        """Give the range of each output's weights and bias, as a share of the layer's."""
        weights, bias, greatest = self._now()
        made: NDArray[np.float64] = np.maximum(weights.max(axis=2).reshape(-1), bias) / (greatest or 1.0)
        return made

    def seen(self) -> NDArray[np.float64]:
        """Give the range of the weights that each input channel meets, as a share of the layer's."""
        weights, _, greatest = self._now()
        seen: NDArray[np.float64] = weights.max(axis=1).reshape(-1) / (greatest or 1.0)
        return seen


def _scaled(layer: Layer, ranges: _Ranges | None) -> Layer:
    if ranges is None:
        return layer
    blobs: tuple[Array, ...] = layer.blobs
    with in_layer(layer.name):
        if ranges.inputs.any():
            blobs = (_with_inputs(layer, ranges), *blobs[1:])
        factors = np.ldexp(1.0, ranges.outputs)
        _, scaled = layer.op.scaled(blobs, factors, np.zeros(len(factors))) if ranges.outputs.any() else (None, blobs)
        blobs = tuple(blob.astype(np.float32) for blob in scaled)
    for blob in blobs:
        blob.flags.writeable = False
    return replace(layer, blobs=blobs)


def _with_inputs(layer: Layer, ranges: _Ranges) -> Array:
    """Give the first blob with every input channel's weights multiplied by its factor."""
    weights, walk = layer.blobs[0], ranges.walk
    groups, outputs, inputs = ranges.greatest.shape
    # Where each number of the blob went, as `weight_rows` has it.
    places = layer.op.weight_rows(np.arange(weights.size, dtype=np.int32).reshape(weights.shape), walk)
    each = places.reshape(groups, outputs, inputs, -1)
    powers = np.empty(weights.size, np.int32)
    powers[each] = ranges.inputs.reshape(groups, 1, inputs, 1)
    return np.ldexp(weights, powers.reshape(weights.shape))
