"""Trimming to minifloats and to powers of two, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel
from ristretto.kernels.trim import round_real

HALF_OCTAVE = math.sqrt(0.5)
"""Where ``round(log2(x))`` steps; irrational, so that no number lies on it."""


@kernel
def minifloat_code(x: float, mant_bits: int, exp_bits: int, past_top: bool) -> int:
    """Give ``sign * (1 + e * 2**mant_bits + m)`` for the minifloat that a number becomes; 0 for zero.

    Consecutive minifloats have consecutive codes, so a mantissa that rounds up to ``2**mant_bits`` carries into the
    exponent by itself. `past_top` lets it carry out of the largest exponent as well, as the original does.
    """
    size = abs(x)
    bias = (1 << (exp_bits - 1)) - 1
    top = 1 << (exp_bits + mant_bits)
    fraction, exponent = math.frexp(size)
    # frexp's fraction lies in [0.5, 1); the formula's significand in [1, 2).
    biased = exponent - 1 + bias
    if size == math.inf or biased >= 1 << exp_bits:
        code = top
    elif size == 0.0 or biased < 0:
        code = 0
    else:
        code = 1 + (biased << mant_bits) + int(round_real((2.0 * fraction - 1.0) * (1 << mant_bits), False))
        if code > top and not past_top:
            code = top
    return -code if x < 0 else code


@kernel
def minifloat_value(code: int, mant_bits: int, exp_bits: int) -> float:
    """Give the number of a code."""
    if code == 0:
        return 0.0
    step = abs(code) - 1
    bias = (1 << (exp_bits - 1)) - 1
    significand = 1.0 + (step & ((1 << mant_bits) - 1)) / (1 << mant_bits)
    value = math.ldexp(significand, (step >> mant_bits) - bias)
    return -value if code < 0 else value


@kernel
def trim_minifloat(
    x: NDArray[Any], out: NDArray[Any], mant_bits: int, exp_bits: int, past_top: bool, stop_at_zero: bool
) -> None:
    """Trim real numbers; 1-D arrays of one length. NaN stays NaN.

    With `stop_at_zero` the first number that becomes zero ends the work: those behind it are copied as they are.
    """
    stopped = False
    for i in range(x.size):
        value = float(x[i])
        if stopped or math.isnan(value):
            out[i] = value
            continue
        code = minifloat_code(value, mant_bits, exp_bits, past_top)
        out[i] = minifloat_value(code, mant_bits, exp_bits)
        stopped = stop_at_zero and code == 0


@kernel
def encode_minifloat(x: NDArray[Any], out: NDArray[Any], mant_bits: int, exp_bits: int) -> None:
    """Give the codes of real numbers; 1-D arrays of one length, free of NaN."""
    for i in range(x.size):
        out[i] = minifloat_code(float(x[i]), mant_bits, exp_bits, False)


@kernel
def decode_minifloat(codes: NDArray[Any], out: NDArray[Any], mant_bits: int, exp_bits: int) -> None:
    """Give the numbers of codes; 1-D arrays of one length."""
    for i in range(codes.size):
        out[i] = minifloat_value(int(codes[i]), mant_bits, exp_bits)


@kernel
def encode_power_of_two(x: NDArray[Any], out: NDArray[np.int16], exp_min: int, exp_max: int) -> None:
    """Give ``sign * (1 + e - exp_min)`` for the power of two that each number becomes; 1-D, free of NaN.

    There is no code for zero: it becomes the smallest positive power.
    """
    for i in range(x.size):
        value = float(x[i])
        size = abs(value)
        if size == math.inf:
            exponent = exp_max
        elif size == 0.0:
            exponent = exp_min
        else:
            fraction, exponent = math.frexp(size)
            if fraction < HALF_OCTAVE:
                exponent -= 1
            exponent = min(max(exponent, exp_min), exp_max)
        code = 1 + exponent - exp_min
        out[i] = -code if value < 0 else code
