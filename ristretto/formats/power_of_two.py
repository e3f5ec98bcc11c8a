"""Powers of two: weights that turn a multiplication into a shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ristretto.errors import FormatError
from ristretto.formats.base import EXACT, Arithmetic, CodeArray, FloatArray, Format
from ristretto.kernels import minifloat as kernel

WIDEST_EXPONENT = 126
"""Powers of two beyond this, either way, are no normal numbers of float32."""
HALF_OCTAVES = {32: float(np.nextafter(np.float32(kernel.HALF_OCTAVE), np.float32(1))), 64: kernel.HALF_OCTAVE}
"""The least number of so many bits that does not lie below the root of one half; float32's nearest one does."""


@dataclass(frozen=True)
class PowerOfTwo(Format):
    """The numbers ``±2**e`` for integers ``exp_min <= e <= exp_max``; zero is none of them.

    A weight w becomes ``sign(w) * 2**round(log2(abs(w)))`` within the ends, 0 becomes ``+2**exp_min`` (Gysel et al.
    2016, section 4; the original's ``Trim2IntegerPowerOf2``). Biases are left as they are.

    Parameters
    ----------
    exp_min, exp_max : int
        Smallest and largest exponent.

    Raises
    ------
    FormatError
        When they are out of order, or beyond what float32 holds.

    Examples
    --------
    >>> PowerOfTwo(exp_min=-8, exp_max=-1).trim(np.float32([0.3, -0.37, 0, -5]))
    array([ 0.25      , -0.5       ,  0.00390625, -0.5       ], dtype=float32)
    """

    name = "integer_power_of_2_weights"
    legend = "±2^least..greatest exponent"
    covers_bias = False
    packing = "sign_exponent"

    exp_min: int
    exp_max: int

    def __post_init__(self) -> None:
        if not -WIDEST_EXPONENT <= self.exp_min <= self.exp_max <= WIDEST_EXPONENT:
            raise FormatError(
                f"powers of two from exponent {self.exp_min} to {self.exp_max}",
                hint=f"exp_min <= exp_max, both between {-WIDEST_EXPONENT} and {WIDEST_EXPONENT}",
            )

    @property
    def bits(self) -> int:
        """The sign, and the bits that number the exponents."""
        return 1 + (self.exp_max - self.exp_min).bit_length()

    @property
    def low(self) -> float:
        """The smallest number, in real units."""
        return -self.high

    @property
    def high(self) -> float:
        """The largest number, in real units."""
        return math.ldexp(1.0, self.exp_max)

    def trims_activations(self, arithmetic: Arithmetic) -> bool:
        """Whether a layer with such weights trims its input and output: not in the original's CPU code."""
        return arithmetic.power_of_two_trims_activations

    def trim(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> FloatArray:
        """Round to the nearest power of two by logarithm, within the ends.

        Parameters
        ----------
        x : float32 or float64 array, any shape, real units
            NaN stays NaN.
        arithmetic : Arithmetic
            No logarithm lies half-way between two integers: this changes nothing.

        Returns
        -------
        float32 array, same shape, real units
        """
        missing = np.isnan(x)
        return np.where(missing, np.float32(np.nan), self.decode(self.encode(np.where(missing, 0, x))))

    def encode(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> CodeArray:
        """Give ``sign * (1 + e - exp_min)``.

        Parameters
        ----------
        x : float32 or float64 array, any shape, real units
        arithmetic : Arithmetic
            Changes nothing.

        Returns
        -------
        int16 array, same shape, in codes
            ``abs(code) - 1`` is the left shift that stands for the multiplication, on a grid of ``2**exp_min``.

        Raises
        ------
        FormatError
            When a number is NaN.
        """
        self.refuse_nan(x)
        out = np.empty(x.shape, np.int16)
        kernel.encode_power_of_two(np.ravel(x), out.reshape(-1), self.exp_min, self.exp_max)
        return out

    def decode(self, codes: CodeArray) -> FloatArray:
        """Give the numbers of codes.

        Parameters
        ----------
        codes : integer array, any shape, in codes

        Returns
        -------
        float32 array, same shape, real units
        """
        signs = np.sign(codes).astype(np.float32)
        return np.asarray(np.ldexp(signs, np.abs(codes).astype(np.int32) - 1 + self.exp_min), np.float32)

    def pack(self, codes: CodeArray) -> CodeArray:
        """Give the sign (1 for minus) above ``e - exp_min``, which is the left shift of a product.

        Parameters
        ----------
        codes : integer array, any shape, in codes

        Returns
        -------
        int64 array, same shape
            Words of `bits`; not negative.
        """
        shifts = np.abs(codes.astype(np.int64)) - 1
        return np.where(codes < 0, shifts | (1 << (self.bits - 1)), shifts)

    def rounded(self, xp: Any, x: Any, noise: Any = None) -> Any:
        """Round the logarithm; see `Format.rounded`."""
        # Within the ends from the start: there is no zero then, and none is needed.
        inside = xp.clip(xp.abs(x), math.ldexp(1.0, self.exp_min), self.high)
        fraction = xp.frexp(inside)[0]
        below = inside / (2 * fraction)
        up = (
            xp.log2(2 * fraction) + noise >= 1
            if noise is not None
            else fraction >= HALF_OCTAVES[xp.finfo(x.dtype).bits]
        )
        value = xp.where(up, 2 * below, below)
        value = xp.clip(value, math.ldexp(1.0, self.exp_min), self.high)
        return xp.where(x < 0, -value, value)

    def describe(self) -> str:
        """Give ``±2^min..max``: the exponents."""
        return f"±2^{self.exp_min}..{self.exp_max}"
