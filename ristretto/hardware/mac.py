"""MacPath: the way of a multiply-accumulate layer's numbers, from input codes to output codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ristretto.execute.compiled.piece import Codes
from ristretto.formats import Arithmetic, FixedPoint, Format, PowerOfTwo
from ristretto.hardware.grid import Grid, bits_for, shifted
from ristretto.net import Geometry, Layer
from ristretto.net.op import Array

LONGEST_WORD = 62
"""Bits up to which sums of weights are added up in 64; beyond, in Python's integers."""


@dataclass(frozen=True, eq=False)
class MacPath:
    """A quantized multiply-accumulate layer as an integer machine runs it: Figure 1 of Gysel et al. 2016.

    An output is ``round(((sum of w * x) << lift) + (bias << bias_shift)) >> out_shift``, saturated to `layer_out`. The
    accumulator holds the sum before it is rounded.

    Parameters
    ----------
    layer : Layer
    walk : Geometry
        How it walks its input.
    layer_in, layer_out : FixedPoint
    params : FixedPoint or PowerOfTwo
        With powers of two each product is a shift; see `shifts_only`.
    input : Grid
        What its input may hold once it is trimmed.
    weights : integer array, shaped as the layer's first blob
        In steps of ``2**-weight_fl``: of powers of two, the powers, and not what their words hold.
    weight_fl : int
        Fractional length of the weights, bits.
    bias : tuple of int or None
        For each output, in steps of ``2**-bias_fl``; None where there is no bias, or only zeros.
    bias_fl : int
        Fractional length of the bias, bits.
    lift : int
        Left shift of the sum of products, bits: where inputs are so coarse (`layer_in` of negative `fl`) that the
        bias is on a finer grid than the products.
    low, high : int
        The least and the greatest total, exactly: whatever the input codes are, and wherever the window stands. They
        include what is added up on the way, in any order, with the bias first.
    """

    layer: Layer
    walk: Geometry
    layer_in: FixedPoint
    layer_out: FixedPoint
    params: Format
    input: Grid
    weights: Array
    weight_fl: int
    bias: tuple[int, ...] | None
    bias_fl: int
    lift: int
    low: int
    high: int

    @property
    def fl(self) -> int:
        """Fractional length of the accumulator, bits."""
        return self.layer_in.fl + self.weight_fl + self.lift

    @property
    def product_bits(self) -> int:
        """The width of a product of an input word and a weight word, bits."""
        if isinstance(self.params, PowerOfTwo):
            # Negating the least code takes a bit more; so does a product of the least two codes.
            return self.layer_in.bw + self.params.exp_max - self.params.exp_min + 1
        return self.layer_in.bw + self.params.bits

    @property
    def accumulator_bits(self) -> int:
        """The width of the narrowest word that holds every total, bits."""
        return bits_for(self.low, self.high)

    @property
    def bias_shift(self) -> int:
        """Left shift that brings the bias to the accumulator's grid, bits; never below zero."""
        return 0 if self.bias is None else self.fl - self.bias_fl

    @property
    def aligned_bias(self) -> tuple[int, ...] | None:
        """The bias for each output, in steps of the accumulator's grid; None where there is none, or only zeros."""
        return None if self.bias is None else tuple(b << self.bias_shift for b in self.bias)

    @property
    def out_shift(self) -> int:
        """Right shift from the accumulator to the output, with rounding, bits; to the left where it is negative."""
        return self.fl - self.layer_out.fl

    @property
    def shifts_only(self) -> bool:
        """Whether products are shifts, the weights being powers of two."""
        return isinstance(self.params, PowerOfTwo)

    @cached_property
    def rows(self) -> Array:
        """The weights as the walk needs them: (outputs, terms), terms in the order (channel, row, column)."""
        return self.layer.op.weight_rows(self.weights, self.walk)

    @property
    def accumulator(self) -> Grid:
        """What the accumulator may hold."""
        return Grid(self.fl, self.low, self.high)

    def rounded(self, total: int, arithmetic: Arithmetic) -> int:
        """Give the output code for a total, as a specification."""
        code = shifted(total, self.out_shift, half_even=arithmetic.half_even)
        return min(max(code, self.layer_out.low_code), self.layer_out.high_code)


