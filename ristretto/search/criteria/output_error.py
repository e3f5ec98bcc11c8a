"""The criterion `output_error`: the least error in what the layer makes."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.formats import FixedPoint, Format
from ristretto.net.quant import LAYER_IN, LAYER_OUT
from ristretto.search.criteria.base import ErrorCriterion, Spot
from ristretto.search.fit import as_share, candidates, input_error, params_error, reach


class OutputError(ErrorCriterion):
    """Takes the format with the least mean squared error of the layer's output; behind a ReLU, of what passes.

    What an input or weights do to the output is computed on the pictures that calibration kept of the layer.
    """

    name = "output_error"

    def measure(self, spot: Spot, fmt: Format) -> float:
        """Give the mean squared error as a share of the output's mean square."""
        stats = spot.stats
        if spot.place == LAYER_OUT:
            error = stats.layer_out.squared_error(fmt, rectified=stats.rectified)
        else:
            error = input_error(stats, fmt) if spot.place == LAYER_IN else params_error(stats, fmt)
        return as_share(error, stats.layer_out.mean_square())

    def fixed_points(self, spot: Spot, bw: int) -> Sequence[FixedPoint]:
        """Start where all that matters is covered."""
        if spot.place != LAYER_OUT:
            return super().fixed_points(spot, bw)
        return candidates(bw, reach(spot.stats.layer_out, rectified=spot.stats.rectified))
