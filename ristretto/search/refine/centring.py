"""Centring: class scores moved together, so that those of likely winners lie where a word's codes are.

What ranks classes or takes their softmax does not see a number added to all scores of a picture. Scores of winners lie
above zero as a rule, which leaves half of a signed word's codes for classes that do not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ristretto.calibrate import LayerStats
from ristretto.formats import FixedPoint
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.net import Net
from ristretto.net.op import Array
from ristretto.search.fit import places_lost
from ristretto.search.sensitivity import divergence

CLOSER, WIDER = 4, 1
"""How many fractional bits more and fewer than the format chosen without centring are tried."""
SHIFTS = 16
"""How many shifts are tried for each length of a format's range."""
NOISE = 1e-9
"""A difference that logarithms of another processor may turn around: the choice may not hang on it."""


@dataclass(frozen=True)
class Centring:
    """A number that is added to all biases, in real units, and the format of the output that goes with it."""

    shift: float
    layer_out: FixedPoint


def centring(net: Net, stats: LayerStats, layer_out: FixedPoint) -> Centring | None:
    """Choose a shift and a format by what they do to the scores of the pictures that calibration kept.

    None where nothing is gained, the output does not rank classes, something reads it that a shift disturbs, or there
    is no bias.
    """
    layer = net[stats.layer.name]
    readers = net.consumers(layer)
    if not stats.ranked or len(layer.blobs) < 2 or not all(reader.op.ignores_common_shift for reader in readers):
        return None
    scores = stats.sample_out.reshape(len(stats.sample_out), -1).astype(np.float32)
    if scores.shape[1] < 2:
        return None
    as_it_is = best = Centring(0.0, layer_out)
    least = misjudgement(scores, layer_out.trim(scores))
    for fl in range(layer_out.fl - WIDER, min(layer_out.fl + CLOSER, MAX_FRACTION) + 1):
        fmt = FixedPoint(layer_out.bw, fl)
        for shift in _shifts(scores, fmt):
            moved = scores + np.float32(shift)
            found = misjudgement(moved, fmt.trim(moved))
            if found < least - NOISE:
                least, best = found, Centring(shift, fmt)
    return None if best is as_it_is else best


def misjudgement(before: Array, after: Array) -> float:
    """Give how far class scores are from what they were: the divergence, and the share of first places lost.

    Probabilities hardly tell a narrow win from a tie, which an accuracy counts as wrong; places do not tell how safe
    they are.

    Parameters
    ----------
    before, after : float32 arrays (n, classes, ...)
    """
    return divergence(before, after) + places_lost(before, after) / len(before)


def _shifts(scores: Array, fmt: FixedPoint) -> Iterator[float]:
    """Give numbers to add, smallest first, that leave no winner on average beyond the ends of a format's range.

    They are on its grid, so that they move no number's rounding.
    """
    typical = float(scores.max(axis=1).mean())
    step = max(1, round(2**fmt.bw / SHIFTS)) * math.ldexp(1.0, -fmt.fl)
    first, last = math.ceil((fmt.low - typical) / step), math.floor((fmt.high - typical) / step)
    return (number * step for number in sorted(range(first, last + 1), key=abs))
