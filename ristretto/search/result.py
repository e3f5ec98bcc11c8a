"""SearchResult: what a search tried and what it decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ristretto.net import Part, QuantSpec
from ristretto.search.condense import Condensed

ALL_PARTS = "all"
"""The part's name of a trial in which the three parts are condensed together."""

Bits = Mapping[Part, int]
"""The width of each part, bits."""


@dataclass(frozen=True)
class Score:
    """A net's score, as a fraction, and the one by argmax where there is one."""

    value: float
    argmax: float | None = None


@dataclass(frozen=True)
class Trial:
    """One scored net.

    Parameters
    ----------
    part : str
        Which part was condensed, the others in float; "all" for the three together.
    bits : mapping of Part to int
        The widths of the parts that were condensed.
    condensed : Condensed
        The formats that this gave the layers, and the weights where they were changed.
    score : Score
    holds : bool
        Whether the score lies within the margin.
    """

    part: str
    bits: Bits
    condensed: Condensed
    score: Score
    holds: bool


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
    baseline : Score
        The float net's.
    error_margin : float
        How much worse than the baseline the score may be: percentage points of an accuracy, hundredths of a loss.
    trials : tuple of Trial
        In the order in which they were run.
    bits : mapping of Part to int
        The widths chosen.
    condensed : Condensed
        The formats chosen, and the weights where they were changed.
    score : Score
        The condensed net's.
    within_margin : bool
        Whether it lies within the margin.
    notes : tuple of str
        What the user should know: dead layers.
    """

    preset: str
    score_blob: str
    higher_is_better: bool
    baseline: Score
    error_margin: float
    trials: tuple[Trial, ...]
    bits: Bits
    condensed: Condensed
    score: Score
    within_margin: bool
    notes: tuple[str, ...] = ()

    @property
    def spec(self) -> QuantSpec:
        """The formats chosen."""
        return self.condensed.spec
