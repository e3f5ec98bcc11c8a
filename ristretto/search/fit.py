"""Fitting: the fixed-point format that makes the least squared error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from ristretto.calibrate import Distribution, LayerStats
from ristretto.calibrate.behind import run_behind
from ristretto.calibrate.sample import FEWEST_PICTURES
from ristretto.formats import FixedPoint, Format
from ristretto.formats.fixed_point import MAX_FRACTION
from ristretto.net.op import Array
from ristretto.net.quant import LAYER_OUT, PARAMS

CLIPPED_BITS = 4
"""How many integer bits below full coverage are considered."""

_CHOSEN: WeakKeyDictionary[LayerStats, dict[tuple[str, int], FixedPoint]] = WeakKeyDictionary()
"""What was chosen, by place and width: a search asks for the same in many trials."""
_BEHIND: WeakKeyDictionary[LayerStats, Array | None] = WeakKeyDictionary()
"""What untrimmed outputs become, for `error_behind`."""

F = TypeVar("F", bound=Format)


def integer_length(magnitude: float) -> int:
    """Give ``ceil(log2(magnitude))``, bits; 1 for a magnitude of zero, which overflows in the fork."""
    if magnitude == 0:
        return 1
    # Exact where a logarithm in floating point could be off by one.
    mantissa, exponent = math.frexp(magnitude)
    return exponent - 1 if mantissa == 0.5 else exponent


def of_length(bw: int, il: int) -> FixedPoint:
    """Give the format of a width and an integer length, bits; what lies beyond all formats becomes the last one."""
    return FixedPoint(bw, max(-MAX_FRACTION, min(bw - il, MAX_FRACTION)))


def least(formats: Iterable[F], error: Callable[[F], float | tuple[int, float]]) -> F:
    """Give the format with the least error; the first of equals."""
    return min(formats, key=error)


def params_effect(stats: LayerStats, fmt: Format) -> Array:
    """Give what trimming a layer's weights adds to its output, for the pictures that calibration kept, real units.

    The layer is linear: that is what it makes of its inputs with the errors of the weights in place of the weights.
    """
    blobs = stats.layer.blobs
    covered = len(blobs) if fmt.covers_bias else 1
    errors = [fmt.trim(blob) - blob for blob in blobs[:covered]] + [np.zeros_like(blob) for blob in blobs[covered:]]
    (effect,) = stats.layer.op.forward([stats.sample_in], errors)
    return effect


def input_effect(stats: LayerStats, fmt: Format) -> Array:
    """Give what trimming a layer's input adds to its output; see `params_effect`."""
    weights, *others = stats.layer.blobs
    errors = fmt.trim(stats.sample_in) - stats.sample_in
    (effect,) = stats.layer.op.forward([errors], [weights, *(np.zeros_like(blob) for blob in others)])
    return effect


def params_error(stats: LayerStats, fmt: Format) -> float:
    """Give the mean squared error of a layer's output that trimming its weights makes, squared real units.

    Where a ReLU follows, only what passes counts.
    """
    return _passing(stats, params_effect(stats, fmt))


def input_error(stats: LayerStats, fmt: Format) -> float:
    """Give the mean squared error of a layer's output that trimming its input makes; see `params_error`."""
    return _passing(stats, input_effect(stats, fmt))


def _passing(stats: LayerStats, error: Array) -> float:
    if stats.rectified:
        error = np.maximum(stats.sample_out + error, 0) - np.maximum(stats.sample_out, 0)
    return float(np.square(error, dtype=np.float64).mean())


def params_cost(stats: LayerStats, fmt: Format) -> tuple[int, float]:
    """Give what trimming a layer's weights costs: places lost in a ranking, if it makes one, then the squared error."""
    lost = places_lost(stats.sample_out, stats.sample_out + params_effect(stats, fmt)) if stats.ranked else 0
    return lost, params_error(stats, fmt)


def output_cost(stats: LayerStats, fmt: Format) -> tuple[int, float]:
    """Give what trimming a layer's output costs: places lost in a ranking, if it is one, then the squared error."""
    lost = places_lost(stats.sample_out, fmt.trim(stats.sample_out)) if stats.ranked else 0
    return lost, error_behind(stats, fmt)


