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
    whole: float = np.trunc(x)
    rest = abs(x - whole)
    step = rest > 0.5 or (rest == 0.5 and (not half_even or np.fmod(whole, 2.0) != 0.0))
    return whole + math.copysign(1.0, x) if step else whole


@kernel
def shift_round(total: int, shift: int, low: int, high: int, half_even: bool) -> int:
    """Divide an integer by ``2**shift``, round to nearest, saturate to [low, high].

    Exact for an int64 `total` of magnitude below ``2**62`` and a `shift` from -32 to 62, bits, with [low, high] within
    int32. A `total` of fewer bits must be widened by the caller: its absolute value may not fit its own type.
    """
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
def encode(x: FloatArray, out: CodeArray, low: int, high: int, fl: int, half_even: bool) -> bool:
    """Give the codes of real numbers, saturated to [low, high]; 1-D arrays of one length.

    Returns
    -------
    bool
        Whether every number has a code, that is, none is NaN.
    """
    scale = 2.0**fl
    nans = 0
    for i in range(x.size):
        value = float(x[i]) * scale
        if value > high:
            value = float(high)
        if value < low:
            value = float(low)
        missing = value != value
        nans += missing
        out[i] = 0 if missing else int(round_real(value, half_even))
    return nans == 0


@kernel
def requantize(codes: CodeArray, out: CodeArray, shift: int, low: int, high: int, half_even: bool) -> None:
    """Move codes to a grid that is `shift` bits coarser (finer when negative), saturated; 1-D arrays of one length.

    The shift lies between -32 and 62; a longer one gives what the end of this range gives.
    """
    for i in range(codes.size):
        # int() alone leaves an int8 an int8 in numba.
        out[i] = shift_round(int(np.int64(codes[i])), shift, low, high, half_even)
