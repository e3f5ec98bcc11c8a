"""Preset: how a search decides, and the trials that it decides by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.errors import SearchError
from ristretto.net import Net, Part, Phase, QuantSpec
from ristretto.search.condense import Condensed, Refiner
from ristretto.search.criteria import AUTO
from ristretto.search.goal import Goal
from ristretto.search.kept_formats import KeptFormats
from ristretto.search.layered import Layered
from ristretto.search.marks import Marks
from ristretto.search.mode import UNCONDENSED, Ladder, Quants, TrimmingMode
from ristretto.search.result import ALL_PARTS, LAYERS, Comparison, Score, SearchResult, Trial
from ristretto.search.scoring import Scorer
from ristretto.search.shared_grids import Constraint, unconstrained
from ristretto.search.sites import Bounds
from ristretto.search.widths import Bits, LayerWidths, Widths, of_parts, parts_of


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
    scorer : Scorer
        Gives a net's score.
    goal : Goal
    refine : callable
        Changes weights to suit the formats.
    report : callable
        Told of each trial when it is done.
    kept : KeptFormats or None
        Knows formats that were chosen before.
    bounds : Bounds
        Widths that may be tried.
    constrain : callable
        Moves the radix points of formats that were chosen.
    """

    net: Net
    preset: Preset
    mode: TrimmingMode
    stats: CalibrationStats
    scorer: Scorer
    goal: Goal
    refine: Refiner
    report: Callable[[Trial], None]
    kept: KeptFormats | None = None
    bounds: Bounds = field(default_factory=Bounds)
    constrain: Constraint = unconstrained

    def __post_init__(self) -> None:
        self.baseline = self.scorer(self.net)
        self.done: dict[Hashable, Trial] = {}

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that the net has."""
        return parts_of(self.stats)

    @property
    def ladders(self) -> Sequence[Ladder]:
        """What is tried, in order.

        Raises
        ------
        SearchError
            When the bounds leave nothing to try.
        """
        return [ladder.within(self.bounds) for ladder in self.mode.ladders(self.parts)]

    def run(self, part: str, bits: Bits, *, whole: bool = False) -> Trial:
        """Score the net with some parts condensed to these widths, the others in float.

        Parameters
        ----------
        part : str
        bits : mapping of Part to int
        whole : bool
            Whether the score itself is wanted, and not only whether it holds.
        """
        key = tuple(sorted((p.value, width) for p, width in bits.items()))
        return self._run(key, part, bits, of_parts(self.stats, bits), whole)

    def of_layers(self, widths: Widths, *, whole: bool = False) -> Trial:
        """Score the net with every layer condensed to widths of its own; see `run`."""
        return self._run(tuple(widths.items()), LAYERS, {}, widths, whole)

    def _run(self, key: Hashable, part: str, bits: Bits, widths: Widths, whole: bool) -> Trial:
        known = self.done.get(key)
        if known is None or (whole and not known.score.whole):
            condensed = known.condensed if known else self.condense(widths)
            found = self.judge(condensed.apply(self.net), whole=whole)
            self.done[key] = Trial(part, dict(bits), widths, condensed, found.score, found.holds, found.difference)
            self.report(self.done[key])
        return self.done[key]

    def judge(self, net: Net, *, whole: bool = False) -> Comparison:
        """Score a net and say whether it holds; unless the whole score is wanted, only until that is certain."""
        early = self.preset.weighs_evidence and not whole and self.baseline.marks is not None
        score = self.scorer(net, self._is_certain) if early else self.scorer(net)
        return compare(self.goal, score, self.baseline, weighed=self.preset.weighs_evidence)

    def _is_certain(self, marks: Marks) -> bool:
        return self.goal.outcome(marks, self.baseline) is not None

    def condense(self, widths: Widths) -> Condensed:
        """Choose formats, and weights where there is a refiner."""
        condensed = self.refine(self.spec(widths))
        # Radix points may have moved along with weights.
        return replace(condensed, spec=self.constrain(condensed.spec))

    def spec(self, widths: Widths) -> QuantSpec:
        """Choose formats; a layer without widths stays in float."""
        every = {name: widths.get(name, LayerWidths()) for name in self.stats.layers}
        return self.constrain(self.preset.spec(self.mode, self.stats, every, self.kept))

    @property
    def changes_weights(self) -> bool:
        """Whether there is a refiner."""
        return self.refine is not Condensed

    def lowest(self, ladder: Ladder) -> int:
        """Walk down a ladder; give the last rung that holds before the first that does not, -1 for none."""
        for rung, bits in enumerate(ladder.rungs):
            if not self.run(ladder.part, bits).holds:
                return rung - 1
        return len(ladder.rungs) - 1

    def together(self, bits: Bits, *, whole: bool = False) -> Trial:
        """Score the net with all parts condensed; see `run`."""
        return self.run(ALL_PARTS, bits, whole=whole)

    def finish(self, trial: Trial) -> Trial:
        """Give a trial with its whole score."""
        if trial.score.whole:
            return trial
        found = self.judge(trial.condensed.apply(self.net), whole=True)
        finished = replace(trial, score=found.score, holds=found.holds, difference=found.difference)
        self.done = {key: finished if known is trial else known for key, known in self.done.items()}
        self.report(finished)
        return finished


def compare(goal: Goal, score: Score, baseline: Score, *, weighed: bool) -> Comparison:
    """Set a score beside the baseline's, with the interval of their difference if evidence is weighed."""
    if score.whole:
        holds = goal.holds(score, baseline)
    else:
        assert score.marks is not None
        outcome = goal.outcome(score.marks, baseline)
        assert outcome is not None, "scoring stops when the outcome is certain"
        holds = outcome
    return Comparison(baseline, score, holds, goal.difference(score, baseline) if weighed else None)


