"""Multiply-accumulate on integer codes: convolution and inner product.

`MacKernel` is the interface that the integer executor knows; `KERNELS` lists its implementations, fastest first, and
`choose` takes the first one that accepts the job. A better kernel is one more entry in front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ristretto.kernels.jit import kernel
from ristretto.kernels.trim import shift_round

Codes = NDArray[Any]
Pair = tuple[int, int]

SCRATCH = 1 << 24
"""Numbers that windows are gathered into at a time. A layer of VGG-16 has up to 29 million: it goes in two goes."""


def band(pixels: int, terms: int) -> int:
    """Give how many windows of so many terms are gathered at a time."""
    return max(1, min(pixels, SCRATCH // terms))


@dataclass(frozen=True)
class Walk:
    """How the window walks, in plain numbers; shapes are (channels, height, width), pairs (height, width)."""

    groups: int
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    window: Pair
    stride: Pair
    pad: Pair
    dilation: Pair


@dataclass(frozen=True)
class Epilogue:
    """From a sum of products to an output code: ``round((sum * 2**lift + bias) / 2**shift)``, saturated.

    Parameters
    ----------
    lift : int
        Left shift of the sum, 0 to 62 bits; more than 0 where the input's steps are larger than 1.
    shift : int
        Right shift to the output's grid, -32 to 62 bits; negative to the left.
    low, high : int
        The output's codes.
    half_even : bool
        Whether halves go to the even code instead of away from zero.
    """

    lift: int
    shift: int
    low: int
    high: int
    half_even: bool


class MacKernel(Protocol):
    """A multiply-accumulate job, its weights packed once and run on many batches, from any number of threads."""

    def run(self, x: Codes) -> Codes:
        """Give the output codes (n, channels, height, width) of input codes (n, channels, height, width)."""


class PlainMac:
    """Gathers each window into a row, then multiplies rows by rows of weights in loops that LLVM vectorizes.

    Parameters
    ----------
    walk : Walk
    weights : int8 or int16 array (outputs, terms), in codes
    bias : int64 array (outputs,), on the accumulator's grid; with it every total stays below ``2**62``
    epilogue : Epilogue
    out_type : numpy integer type of the output codes
    sum_type : int32 or int64, wide enough for every sum of products
    """

    def __init__(
        self,
        walk: Walk,
        weights: Codes,
        bias: NDArray[np.int64],
        epilogue: Epilogue,
        out_type: np.dtype[Any],
        sum_type: np.dtype[Any],
    ) -> None:
        self.walk = walk
        # 16 bits always: as fast as 8 here, since LLVM multiplies pairs of 16-bit numbers, and half the compiling.
        self.weights = np.ascontiguousarray(weights, np.int16)
        self.bias = bias
        self.epilogue = epilogue
        self.out_type = out_type
        self.sum_type = sum_type

    @staticmethod
    def accepts(walk: Walk, weights: Codes) -> bool:
        """Every job."""
        return True

    def run(self, x: Codes) -> Codes:
        """Give the output codes of a batch."""
        walk, end = self.walk, self.epilogue
        pixels = walk.out_shape[1] * walk.out_shape[2]
        pictures = np.ascontiguousarray(x).reshape(len(x), *walk.in_shape)
        out = np.empty((len(x), walk.out_shape[0], pixels), self.out_type)
        rows = np.empty((band(pixels, self.weights.shape[1]), self.weights.shape[1]), np.int16)
        sums = np.empty((len(rows), self.weights.shape[0] // walk.groups), self.sum_type)
        for picture, result in zip(pictures, out, strict=True):
            _multiply_accumulate(
                picture, self.weights, self.bias, result, rows, sums,
                walk.window, walk.stride, walk.pad, walk.dilation, walk.out_shape[2],
                end.lift, end.shift, end.low, end.high, end.half_even,
            )  # fmt: skip
        return out.reshape(len(x), *walk.out_shape)


KERNELS: tuple[type[PlainMac], ...] = (PlainMac,)
"""The implementations, fastest first."""


def choose(walk: Walk, weights: Codes) -> type[PlainMac]:
    """Give the first implementation that accepts a job."""
    return next(candidate for candidate in KERNELS if candidate.accepts(walk, weights))


@kernel
def gather(
    picture: Codes, rows: Codes, start: int, first: int, channels: int, window: Pair, stride: Pair, pad: Pair,
    dilation: Pair, across: int,
) -> None:  # fmt: skip
    """Copy each window from the `start`-th on into a row, zero where it leaves the picture.

    A window has `channels` channels, from `first` on.
    """
    _, height, width = picture.shape
    for pixel in range(rows.shape[0]):
        top = (start + pixel) // across * stride[0] - pad[0]
        left = (start + pixel) % across * stride[1] - pad[1]
        term = 0
        for channel in range(first, first + channels):
            for i in range(window[0]):
                y = top + i * dilation[0]
                for j in range(window[1]):
                    x = left + j * dilation[1]
                    inside = 0 <= y < height and 0 <= x < width
                    rows[pixel, term] = picture[channel, y, x] if inside else 0
                    term += 1


@kernel
def _multiply(rows: Codes, weights: Codes, first: int, sums: Codes) -> None:
    """Give the sums of products of every row with the weights from `first` on, as many as `sums` has columns.

    Four outputs at a time, so that each input is loaded once for four products. The casts keep the additions in the
    type of `sums`: only then does LLVM find the instruction that multiplies pairs of 16-bit numbers.
    """
    outputs = sums.shape[1]
    for pixel in range(rows.shape[0]):
        row = rows[pixel]
        output = 0
        while output + 4 <= outputs:
            w0 = weights[first + output]
            w1 = weights[first + output + 1]
            w2 = weights[first + output + 2]
            w3 = weights[first + output + 3]
            s0 = sums.dtype.type(0)
            s1 = sums.dtype.type(0)
            s2 = sums.dtype.type(0)
            s3 = sums.dtype.type(0)
            for k in range(row.size):
                v = sums.dtype.type(row[k])
                s0 = sums.dtype.type(s0 + v * sums.dtype.type(w0[k]))
                s1 = sums.dtype.type(s1 + v * sums.dtype.type(w1[k]))
                s2 = sums.dtype.type(s2 + v * sums.dtype.type(w2[k]))
                s3 = sums.dtype.type(s3 + v * sums.dtype.type(w3[k]))
            sums[pixel, output] = s0
            sums[pixel, output + 1] = s1
            sums[pixel, output + 2] = s2
            sums[pixel, output + 3] = s3
            output += 4
        while output < outputs:
            w0 = weights[first + output]
            s0 = sums.dtype.type(0)
            for k in range(row.size):
                s0 = sums.dtype.type(s0 + sums.dtype.type(row[k]) * sums.dtype.type(w0[k]))
            sums[pixel, output] = s0
            output += 1


@kernel
def _multiply_accumulate(
    picture: Codes, weights: Codes, bias: NDArray[np.int64], out: Codes, rows: Codes, sums: Codes,
    window: Pair, stride: Pair, pad: Pair, dilation: Pair, across: int,
    lift: int, shift: int, low: int, high: int, half_even: bool,
) -> None:  # fmt: skip
    """Run one picture; `rows` and `sums` are scratch."""
    outputs = sums.shape[1]
    channels = rows.shape[1] // (window[0] * window[1])
    for group in range(weights.shape[0] // outputs):
        for start in range(0, out.shape[1], rows.shape[0]):
            count = min(rows.shape[0], out.shape[1] - start)
            gather(picture, rows[:count], start, group * channels, channels, window, stride, pad, dilation, across)
            _multiply(rows[:count], weights, group * outputs, sums[:count])
            for output in range(outputs):
                offset = bias[group * outputs + output]
                for pixel in range(count):
                    total = (np.int64(sums[pixel, output]) << lift) + offset
                    code = shift_round(total, shift, low, high, half_even)
                    out[group * outputs + output, start + pixel] = code
