"""The original preset: exactly what the fork's ``quantize`` decides, defects of its ranges included."""

from __future__ import annotations

import math

from ristretto.calibrate import LayerStats
from ristretto.formats import FixedPoint
from ristretto.net import LayerQuant, Part, Phase
from ristretto.search.preset import Preset, Trials
from ristretto.search.result import Bits


def integer_length(magnitude: float) -> int:
    """Give ``ceil(log2(magnitude))``, bits; 1 for a magnitude of zero, which overflows in the fork."""
    if magnitude == 0:
        return 1
    # Exact where a logarithm in floating point could be off by one.
    mantissa, exponent = math.frexp(magnitude)
    return exponent - 1 if mantissa == 0.5 else exponent


class OriginalPreset(Preset):
    """Ranges of the whole forward pass, one integer bit short for activations, the bias not looked at.

    The widths of the three parts are found apart, each with the others in float, and then written together.
    """

    name = "original"
    calibration_phase = Phase.TRAIN

    def layer_quant(self, stats: LayerStats, bits: Bits) -> LayerQuant:
        """Give ``fl = bw - il``; activations have ``il = ceil(log2(max))``, weights one more."""
        part, activations = stats.layer.op.part, Part.ACTIVATIONS
        assert part is not None
        layer_in = layer_out = params = None
        if activations in bits:
            bw = bits[activations]
            layer_in = FixedPoint(bw, bw - integer_length(stats.final_in.magnitude))
            layer_out = FixedPoint(bw, bw - integer_length(stats.final_out.magnitude))
        if part in bits:
            params = FixedPoint(bits[part], bits[part] - integer_length(stats.weights.magnitude) - 1)
        return LayerQuant(layer_in, layer_out, params)

    def decide(self, trials: Trials) -> Bits:
        """Walk down the ladder for each part alone."""
        return {part: trials.smallest(part) for part in trials.parts}
