"""Real numbers trimmed to fixed point, one array at a time; programs round in vectors (see `epilogue` and `rows`)."""

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
