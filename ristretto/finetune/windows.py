"""Pools over padded pictures, as ONNX has them: every pad spelled out, at either end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def pad(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """Pad with one value.

    Parameters
    ----------
    x : Tensor
    pads : sequence of int
        Of each axis at its start, then of each at its end.
    value : float
    """
    half = len(pads) // 2
    # torch counts the axes from the last one.
    pairs = [count for axis in reversed(range(half)) for count in (pads[axis], pads[half + axis])]
    return functional.pad(x, pairs, value=value)


def _fits(x: Tensor, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]) -> bool:
    """Whether torch itself makes these windows, rounding their number up, from the pads at the start."""
    for size, k, s, before, after in zip(x.shape[2:], kernel, strides, pads[:2], pads[2:], strict=True):
        if 2 * before > k:
            return False
        count = (size + before + after - k) // s + 1
        whole = -(-(size + 2 * before - k) // s) + 1
        # A last window that would start behind the padded picture is dropped.
        whole -= (whole - 1) * s >= size + before
        if count != whole:
            return False
    return True


def _spelled_out(x: Tensor, pads: Sequence[int], value: float) -> Tensor:
    top, left, bottom, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


def max_pool(
    x: Tensor, *, kernel_shape: Sequence[int], strides: Sequence[int] = (1, 1), pads: Sequence[int] = (0, 0, 0, 0)
) -> Tensor:
    """Give the largest number of each window; of equal ones the first takes the gradient, as in Caffe."""
    kernel, steps = tuple(kernel_shape), tuple(strides)
    if _fits(x, kernel_shape, strides, pads):
        return functional.max_pool2d(x, kernel, steps, tuple(pads[:2]), ceil_mode=True)
    return functional.max_pool2d(_spelled_out(x, pads, -math.inf), kernel, steps)


def max_pool_with_places(
    x: Tensor, *, kernel_shape: Sequence[int], strides: Sequence[int] = (1, 1), pads: Sequence[int] = (0, 0, 0, 0)
) -> tuple[Tensor, Tensor]:
    """Give what `max_pool` gives, and where each number stands, counted through the whole blob."""
    height, width = x.shape[2:]
    padded = _spelled_out(x, pads, -math.inf)
    y, places = functional.max_pool2d(padded, tuple(kernel_shape), tuple(strides), return_indices=True)
    wide = padded.shape[3]
    within = (places // wide - pads[0]) * width + places % wide - pads[1]
    channels = torch.arange(len(x) * x.shape[1], device=x.device).view(len(x), x.shape[1], 1, 1)
    return y, within + channels * (height * width)


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    count_include_pad: int = 0,
) -> Tensor:
    """Give the mean of each window, pads included: that is how a layer asks for it wherever there are any."""
    assert count_include_pad or not any(pads), "Caffe's means count pads"
    kernel, steps, area = tuple(kernel_shape), tuple(strides), math.prod(kernel_shape)
    if _fits(x, kernel_shape, strides, pads):
        return functional.avg_pool2d(x, kernel, steps, tuple(pads[:2]), ceil_mode=True, divisor_override=area)
    return functional.avg_pool2d(_spelled_out(x, pads, 0.0), kernel, steps, divisor_override=area)
