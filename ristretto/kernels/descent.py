"""Coordinate descent on a sum of squares whose unknowns are integers: which way each weight is rounded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel

Float64 = NDArray[np.float64]


@kernel
def multiply(a: Float64, b: Float64, out: Float64) -> None:
    """Add the product of two matrices to a third, in one order on every machine; a BLAS has its own on each.

    Parameters
    ----------
    a : float64 array (m, k)
    b : float64 array (k, n)
    out : float64 array (m, n)
    """
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            factor = a[i, k]
            if factor != 0:
                for j in range(b.shape[1]):
                    out[i, j] += factor * b[k, j]


@kernel
def descend(codes: Float64, hessian: Float64, slope: Float64, low: float, high: float, sweeps: int) -> None:
    """Move one code at a time to where the error is least, until none moves; rows know nothing of each other.

    The error of a row ``k`` is ``k H k - 2 c k``, with a symmetric H; `slope` is ``c - k H`` and is kept up to date.

    Parameters
    ----------
    codes : float64 array (rows, n)
        Whole numbers, changed in place.
    hessian : float64 array (n, n)
    slope : float64 array (rows, n)
        Changed in place.
    low, high : float
        The least and the greatest code.
    sweeps : int
        How often each code is looked at, at most.
    """
    for row in range(codes.shape[0]):
        for _ in range(sweeps):
            moved = False
            for j in range(codes.shape[1]):
                curvature = hessian[j, j]
                if curvature <= 0:
                    continue
                old = codes[row, j]
                new = min(max(math.floor(old + slope[row, j] / curvature + 0.5), low), high)
                if new != old:
                    codes[row, j] = new
                    step = new - old
                    for i in range(codes.shape[1]):
                        slope[row, i] -= step * hessian[j, i]
                    moved = True
            if not moved:
                break
