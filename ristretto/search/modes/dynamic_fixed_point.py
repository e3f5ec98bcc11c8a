"""Dynamic fixed point: every blob and every layer's weights have a fractional length of their own."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Part
from ristretto.search.fit import (
    fixed_point_for_input,
    fixed_point_for_output,
    fixed_point_for_params,
    integer_length,
    of_length,
)
from ristretto.search.mode import Ladder, Quants, TrimmingMode, ladder
from ristretto.search.result import Bits

UNSET = FixedPoint(32, 16)
"""What the fork makes of fields that its search leaves out of a ``quantization_param``: nearly, not quite, float."""


class DynamicFixedPointMode(TrimmingMode):
    """Weights of convolutions, weights of inner products and activations have a width each."""

    name = "dynamic_fixed_point"
    title = "Dynamic fixed point net"

    def ladders(self, parts: Sequence[Part]) -> Sequence[Ladder]:
        """One ladder for each part."""
        return [ladder(part.value, [part]) for part in parts]

    def by_range(self, stats: CalibrationStats, bits: Bits) -> Quants:
        """Give ``fl = bw - il``: ``il = ceil(log2(max))`` for activations, one more for weights.

        No bias is looked at. In a layer that is touched at all, a part without a width has the fork's defaults.
        """
        return {name: self._by_range(layer, bits) for name, layer in stats.layers.items()}

    @staticmethod
    def _by_range(stats: LayerStats, bits: Bits) -> LayerQuant:
        part = stats.layer.op.part
        assert part is not None
        if part not in bits and Part.ACTIVATIONS not in bits:
            return LayerQuant(None, None, None)
        layer_in, layer_out = activations_by_range(stats, bits)
        params = of_length(bits[part], params_length(stats)) if part in bits else UNSET
        return LayerQuant(layer_in, layer_out, params)

    def by_error(self, stats: CalibrationStats, bits: Bits) -> Quants:
        """Give each place the fractional length with the least squared error."""
        return {name: self._by_error(layer, bits) for name, layer in stats.layers.items()}

    @staticmethod
    def _by_error(stats: LayerStats, bits: Bits) -> LayerQuant:
        part = stats.layer.op.part
        assert part is not None
        layer_in, layer_out = activations_by_error(stats, bits)
        return LayerQuant(layer_in, layer_out, fixed_point_for_params(stats, bits[part]) if part in bits else None)


def params_length(stats: LayerStats) -> int:
    """Give the integer length of a layer's weights as the original does, bits."""
    return integer_length(stats.weights.magnitude) + 1


def activations_by_range(stats: LayerStats, bits: Bits) -> tuple[FixedPoint | None, FixedPoint | None]:
    """Give the formats of a layer's input and output as the original does: one bit short of covering them."""
    if Part.ACTIVATIONS not in bits:
        # The fork trims them to 16 fractional bits here. Left in float the trials of weights score the same, and the
        # net stays in one piece for onnxruntime, a tenth of the whole search's time.
        return None, None
    bw = bits[Part.ACTIVATIONS]
    layer_in, layer_out = (of_length(bw, integer_length(seen.magnitude)) for seen in (stats.final_in, stats.final_out))
    return layer_in, layer_out


def activations_by_error(stats: LayerStats, bits: Bits) -> tuple[FixedPoint | None, FixedPoint | None]:
    """Give the formats of a layer's input and output with the least squared error."""
    if Part.ACTIVATIONS not in bits:
        return None, None
    bw = bits[Part.ACTIVATIONS]
    return fixed_point_for_input(stats, bw), fixed_point_for_output(stats, bw)