def error_behind(stats: LayerStats, fmt: Format) -> float:
    """Give the mean squared error that trimming a layer's output makes, squared real units.

    Where a ReLU follows, only what passes counts. Where pooling by a mean or LRN follows, it is the error behind that,
    on the pictures that calibration kept: a mean evens errors out, and LRN makes the largest numbers small again. A few
    pictures of a wide layer may not show how far its numbers reach: then it is that of the output itself.
    """
    before = _behind(stats)
    if before is None:
        return stats.layer_out.squared_error(fmt, rectified=stats.rectified)
    after = run_behind(stats.behind, fmt.trim(stats.sample_out))
    error = float(np.square(after - before, dtype=np.float64).mean())
    # A logarithm may lie between: what it makes of a zero is as bad as can be.
    return error if math.isfinite(error) else math.inf


def share_behind(stats: LayerStats, fmt: Format) -> float:
    """Give `error_behind` as a share of the mean square of the numbers that it is an error of."""
    before = _behind(stats)
    power = stats.layer_out.mean_square() if before is None else float(np.square(before, dtype=np.float64).mean())
    return as_share(error_behind(stats, fmt), power)


def as_share(error: float, power: float) -> float:
    """Give a squared error as a share of a mean square; what has no power has no error."""
    return error / power if power > 0 else 0.0


def _behind(stats: LayerStats) -> Array | None:
    """Give what comes out behind pooling or LRN where the pictures that were kept show it, else None."""
    if stats not in _BEHIND:
        sample = stats.sample_out
        farthest = float(sample.max() if stats.rectified else np.abs(sample).max())
        # To within a bit: what is clipped beyond would not be seen.
        shown = len(sample) >= FEWEST_PICTURES and 2 * farthest >= reach(stats.layer_out, rectified=stats.rectified)
        before = run_behind(stats.behind, sample) if stats.behind and shown else None
        _BEHIND[stats] = before if before is not None and np.isfinite(before).all() else None
    return _BEHIND[stats]


def places_lost(before: Array, after: Array) -> int:
    """Give how many pictures' first classes no longer stand alone at the top.

    An accuracy counts a tie as wrong, and coarse outputs tie often.

    Parameters
    ----------
    before, after : float32 arrays (n, ...)
        The scores of n pictures, real units.
    """
    scores, changed = before.reshape(len(before), -1), after.reshape(len(after), -1).copy()
    rows, first = np.arange(len(scores)), scores.argmax(axis=1)
    best = changed[rows, first]
    changed[rows, first] = -np.inf
    return int((changed.max(axis=1, initial=-np.inf) >= best).sum())


def reach(values: Distribution, *, rectified: bool) -> float:
    """Give the greatest magnitude that matters in a blob; the greatest number if a ReLU follows."""
    return max(values.range.max, 0.0) if rectified else values.range.magnitude


def candidates(bw: int, magnitude: float, typical: float | None = None) -> list[FixedPoint]:
    """Give the formats to choose from: from full coverage on, one integer bit less each time.

    Parameters
    ----------
    bw : int
        Width, bits.
    magnitude : float
        What the first format covers, real units.
    typical : float or None
        What must be covered but for `CLIPPED_BITS`; by default the same.
    """
    first = FixedPoint.covering(bw, magnitude).fl
    last = FixedPoint.covering(bw, magnitude if typical is None else typical).fl + CLIPPED_BITS
    return [FixedPoint(bw, fl) for fl in range(first, min(max(first, last), MAX_FRACTION) + 1)]


def fixed_point_for_input(stats: LayerStats, bw: int) -> FixedPoint:
    """Give the format of a layer's input, of this width, with the least squared error."""
    return least(candidates(bw, stats.layer_in.range.magnitude), stats.layer_in.squared_error)


def fixed_point_for_output(stats: LayerStats, bw: int) -> FixedPoint:
    """Give the format of a layer's output, of this width, that costs least."""
    known = _CHOSEN.setdefault(stats, {})
    if (LAYER_OUT, bw) not in known:
        formats = candidates(bw, reach(stats.layer_out, rectified=stats.rectified))
        known[LAYER_OUT, bw] = least(formats, lambda fmt: output_cost(stats, fmt))
    return known[LAYER_OUT, bw]


def fixed_point_for_params(stats: LayerStats, bw: int) -> FixedPoint:
    """Give the format of a layer's weights and bias, of this width, that does least to its output.

    A bias may be far larger than all weights: with few bits it is better clipped than the weights lost.
    """
    known = _CHOSEN.setdefault(stats, {})
    if (PARAMS, bw) not in known:
        formats = candidates(bw, stats.params.magnitude, stats.weights.magnitude)
        known[PARAMS, bw] = least(formats, lambda fmt: params_cost(stats, fmt))
    return known[PARAMS, bw]
