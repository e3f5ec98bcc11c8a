"""A bias without a format as integers on a finer grid than that of the sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ristretto.errors import ModelError
from ristretto.execute.compiled.piece import Codes
from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.export.paths import saturating_bias
from ristretto.hardware.mac import MacPath


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


def bias_of(codes: Codes, bare: MacPath) -> Bias:
    """Give a bias that has no format, as beside powers of two.

    It is a float32. What the trim behind the sum needs to know of it is where it lies between the numbers of the sums'
    grid and the ties of the output's: of everything finer, one bit says that it is there.

    Parameters
    ----------
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
    if np.isnan(codes.bias).any():
        raise ModelError("its bias is NaN", hint="do the weights belong to this net?")
    grid = max(bare.fl, bare.layer_out.fl + 1) + 1
    lift = grid - bare.fl
    return Bias(tuple(_kept(float(b), grid, bare) for b in codes.bias), lift)


def _kept(bias: float, fl: int, bare: MacPath) -> int:
    """Give a bias in steps of ``2**-fl``: what is finer makes the code odd.

    The executors round the sum with its bias to float64. No number changes sides of a tie by that, but it may come to
    lie on one: from as near to it as the bias is to a whole step of the grid on which all sums and ties lie.
    """
    bound = saturating_bias(bare)
    exact = Fraction(min(max(bias, -bound), bound))
    steps = exact * Fraction(2) ** (fl - 1)
    apart = (abs(steps - round(steps)) or 1) * Fraction(2) ** (1 - fl)
    greatest_tie = Fraction(2) ** (bare.layer_out.bw - bare.layer_out.fl)
    if apart <= greatest_tie / EXACT_IN_FLOAT64:
        raise ModelError(f"its bias {bias:g} is so fine that float64 rounds the sum", hint="set it to zero")
    whole = math.floor(2 * steps)
    return whole | (whole != 2 * steps)
