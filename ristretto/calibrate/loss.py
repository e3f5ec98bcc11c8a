"""TrimLoss: what numbers lose when they are brought to a format."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ristretto.calibrate.distribution import Distribution
from ristretto.formats import Format
from ristretto.formats.ends import saturates
from ristretto.net.op import Array


@dataclass(frozen=True)
class TrimLoss:
    """What numbers lose in a format.

    Parameters
    ----------
    mean_square : float
        The mean of their squares, in squared real units.
    squared_error : float
        The mean of the squared differences to what became of them.
    saturated : float
        The share of them, 0 to 1, that saturates.
    """

    mean_square: float
    squared_error: float
    saturated: float

    @property
    def sqnr(self) -> float:
        """The signal-to-quantization-noise ratio, dB: infinite where nothing was lost."""
        if self.squared_error == 0:
            return math.inf
        return 10 * math.log10(self.mean_square / self.squared_error) if self.mean_square else -math.inf

    @classmethod
    def of_blob(cls, seen: Distribution, sample: Array, fmt: Format, *, rectified: bool = False) -> TrimLoss:
        """Measure it on what calibration saw of a blob.

        What saturates is told by all numbers, each taken as the centre of its bin. What rounding costs is told by those
        that were kept as they are: a fine format has as many numbers as there are bins, and would seem to cost nothing.

        Parameters
        ----------
        seen : Distribution
        sample : float32 array, real units
            Some of the blob's numbers.
        fmt : Format
        rectified : bool
            Whether a ReLU follows: negative numbers then count as zeros.
        """
        values, counts = seen.values()
        kept = np.ravel(sample)
        if rectified:
            values, kept = np.maximum(values, 0), np.maximum(kept, 0)
        share = counts / counts.sum()
        beyond = saturates(fmt, values)
        saturated = float(share[beyond].sum())
        clipped = float((_errors(fmt, values[beyond]) * share[beyond]).sum())
        rounded = _errors(fmt, kept[~saturates(fmt, kept)])
        mean = float(rounded.mean()) if rounded.size else 0.0
        return cls(float((values**2 * share).sum()), clipped + (1 - saturated) * mean, saturated)

    @classmethod
    def of_numbers(cls, before: Array, after: Array, fmt: Format) -> TrimLoss:
        """Measure it on numbers themselves.

        Parameters
        ----------
        before : float32 array, real units
        after : float32 array, same shape, real units
            What stands in their place, in the format.
        fmt : Format
        """
        old, new = before.astype(np.float64), after.astype(np.float64)
        return cls(float((old**2).mean()), float(((new - old) ** 2).mean()), float(saturates(fmt, before).mean()))


def _errors(fmt: Format, x: Array) -> Array:
    return (fmt.trim(x).astype(np.float64) - x) ** 2
