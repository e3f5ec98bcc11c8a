"""Kernels that work on rows, along any axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ristretto.net.op import Array


def along_axis(x: Array, axis: int, fill: Callable[[Array, Array], None]) -> Array:
    """Give what a kernel makes of an array's rows along an axis.

    Parameters
    ----------
    x : array
    axis : int
    fill : callable
        Given the rows and where its results go, contiguous arrays (rows, numbers) of one type.
    """
    rows = np.moveaxis(x, axis, -1)
    top = np.empty(rows.shape, rows.dtype)
    if top.size:
        # What must not be written to is another type to a kernel.
        both = np.require(rows, requirements=["C", "W"]), top
        fill(*(array.reshape(-1, rows.shape[-1]) for array in both))
    return np.ascontiguousarray(np.moveaxis(top, -1, axis))
