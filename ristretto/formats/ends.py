"""Where numbers saturate: how far beyond a format's ends rounding still reaches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ristretto.formats.base import EXACT, Arithmetic, Format
from ristretto.formats.fixed_point import FixedPoint


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
    # In the types that kernels are compiled for ahead. Of more than 24 bits, an end is rounded away from the others.
    with np.errstate(over="ignore"):
        code = fmt.encode(np.array([end], np.float32)).astype(np.int32)
    neighbour = float(fmt.decode(code + np.int32(inwards))[0])
    # Eight bits of exponent reach beyond float32, and so beyond any number that there is.
    return abs(end - neighbour) if math.isfinite(neighbour) else 0.0


def saturates(fmt: Format, x: NDArray[Any], arithmetic: Arithmetic = EXACT) -> NDArray[np.bool_]:
    """Say which numbers saturate: those that lie half a step or more beyond an end.

    One that lies less far beyond is as near to the end as any number to the one that it is rounded to. Where halves go
    to the even code, one that lies just half a step beyond an even end is rounded to that, and does not saturate.

    Parameters
    ----------
    fmt : Format
    x : float array, any shape, real units
    arithmetic : Arithmetic
        Where halves go.

    Returns
    -------
    bool array, same shape
    """
    wide = x.astype(np.float64)
    above = _is_far(wide - fmt.high, fmt, fmt.high, -1, arithmetic)
    below = _is_far(fmt.low - wide, fmt, fmt.low, 1, arithmetic)
    return above | below


def _is_far(beyond: NDArray[Any], fmt: Format, end: float, inwards: int, arithmetic: Arithmetic) -> NDArray[np.bool_]:
    """Say which distances from an end to what lies behind it are more than rounding back reaches."""
    half = last_step(fmt, end, inwards) / 2
    # Halves go elsewhere in fixed point only.
    stays = arithmetic.half_even and isinstance(fmt, FixedPoint) and int(math.ldexp(end, fmt.fl)) % 2 == 0
    far: NDArray[np.bool_] = (beyond > 0) & ((beyond > half) if stays else (beyond >= half))
    return far
