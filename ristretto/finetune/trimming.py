"""Trims that gradients pass: what is rounded in the forward is taken as it was in the backward pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ristretto.errors import FormatError
from ristretto.formats import Format


def trimmed(fmt: Format, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """Give numbers as a format trims them, without a gradient.

    Parameters
    ----------
    fmt : Format
    x : float32 or float64 Tensor, real units
    noise : Tensor or None
        Numbers of [0, 1) in the shape of `x`, for stochastic rounding.

    Returns
    -------
    Tensor, shape and type of `x`
    """
    x = x.detach()
    if noise is None and x.device.type == "cpu" and x.dtype == torch.float32:
        # One pass of a compiled kernel in place of nine of torch: 5 ms for 3.3 million numbers, not 79.
        # It walks in the order of memory, and so leaves channels last where they are.
        if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            return torch.from_numpy(fmt.trim(x.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
        return torch.from_numpy(fmt.trim(x.numpy()))
    # torch's functions are typed one by one; as a module of array functions they are anything.
    library: Any = torch
    result: Tensor = fmt.rounded(library, x, noise)
    return result


class _StraightThrough(torch.autograd.Function):
    """A trim whose gradient goes through unchanged, or only where nothing saturates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fmt: Format, noise: Tensor | None, saturating: bool) -> Tensor:
        ctx.fmt = fmt
        if saturating:
            ctx.save_for_backward(x)
        return trimmed(fmt, x, noise)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        if ctx.saved_tensors:
            gradient = _within(gradient, ctx.saved_tensors[0], ctx.fmt)
        return gradient, None, None, None


def _within(gradient: Tensor, x: Tensor, fmt: Format) -> Tensor:
    """Give the gradient where a number lies within the ends, the ends included, and zero elsewhere."""
    number = np.float64 if x.dtype == torch.float64 else np.float32
    with np.errstate(over="ignore"):
        below, above = np.nextafter(number(fmt.low), number(-np.inf)), np.nextafter(number(fmt.high), number(np.inf))
    # One pass, where comparisons and a product take four. Its own ends are excluded.
    result: Tensor = torch.ops.aten.hardtanh_backward(gradient, x, float(below), float(above))
    return result


def trim_weights(fmt: Format, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """Trim weights; their gradient is that of the trimmed ones, wherever they lie.

    So do the original's shadow weights (Gysel et al. 2016, section 5): a weight beyond the ends can come back.
    """
    return apply(_StraightThrough, x, fmt, noise, False)


def trim_activations(fmt: Format, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """Trim activations; the gradient goes on where a number lies within the format's ends, and stops elsewhere."""
    return apply(_StraightThrough, x, fmt, noise, True)


def instead(value: Tensor, x: Tensor) -> Tensor:
    """Give the numbers of `value` with the gradient of `x`; both of one shape."""
    return apply(_Instead, x, value)


class _Instead(torch.autograd.Function):
    """Other numbers in the forward pass, the same gradient in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value.detach().clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """Apply a function of autograd; torch does not say what that gives."""
    result: Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]
    return result


class LearnedRadixPoint(nn.Module):
    """A trim whose range is trained with the net.

    The range ends at the power of two above a threshold t, and the logarithm of t is what is trained: the step is
    ``s = 2**(ceil(log2 t) - (bits - 1))``. With codes from n to p, the gradient of the output by log2 t is
    ``s ln 2 (round(x / s) - x / s)`` where x does not saturate, and ``s ln 2 n`` or ``s ln 2 p`` where it does; that
    by x is 1 or 0 (Jain et al. 2019, "Trained quantization thresholds", equations 7 and 8).

    Parameters
    ----------
    fmt : Format
        Where training starts. The threshold starts half an octave below the range's end, which is as far as can be from
        either neighbour.
    everywhere : bool
        Whether the gradient by x passes where x saturates, too, as for weights.

    Raises
    ------
    FormatError
        When the format has no radix point to move.
    """

    def __init__(self, fmt: Format, *, everywhere: bool = False) -> None:
        super().__init__()
        if fmt.range_exponent is None:
            raise FormatError(f"{fmt.name} has no radix point to learn", hint="leave it as it is")
        self.fmt, self.everywhere = fmt, everywhere
        self.log2_threshold = nn.Parameter(torch.tensor(fmt.range_exponent - 0.5))

    def frozen(self) -> Format:
        """Give the format that the threshold stands for now.

        Raises
        ------
        FormatError
            When it has gone beyond what formats there are, or is NaN.
        """
        exponent = float(self.log2_threshold.detach())
        if not math.isfinite(exponent):
            raise FormatError(f"a threshold of 2**{exponent}", hint="lower the learning rate of radix points")
        return self.fmt.with_range(math.ceil(exponent))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Trim to the present format."""
        return apply(_Learned, x, self.log2_threshold, self.frozen(), noise, self.everywhere)


class _Learned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor, fmt: Format, noise: Tensor | None, everywhere: bool) -> Tensor:
        y = trimmed(fmt, x, noise)
        ctx.save_for_backward(x, y)
        ctx.fmt, ctx.everywhere, ctx.dtype = fmt, everywhere, threshold.dtype
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, y), fmt = gradients, ctx.saved_tensors, ctx.fmt
        # A number that rounds to the end does not saturate yet: it may lie up to half a step beyond.
        half = math.ldexp(-fmt.low, -fmt.bits)
        above, below = x >= fmt.high + half, x <= fmt.low - half
        slope = math.log(2) * torch.where(above, fmt.high, torch.where(below, fmt.low, y - x))
        by_threshold = (gradient * slope).sum().to(ctx.dtype)
        by_x = gradient if ctx.everywhere else gradient * ~(above | below)
        return by_x, by_threshold, None, None, None
