"""Condensed: what condensing makes of a net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ristretto.net import Net, QuantSpec
from ristretto.net.op import Array
from ristretto.passes import QuantizeLayers, SetWeights


@dataclass(frozen=True, eq=False)
class Condensed:
    """Formats, and the weights that were changed to suit them.

    Parameters
    ----------
    spec : QuantSpec
    weights : mapping of str to tuple of float32 arrays
        All blobs of each layer whose weights were changed, by layer name, in real units.
    """

    spec: QuantSpec
    weights: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)

    def apply(self, net: Net) -> Net:
        """Give the condensed net."""
        return SetWeights(self.weights)(QuantizeLayers(self.spec)(net))


Refiner = Callable[[QuantSpec], Condensed]
"""Changes weights, and the formats of weights, to suit formats that were chosen."""
