"""Where numbers saturate: how far beyond a format's ends rounding still reaches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.formats.base import Format


def last_step(fmt: Format, end: float, inwards: int) -> float:
    """Give the distance from an end of a format to the number next to it, real units.

    Parameters
    ----------
    fmt : Format
    end : float
        ``fmt.low`` or ``fmt.high``.
    inwards : int
        1 from the low end, -1 from the high one.
    """
    neighbour = float(fmt.decode(fmt.encode(np.array([end])).astype(np.int64) + inwards)[0])
    # Eight bits of exponent reach beyond float32, and so beyond any number that there is.
    return abs(end - neighbour) if math.isfinite(neighbour) else 0.0


def saturates(fmt: Format, x: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which numbers saturate: those that lie half a step or more beyond an end.

    One that lies less far beyond is as near to the end as any number to the one that it is rounded to.

    Parameters
    ----------
    fmt : Format
    x : float array, any shape, real units

    Returns
    -------
    bool array, same shape
    """
    wide = x.astype(np.float64)
    above = (wide > fmt.high) & (wide - fmt.high >= last_step(fmt, fmt.high, -1) / 2)
    below = (wide < fmt.low) & (fmt.low - wide >= last_step(fmt, fmt.low, 1) / 2)
    return above | below
