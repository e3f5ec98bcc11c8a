"""The criterion `squared_error`: the least error in the numbers themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ristretto.formats import FixedPoint, Format
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.net.op import Array
from ristretto.net.quant import LAYER_IN, PARAMS
from ristretto.search.criteria.base import ErrorCriterion, Spot
from ristretto.search.fit import as_share


class SquaredError(ErrorCriterion):
    """Takes the format with the least mean squared error over weights and biases, or a histogram of activations."""

    name = "squared_error"

    def measure(self, spot: Spot, fmt: Format) -> float:
        """Give the mean squared error as a share of the mean square."""
        if spot.place != PARAMS:
            seen = spot.stats.layer_in if spot.place == LAYER_IN else spot.stats.layer_out
            return as_share(seen.squared_error(fmt), seen.mean_square())
        blobs = spot.stats.layer.blobs if fmt.covers_bias else spot.stats.layer.blobs[:1]
        return as_share(sum(_squares(fmt.trim(blob) - blob) for blob in blobs), sum(map(_squares, blobs)))

    def fixed_points(self, spot: Spot, bw: int) -> Sequence[FixedPoint]:
        """Give all formats that might be the best.

        Coarser ones than the first, in which nothing saturates, have fewer numbers. A finer one clips more, until
        that alone costs as much as the first does; beyond, none is better.
        """
        first = FixedPoint.covering(bw, spot.seen().magnitude)
        most = self.share(spot, first)
        formats = [first]
        for fl in range(first.fl + 1, MAX_FRACTION + 1):
            fmt = FixedPoint(bw, fl)
            if _clipped(spot, fmt) >= most:
                break
            formats.append(fmt)
        return formats


def _clipped(spot: Spot, fmt: FixedPoint) -> float:
    """Give the share that the numbers beyond the ends of a format lose."""
    if spot.place == PARAMS:
        blobs = spot.stats.layer.blobs
        return as_share(sum(_squares(x.clip(fmt.low, fmt.high) - x) for x in blobs), sum(map(_squares, blobs)))
    seen = spot.stats.layer_in if spot.place == LAYER_IN else spot.stats.layer_out
    values, counts = seen.values()
    lost = ((values.clip(fmt.low, fmt.high) - values) ** 2 * counts).sum() / counts.sum()
    return as_share(float(lost), seen.mean_square())


def _squares(x: Array) -> float:
    return float(np.square(x, dtype=np.float64).sum())
