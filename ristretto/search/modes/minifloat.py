"""Minifloat: weights and activations of all layers as short floating-point words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from ristretto.calibrate import CalibrationStats, LayerStats
from ristretto.errors import SearchError
from ristretto.formats import MiniFloat
from ristretto.net import Part
from ristretto.net.quant import PLACES
from ristretto.search.criteria import Criterion
from ristretto.search.criteria.base import Spot
from ristretto.search.fit import least, params_error
from ristretto.search.mode import Ladder, Quants, TrimmingMode, ladder
from ristretto.search.result import ALL_PARTS
from ristretto.search.widths import Bits, Widths, check_one_width, one_width, with_format

WIDTHS = (16, 8)
"""The original goes on to 4 bits only with fewer than 3 exponent bits, which it never chooses."""
FEWEST_EXPONENT_BITS = 4
"""The original's smallest exponent."""
EXPONENT_BITS = range(2, 9)
"""What the choice by squared error tries."""
FEWEST_BITS = 1 + EXPONENT_BITS[0] + 1
"""A sign, the shortest exponent and one bit of mantissa."""


class MiniFloatMode(TrimmingMode):
    """One width for the whole net; its bits are divided between exponent and mantissa."""

    name = "minifloat"
    title = "Minifloat net"
    is_on_grids = False

    def ladders(self, parts: Sequence[Part]) -> Sequence[Ladder]:
        """One ladder for the whole net."""
        return [ladder(ALL_PARTS, parts, WIDTHS)]

    def check(self, bits: Bits) -> None:
        """Raise a SearchError when parts have several widths, or fewer bits than the shortest minifloat."""
        check_one_width(bits)
        if min(bits.values(), default=FEWEST_BITS) < FEWEST_BITS:
            raise SearchError(
                f"no minifloat has {min(bits.values())} bits",
                hint=f"ask for {FEWEST_BITS} at least: a sign, {FEWEST_BITS - 2} of exponent, 1 of mantissa",
            )

    def by_range(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give all layers the exponent bits of the largest activation, at least 4; weights are not looked at."""
        needed = [
            exponent_bits(seen.magnitude)
            for layer in stats.layers.values()
            for seen in (layer.final_in, layer.final_out)
        ]
        fmt = _minifloat(one_width(widths), max(FEWEST_EXPONENT_BITS, *needed))
        return {name: with_format(layer, fmt) for name, layer in widths.items()}

    def by_error(self, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give each layer the exponent bits with the least error in its output."""
        formats = _formats(one_width(widths))
        quants = {}
        for name, layer in stats.layers.items():
            fmt = least(formats, partial(layer_error, layer))
            quants[name] = with_format(widths[name], fmt)
        return quants

    def check_criterion(self, criterion: Criterion) -> None:
        """Raise a SearchError for one that only sees what saturates: a short exponent loses small numbers, too."""
        if not criterion.weighs_errors:
            raise SearchError(
                f"no minifloat is the finest by {criterion.name}: a shorter exponent turns small numbers into zeros",
                hint="take another --formats_by, or another trimming mode",
            )

    def by_criterion(self, criterion: Criterion, stats: CalibrationStats, widths: Widths) -> Quants:
        """Give each layer the best exponent bits for its three places together."""
        formats = _formats(one_width(widths))
        return {
            name: with_format(widths[name], criterion.best(formats, [Spot(layer, place) for place in PLACES]))
            for name, layer in stats.layers.items()
        }


def _formats(width: int) -> list[MiniFloat]:
    """Give what is tried, from short exponents to long ones."""
    return [_minifloat(width, exp_bits) for exp_bits in EXPONENT_BITS if exp_bits <= width - 2]


def exponent_bits(magnitude: float) -> int:
    """Give ``ceil(log2(log2(magnitude) - 1) + 1)``, bits; 0 up to a magnitude of 2, where the formula has no value."""
    if magnitude <= 2:
        return 0
    return math.ceil(math.log2(math.log2(magnitude) - 1) + 1)


def _minifloat(width: int, exp_bits: int) -> MiniFloat:
    exp_bits = min(exp_bits, 8)
    return MiniFloat(exp_bits, min(width - 1 - exp_bits, 23))


def layer_error(stats: LayerStats, fmt: MiniFloat) -> float:
    """Give the squared error of a layer's output from trimming all three places, in squared real units.

    An error in the input is multiplied by each of an output's weights; inputs are taken as independent of each other.
    """
    weights = stats.layer.blobs[0].astype(np.float64)
    from_input = stats.layer_in.squared_error(fmt) * float(np.square(weights).sum()) / len(weights)
    at_output = stats.layer_out.squared_error(fmt, rectified=stats.rectified)
    return from_input + params_error(stats, fmt) + at_output
