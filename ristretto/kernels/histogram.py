"""Counting real numbers into bins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel
from ristretto.kernels.trim import round_real


@kernel
def count(x: NDArray[Any], scale: float, counts: NDArray[np.int64]) -> None:
    """Add a 1-D array to a histogram whose middle bin is centred on zero.

    Parameters
    ----------
    x : float array (n,), real units; finite, with ``abs(x) * scale`` within the histogram
    scale : float
        Bins in a real unit.
    counts : int64 array (2 m + 1,)
        Bin ``m + k`` counts the numbers that round to ``k / scale``.
    """
    middle = counts.size // 2
    for i in range(x.size):
        counts[middle + int(round_real(float(x[i]) * scale, False))] += 1
