"""LayerQuant and QuantSpec: which numbers a layer's input, output and weights may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ristretto.formats.base import FLOAT_BITS, Arithmetic, Format


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


def bits_of(fmt: Format | None) -> int:
    """Give the width of a place's words, bits; those of float32 without a format."""
    return FLOAT_BITS if fmt is None else fmt.bits


def param_bits(sizes: Sequence[int], params: Format | None) -> int:
    """Give the memory that a layer's weights and biases take, bits.

    Parameters
    ----------
    sizes : sequence of int
        Of the layer's blobs, numbers: weights, then what stands beside them, which a format may not cover.
    params : Format or None
        That of the weights; what has none is float32.
    """
    covered = len(sizes) if params is None or params.covers_bias else 1
    return bits_of(params) * sum(sizes[:covered]) + FLOAT_BITS * sum(sizes[covered:])


@dataclass(frozen=True)
class QuantSpec:
    """What a search decides: the formats of every layer that it quantizes, by layer name."""

    trimming_mode: str
    layers: Mapping[str, LayerQuant]
