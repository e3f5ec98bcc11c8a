"""What a search may do to weights, and with which pictures."""

from __future__ import annotations

import math

from ristretto.api.opening import CACHE_BYTES, calibration_key
from ristretto.calibrate import CalibrationStats
from ristretto.data import BatchSource
from ristretto.identity import digest
from ristretto.net import Net
from ristretto.search import Journal
from ristretto.search.refine import KeptWeights, Techniques, WeightRefiner
from ristretto.search.sensitivity import View

FLOAT32 = 4


def refiner(
    net: Net,
    stats: CalibrationStats,
    source: BatchSource,
    view: View,
    techniques: Techniques,
    threads: int,
    journal: Journal | None,
) -> WeightRefiner | KeptWeights:
    """Give what changes weights to suit formats, on the pictures that ranges were measured on.

    Parameters
    ----------
    net : Net
        The float net that ranges were measured in.
    stats : CalibrationStats
    source : BatchSource
    view : View
    techniques : Techniques
    threads : int
    journal : Journal or None
        Where what was found before is kept.
    """
    count = min(stats.batches, _room(net, source))
    refine = WeightRefiner(net, stats, source, count, view, techniques, threads)
    key = calibration_key(net, source, journal, stats.batches)
    if journal is None or key is None:
        return refine
    return KeptWeights(refine, journal, digest(key, view.version, repr(techniques)))


def _room(net: Net, source: BatchSource) -> int:
    """Give how many batches may be held twice at the widest place of the net; at least two."""
    shapes = net.shapes(source.shapes)
    widest = max(FLOAT32 * sum(map(math.prod, tops)) for tops in shapes.values())
    return max(2, CACHE_BYTES // (2 * widest))
