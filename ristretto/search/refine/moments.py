"""Moments: all that a layer's rounding needs to know of its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ristretto.formats import FixedPoint
from ristretto.net import Geometry
from ristretto.net.op import Array

MOST_SAMPLES = 40_000
"""Windows that are looked at, evenly spread over pictures and places; more did not help on any net that was tried."""
CODE_BITS = 16
"""Inputs enter the sums as words of so many bits: products of two, `MOST_SAMPLES` times, are whole numbers that float64
holds exactly, so that no order of summation changes them."""
CHUNK = 1 << 22
"""Numbers of a matrix of windows that are made at once."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over windows of products of inputs, in squared real units; the last of n + 1 inputs is 1, for the bias.

    Parameters
    ----------
    inner : float64 array (groups, n + 1, n + 1)
        Of what the condensed net gives the layer, with itself.
    cross : float64 array (groups, n + 1, n + 1)
        Of what the float net gives it (rows), with that.
    """

    inner: Float64
    cross: Float64

    def group(self, index: int) -> Moments:
        """Give those of one group, without the axis of groups."""
        return Moments(self.inner[index], self.cross[index])

    def without_bias(self) -> Moments:
        """Take the input 1 away; what has no power gets no weight other than the one it has."""
        inner, cross = self.inner.copy(), self.cross.copy()
        for values in (inner, cross):
            values[:, -1, :] = values[:, :, -1] = 0
        return Moments(inner, cross)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.inner + other.inner, self.cross + other.cross)


def measure(walk: Geometry, condensed: Sequence[Array], clean: Sequence[Array]) -> Moments:
    """Sum over the windows of a layer's inputs.

    Parameters
    ----------
    walk : Geometry
    condensed, clean : sequence of float32 arrays (n, ...), real units
        The input as the condensed net and as the float net have it, batch by batch.
    """
    size = walk.terms + 1
    inner, cross = (np.zeros((walk.groups, size, size)) for _ in range(2))
    formats = _format(condensed), _format(clean)
    for ours, theirs in zip(
        *(_windows(walk, x, fmt) for x, fmt in zip((condensed, clean), formats, strict=True)), strict=True
    ):
        for group in range(walk.groups):
            inner[group] += ours[group].T @ ours[group]
            cross[group] += theirs[group].T @ ours[group]
    # Powers of two: nothing is rounded.
    units, others = (np.append(np.full(size - 1, 2.0**-fmt.fl), 1.0) for fmt in formats)
    return Moments(inner * np.outer(units, units), cross * np.outer(others, units))


def mean_windows(walk: Geometry, batches: Sequence[Array]) -> list[Float64]:
    """Give the mean window of each group, (terms,), in real units."""
    fmt = _format(batches)
    total, count = np.zeros((walk.groups, walk.terms + 1)), 0
    for groups in _windows(walk, batches, fmt):
        total += [group.sum(axis=0) for group in groups]
        count += len(groups[0])
    return [group[:-1] * 2.0**-fmt.fl / count for group in total]


def _windows(walk: Geometry, batches: Sequence[Array], fmt: FixedPoint) -> Iterator[list[Float64]]:
    """Give windows, in codes and with a 1 behind them, (windows, terms + 1) for each group, some at a time.

    They are every so many-th window of all pictures in a row, whatever the batches.
    """
    places = math.prod(walk.out_shape[1:])
    stride = max(1, -(-sum(map(len, batches)) * places // MOST_SAMPLES))
    most = max(1, CHUNK // ((walk.terms + 1) * walk.groups))
    start = 0
    for batch in batches:
        chosen = np.arange(-start % stride, len(batch) * places, stride)
        start += len(batch) * places
        codes = _padded(fmt.encode(batch), walk)
        for first in range(0, len(chosen), most):
            yield _cut_out(codes, walk.plain, chosen[first : first + most])


def _format(batches: Sequence[Array]) -> FixedPoint:
    return FixedPoint.covering(CODE_BITS, float(max(np.abs(batch).max() for batch in batches)))


def _padded(codes: Array, walk: Geometry) -> Array:
    plain = walk.plain
    codes = walk.spread_out(codes.reshape(len(codes), *walk.in_shape))
    (top, left), (height, width) = plain.pad, plain.out_shape[1:]
    reach = [
        (size - 1) * stride + (kernel - 1) * dilation + 1
        for size, stride, kernel, dilation in zip(
            (height, width), plain.stride, plain.kernel, plain.dilation, strict=True
        )
    ]
    wide = np.zeros((*codes.shape[:2], *reach), codes.dtype)
    rows, columns = min(codes.shape[2], reach[0] - top), min(codes.shape[3], reach[1] - left)
    wide[:, :, top : top + rows, left : left + columns] = codes[:, :, :rows, :columns]
    return wide


def _cut_out(codes: Array, plain: Geometry, chosen: Array) -> list[Float64]:
    """Give the windows at some places, (windows, n + 1) for each group."""
    height, width = plain.out_shape[1:]
    picture, place = np.divmod(chosen, height * width)
    top, left = place // width * plain.stride[0], place % width * plain.stride[1]
    found = np.empty((len(chosen), codes.shape[1], *plain.kernel))
    for i in range(plain.kernel[0]):
        for j in range(plain.kernel[1]):
            found[:, :, i, j] = codes[picture, :, top + i * plain.dilation[0], left + j * plain.dilation[1]]
    groups = np.split(found, plain.groups, axis=1)
    one = np.ones((len(chosen), 1))
    return [np.concatenate([group.reshape(len(chosen), -1), one], axis=1) for group in groups]
