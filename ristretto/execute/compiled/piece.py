"""Piece: a layer with the formats that a program gives its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.formats import FixedPoint
from ristretto.net import Layer, Shape
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class Codes:
    """Weights as integers.

    Parameters
    ----------
    weights : integer array, shaped as the layer's first blob
        In steps of ``2**-fl``.
    bits : int
        The width of their words.
    fl : int
        Their fractional length, bits.
    bias : int64 array (outputs,), or float64
        In the same steps; or in real units, where it has no format. All zero without a bias.
    """

    weights: Array
    bits: int
    fl: int
    bias: Array

    @property
    def has_real_bias(self) -> bool:
        """Whether the bias is added in float64."""
        return self.bias.dtype == np.float64


@dataclass(frozen=True, eq=False)
class Piece:
    """A layer as a program runs it.

    Parameters
    ----------
    layer : Layer
        Its blobs are those to be used: trimmed, where weights have a format and the sums are in float32.
    trim_in, trim_out : FixedPoint or None
        What its input blob is trimmed to in place, and its top.
    codes : Codes or None
        The weights of a layer whose sums are integers.
    """

    layer: Layer
    trim_in: FixedPoint | None = None
    trim_out: FixedPoint | None = None
    codes: Codes | None = None


def picture(shape: Shape) -> tuple[int, int, int] | None:
    """Give channels, height and width of the pictures in a blob; None where it does not hold pictures."""
    if len(shape) == 2:
        return shape[1], 1, 1
    if len(shape) == 4:
        return shape[1], shape[2], shape[3]
    return None
