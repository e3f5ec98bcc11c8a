"""SearchResult: what a search tried and what it decided."""

from __future__ import annotations

from dataclasses import dataclass, field

from ristretto.net import QuantSpec
from ristretto.search.condense import Condensed
from ristretto.search.evidence import Interval
from ristretto.search.layered import Layered
from ristretto.search.marks import Marks
from ristretto.search.widths import Bits, Widths

ALL_PARTS = "all"
"""The part's name of a trial in which the three parts are condensed together."""
LAYERS = "layers"
"""That of a trial in which every layer has widths of its own."""


@dataclass(frozen=True)
class Score:
    """A net's score, as a fraction, and the one by argmax where there is one.

    Parameters
    ----------
    value : float
    argmax : float or None
    marks : Marks or None
        What the score is the mean of.
    whole : bool
        False where scoring stopped as soon as the outcome was certain: the score is that of the first batches, and not
        to be compared with another.
    """

    value: float
    argmax: float | None = None
    marks: Marks | None = field(default=None, compare=False, repr=False)
    whole: bool = True

    @classmethod
    def of(cls, marks: Marks, *, whole: bool = True) -> Score:
        """Give the score that marks make."""
        return cls(marks.value, marks.argmax_value, marks, whole)


@dataclass(frozen=True)
class Comparison:
    """A net's score beside the float net's, on the same batches.

    Parameters
    ----------
    baseline : Score
        The float net's.
    score : Score
    holds : bool
        Whether the score lies within the margin.
    difference : Interval or None
        Where the score minus the baseline lies, at 95 % confidence; None where that is not asked for.
    """

    baseline: Score
    score: Score
    holds: bool
    difference: Interval | None = None


@dataclass(frozen=True)
class Trial:
    """One scored net.

    Parameters
    ----------
    part : str
        Which part was condensed, the others in float; "all" for the three together, "layers" where every layer has
        widths of its own.
    bits : mapping of Part to int
        The widths of the parts that were condensed; none where layers have widths of their own.
    widths : mapping of str to LayerWidths
        Those of the layers.
    condensed : Condensed
        The formats that this gave the layers, and the weights where they were changed.
    score : Score
    holds : bool
        Whether the score lies within the margin.
    difference : Interval or None
        Where the score minus the baseline lies, at 95 % confidence, by the batches that were seen; None where that is
        not asked for.
    """

    part: str
    bits: Bits
    widths: Widths
    condensed: Condensed
    score: Score
    holds: bool
    difference: Interval | None = None


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    preset : str
    score_blob : str
        The output blob whose mean is the score.
    higher_is_better : bool
        False when the score is a loss.
    decided : Comparison
        The condensed net on the batches that trials are scored on.
    reported : Comparison
        The same net on batches that no choice has looked at; `decided` itself where none are set aside.
    error_margin : float
        How much worse than the baseline the score may be: percentage points of an accuracy, hundredths of a loss.
    trials : tuple of Trial
        In the order in which they were run.
    bits : mapping of Part to int
        The widths chosen; none where layers have widths of their own.
    widths : mapping of str to LayerWidths
        Those of the layers.
    condensed : Condensed
        The formats chosen, and the weights where they were changed.
    confidence : float or None
        Where a trial must hold by the upper bound of its loss: the bound's.
    notes : tuple of str
        What the user should know: dead layers.
    layered : Layered or None
        How widths of layers were chosen, where they have some of their own.
    """

    preset: str
    score_blob: str
    higher_is_better: bool
    decided: Comparison
    reported: Comparison
    error_margin: float
    trials: tuple[Trial, ...]
    bits: Bits
    widths: Widths
    condensed: Condensed
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    layered: Layered | None = None

    @property
    def baseline(self) -> Score:
        """The float net's score, as it is reported."""
        return self.reported.baseline

    @property
    def score(self) -> Score:
        """The condensed net's score, as it is reported."""
        return self.reported.score

    @property
    def within_margin(self) -> bool:
        """Whether the reported score lies within the margin."""
        return self.reported.holds

    @property
    def spec(self) -> QuantSpec:
        """The formats chosen."""
        return self.condensed.spec
