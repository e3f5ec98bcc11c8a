"""Minifloat: a short floating-point word without infinities, NaN or denormals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ristretto.errors import FormatError
from ristretto.formats.base import EXACT, Arithmetic, CodeArray, FloatArray, Format, whole
from ristretto.kernels import minifloat as kernel

MOST_BITS = {"exp_bits": 8, "mant_bits": 23}
"""A minifloat is at most a float32."""


@dataclass(frozen=True)
class MiniFloat(Format):
    """The numbers 0 and ``±(1 + m / 2**mant_bits) * 2**(e - bias)``.

    ``0 <= m < 2**mant_bits``, ``0 <= e < 2**exp_bits`` and ``bias = 2**(exp_bits - 1) - 1`` (Gysel et al. 2016, section
    4; the original's ``Trim2MiniFloat``). What is smaller than the smallest of them becomes 0, however near it lies;
    what is larger than the largest becomes that one.

    Parameters
    ----------
    exp_bits : int
        Bits of the exponent, 1 to 8.
    mant_bits : int
        Bits of the mantissa, 0 to 23.

    Raises
    ------
    FormatError
        When one of them is out of range.

    Examples
    --------
    >>> f = MiniFloat(exp_bits=4, mant_bits=3)
    >>> f.high
    480.0
    >>> f.trim(np.float32([0.3, 250, 511, -1e9, 0.001]))
    array([ 3.125e-01,  2.560e+02,  4.800e+02, -4.800e+02,  0.000e+00],
          dtype=float32)
    """

    name = "minifloat"
    legend = "e exponent bits m mantissa bits"
    on_one_grid = False
    packing = "minifloat"

    exp_bits: int
    mant_bits: int

    def __post_init__(self) -> None:
        for field, least in (("exp_bits", 1), ("mant_bits", 0)):
            if not least <= getattr(self, field) <= MOST_BITS[field]:
                raise FormatError(
                    f"a minifloat with {field} {getattr(self, field)}",
                    hint=f"{field} lies between {least} and {MOST_BITS[field]}",
                )

    @property
    def bits(self) -> int:
        """Sign, exponent and mantissa."""
        return 1 + self.exp_bits + self.mant_bits

    @property
    def bias(self) -> int:
        """What is taken off a stored exponent."""
        return (1 << (self.exp_bits - 1)) - 1

    @property
    def low(self) -> float:
        """The smallest number, in real units."""
        return -self.high

    @property
    def high(self) -> float:
        """The largest number, in real units."""
        return math.ldexp(2 - 2.0**-self.mant_bits, (1 << self.exp_bits) - 1 - self.bias)

    def trim(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> FloatArray:
        """Round to the nearest number of the same power of two, halves away from zero, saturating at the ends.

        Parameters
        ----------
        x : float32 or float64 array, any shape, real units
            Infinities saturate; NaN stays NaN.
        arithmetic : Arithmetic
            Whether to repeat the original's defects: it stops at the first zero of a blob (on the CPU), and lets the
            largest numbers round up to the power of two that follows.

        Returns
        -------
        float32 array, same shape, real units
        """
        out = np.empty(x.shape, np.float32)
        kernel.trim_minifloat(
            np.ravel(x),
            out.reshape(-1),
            self.mant_bits,
            self.exp_bits,
            arithmetic.minifloat_passes_top,
            arithmetic.minifloat_stops_at_zero,
        )
        return out

    def encode(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> CodeArray:
        """Give ``sign * (1 + e * 2**mant_bits + m)``, and 0 for zero: neighbours have neighbouring codes.

        Parameters
        ----------
        x : float32 or float64 array, any shape, real units
            Infinities saturate.
        arithmetic : Arithmetic
            Codes have no defects: this changes nothing.

        Returns
        -------
        int32 array, same shape, in codes
            One code more on each side than a word of `bits` holds: the zero is the original's, not the word's.

        Raises
        ------
        FormatError
            When a number is NaN.
        """
        self.refuse_nan(x)
        out = np.empty(x.shape, np.int32)
        kernel.encode_minifloat(np.ravel(x), out.reshape(-1), self.mant_bits, self.exp_bits)
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
        out = np.empty(codes.shape, np.float32)
        kernel.decode_minifloat(np.ravel(codes), out.reshape(-1), self.mant_bits, self.exp_bits)
        return out

    @property
    def word_bits(self) -> int:
        """One bit more than `bits`: these have patterns for all numbers but the zero."""
        return self.bits + 1

    def pack(self, codes: CodeArray) -> CodeArray:
        """Give 1, the sign (1 for minus), the stored exponent and the mantissa; all zeros for zero.

        The top bit says that the number is not zero: each pattern of the other bits stands for a number that occurs,
        the one of zeros for ``2**-bias``.

        Parameters
        ----------
        codes : integer array, any shape, in codes

        Returns
        -------
        int64 array, same shape
            Words of `word_bits`; not negative.
        """
        sizes = np.abs(codes.astype(np.int64))
        signs = (codes < 0).astype(np.int64) << (self.bits - 1)
        return np.where(sizes == 0, 0, (1 << self.bits) | signs | (sizes - 1))

    def rounded(self, xp: Any, x: Any, noise: Any = None) -> Any:
        """Round the mantissa; see `Format.rounded`.

        What is smaller than the smallest number becomes 0 in either case, as in the fork.
        """
        size, most = xp.abs(x), float(xp.finfo(x.dtype).max)
        low = math.ldexp(1.0, -self.bias)
        # Eight bits of exponent reach one power of two further than float32.
        high = self.high if self.high <= most else math.inf
        inside = xp.clip(size, low, min(high, most))
        significand = 2 * xp.frexp(inside)[0]
        steps = 1 << self.mant_bits
        mantissa = whole(xp, (significand - 1) * steps, noise)
        # The quotient is a power of two and exact; no library's own power function is needed.
        value = (1 + mantissa / steps) * (inside / significand)
        value = xp.where((size >= high) | (value > high), 0 * inside + high, value)
        value = xp.where(size < low, 0 * inside, value)
        return xp.where(x < 0, -value, value) + 0.0

    def describe(self) -> str:
        """Give ``eXmY``: exponent and mantissa bits."""
        return f"e{self.exp_bits}m{self.mant_bits}"
