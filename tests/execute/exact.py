"""What a quantized layer is defined to give, in Python's integers and fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from ristretto.formats import Arithmetic, FixedPoint
from ristretto.layers import Convolution, Deconvolution, InnerProduct
from ristretto.net import Op, Shape


def fractions(x: np.ndarray) -> np.ndarray:
    """Give every number as a fraction."""
    return np.array([Fraction(float(value)) for value in x.flat], object).reshape(x.shape)


def trimmed(x: np.ndarray, fmt: FixedPoint, arithmetic: Arithmetic) -> np.ndarray:
    """Round fractions once to the nearest number of a format, saturating."""

    def one(value: Fraction) -> Fraction:
        scaled = min(max(value * Fraction(2) ** fmt.fl, fmt.low_code), fmt.high_code)
        away = math.floor(abs(scaled) + Fraction(1, 2)) * (-1 if scaled < 0 else 1)
        return (round(scaled) if arithmetic.half_even else away) * Fraction(2) ** -fmt.fl

    return np.array([one(value) for value in x.flat], object).reshape(x.shape)


def summed(op: Op, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Give a layer's sums of products, without its bias.

    Parameters
    ----------
    op : Op
        A convolution, deconvolution or inner product.
    x, weights : integer arrays, or arrays of Python's numbers
        Bottom and first blob, in codes or in real units.
    """
    x, weights = (array.astype(object) for array in (x, weights))
    if isinstance(op, Deconvolution):
        return _stamped(op, x, weights)
    if isinstance(op, Convolution):
        return _windowed(op, x, weights)
    assert isinstance(op, InnerProduct)
    return np.array([[(row * w).sum() for w in weights] for row in x.reshape(len(x), -1)], object)


def _windowed(op: Convolution, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    top = np.zeros(op.infer([x.shape])[0], object)
    (ph, pw), (sh, sw), (dh, dw) = op.pad, op.stride, op.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=0)
    inputs, outputs = x.shape[1] // op.group, op.num_output // op.group
    down, across = (s * (count - 1) + 1 for s, count in zip(op.stride, top.shape[2:], strict=True))
    for o, c, u, v in itertools.product(*(range(size) for size in weights.shape)):
        seen = padded[:, o // outputs * inputs + c, u * dh : u * dh + down : sh, v * dw : v * dw + across : sw]
        top[:, o] += seen * weights[o, c, u, v]
    return top


def _stamped(op: Deconvolution, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Let every pixel stamp its kernels onto a canvas, then cut the rim off."""
    shape = op.infer([x.shape])[0]
    (ph, pw), (sh, sw), (dh, dw) = op.pad, op.stride, op.dilation
    canvas = np.zeros((*shape[:2], shape[2] + 2 * ph, shape[3] + 2 * pw), object)
    inputs, outputs = x.shape[1] // op.group, op.num_output // op.group
    down, across = (s * (size - 1) + 1 for s, size in zip(op.stride, x.shape[2:], strict=True))
    for c, o, u, v in itertools.product(*(range(size) for size in weights.shape)):
        place = (slice(u * dh, u * dh + down, sh), slice(v * dw, v * dw + across, sw))
        canvas[(slice(None), c // inputs * outputs + o, *place)] += x[:, c] * weights[c, o, u, v]
    return canvas[:, :, ph : ph + shape[2], pw : pw + shape[3]]


def channelwise(numbers: np.ndarray, shape: Shape) -> np.ndarray:
    """Give one number for each channel, shaped to be added to a blob."""
    return numbers.reshape(1, -1, *[1] * (len(shape) - 2))
