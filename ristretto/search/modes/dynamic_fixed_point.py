"""Dynamic fixed point: every blob and every layer's weights have a fractional length of their own."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Part
from ristretto.net.quant import PARAMS
from ristretto.search.criteria import Criterion
from ristretto.search.criteria.base import Spot
from ristretto.search.fit import (
    fixed_point_for_input,
    fixed_point_for_output,
    fixed_point_for_params,
    integer_length,
    of_length,
)
from ristretto.search.mode import Ladder, Quants, TrimmingMode, ladder
from ristretto.search.widths import LayerWidths, Widths

UNSET = FixedPoint(32, 16)
"""What the fork makes of fields that its search leaves out of a ``quantization_param``: nearly, not quite, float."""


class DynamicFixedPointMode(TrimmingMode):
    """Weights of convolutions, weights of inner products and activations have a width each."""

    name = "dynamic_fixed_point"
    title = "Dynamic fixed point net"
    by_layer = True
    moves_radix_points = True

    def ladders(self, parts: Sequence[Part]) -> Sequence[Ladder]:
        """One ladder for each part."""
        return [ladder(part.value, [part]) for part in parts]

    def by_range(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give ``fl = bw - il``: ``il = ceil(log2(max))`` for activations, one more for weights.

        No bias is looked at. In a layer that is touched at all, weights without a width have the fork's defaults.
        """
        return {name: self._by_range(layer, widths[name]) for name, layer in stats.layers.items()}

    @staticmethod
    def _by_range(stats: LayerStats, widths: LayerWidths) -> LayerQuant:
        if not widths.touched:
            return LayerQuant(None, None, None)
        layer_in, layer_out = activations_by_range(stats, widths)
        params = UNSET if widths.params is None else of_length(widths.params, params_length(stats))
        return LayerQuant(layer_in, layer_out, params)

    def by_error(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give each place the fractional length with the least squared error."""
        return {name: self._by_error(layer, widths[name]) for name, layer in stats.layers.items()}

    @staticmethod
    def _by_error(stats: LayerStats, widths: LayerWidths) -> LayerQuant:
        layer_in, layer_out = activations_by_error(stats, widths)
        params = None if widths.params is None else fixed_point_for_params(stats, widths.params)
        return LayerQuant(layer_in, layer_out, params)

    def by_criterion(self, criterion: Criterion, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give each place the best fractional length."""
        return {name: self._by_criterion(criterion, layer, widths[name]) for name, layer in stats.layers.items()}

    @staticmethod
    def _by_criterion(criterion: Criterion, stats: LayerStats, widths: LayerWidths) -> LayerQuant:
        layer_in, layer_out = criterion.activations(stats, widths.layer_in, widths.layer_out)
        params = None if widths.params is None else criterion.fixed_point(Spot(stats, PARAMS), widths.params)
        return LayerQuant(layer_in, layer_out, params)


def params_length(stats: LayerStats) -> int:
    """Give the integer length of a layer's weights as the original does, bits."""
    return integer_length(stats.weights.magnitude) + 1


def activations_by_range(stats: LayerStats, widths: LayerWidths) -> tuple[FixedPoint | None, FixedPoint | None]:
    """Give the formats of a layer's input and output as the original does: one bit short of covering them.

    The fork trims to 16 fractional bits where a place has no width. Left in float the trials of weights score the
    same, and the net stays in one piece, a tenth of the whole search's time.
    """
    layer_in, layer_out = (
        None if bw is None else of_length(bw, integer_length(seen.magnitude))
        for bw, seen in ((widths.layer_in, stats.final_in), (widths.layer_out, stats.final_out))
    )
    return layer_in, layer_out


def activations_by_error(stats: LayerStats, widths: LayerWidths) -> tuple[FixedPoint | None, FixedPoint | None]:
    """Give the formats of a layer's input and output with the least squared error."""
    return (
        None if widths.layer_in is None else fixed_point_for_input(stats, widths.layer_in),
        None if widths.layer_out is None else fixed_point_for_output(stats, widths.layer_out),
    )
