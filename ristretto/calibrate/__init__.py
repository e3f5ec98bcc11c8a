"""Measure: a net and batches in, the ranges of weights and layer outputs out."""

from ristretto.calibrate.archive import from_arrays, to_arrays
from ristretto.calibrate.distribution import Accumulator, Distribution, Histogram, Range
from ristretto.calibrate.loss import TrimLoss
from ristretto.calibrate.stats import CalibrationStats, LayerStats, calibrate

__all__ = [
    "Accumulator",
    "CalibrationStats",
    "Distribution",
    "Histogram",
    "LayerStats",
    "Range",
    "TrimLoss",
    "calibrate",
    "from_arrays",
    "to_arrays",
]
