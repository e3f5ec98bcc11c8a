"""Fixed point: one format for the whole net, the baseline of the paper's Figure 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.formats import FixedPoint
from ristretto.net import Part
from ristretto.net.quant import PLACES
from ristretto.search.criteria import Criterion
from ristretto.search.criteria.base import Spot
from ristretto.search.fit import as_share, candidates, integer_length, of_length, params_error, reach
from ristretto.search.mode import Ladder, Quants, TrimmingMode, ladder
from ristretto.search.modes.dynamic_fixed_point import params_length
from ristretto.search.result import ALL_PARTS
from ristretto.search.widths import Bits, Widths, check_one_width, one_width, with_format

FEWEST_INTEGER_BITS = -8
"""Formats with fewer integer bits than this clip every net's activations."""

_ERRORS: WeakKeyDictionary[LayerStats, dict[FixedPoint, float]] = WeakKeyDictionary()


class FixedPointMode(TrimmingMode):
    """Every blob and all weights share one width and one fractional length, condensed or not.

    The fork has no word for this: it is written as dynamic fixed point whose radix points all stand at one place.
    """

    name = "fixed_point"
    title = "Fixed point net"

    def ladders(self, parts: Sequence[Part]) -> Sequence[Ladder]:
        """One ladder for the whole net."""
        return [ladder(ALL_PARTS, parts)]

    def check(self, bits: Bits) -> None:
        """Raise a SearchError when parts have several widths."""
        check_one_width(bits)

    def by_range(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give all places the largest of the integer lengths that dynamic fixed point would give each."""
        lengths = [
            length
            for layer in stats.layers.values()
            for length in (
                integer_length(layer.final_in.magnitude),
                integer_length(layer.final_out.magnitude),
                params_length(layer),
            )
        ]
        fmt = of_length(one_width(widths), max(lengths))
        return {name: with_format(layer, fmt) for name, layer in widths.items()}

    def by_error(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give all places the fractional length with the least sum of squared errors, each relative to its signal."""
        bw, layers = one_width(widths), list(stats.layers.values())
        widest = max(max(reach(s.layer_in, rectified=False), s.params.magnitude, _reach_out(s)) for s in layers)
        fmt = _least_sum(_formats(bw, widest), layers)
        return {name: with_format(layer, fmt) for name, layer in widths.items()}

    def by_criterion(self, criterion: Criterion, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give all places the best fractional length for all of them together."""
        spots = [Spot(layer, place) for layer in stats.layers.values() for place in PLACES]
        widest = max(spot.seen().magnitude for spot in spots)
        fmt = criterion.best(_formats(one_width(widths), widest), spots)
        return {name: with_format(layer, fmt) for name, layer in widths.items()}


def _formats(bw: int, widest: float) -> list[FixedPoint]:
    """Give what is tried: from covering all numbers on, ever finer."""
    first = candidates(bw, widest)[0]
    return [FixedPoint(bw, fl) for fl in range(first.fl, max(first.fl, bw - FEWEST_INTEGER_BITS) + 1)]


def _reach_out(stats: LayerStats) -> float:
    return reach(stats.layer_out, rectified=stats.rectified)


def _least_sum(formats: Sequence[FixedPoint], layers: Sequence[LayerStats]) -> FixedPoint:
    """Give the format with the least sum of relative errors; the first of equals."""
    best, lowest = formats[0], math.inf
    for fmt in formats:
        total = 0.0
        for layer in layers:
            total += _relative_error(layer, fmt)
            if total >= lowest:
                # Each layer may be run for its share: no more of them than it takes to see that this is not the least.
                break
        else:
            best, lowest = fmt, total
    return best


def _relative_error(stats: LayerStats, fmt: FixedPoint) -> float:
    """Give the squared errors of a layer's three places, each as a share of the power that it disturbs.

    A sweep asks for the same ones for each part, so they are kept.
    """
    known = _ERRORS.setdefault(stats, {})
    if fmt not in known:
        known[fmt] = _measured_error(stats, fmt)
    return known[fmt]


def _measured_error(stats: LayerStats, fmt: FixedPoint) -> float:
    at_input = as_share(stats.layer_in.squared_error(fmt), stats.layer_in.mean_square())
    error_out = stats.layer_out.squared_error(fmt, rectified=stats.rectified)
    return at_input + as_share(error_out + params_error(stats, fmt), stats.layer_out.mean_square())
