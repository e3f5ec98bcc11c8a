"""Rounding, written once: every kernel that rounds calls one of these two functions.

The scalar functions are inlined into the kernels that use them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel

FloatArray = NDArray[np.floating]
CodeArray = NDArray[np.signedinteger]


@kernel
def round_real(x: float, half_even: bool) -> float:
    """Round a float64 to an integer; exact, since ``x - trunc(x)`` is."""
    whole = np.trunc(x)
    rest = abs(x - whole)
    step = rest > 0.5 or (rest == 0.5 and (not half_even or np.fmod(whole, 2.0) != 0.0))
    return whole + math.copysign(1.0, x) if step else whole


@kernel
def shift_round(total: int, shift: int, low: int, high: int, half_even: bool) -> int:
    """Divide an integer by ``2**shift``, round to nearest, saturate to [low, high]; exact for ``0 <= shift <= 62``."""
    if shift > 0:
        size = abs(total)
        half = 1 << (shift - 1)
        quotient = (size + half) >> shift
        if half_even and (size & (2 * half - 1)) == half:
            # A tie was rounded up; an odd quotient goes back down to the even one.
            quotient -= quotient & 1
        total = -quotient if total < 0 else quotient
    elif shift < 0:
        # Saturate first: what exceeds the range before the left shift cannot come back.
        total = min(max(total, low >> -shift), (high >> -shift) + 1) << -shift
    return min(max(total, low), high)


@kernel
def trim(x: FloatArray, out: FloatArray, low: float, high: float, fl: int, half_even: bool) -> None:
    """Trim real numbers to ``k * 2**-fl`` within [low, high]; 1-D arrays of one length. NaN stays NaN.

    There is one zero, as among the codes: what rounds to -0 becomes +0.
    """
    scale = 2.0**fl
    back = 2.0**-fl
    for i in range(x.size):
        value = float(x[i])
        # Comparisons this way round let NaN through.
        if value > high:
            value = high
        if value < low:
            value = low
        out[i] = round_real(value * scale, half_even) * back + 0.0


@kernel
def encode(x: FloatArray, out: CodeArray, low: int, high: int, fl: int, half_even: bool) -> None:
    """Give the codes of real numbers, saturated to [low, high]; 1-D arrays of one length, free of NaN."""
    scale = 2.0**fl
    for i in range(x.size):
        value = float(x[i]) * scale
        if value > high:
            value = float(high)
        if value < low:
            value = float(low)
        out[i] = int(round_real(value, half_even))


@kernel
def requantize(codes: CodeArray, out: CodeArray, shift: int, low: int, high: int, half_even: bool) -> None:
    """Move codes to a grid that is `shift` bits coarser (finer when negative), saturated; 1-D arrays of one length."""
    for i in range(codes.size):
        out[i] = shift_round(np.int64(codes[i]), shift, low, high, half_even)
