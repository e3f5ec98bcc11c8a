"""Measure: a net and batches in, the ranges of weights and layer outputs out."""

from ristretto.calibrate.archive import from_arrays, to_arrays
from ristretto.calibrate.distribution import Accumulator, Distribution, Range
from ristretto.calibrate.stats import CalibrationStats, LayerStats, calibrate

__all__ = [
    "Accumulator",
    "CalibrationStats",
    "Distribution",
    "LayerStats",
    "Range",
    "calibrate",
    "from_arrays",
    "to_arrays",
]
