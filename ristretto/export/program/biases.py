"""A layer's bias as integers on the grid of its sums, or on a finer one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.execute.compiled.piece import Codes
from ristretto.formats import FixedPoint
from ristretto.hardware.grid import bits_for
from ristretto.hardware.mac import MacPath
from ristretto.net import Layer

EXACT_BITS = 53
"""Bits of the longest sums that float64, in which the executors add such a bias, holds exactly."""


@dataclass(frozen=True)
class Bias:
    """What is added to a layer's sums: a total is ``(sum << lift) + code``.

    Parameters
    ----------
    codes : tuple of int or None
        For each output; None where all are zero.
    lift : int
        Bits.
    """

    codes: tuple[int, ...] | None
    lift: int = 0


def bias_of(layer: Layer, codes: Codes, bare: MacPath) -> Bias:
    """Give a layer's bias.

    Beside powers of two a bias is a float32. What the trim behind the sum needs to know of it is where it lies between
    the numbers of the sums' grid and the ties of the output's: of everything finer, one bit says that it is there.

    Parameters
    ----------
    layer : Layer
    codes : Codes
    bare : MacPath
        The layer without its bias.

    Raises
    ------
    ModelError
        When a bias is NaN, or so fine that the executors round the sum.
    """
    if not codes.bias.any():
        return Bias(None)
    if not codes.has_real_bias:
        raised, lift = max(bare.layer_in.fl, 0), max(-bare.layer_in.fl, 0)
        return Bias(tuple(int(b) << raised for b in codes.bias), lift)
    if np.isnan(codes.bias).any():
        raise ModelError("its bias is NaN", layer=layer.name, hint="do the weights belong to this net?")
    grid = max(bare.fl, bare.layer_out.fl + 1) + 1
    lift = grid - bare.fl
    return Bias(tuple(_kept(float(b), grid, layer, bare) for b in codes.bias), lift)


def _kept(bias: float, fl: int, layer: Layer, bare: MacPath) -> int:
    """Give a bias in steps of ``2**-fl``: what is finer makes the code odd."""
    bound = _saturating(bare, bare.layer_out)
    bias = min(max(bias, -bound), bound)
    top, bottom = bias.as_integer_ratio()
    exact = bottom.bit_length() - 1
    longest = (max(-bare.low, bare.high) << max(exact - bare.fl, 0)) + (abs(top) << max(bare.fl - exact, 0))
    if bits_for(0, longest) > EXACT_BITS + 1:
        raise ModelError(
            f"its bias {bias:g} is so fine that float64 rounds the sum", layer=layer.name, hint="set it to zero"
        )
    whole, rest = divmod(top << max(fl, 0), bottom << max(-fl, 0))
    return whole | (rest != 0)


def _saturating(bare: MacPath, fmt: FixedPoint) -> float:
    """Give a power of two beyond which a bias saturates the output, whatever the sum is."""
    largest = math.ldexp(max(-bare.low, bare.high), -bare.fl) + math.ldexp(1 << fmt.bw, -fmt.fl)
    return math.ldexp(1.0, math.frexp(largest)[1])
