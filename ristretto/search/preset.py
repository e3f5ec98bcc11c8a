"""Preset: how formats follow from widths, and which widths are tried in which order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.net import LayerQuant, Net, Part, Phase, QuantSpec
from ristretto.passes import QuantizeLayers
from ristretto.search.result import ALL_PARTS, Bits, Score, SearchResult, Trial

LADDER = (16, 8, 4, 2, 1)
"""The widths that are tried, bits, as in the original tool."""
UNCONDENSED = 32
"""The width of a part that not even the widest rung holds; the fork's word for float."""

Scorer = Callable[[Net], Score]


@dataclass(eq=False)
class Trials:
    """Runs trials and keeps them; the same widths are scored once.

    Parameters
    ----------
    net : Net
        The float net of the TEST phase.
    preset : Preset
    stats : CalibrationStats
    scorer : callable
        Gives a net's score.
    error_margin : float
        Percentage points.
    report : callable
        Told of each trial when it is done.
    """

    net: Net
    preset: Preset
    stats: CalibrationStats
    scorer: Scorer
    error_margin: float
    report: Callable[[Trial], None]

    def __post_init__(self) -> None:
        self.baseline = self.scorer(self.net)
        self.done: dict[tuple[tuple[str, int], ...], Trial] = {}

    @property
    def parts(self) -> list[Part]:
        """The parts that the net has, in the order in which they are tried."""
        present = {layer.layer.op.part for layer in self.stats.layers.values()} | {Part.ACTIVATIONS}
        return [part for part in Part if part in present]

    def holds(self, score: Score) -> bool:
        """Whether a score lies within the margin of the baseline's."""
        return not score.value + self.error_margin / 100 < self.baseline.value

    def run(self, part: str, bits: Bits) -> Trial:
        """Score the net with some parts condensed to these widths, the others in float."""
        key = tuple(sorted((p.value, width) for p, width in bits.items()))
        if key not in self.done:
            spec = self.preset.spec(self.stats, bits)
            score = self.scorer(QuantizeLayers(spec)(self.net))
            self.done[key] = Trial(part, dict(bits), score, self.holds(score))
            self.report(self.done[key])
        return self.done[key]

    def smallest(self, part: Part) -> int:
        """Walk down the ladder with one part condensed alone; give the last width that holds."""
        chosen = UNCONDENSED
        for width in LADDER:
            if not self.run(part.value, {part: width}).holds:
                break
            chosen = width
        return chosen

    def together(self, bits: Bits) -> Trial:
        """Score the net with all parts condensed."""
        return self.run(ALL_PARTS, bits)


class Preset(ABC):
    """A way to choose formats.

    A preset is one subclass in one file and one entry in ``ristretto.search.PRESETS``.
    """

    name: ClassVar[str]
    calibration_phase: ClassVar[Phase]
    """The phase that the net is in while its ranges are measured; the data is the TRAIN phase's either way."""

    @abstractmethod
    def layer_quant(self, stats: LayerStats, bits: Bits) -> LayerQuant:
        """Give a layer's formats; a part without a width stays in float."""

    @abstractmethod
    def decide(self, trials: Trials) -> Bits:
        """Choose the widths of all parts."""

    def spec(self, stats: CalibrationStats, bits: Bits) -> QuantSpec:
        """Give the formats of every layer that these widths touch."""
        quants: dict[str, LayerQuant] = {}
        for name, layer in stats.layers.items():
            quant = self.layer_quant(layer, bits)
            if quant.layer_in or quant.layer_out or quant.params:
                quants[name] = quant
        return QuantSpec("dynamic_fixed_point", quants)

    def notes(self, stats: CalibrationStats) -> list[str]:
        """Say what a user should know of the measured ranges."""
        result = []
        for name, layer in stats.layers.items():
            for place, magnitude in self.magnitudes(layer).items():
                if magnitude == 0:
                    result.append(f"layer '{name}': its {place} is always zero; is the layer dead?")
        return result

    @staticmethod
    def magnitudes(layer: LayerStats) -> Mapping[str, float]:
        """Give the greatest absolute values of a layer, by place."""
        return {
            "input": layer.layer_in.range.magnitude,
            "output": layer.layer_out.range.magnitude,
            "weight": layer.weights.magnitude,
        }


def run_search(
    net: Net,
    stats: CalibrationStats,
    preset: Preset,
    scorer: Scorer,
    *,
    score_blob: str,
    error_margin: float,
    report: Callable[[Trial], None] = lambda trial: None,
) -> SearchResult:
    """Search the smallest widths that keep the score within the margin: stages three and four of the paper.

    Parameters
    ----------
    net : Net
        The float net of the TEST phase, with weights.
    stats : CalibrationStats
    preset : Preset
    scorer : callable
        Gives a net's score; the higher the better.
    score_blob : str
        The output blob that the scorer reads.
    error_margin : float
        Percentage points.
    report : callable
        Told of each trial when it is done.
    """
    trials = Trials(net, preset, stats, scorer, error_margin, report)
    bits = preset.decide(trials)
    final = trials.together(bits)
    notes = preset.notes(stats)
    return SearchResult(
        preset=preset.name,
        score_blob=score_blob,
        baseline=trials.baseline,
        error_margin=error_margin,
        trials=tuple(trials.done.values()),
        bits=bits,
        spec=preset.spec(stats, bits),
        score=final.score,
        within_margin=final.holds,
        notes=tuple(notes),
    )
