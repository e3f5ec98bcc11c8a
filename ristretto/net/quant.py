"""LayerQuant and QuantSpec: which numbers a layer's input, output and weights may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from ristretto.formats.base import Arithmetic, Format


class Scheme(Enum):
    """The fork's ``rounding_scheme``."""

    NEAREST = "NEAREST"
    STOCHASTIC = "STOCHASTIC"


LAYER_IN, LAYER_OUT, PARAMS = PLACES = ("layer_in", "layer_out", "params")
"""What of a layer has a format, as the fields of `LayerQuant` are called."""


@dataclass(frozen=True)
class LayerQuant:
    """The formats of one quantized layer; None stands for float, which only a trial inside a search uses.

    Parameters
    ----------
    layer_in, layer_out : Format or None
        Of the input blob (trimmed in place, before the layer) and of the output blob.
    params : Format or None
        Of the weights, and of the bias where the format applies to it.
    scheme : Scheme
        How the fork rounds.
    """

    layer_in: Format | None
    layer_out: Format | None
    params: Format | None
    scheme: Scheme = Scheme.NEAREST

    def under(self, arithmetic: Arithmetic) -> LayerQuant:
        """Give the formats as they act: the original's CPU code leaves some activations alone."""
        if self.params is None or self.params.trims_activations(arithmetic):
            return self
        return replace(self, layer_in=None, layer_out=None)


@dataclass(frozen=True)
class QuantSpec:
    """What a search decides: the formats of every layer that it quantizes, by layer name."""

    trimming_mode: str
    layers: Mapping[str, LayerQuant]
