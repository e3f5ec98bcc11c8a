"""Preset: how a search decides, and the trials that it decides by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.net import Net, Part, Phase, QuantSpec
from ristretto.search.condense import Condensed, Refiner
from ristretto.search.mode import Ladder, Quants, TrimmingMode
from ristretto.search.result import ALL_PARTS, Bits, Score, SearchResult, Trial
from ristretto.search.widths import Widths, of_parts

Scorer = Callable[[Net], Score]


@dataclass(frozen=True)
class Goal:
    """What a score must do.

    Parameters
    ----------
    blob : str
        The output blob whose mean is the score.
    error_margin : float
        How much worse than the baseline a score may be: percentage points of an accuracy, hundredths of a loss.
    higher_is_better : bool
        False for a loss.
    """

    blob: str
    error_margin: float
    higher_is_better: bool = True

    def holds(self, score: Score, baseline: Score) -> bool:
        """Whether a score lies within the margin of the baseline's; NaN never does."""
        margin = self.error_margin / 100
        if self.higher_is_better:
            return score.value + margin >= baseline.value
        return score.value - margin <= baseline.value

    def better(self, score: Score) -> float:
        """Give a number that is larger for a better score."""
        return score.value if self.higher_is_better else -score.value


@dataclass(eq=False)
class Trials:
    """Runs trials and keeps them; the same widths are scored once.

    Parameters
    ----------
    net : Net
        The float net of the TEST phase.
    preset : Preset
    mode : TrimmingMode
    stats : CalibrationStats
    scorer : callable
        Gives a net's score.
    goal : Goal
    refine : callable
        Changes weights to suit the formats.
    report : callable
        Told of each trial when it is done.
    """

    net: Net
    preset: Preset
    mode: TrimmingMode
    stats: CalibrationStats
    scorer: Scorer
    goal: Goal
    refine: Refiner
    report: Callable[[Trial], None]

    def __post_init__(self) -> None:
        self.baseline = self.scorer(self.net)
        self.done: dict[tuple[tuple[str, int], ...], Trial] = {}

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that the net has."""
        present = {layer.layer.op.part for layer in self.stats.layers.values()} | {Part.ACTIVATIONS}
        return [part for part in Part if part in present]

    @property
    def ladders(self) -> Sequence[Ladder]:
        """What is tried, in order."""
        return self.mode.ladders(self.parts)

    def run(self, part: str, bits: Bits) -> Trial:
        """Score the net with some parts condensed to these widths, the others in float."""
        key = tuple(sorted((p.value, width) for p, width in bits.items()))
        if key not in self.done:
            condensed = self.condense(of_parts(self.stats, bits))
            score = self.scorer(condensed.apply(self.net))
            self.done[key] = Trial(part, dict(bits), condensed, score, self.goal.holds(score, self.baseline))
            self.report(self.done[key])
        return self.done[key]

    def condense(self, widths: Widths) -> Condensed:
        """Choose formats, and weights where there is a refiner."""
        return self.refine(self.preset.spec(self.mode, self.stats, widths))

    def lowest(self, ladder: Ladder) -> int:
        """Walk down a ladder; give the last rung that holds before the first that does not, -1 for none."""
        for rung, bits in enumerate(ladder.rungs):
            if not self.run(ladder.part, bits).holds:
                return rung - 1
        return len(ladder.rungs) - 1

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
    def formats(self, mode: TrimmingMode, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give the formats of all layers; a place without a width stays in float."""

    @abstractmethod
    def decide(self, trials: Trials) -> Trial:
        """Choose the widths of all parts; gives the trial in which they stand together."""

    def covered(self, stats: CalibrationStats) -> CalibrationStats:
        """Give the ranges of the layers that the search may quantize."""
        return stats

    def spec(self, mode: TrimmingMode, stats: CalibrationStats, widths: Widths) -> QuantSpec:
        """Give the formats of every layer that these widths touch."""
        quants = self.formats(mode, stats, widths)
        touched = {name: q for name, q in quants.items() if q.layer_in or q.layer_out or q.params}
        return QuantSpec(mode.name, touched)

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
    mode: TrimmingMode,
    scorer: Scorer,
    goal: Goal,
    *,
    bits: Bits | None = None,
    refine: Refiner = Condensed,
    report: Callable[[Trial], None] = lambda trial: None,
) -> SearchResult:
    """Search the smallest widths that keep the score within the margin: stages three and four of the paper.

    Parameters
    ----------
    net : Net
        The float net of the TEST phase, with weights.
    stats : CalibrationStats
    preset : Preset
    mode : TrimmingMode
    scorer : callable
        Gives a net's score.
    goal : Goal
        What the score must do.
    bits : mapping of Part to int, or None
        Widths that are taken without a search; those of parts that the net lacks do not count.
    refine : callable
        Changes weights to suit the formats; by default they stay as they are.
    report : callable
        Told of each trial when it is done.
    """
    stats = preset.covered(stats)
    trials = Trials(net, preset, mode, stats, scorer, goal, refine, report)
    if bits is not None:
        mode.check(bits)
        final = trials.together({part: bits[part] for part in trials.parts if part in bits})
    else:
        final = preset.decide(trials)
    return SearchResult(
        preset=preset.name,
        score_blob=goal.blob,
        higher_is_better=goal.higher_is_better,
        baseline=trials.baseline,
        error_margin=goal.error_margin,
        trials=tuple(trials.done.values()),
        bits=final.bits,
        condensed=final.condensed,
        score=final.score,
        within_margin=final.holds,
        notes=tuple(preset.notes(stats)),
    )
