"""Convolution and inner product with weights that are powers of two: shifts and additions, no multiplication."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel
from ristretto.kernels.mac import Codes, Pair, Walk, band, gather


class ShiftAccumulate:
    """Gathers each window into a row, then shifts, negates and adds.

    Parameters
    ----------
    walk : Walk
    weights : int16 array (outputs, terms)
        ``sign * (1 + shift)``, as `PowerOfTwo.encode` gives them; every sum of shifted inputs fits int64.
    """

    def __init__(self, walk: Walk, weights: Codes) -> None:
        self.walk = walk
        self.shifts = np.ascontiguousarray(np.abs(weights) - 1, np.int64)
        # All bits set where the weight is negative: ``(v ^ mask) - mask`` is then -v, and v elsewhere.
        self.masks = np.ascontiguousarray(np.where(weights < 0, -1, 0), np.int64)

    def run(self, x: Codes) -> NDArray[np.int64]:
        """Give the sums (n, channels, height, width) of input codes (n, channels, height, width)."""
        walk = self.walk
        pixels = walk.out_shape[1] * walk.out_shape[2]
        pictures = np.ascontiguousarray(x).reshape(len(x), *walk.in_shape)
        sums = np.empty((len(x), walk.out_shape[0], pixels), np.int64)
        rows = np.empty((band(pixels, self.shifts.shape[1]), self.shifts.shape[1]), np.int64)
        for picture, result in zip(pictures, sums, strict=True):
            _shift_accumulate(
                picture, self.shifts, self.masks, result, rows,
                walk.groups, walk.window, walk.stride, walk.pad, walk.dilation, walk.out_shape[2],
            )  # fmt: skip
        return sums.reshape(len(x), *walk.out_shape)


@kernel
def _shift_accumulate(
    picture: Codes, shifts: Codes, masks: Codes, sums: Codes, rows: Codes,
    groups: int, window: Pair, stride: Pair, pad: Pair, dilation: Pair, across: int,
) -> None:  # fmt: skip
    """Run one picture; `rows` is scratch."""
    outputs = shifts.shape[0] // groups
    channels = rows.shape[1] // (window[0] * window[1])
    for group in range(groups):
        for start in range(0, sums.shape[1], rows.shape[0]):
            count = min(rows.shape[0], sums.shape[1] - start)
            gather(picture, rows[:count], start, group * channels, channels, window, stride, pad, dilation, across)
            for output in range(group * outputs, (group + 1) * outputs):
                shift, mask = shifts[output], masks[output]
                for pixel in range(count):
                    row = rows[pixel]
                    total = np.int64(0)
                    for k in range(row.size):
                        total += ((row[k] << shift[k]) ^ mask[k]) - mask[k]
                    sums[output, start + pixel] = total
