"""Methods: what may be done to the weights of the layer whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ristretto.formats import FixedPoint, Format
from ristretto.net import LayerQuant
from ristretto.net.op import Array
from ristretto.search.refine.layer import Rows
from ristretto.search.refine.lifting import lifted
from ristretto.search.refine.moments import Moments, mean_windows, measure
from ristretto.search.refine.rounding import Float64, Problem, learn

MOST_TERMS = 4608
"""Terms of the longest sum whose rounding is learned: a 3x3 window on 512 channels. The moments of longer ones would
not fit in memory; their weights go to the nearest code, and their biases are corrected."""
MOST_BITS = 16
"""Bits of the longest word whose rounding matters."""
VALIDATION = 5
"""One picture of so many decides how far weights may go from what they were."""


@dataclass(frozen=True, eq=False)
class Work:
    """A layer whose turn it is.

    Parameters
    ----------
    quant : LayerQuant
        Its formats.
    rows : Rows
        Its float weights.
    condensed, clean : sequence of float32 arrays (n, ...), real units
        Its input in the condensed net and in the float net, batch by batch.
    shift : float
        A number that is added to all of its outputs, real units.
    """

    quant: LayerQuant
    rows: Rows
    condensed: Sequence[Array]
    clean: Sequence[Array]
    shift: float = 0.0

    def moments(self, chosen: Callable[[Array], Array]) -> Moments:
        """Measure the moments of some pictures, chosen by their numbers."""
        start, ours, theirs = 0, [], []
        for one, other in zip(self.condensed, self.clean, strict=True):
            mask = chosen(np.arange(start, start + len(one)))
            start += len(one)
            ours.append(one[mask])
            theirs.append(other[mask])
        return measure(self.rows.walk, ours, theirs)


Method = Callable[[Work, int], tuple[Format, tuple[Array, ...]]]
"""Gives a format for the weights and new blobs, float32 in real units; the int is a number of threads."""


def correct_bias(work: Work, threads: int) -> tuple[Format, tuple[Array, ...]]:
    """Trim weights to the nearest, and move each bias by what the mean of its output is off.

    Empirical bias correction, as in Nagel and others, "Data-free quantization", 2019, appendix D.
    """
    fmt, layer = work.quant.params, work.rows.layer
    assert fmt is not None
    trimmed = fmt.trim(layer.blobs[0])
    if not work.rows.has_bias:
        return fmt, (trimmed,)
    after = Rows(replace(layer, blobs=(trimmed, layer.blobs[1])), work.rows.walk).groups()
    bias: list[Float64] = []
    for group, (before, rounded) in enumerate(zip(work.rows.groups(work.shift), after, strict=True)):
        clean, condensed = (mean_windows(work.rows.walk, x)[group] for x in (work.clean, work.condensed))
        bias.append((before * np.append(clean, 1.0)).sum(axis=1) - (rounded[:, :-1] * condensed).sum(axis=1))
    moved = np.concatenate(bias).astype(np.float32).reshape(layer.blobs[1].shape)
    return fmt, (trimmed, fmt.trim(moved) if fmt.covers_bias else moved)


def learn_rounding(work: Work, threads: int) -> tuple[Format, tuple[Array, ...]]:
    """Find codes for weights and bias, and their radix point; see `rounding`.

    Formats without a grid, long words and very long sums get `correct_bias`.
    """
    fmt = work.quant.params
    if not isinstance(fmt, FixedPoint) or fmt.bw > MOST_BITS or work.rows.walk.terms > MOST_TERMS:
        return correct_bias(work, threads)
    halves = [
        work.moments(lambda numbers: numbers % VALIDATION != VALIDATION - 1),
        work.moments(lambda numbers: numbers % VALIDATION == VALIDATION - 1),
    ]
    if not work.rows.has_bias:
        halves = [half.without_bias() for half in halves]
    fitted, held = ([Problem(group, half.group(i)) for i, group in enumerate(work.rows.groups())] for half in halves)
    chosen, found = learn(fitted, held, fmt, threads)
    if work.shift:
        seen = halves[0] + halves[1]
        found = [lifted(weights, seen.group(i), chosen, work.shift) for i, weights in enumerate(found)]
    return chosen, work.rows.blobs(found)