def describe_mac(layer: Layer, walk: Geometry, codes: Codes, grid: Grid) -> MacPath | None:
    """Describe a layer whose three formats are given and have codes.

    Parameters
    ----------
    layer : Layer
        With fixed-point activations.
    walk : Geometry
    codes : Codes
        Its weights and bias.
    grid : Grid
        Of its input, trimmed.

    Returns
    -------
    MacPath or None
        None where a bias, which has no format beside powers of two, does not lie on the accumulator's grid.
    """
    quant = layer.quant
    assert quant is not None
    layer_in, layer_out, params = quant.layer_in, quant.layer_out, quant.params
    assert isinstance(layer_in, FixedPoint)
    assert isinstance(layer_out, FixedPoint)
    assert params is not None
    bias_fl, lift, bias = codes.fl, 0, None
    if codes.bias.any():
        if codes.has_real_bias:
            bias_fl = layer_in.fl + codes.fl
            scaled = np.ldexp(codes.bias, bias_fl)
            if not (np.isfinite(scaled) & (scaled == np.floor(scaled))).all():
                return None
            bias = tuple(int(b) for b in scaled)
        else:
            lift = max(-layer_in.fl, 0)
            bias = tuple(int(b) for b in codes.bias)
    shift = layer_in.fl + codes.fl + lift - bias_fl
    low, high = _bounds(layer, walk, codes.weights, grid, lift, [] if bias is None else [b << shift for b in bias])
    return MacPath(
        layer, walk, layer_in, layer_out, params, grid, codes.weights, codes.fl, bias, bias_fl, lift, low, high
    )


def _bounds(
    layer: Layer, walk: Geometry, weights: Array, grid: Grid, lift: int, bias: Sequence[int]
) -> tuple[int, int]:
    """Give the least and the greatest total: over all outputs, all places of a window, and all input codes.

    Where a window reaches beyond the picture, or a deconvolution puts zeros between pixels, some of its weights meet
    nothing. So sums are made for each set of weights that some window uses.
    """
    rows = layer.op.weight_rows(weights, walk).reshape(walk.out_shape[0], -1, *walk.kernel)
    used_down, used_across = (_used(walk, axis) for axis in (0, 1))
    # A bound holds on the way to the total, too, where no term is held to one side of zero.
    least, most = min(grid.low, 0), max(grid.high, 0)
    lows, highs = [], []
    largest = max(int(rows.max()), -int(rows.min()))
    kind: type = object if bits_for(0, largest * walk.terms) > LONGEST_WORD else np.int64
    plus, minus = (_sums(part, used_down, used_across, kind) for part in (np.maximum(rows, 0), np.minimum(rows, 0)))
    starts = list(bias) if bias else [0] * len(rows)
    for output, start in enumerate(starts):
        up, down = plus[output].reshape(-1).tolist(), minus[output].reshape(-1).tolist()
        highs.append(start + (max(p * most + m * least for p, m in zip(up, down, strict=True)) << lift))
        lows.append(start + (min(p * least + m * most for p, m in zip(up, down, strict=True)) << lift))
    return min(lows), max(highs)


def _sums(rows: Array, used_down: Array, used_across: Array, kind: type) -> Array:
    """Add up what each set of used weights has: (outputs, sets down, sets across)."""
    by_place = rows.sum(axis=1, dtype=kind)
    sums: Array = np.einsum("oij,di,aj->oda", by_place, used_down.astype(kind), used_across.astype(kind))
    return sums


def _used(walk: Geometry, axis: int) -> Array:
    """Give the sets of a kernel's rows, or columns, that meet a pixel for some window: bool (sets, kernel)."""
    size, outputs = walk.in_shape[1 + axis], walk.out_shape[1 + axis]
    starts = np.arange(outputs)[:, None] * walk.stride[axis] - walk.pad[axis]
    places = starts + np.arange(walk.kernel[axis]) * walk.dilation[axis]
    on_pixels = (places >= 0) & (places <= (size - 1) * walk.spread[axis]) & (places % walk.spread[axis] == 0)
    return np.unique(on_pixels, axis=0)
