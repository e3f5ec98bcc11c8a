"""The original preset: exactly what the fork's ``quantize`` decides, defects of its ranges included."""

from __future__ import annotations

from dataclasses import replace

from ristretto.calibrate import CalibrationStats
from ristretto.errors import SearchError
from ristretto.net import Phase
from ristretto.search.mode import Quants, TrimmingMode
from ristretto.search.preset import Preset, Trials
from ristretto.search.result import Trial
from ristretto.search.widths import Widths


class OriginalPreset(Preset):
    """Ranges of the whole forward pass, one integer bit short for activations, the bias not looked at.

    The widths are found apart, each with the rest in float, and then written together.
    """

    name = "original"
    calibration_phase = Phase.TRAIN
    refines = False
    weighs_evidence = False
    by_layer = False
    moves_radix_points = False

    def covered(self, stats: CalibrationStats) -> CalibrationStats:
        """Leave out the layer types that the original does not know how to search."""
        layers = {name: layer for name, layer in stats.layers.items() if layer.layer.op.in_original_search}
        if not layers:
            raise SearchError(
                "the original tool quantizes Convolution and InnerProduct layers, and the net has none",
                hint="use --preset accurate",
            )
        return replace(stats, layers=layers)

    def formats(self, mode: TrimmingMode, stats: CalibrationStats, widths: Widths) -> Quants:
        """Choose by the ranges alone."""
        return mode.by_range(stats, widths)

    def decide(self, trials: Trials) -> Trial:
        """Walk down each ladder alone."""
        bits = {part: w for ladder in trials.ladders for part, w in ladder.bits(trials.lowest(ladder)).items()}
        return trials.together(bits)
