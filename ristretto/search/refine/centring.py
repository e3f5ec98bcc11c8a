"""Centring: class scores moved together, so that those of likely winners lie where a word's codes are.

What ranks classes or takes their softmax does not see a number added to all scores of a picture. Scores of winners lie
above zero as a rule, which leaves half of a signed word's codes for classes that do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.calibrate import LayerStats
from ristretto.formats import FixedPoint
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.net import Net
from ristretto.net.op import Array
from ristretto.search.fit import places_lost

CLOSER, WIDER = 4, 1
"""How many fractional bits more and fewer than the format chosen without centring are tried."""
CLIPPED = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the winners whose scores may saturate."""


@dataclass(frozen=True)
class Centring:
    """A number that is added to all biases, in real units, and the format of the output that goes with it."""

    shift: float
    layer_out: FixedPoint


def centring(net: Net, stats: LayerStats, layer_out: FixedPoint) -> Centring | None:
    """Choose a shift and a format by what they do to the ranking of the pictures that calibration kept.

    None where the output does not rank classes, something reads it that a shift disturbs, or there is no bias.
    """
    layer = net[stats.layer.name]
    readers = net.consumers(layer)
    if not stats.ranked or len(layer.blobs) < 2 or not all(reader.op.ignores_common_shift for reader in readers):
        return None
    scores = stats.sample_out.reshape(len(stats.sample_out), -1).astype(np.float32)
    if scores.shape[1] < 2:
        return None
    best: tuple[tuple[int, float], Centring] | None = None
    for fl in range(layer_out.fl - WIDER, min(layer_out.fl + CLOSER, MAX_FRACTION) + 1):
        fmt = FixedPoint(layer_out.bw, fl)
        top = (2.0 ** (fmt.bw - 1) - 1) * 2.0**-fl
        for share in CLIPPED:
            # On the grid, so that it moves no number's rounding.
            shift = float(np.rint((top - np.quantile(scores.max(axis=1), 1 - share)) * 2.0**fl) * 2.0**-fl)
            moved = scores + np.float32(shift)
            cost = places_lost(moved, fmt.trim(moved)), _margin_error(moved, fmt.trim(moved))
            if best is None or cost < best[0]:
                best = cost, Centring(shift, fmt)
    return None if best is None else best[1]


def _margin_error(before: Array, after: Array) -> float:
    """Give how much the lead of each picture's first class over the second changes, as a share of itself; squared."""
    order = np.argsort(-before, axis=1, kind="stable")[:, :2]
    lead, left = (np.subtract(*np.take_along_axis(x, order, axis=1).astype(np.float64).T) for x in (before, after))
    typical = float(np.median(lead)) or 1.0
    return float(np.square((left - lead) / (lead + 0.1 * typical)).mean())
