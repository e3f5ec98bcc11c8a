"""Evidence: how much of a difference between two scores chance may account for.

Both nets are scored on the same pictures, so what is looked at is the difference picture by picture: most are right in
both nets or wrong in both, and say nothing. The interval of the difference is then far narrower than those of the two
scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from ristretto.search.marks import Marks

SHOWN_LEVEL = 0.95
"""The confidence of the intervals in reports."""
DECIMALS = 12
"""Of a quantile: the C library's last bits, which differ between machines, are cut off."""


@dataclass(frozen=True)
class Interval:
    """Where a difference of two scores lies, at some level of confidence.

    Parameters
    ----------
    low, high : float
        Of the score minus the baseline, as fractions.
    level : float
        The share of such intervals that hold the true difference.
    """

    low: float
    high: float
    level: float = SHOWN_LEVEL


@dataclass(frozen=True)
class Estimate:
    """A difference of two scores with its standard error, as fractions.

    Parameters
    ----------
    centre : float
        Of the score minus the baseline.
    error : float
        The standard error of the centre.
    freedom : int or None
        Degrees of freedom of Student's distribution; None for the normal one.
    """

    centre: float
    error: float
    freedom: int | None = None

    def interval(self, level: float = SHOWN_LEVEL) -> Interval:
        """Give the interval that is cut off at both ends alike."""
        reach = self.reach((1 + level) / 2)
        return Interval(self.centre - reach, self.centre + reach, level)

    def loss(self, confidence: float, *, higher_is_better: bool) -> float:
        """Give the upper bound of how much worse than the baseline the score is, as a fraction.

        Parameters
        ----------
        confidence : float
            The share of such bounds that the true difference does not pass.
        higher_is_better : bool
        """
        return (-self.centre if higher_is_better else self.centre) + self.reach(confidence)

    def reach(self, probability: float) -> float:
        """Give how far from the centre the quantile of a probability lies."""
        return (normal_quantile(probability) if self.freedom is None else t_quantile(probability, self.freedom)) * (
            self.error
        )


def estimate(baseline: Marks, trial: Marks) -> Estimate | None:
    """Estimate the difference of two scores on the same batches; None where a single number does not tell its error.

    Pictures that count as right or wrong are compared as matched proportions. Else the differences of the batches'
    scores are taken for normally distributed: Student's one-sample t (W. S. Gosset, "The probable error of a mean",
    Biometrika 6, 1908).
    """
    if baseline.seen.dtype == bool:
        lost, gained = (
            int((one & ~two).sum()) for one, two in ((baseline.seen, trial.seen), (trial.seen, baseline.seen))
        )
        return matched(lost, gained, len(trial.seen))
    count = trial.batches
    if count < 2:
        return None
    differences = (trial.seen - baseline.seen).tolist()
    centre = math.fsum(differences) / count
    square = math.fsum((difference - centre) ** 2 for difference in differences) / (count - 1)
    return Estimate(centre, math.sqrt(square / count), count - 1)


def matched(lost: int, gained: int, pictures: int) -> Estimate:
    """Estimate the difference of two shares of the same pictures.

    Parameters
    ----------
    lost, gained : int
        Pictures that only the baseline has right, and that only the other net has right.
    pictures : int
        All.

    Notes
    -----
    Half a picture is added to each of the four cells (both right, lost, gained, both wrong), then Wald's standard error
    is taken: A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24 (2005) 729-740. Without the halves no lost and no gained picture would give an interval of
    no width: certainty, from a few pictures.
    """
    total = pictures + 2
    # The halves cancel in the difference.
    centre = (gained - lost) / total
    return Estimate(centre, math.sqrt(lost + gained + 1 - (gained - lost) ** 2 / total) / total)


@lru_cache
def normal_quantile(probability: float) -> float:
    """Give the quantile of the standard normal distribution, for a probability between 0 and 1."""
    return round(NormalDist().inv_cdf(probability), DECIMALS)


@lru_cache
def t_quantile(probability: float, freedom: int) -> float:
    """Give the quantile of Student's distribution.

    Parameters
    ----------
    probability : float
        At least 0.5, and less than 1.
    freedom : int
        Degrees of freedom, at least 1.

    Notes
    -----
    The distribution function is a finite sum for whole degrees of freedom (M. Abramowitz and I. A. Stegun, "Handbook of
    Mathematical Functions", 1964, 26.7.3 and 26.7.4); it is turned around by halving.
    """
    inside = 2 * probability - 1
    low, high = 0.0, 1.0
    while _t_inside(high, freedom) < inside:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _t_inside(middle, freedom) < inside else (low, middle)
    return round(high, DECIMALS)


def _t_inside(t: float, freedom: int) -> float:
    """Give the probability that Student's t lies between -t and t."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    # The first term and the factors of the further ones, for odd degrees of freedom and for even.
    term, start = (cosine, 2) if freedom % 2 else (1.0, 1)
    total = term if freedom > 1 else 0.0
    for k in range(start, freedom - 2, 2):
        term *= cosine * cosine * k / (k + 1)
        total += term
    return 2 / math.pi * (angle + sine * total) if freedom % 2 else sine * total
