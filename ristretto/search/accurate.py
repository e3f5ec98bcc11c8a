"""The accurate preset: formats by squared error, and widths given back until the whole net holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ristretto.calibrate import CalibrationStats
from ristretto.net import Part, Phase
from ristretto.search.criteria import AUTO, CRITERIA, Criterion
from ristretto.search.mode import Ladder, Quants, TrimmingMode
from ristretto.search.preset import Preset, Trials
from ristretto.search.result import Trial
from ristretto.search.widths import Widths


@dataclass(frozen=True)
class AccuratePreset(Preset):
    """Formats that make the least squared error, in nets whose ranges are measured as they are in use.

    - An activation's format minimizes the squared error over the histogram of its values; where only ReLUs read an
      output, over what they let through; where pooling by a mean or LRN follows, that of what comes out of it.
    - That of the weights minimizes the squared error of the layer's output, bias included.
    - Where an output ranks classes, both first keep as many pictures' first classes alone at the top as they can.
    - What was condensed apart is scored together; while the margin is missed, the ladder whose next wider rung helps
      the score most takes it.

    Parameters
    ----------
    criterion : Criterion or None
        What chooses all formats in place of the first three rules.
    """

    name = "accurate"
    calibration_phase = Phase.TEST

    criterion: Criterion | None = None

    @property
    def formats_by(self) -> str:
        """The criterion's name, or "auto"."""
        return AUTO if self.criterion is None else self.criterion.name

    def choosing_by(self, formats_by: str) -> AccuratePreset:
        """Take whatever criterion is asked for."""
        return replace(self, criterion=CRITERIA.get(formats_by))

    def formats(self, mode: TrimmingMode, stats: CalibrationStats, widths: Widths) -> Quants:
        """Choose by squared error, or by the criterion."""
        if self.criterion is None:
            return mode.by_error(stats, widths)
        return mode.by_criterion(self.criterion, stats, widths)

    def decide(self, trials: Trials) -> Trial:
        """Walk down each ladder alone, then give bits back until they hold together."""
        ladders = trials.ladders
        rungs = [trials.lowest(ladder) for ladder in ladders]
        while not trials.together(_bits(ladders, rungs)).holds:
            wider = [[*rungs[:i], rung - 1, *rungs[i + 1 :]] for i, rung in enumerate(rungs) if rung > 0]
            if not wider:
                break
            scores = [trials.together(_bits(ladders, choice), whole=True).score for choice in wider]
            # The first of equals: the order of the ladders decides, not that of threads.
            rungs = max(zip(wider, scores, strict=True), key=lambda pair: trials.goal.better(pair[1]))[0]
        return trials.together(_bits(ladders, rungs))


def _bits(ladders: Sequence[Ladder], rungs: Sequence[int]) -> dict[Part, int]:
    return {part: w for ladder, rung in zip(ladders, rungs, strict=True) for part, w in ladder.bits(rung).items()}
