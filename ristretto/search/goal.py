"""Goal: what a score must do, and when it is certain whether it will."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ristretto.search.evidence import Interval, estimate, matched, normal_quantile
from ristretto.search.marks import Marks
from ristretto.search.result import Score

GUARD = 1e-9
"""How far, as a fraction, a bound must lie beyond the margin to count before the last picture: far above the rounding
of what it is computed by, and far below what a picture changes."""


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
    bounds : (float, float)
        The least and the greatest that the score of a batch can be.
    confidence : float or None
        At least 0.5, and less than 1: the upper bound of how much worse the score is, at this confidence, must lie
        within the margin, too.
    """

    blob: str
    error_margin: float
    higher_is_better: bool = True
    bounds: tuple[float, float] = (-math.inf, math.inf)
    confidence: float | None = None

    def holds(self, score: Score, baseline: Score) -> bool:
        """Whether a score lies within the margin of the baseline's; NaN never does.

        With a `confidence` both must have marks.
        """
        if not self._within(score.value, baseline) or self.confidence is None:
            return self._within(score.value, baseline)
        assert score.marks is not None
        assert baseline.marks is not None
        found = estimate(baseline.marks, score.marks)
        return found is not None and found.loss(self.confidence, higher_is_better=self.higher_is_better) <= self.margin

    @property
    def margin(self) -> float:
        """How much worse than the baseline a score may be, as a fraction."""
        return self.error_margin / 100

    def better(self, score: Score) -> float:
        """Give a number that is larger for a better score."""
        return score.value if self.higher_is_better else -score.value

    def difference(self, score: Score, baseline: Score) -> Interval | None:
        """Give the interval of a score minus the baseline's, over the batches that the score has seen."""
        if score.marks is None or baseline.marks is None:
            return None
        found = estimate(baseline.marks.first(score.marks.batches), score.marks)
        return None if found is None else found.interval()

    def outcome(self, marks: Marks, baseline: Score) -> bool | None:
        """Say whether the whole score will hold, if that is certain from its first batches; else None.

        It is certain where the best and the worst that the other batches can bring come to the same. Where there is a
        `confidence`, the same is asked of its bound.

        Parameters
        ----------
        marks : Marks
            On the first of the baseline's batches.
        baseline : Score
            With marks on all batches.
        """
        assert baseline.marks is not None
        left = baseline.marks.batches - marks.batches
        ends = [self._end(marks.total, bound, left, baseline.marks.batches) for bound in self.bounds]
        worst, best = ends if self.higher_is_better else reversed(ends)
        if best is not None and not self._within(best, baseline):
            return False
        holds = worst is not None and self._within(worst, baseline)
        if self.confidence is None:
            return holds or None
        sure = self._surely(marks, baseline.marks)
        return False if sure is False else (holds and sure) or None

    def _within(self, value: float, baseline: Score) -> bool:
        if self.higher_is_better:
            return value + self.margin >= baseline.value
        return value - self.margin <= baseline.value

    @staticmethod
    def _end(total: float, bound: float, left: int, batches: int) -> float | None:
        """Give the score when every batch that is left scores a bound; None where there is no bound.

        Sums, quotients and comparisons of floats are monotone when they are rounded, too: added in the same way, other
        scores end on this side of it, to the last bit.
        """
        if left and math.isinf(bound):
            return None
        for _ in range(left):
            total += bound
        return total / batches

    def _surely(self, marks: Marks, baseline: Marks) -> bool | None:
        """Say whether the bound of the loss will lie within the margin, if that is certain."""
        if marks.seen.dtype != bool:
            return None
        assert self.confidence is not None
        known, rest = baseline.seen[: len(marks.seen)], baseline.seen[len(marks.seen) :]
        lost, gained = int((known & ~marks.seen).sum()), int((marks.seen & ~known).sum())
        most_lost, most_gained = lost + int(rest.sum()), gained + int((~rest).sum())
        pictures = len(baseline.seen)
        # The bound is a concave function of both numbers: the least one stands at a corner.
        if min(self._losses((lost, most_lost), (gained, most_gained), pictures)) > self.margin + GUARD:
            return False
        # The greatest may stand anywhere. Its parts are at most these: what is lost, net, and the standard error with
        # both numbers at their greatest and their difference at its least.
        apart = max(lost - most_gained, gained - most_lost, 0)
        total = pictures + 2
        error = math.sqrt(most_lost + most_gained + 1 - apart**2 / total) / total
        greatest = (most_lost - gained) / total + normal_quantile(self.confidence) * error
        return True if greatest <= self.margin - GUARD else None

    def _losses(self, lost: tuple[int, int], gained: tuple[int, int], pictures: int) -> Iterator[float]:
        assert self.confidence is not None
        for corner in product(lost, gained):
            yield matched(*corner, pictures).loss(self.confidence, higher_is_better=self.higher_is_better)
