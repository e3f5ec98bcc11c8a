"""Distribution: the range of a blob, and how its numbers spread within it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ristretto.formats import Format
from ristretto.kernels import histogram

BINS = 1 << 14
"""Bins on each side of zero; fine enough that a bin is smaller than a step of any format worth choosing."""


@dataclass(frozen=True)
class Range:
    """The smallest and the largest number seen, real units."""

    min: float
    max: float

    @property
    def magnitude(self) -> float:
        """The greatest absolute value."""
        return max(abs(self.min), abs(self.max))


@dataclass(frozen=True)
class Histogram:
    """Counts of numbers in bins of one width.

    Parameters
    ----------
    start : float
        Where the first bin begins, real units.
    width : float
        Of each bin, real units.
    counts : tuple of int
        The first and the last bin are not empty.
    """

    start: float
    width: float
    counts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Distribution:
    """What calibration saw of one blob.

    Parameters
    ----------
    range : Range
    step : float
        Width of a bin, real units; a power of two. Bins are centred on its multiples, so that zero is met exactly.
    counts : int64 array (2 * BINS + 1,)
    """

    range: Range
    step: float
    counts: NDArray[np.int64]

    def values(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Give the centres of the bins that are not empty, real units, and their counts."""
        filled = np.flatnonzero(self.counts)
        return (filled - BINS).astype(np.float64) * self.step, self.counts[filled]

    def mean_square(self) -> float:
        """Give the mean of the squares, in squared real units."""
        values, counts = self.values()
        return float((values**2 * counts).sum() / counts.sum())

    def squared_error(self, fmt: Format, *, rectified: bool = False) -> float:
        """Give the mean squared error that trimming to a format makes.

        Parameters
        ----------
        fmt : Format
        rectified : bool
            Whether a ReLU follows: an error in a negative number that stays negative then costs nothing.

        Returns
        -------
        float
            In squared real units.
        """
        values, counts = self.values()
        trimmed = fmt.trim(values).astype(np.float64)
        if rectified:
            values, trimmed = np.maximum(values, 0), np.maximum(trimmed, 0)
        return float(((trimmed - values) ** 2 * counts).sum() / counts.sum())

    def coarse(self, most: int) -> Histogram:
        """Give the histogram in few bins, for people to look at.

        Parameters
        ----------
        most : int
            Bins that there may be, at least 2.

        Returns
        -------
        Histogram
            Each bin is made of a power of two of ours, so that no count is split.
        """
        filled = np.flatnonzero(self.counts) - BINS
        first, last = int(filled[0]), int(filled[-1])
        merged = 0
        while (last >> merged) - (first >> merged) >= most:
            merged += 1
        bins, begin = (filled >> merged) - (first >> merged), first >> merged << merged
        counts = np.bincount(bins, weights=self.counts[filled + BINS]).astype(np.int64)
        return Histogram((begin - 0.5) * self.step, (1 << merged) * self.step, tuple(counts.tolist()))


class Accumulator:
    """Builds a `Distribution` batch by batch; the bins double in width when a number falls outside."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.exponent: int | None = None
        self.counts = np.zeros(2 * BINS + 1, np.int64)

    def add(self, x: NDArray[np.float32]) -> None:
        """Count a batch of real numbers, all finite."""
        self.low = min(self.low, float(x.min()))
        self.high = max(self.high, float(x.max()))
        reach = max(abs(self.low), abs(self.high))
        if reach > 0:
            needed = math.frexp(reach)[1]
            if self.exponent is None:
                self.exponent = needed
                # Only zeros so far: they stay in the middle, whatever the bins' width.
            while self.exponent < needed:
                self._widen()
        scale = BINS * 2.0 ** -(self.exponent or 0)
        histogram.count(np.ravel(x), scale, self.counts)

    def _widen(self) -> None:
        assert self.exponent is not None
        old = np.arange(-BINS, BINS + 1)
        # Halves to the even bin, so that repeated widening leans neither outwards nor inwards.
        new = np.rint(old / 2).astype(np.int64) + BINS
        self.counts = np.bincount(new, weights=self.counts, minlength=2 * BINS + 1).astype(np.int64)
        self.exponent += 1

    def finish(self) -> Distribution:
        """Give the distribution."""
        return Distribution(Range(self.low, self.high), 2.0 ** (self.exponent or 0) / BINS, self.counts)
