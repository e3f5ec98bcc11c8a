"""The criterion `range`: the finest format in which nothing saturates."""

from __future__ import annotations

from collections.abc import Sequence

from ristretto.calibrate import Range
from ristretto.formats import Format
from ristretto.formats.ends import last_step
from ristretto.search.criteria.base import Criterion, F, Spot


class Saturation(Criterion):
    """Takes the finest format in which neither weights nor biases saturate, nor activations that calibration saw.

    Of formats of one width the finest reaches least far. Where all of them saturate (one bit has no positive number),
    or all numbers are zero, the one that reaches farthest is taken.
    """

    name = "range"
    weighs_errors = False

    def best(self, formats: Sequence[F], spots: Sequence[Spot]) -> F:
        """Look at the ends of ranges only."""
        covering = [fmt for fmt in formats if all(covers(fmt, spot.seen(bias=fmt.covers_bias)) for spot in spots)]
        if not covering or all(spot.seen().magnitude == 0 for spot in spots):
            return min(formats, key=lambda fmt: fmt.low)
        return max(covering, key=lambda fmt: fmt.low)


def covers(fmt: Format, seen: Range) -> bool:
    """Whether no number of a range saturates: each lies less than half a step beyond the ends, if it does at all."""
    return seen.max - fmt.high < last_step(fmt, fmt.high, -1) / 2 and fmt.low - seen.min < (
        last_step(fmt, fmt.low, 1) / 2
    )
