"""The way of sums with a bias that has no format, as beside powers of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ristretto.execute.codes import weight_codes
from ristretto.formats import Arithmetic
from ristretto.hardware.grid import Grid
from ristretto.hardware.mac import MacPath, describe_mac
from ristretto.net import Geometry, Layer

LONGEST_SUM = 63
"""Bits that sums may have where such a bias decides on their grid."""


def with_real_bias(layer: Layer, walk: Geometry, grid: Grid | None, arithmetic: Arithmetic) -> MacPath | None:
    """Describe a multiply-accumulate layer whose bias has no format.

    The bias is on the coarsest grid on which it is exact, and the accumulator on the finer one of that and the
    products'. Where sums would be longer than `LONGEST_SUM`, `saturating_bias` stands for larger ones; where they still
    would, the bias is rounded.

    Parameters
    ----------
    layer : Layer
        With its weights.
    walk : Geometry
    grid : Grid or None
        Of its input, trimmed; None for numbers without one.
    arithmetic : Arithmetic
        Where halves go.

    Returns
    -------
    MacPath or None
        None where products have no grid. Its `low` and `high` are bounds: the greatest sum and the greatest bias need
        not be those of one output.

    Raises
    ------
    FormatError
        When a weight or a bias is NaN.
    """
    quant = layer.quant
    assert quant is not None
    assert quant.params is not None
    codes = weight_codes(layer, quant.params, arithmetic)
    if codes is None or grid is None:
        return None
    quant.params.refuse_nan(codes.bias)
    bare = describe_mac(layer, walk, replace(codes, bias=np.zeros(1)), grid)
    assert bare is not None, "zeros lie on every grid"
    numbers = codes.bias.tolist()
    if not _is_short(bare, numbers):
        # A larger one than this, infinity above all, does no more, and would leave no bits for the others.
        largest = saturating_bias(bare)
        numbers = np.clip(codes.bias, -largest, largest).tolist()
    bias_fl = min(exact_fl(numbers), _finest(bare, max(map(abs, numbers))))
    bias = tuple(round(math.ldexp(b, bias_fl)) for b in numbers)
    lift = max(bias_fl - bare.fl, 0)
    shift = bare.fl + lift - bias_fl
    low = (bare.low << lift) + (min(0, *bias) << shift)
    high = (bare.high << lift) + (max(0, *bias) << shift)
    return replace(bare, bias=bias, bias_fl=bias_fl, lift=lift, low=low, high=high)


def saturating_bias(bare: MacPath) -> float:
    """Give a power of two, real units: a bias of that size or more saturates the output, whatever the sum is.

    Parameters
    ----------
    bare : MacPath
        The layer without its bias.
    """
    fmt = bare.layer_out
    largest = math.ldexp(max(-bare.low, bare.high), -bare.fl) + math.ldexp(1 << fmt.bw, -fmt.fl)
    return math.ldexp(1.0, math.frexp(largest)[1])


def exact_fl(numbers: Sequence[float]) -> int:
    """Give the least fractional length with which finite numbers are integers, bits; 0 for zeros.

    Examples
    --------
    >>> exact_fl([0.75, -2.0]), exact_fl([8.0, 24.0]), exact_fl([0.0])
    (2, -3, 0)
    """
    lengths = []
    for number in filter(None, numbers):
        top, bottom = number.as_integer_ratio()
        lengths.append(bottom.bit_length() - (top & -top).bit_length())
    return max(lengths, default=0)


def _is_short(bare: MacPath, numbers: Sequence[float]) -> bool:
    """Whether biases are exact in sums that are short enough."""
    largest = max(map(abs, numbers))
    if not math.isfinite(largest):
        return False
    reach = max(exact_fl(numbers), bare.fl) + math.frexp(largest)[1]
    return reach <= LONGEST_SUM - 2 and exact_fl(numbers) <= _finest(bare, largest)


def _finest(bare: MacPath, largest: float) -> int:
    """Give the longest fractional length of a bias with which it and the sums stay short enough, bits."""
    of_bias = LONGEST_SUM - 2 - math.frexp(largest)[1]
    return min(of_bias, bare.fl + max(LONGEST_SUM - 1 - bare.accumulator_bits, 0))
