"""Exact sums of products of codes, and their way to output codes, on whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ristretto.execute.exact import EXACT_IN_FLOAT64
from ristretto.formats import Arithmetic
from ristretto.hardware.mac import MacPath
from ristretto.net.op import Array

LONGEST_SHIFT = 62
"""Bits by which int64 is shifted with room for a half beside."""

Totals = NDArray[np.int64]


def totals(path: MacPath, inputs: Array) -> Totals:
    """Give what the accumulator holds at the end, the bias within.

    Parameters
    ----------
    path : MacPath
        Whose accumulator has up to 64 bits.
    inputs : integer array, shaped as the layer's bottom
        In codes.

    Returns
    -------
    int64 array, shaped as the layer's top
        Exact.
    """
    sums = _products(path, inputs.astype(np.int64), np.asarray(path.weights, np.int64)) << np.int64(path.lift)
    if path.bias is None:
        return sums
    bias = np.array(path.aligned_bias, np.int64)
    return sums + (bias.reshape(-1, 1, 1) if sums.ndim == 4 else bias)


def _products(path: MacPath, x: Totals, weights: Totals) -> Totals:
    """Add up products in float64, in as many parts as it takes to be exact.

    What runs over in a part comes out right in the end: integers of 64 bits go round, and the total fits.
    """
    op = path.layer.op
    largest_x, largest_w = (int(np.abs(codes).max(initial=0)) for codes in (x, weights))
    if largest_x * largest_w * path.walk.terms < EXACT_IN_FLOAT64:
        blobs = [weights.astype(np.float64), *(np.zeros(blob.shape) for blob in path.layer.blobs[1:])]
        (sums,) = op.forward([x.astype(np.float64)], blobs)
        return cast(Totals, sums.astype(np.int64))
    if largest_x > largest_w:
        half = largest_x.bit_length() // 2
        upper = x >> half
        return (_products(path, upper, weights) << half) + _products(path, x - (upper << half), weights)
    half = largest_w.bit_length() // 2
    upper = weights >> half
    return (_products(path, x, upper) << half) + _products(path, x, weights - (upper << half))


def rounded(path: MacPath, sums: Totals, arithmetic: Arithmetic) -> Totals:
    """Shift accumulators to output codes, round, saturate: `MacPath.rounded` for each."""
    low, high = path.layer_out.low_code, path.layer_out.high_code
    right = path.out_shift
    if right <= 0:
        # What is beyond the ends before it is shifted to the left is so behind it, too.
        return _saturated(_saturated(sums, low, high) << np.int64(min(-right, LONGEST_SHIFT - 31)), low, high)
    if right > LONGEST_SHIFT:
        return _one_by_one(path, sums, arithmetic)
    floor = sums >> np.int64(right)
    rest, half = sums - (floor << np.int64(right)), np.int64(1 << (right - 1))
    at_half = (floor & 1 == 1) if arithmetic.half_even else (sums >= 0)
    up = (rest > half) | ((rest == half) & at_half)
    return _saturated(floor + up, low, high)


def _saturated(codes: Totals, low: int, high: int) -> Totals:
    return np.minimum(np.maximum(codes, low), high)


def _one_by_one(path: MacPath, sums: Totals, arithmetic: Arithmetic) -> Totals:
    codes: Sequence[int] = [path.rounded(total, arithmetic) for total in sums.reshape(-1).tolist()]
    return np.array(codes, np.int64).reshape(sums.shape)