class Preset(ABC):
    """A way to choose formats.

    A preset is one subclass in one file and one entry in ``ristretto.search.PRESETS``.
    """

    name: ClassVar[str]
    calibration_phase: ClassVar[Phase]
    """The phase that the net is in while its ranges are measured; the data is the TRAIN phase's either way."""
    refines: ClassVar[bool] = True
    """Whether weights may be changed to suit formats."""
    weighs_evidence: ClassVar[bool] = True
    """Whether a trial stops as soon as its outcome is certain, and differences of scores come with their intervals."""
    by_layer: ClassVar[bool] = True
    """Whether layers may have widths of their own."""
    moves_radix_points: ClassVar[bool] = True
    """Whether formats that were chosen may be changed to suit hardware."""

    @property
    def formats_by(self) -> str | None:
        """What formats are chosen by, one of `FORMATS_BY`; None where that is the preset's own."""
        return None

    def choosing_by(self, formats_by: str) -> Preset:
        """Give the preset that chooses formats by what is asked for, one of `FORMATS_BY`.

        Raises
        ------
        SearchError
            When the preset has its own way.
        """
        if formats_by != AUTO:
            raise SearchError(
                f"the {self.name} preset chooses formats in its own way", hint=f"leave --formats_by {formats_by} out"
            )
        return self

    @abstractmethod
    def formats(self, mode: TrimmingMode, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give the formats of all layers; a place without a width stays in float."""

    @abstractmethod
    def decide(self, trials: Trials) -> Trial:
        """Choose the widths of all parts; gives the trial in which they stand together."""

    def covered(self, stats: CalibrationStats) -> CalibrationStats:
        """Give the ranges of the layers that the search may quantize."""
        return stats

    def spec(
        self, mode: TrimmingMode, stats: CalibrationStats, widths: Widths, kept: KeptFormats | None = None
    ) -> QuantSpec:
        """Give the formats of every layer that these widths touch; what was chosen before is not chosen again."""

        def choose() -> QuantSpec:
            quants = self.formats(mode, stats, widths)
            touched = {name: q for name, q in quants.items() if q.layer_in or q.layer_out or q.params}
            return QuantSpec(mode.name, touched)

        return kept.spec(self.name, self.formats_by, mode.name, widths, choose) if kept else choose()

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


ByLayer = Callable[[Trials], tuple[Trial, Layered]]
"""Decides the widths of every layer by itself; gives the trial of those chosen, and what it went by."""


def run_search(
    net: Net,
    stats: CalibrationStats,
    preset: Preset,
    mode: TrimmingMode,
    scorer: Scorer,
    goal: Goal,
    *,
    bits: Bits | None = None,
    bounds: Bounds | None = None,
    by_layer: ByLayer | None = None,
    refine: Refiner = Condensed,
    constrain: Constraint = unconstrained,
    reporter: Scorer | None = None,
    kept: KeptFormats | None = None,
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
    scorer : Scorer
        Gives a net's score on the batches that decide.
    goal : Goal
        What the score must do.
    bits : mapping of Part to int, or None
        Widths that are taken without a search; those of parts that the net lacks do not count. Without a width, a
        part gets the fork's word for float.
    bounds : Bounds or None
        Widths that may be tried; by default all that the mode tries.
    by_layer : callable or None
        Decides the widths of every layer by itself; without it the preset decides those of parts.
    refine : callable
        Changes weights to suit the formats; by default they stay as they are.
    constrain : callable
        Moves the radix points of formats that were chosen; by default they stay where they are.
    reporter : Scorer or None
        Gives a net's score on other batches, those that report; by default the ones that decide report, too.
    kept : KeptFormats or None
        Knows formats that were chosen before.
    report : callable
        Told of each trial when it is done.
    """
    stats = preset.covered(stats)
    trials = Trials(net, preset, mode, stats, scorer, goal, refine, report, kept, bounds or Bounds(), constrain)
    layered = None
    if bits is not None:
        given = {part: bits.get(part, UNCONDENSED) for part in trials.parts}
        mode.check(given)
        final = trials.together(given)
    elif by_layer is not None:
        final, layered = by_layer(trials)
    else:
        final = preset.decide(trials)
    final = trials.finish(final)
    decided = Comparison(trials.baseline, final.score, final.holds, final.difference)
    if reporter is None:
        reported = decided
    else:
        float_score, score = reporter(net), reporter(final.condensed.apply(net))
        reported = compare(goal, score, float_score, weighed=preset.weighs_evidence)
    return SearchResult(
        preset=preset.name,
        score_blob=goal.blob,
        higher_is_better=goal.higher_is_better,
        decided=decided,
        reported=reported,
        error_margin=goal.error_margin,
        trials=tuple(trials.done.values()),
        bits=final.bits,
        widths=final.widths,
        condensed=final.condensed,
        confidence=goal.confidence,
        notes=tuple(preset.notes(stats)),
        layered=layered,
    )
