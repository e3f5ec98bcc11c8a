"""Dynamic fixed point: integers of bw bits, scaled by a power of two."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ristretto.errors import FormatError
from ristretto.formats.base import EXACT, Arithmetic, CodeArray, FloatArray, Format, whole
from ristretto.kernels import trim as kernel

MAX_FRACTION = 96
"""Greatest fractional length either way, bits: a word of 32 bits then still ends within float32's numbers."""


@dataclass(frozen=True)
class FixedPoint(Format):
    """The numbers ``k * 2**-fl`` for integers ``-2**(bw-1) <= k < 2**(bw-1)``.

    The radix point is "dynamic": each blob and each layer's weights have an `fl` of their own (Gysel et al. 2016,
    section 4).

    Parameters
    ----------
    bw : int
        Word width in bits, sign included, 1 to 32.
    fl : int
        Fractional length in bits; negative ones make the steps larger than 1.

    Raises
    ------
    FormatError
        When `bw` or `fl` is out of range.

    Examples
    --------
    >>> FixedPoint(bw=4, fl=2).trim(np.float32([0.3, 9.0, -9.0]))
    array([ 0.25,  1.75, -2.  ], dtype=float32)
    >>> FixedPoint(bw=4, fl=-3).encode(np.float32([4, 12, 70, -68]))
    array([ 1,  2,  7, -8], dtype=int8)
    """

    name = "dynamic_fixed_point"
    legend = "bits.fractional length"

    bw: int
    fl: int

    def __post_init__(self) -> None:
        if not 1 <= self.bw <= 32:
            raise FormatError(f"a fixed-point word of {self.bw} bits", hint="bw lies between 1 and 32")
        if abs(self.fl) > MAX_FRACTION:
            raise FormatError(
                f"a fractional length of {self.fl} bits", hint=f"fl lies between {-MAX_FRACTION} and {MAX_FRACTION}"
            )

    @classmethod
    def covering(cls, bw: int, magnitude: float) -> FixedPoint:
        """Give the finest format of this width in which no number of this magnitude saturates.

        Parameters
        ----------
        bw : int
            Word width in bits.
        magnitude : float
            Greatest absolute value, real units; 0 (a blob that is always zero) gives fl = bw - 1.

        Returns
        -------
        FixedPoint
            The one with the largest `fl`, up to `MAX_FRACTION`, whose ends lie at most half a step inside of
            ``-magnitude`` and ``magnitude``. One bit has no positive number: there only ``-magnitude`` counts.

        Raises
        ------
        FormatError
            When the magnitude is negative, infinite or NaN, or too large for any format of this width.

        Examples
        --------
        >>> FixedPoint.covering(8, 0.996)
        FixedPoint(bw=8, fl=7)
        >>> FixedPoint.covering(8, 1.0)
        FixedPoint(bw=8, fl=6)
        """
        if not 0 <= magnitude < math.inf:
            raise FormatError(f"no format covers numbers of magnitude {magnitude}", hint="it must be finite")
        if magnitude == 0:
            return cls(bw, bw - 1)
        # From here on a scaled magnitude rounds to what lies beyond the end: the greatest code, or -1 with one bit.
        beyond = 1.5 if bw == 1 else 2 ** (bw - 1) - 0.5
        near = bw - 1 - math.frexp(magnitude)[1]
        fl = min(MAX_FRACTION, next(f for f in (near + 1, near, near - 1) if math.ldexp(magnitude, f) < beyond))
        if fl < -MAX_FRACTION:
            raise FormatError(f"no format of {bw} bits covers numbers of magnitude {magnitude}")
        return cls(bw, fl)

    @property
    def bits(self) -> int:
        """The word width."""
        return self.bw

    @property
    def il(self) -> int:
        """Integer length in bits, sign included."""
        return self.bw - self.fl

    @property
    def low_code(self) -> int:
        """The smallest code."""
        return -(1 << (self.bw - 1))

    @property
    def high_code(self) -> int:
        """The largest code."""
        return (1 << (self.bw - 1)) - 1

    @property
    def low(self) -> float:
        """The smallest number, in real units."""
        return math.ldexp(self.low_code, -self.fl)

    @property
    def high(self) -> float:
        """The largest number, in real units."""
        return math.ldexp(self.high_code, -self.fl)

    @property
    def code_type(self) -> np.dtype[np.signedinteger]:
        """The smallest numpy integer that holds every code."""
        return np.dtype(np.int8 if self.bw <= 8 else np.int16 if self.bw <= 16 else np.int32)

    def trim(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> FloatArray:
        """Round to the nearest number of this format, saturating at its ends.

        Parameters
        ----------
        x : float32 or float64 array, any shape, real units
            Infinities saturate; NaN stays NaN.
        arithmetic : Arithmetic
            Where halves go.

        Returns
        -------
        float32 array, same shape, real units
            ``k * 2**-fl`` for integers ``-2**(bw-1) <= k < 2**(bw-1)``. Words of more than 25 bits hold numbers that
            float32 does not: those come out as its nearest ones.
        """
        out = np.empty(x.shape, np.float32)
        kernel.trim(np.ravel(x), out.reshape(-1), self.low, self.high, self.fl, arithmetic.half_even)
        return out

    def encode(self, x: FloatArray, arithmetic: Arithmetic = EXACT) -> CodeArray:
        """Give the codes of the trimmed numbers.

        Parameters
        ----------
        x : float32 or float64 array, any shape, real units
            Infinities saturate.
        arithmetic : Arithmetic
            Where halves go.

        Returns
        -------
        int8, int16 or int32 array, same shape, in codes

        Raises
        ------
        FormatError
            When a number is NaN.
        """
        out = np.empty(x.shape, self.code_type)
        half_even = arithmetic.half_even
        if not kernel.encode(np.ravel(x), out.reshape(-1), self.low_code, self.high_code, self.fl, half_even):
            self.refuse_nan(x)
        return out

    def decode(self, codes: CodeArray) -> FloatArray:
        """Give the numbers of codes.

        Parameters
        ----------
        codes : integer array, any shape, in codes

        Returns
        -------
        float32 array, same shape, real units
            Codes of more than 25 bits are rounded to float32.
        """
        return codes.astype(np.float32) * np.float32(math.ldexp(1.0, -self.fl))

    def rounded(self, xp: Any, x: Any, noise: Any = None) -> Any:
        """Clip, scale, round, scale back; see `Format.rounded`."""
        codes = whole(xp, xp.clip(x, self.low, self.high) * math.ldexp(1.0, self.fl), noise)
        # The zero has no sign, as among the codes.
        return codes * math.ldexp(1.0, -self.fl) + 0.0

    @property
    def range_exponent(self) -> int:
        """The integer length less its sign: the smallest number is ``-2**range_exponent``."""
        return self.il - 1

    def with_range(self, exponent: int) -> FixedPoint:
        """Give the format of this width whose smallest number is ``-2**exponent``."""
        return replace(self, fl=self.bw - 1 - exponent)

    def describe(self) -> str:
        """Give ``bw.fl``: the width, then the fractional length."""
        return f"{self.bw}.{self.fl}"
