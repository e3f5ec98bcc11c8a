"""Pooling on integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel


def max_pool(
    x: NDArray[Any],
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    counts: tuple[int, int],
) -> NDArray[Any]:
    """Give the maximum of each window.

    Parameters
    ----------
    x : integer or float array (n, c, h, w)
    window, stride, pad, counts : (down, across)
        The window's size and step, the padding before the picture (never the maximum), the number of windows.

    Returns
    -------
    array (n, c, counts down, counts across), of the type of `x`

    Raises
    ------
    ValueError
        When a window lies wholly outside the picture: it has no maximum.
    """
    count, channels, height, width = x.shape
    for size, k, s, p, windows in zip((height, width), window, stride, pad, counts, strict=True):
        if p >= k or (windows - 1) * s - p >= size:
            raise ValueError(f"{windows} windows of {k} with stride {s} and pad {p} leave a picture of {size}")
    out = np.empty((count, channels, *counts), x.dtype)
    planes = np.ascontiguousarray(x).reshape(count * channels, height, width)
    _max_pool(planes, out.reshape(count * channels, *counts), window, stride, pad)
    return out


@kernel
def _max_pool(
    x: NDArray[Any], out: NDArray[Any], window: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> None:
    planes, height, width = x.shape
    _, down, across = out.shape
    column = np.empty(width, x.dtype)
    for p in range(planes):
        for i in range(down):
            top = max(i * stride[0] - pad[0], 0)
            bottom = min(i * stride[0] - pad[0] + window[0], height)
            # The rows first: neighbours lie side by side, so that LLVM compares many at a time.
            for z in range(width):
                column[z] = x[p, top, z]
            for y in range(top + 1, bottom):
                for z in range(width):
                    column[z] = max(column[z], x[p, y, z])
            for j in range(across):
                left = max(j * stride[1] - pad[1], 0)
                right = min(j * stride[1] - pad[1] + window[1], width)
                best = column[left]
                for z in range(left + 1, right):
                    best = max(best, column[z])
                out[p, i, j] = best
