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
    def of_distribution(cls, seen: Distribution, fmt: Format, *, rectified: bool = False) -> TrimLoss:
        """Measure it on what calibration saw of a blob, each number taken as the centre of its bin.

        Parameters
        ----------
        seen : Distribution
        fmt : Format
        rectified : bool
            Whether a ReLU follows: negative numbers then count as zeros.
        """
        values, counts = seen.values()
        if rectified:
            values = np.maximum(values, 0)
        share = counts / counts.sum()
        return cls(
            float((values**2 * share).sum()),
            seen.squared_error(fmt, rectified=rectified),
            float((saturates(fmt, values) * share).sum()),
        )

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
