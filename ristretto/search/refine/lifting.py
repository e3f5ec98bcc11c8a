"""Lifting: one row of codes added to all of a layer's rows, which moves its outputs together.

A bias shares the format of the weights, whose few codes seldom reach as far as class scores are to be moved. Inputs
that are not zero on average reach farther: a weight more for each of them, the same one for every class, ranks no class
otherwise, whatever the picture.
"""

from __future__ import annotations

import numpy as np

from ristretto.formats import FixedPoint
from ristretto.search.refine.moments import Float64, Moments

MOST_MOVES = 20
"""Moves for each input; few are needed."""


def lifted(weights: Float64, moments: Moments, fmt: FixedPoint, shift: float) -> Float64:
    """Add one row of codes to every row of a group, so that all its outputs move by `shift` as nearly as may be.

    The bias goes as far as it can. The rest is found move by move: each time the one that brings the mean square of
    what is missing down most. No code leaves the format.

    Parameters
    ----------
    weights : float64 array (rows, n + 1), real units
        On the grid of `fmt`, bias last.
    moments : Moments
        Of this group, without the axis of groups.
    fmt : FixedPoint
    shift : float
        In real units.

    Returns
    -------
    float64 array (rows, n + 1), real units
        On the same grid.
    """
    step = 2.0**-fmt.fl
    codes = np.rint(weights / step)
    lowest = -(2.0 ** (fmt.bw - 1)) - codes.min(axis=0)
    highest = 2.0 ** (fmt.bw - 1) - 1 - codes.max(axis=0)
    # The error is added' hessian added - 2 added' slope at first, but for what no code changes.
    hessian = moments.inner * step**2
    slope = moments.inner[:, -1] * (step * shift)
    power = np.diagonal(hessian)
    reachable = power > 0
    added = np.zeros(len(slope))
    # The same for every picture, which no other input is.
    added[-1] = np.rint(shift / step).clip(lowest[-1], highest[-1])
    slope -= added[-1] * hessian[:, -1]
    for _ in range(MOST_MOVES * len(slope)):
        move = np.zeros(len(slope))
        move[reachable] = np.rint(slope[reachable] / power[reachable])
        move = move.clip(lowest - added, highest - added)
        gain = move * (2 * slope - move * power)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        added[best] += move[best]
        slope -= move[best] * hessian[:, best]
    return np.asarray((codes + added) * step)
