"""Fitting: the fixed-point format that makes the least squared error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from ristretto.calibrate import Distribution, LayerStats
from ristretto.formats import FixedPoint, Format

CLIPPED_BITS = 4
"""How many integer bits below full coverage are considered; beyond, saturation always costs more than it gains."""

F = TypeVar("F", bound=Format)


def integer_length(magnitude: float) -> int:
    """Give ``ceil(log2(magnitude))``, bits; 1 for a magnitude of zero, which overflows in the fork."""
    if magnitude == 0:
        return 1
    # Exact where a logarithm in floating point could be off by one.
    mantissa, exponent = math.frexp(magnitude)
    return exponent - 1 if mantissa == 0.5 else exponent


def least(formats: Iterable[F], error: Callable[[F], float]) -> F:
    """Give the format with the least error; the first of equals."""
    return min(formats, key=error)


def blob_error(values: Distribution, fmt: Format, *, rectified: bool) -> float:
    """Give the mean squared error of trimming a blob, squared real units; of its positive part if a ReLU follows."""
    return values.squared_error(fmt, rectified=rectified)


def params_error(stats: LayerStats, fmt: Format) -> float:
    """Give the expected squared error of a layer's output that trimming its weights makes, squared real units.

    An error in a weight is multiplied by an input, one in the bias is not: ``mean(x**2) * sum(dw**2) + sum(db**2)``,
    with inputs taken as independent of each other.
    """
    gains = [stats.layer_in.mean_square(), 1.0]
    trimmed = stats.layer.blobs if fmt.covers_bias else stats.layer.blobs[:1]
    return sum(
        gain * float(((fmt.trim(blob).astype(np.float64) - blob) ** 2).sum())
        for gain, blob in zip(gains, trimmed, strict=False)
    )


def reach(values: Distribution, *, rectified: bool) -> float:
    """Give the greatest magnitude that matters in a blob; the greatest number if a ReLU follows."""
    return max(values.range.max, 0.0) if rectified else values.range.magnitude


def candidates(bw: int, magnitude: float) -> list[FixedPoint]:
    """Give the formats to choose from: from full coverage on, one integer bit less each time."""
    first = FixedPoint.covering(bw, magnitude)
    return [FixedPoint(bw, first.fl + clipped) for clipped in range(CLIPPED_BITS + 1)]


def fixed_point_for_blob(values: Distribution, bw: int, *, rectified: bool) -> FixedPoint:
    """Give a blob's format of this width with the least squared error."""
    formats = candidates(bw, reach(values, rectified=rectified))
    return least(formats, lambda fmt: blob_error(values, fmt, rectified=rectified))


def fixed_point_for_params(stats: LayerStats, bw: int) -> FixedPoint:
    """Give the format of a layer's weights and bias, of this width, that does least to its output."""
    return least(candidates(bw, stats.params.magnitude), lambda fmt: params_error(stats, fmt))
