"""One quantized layer on integer codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.trim_step import WIDEST_CODE, TrimStep, in_codes, kernel_shift
from ristretto.execute.values import Coded, State, real
from ristretto.formats import Arithmetic, FixedPoint
from ristretto.kernels import mac
from ristretto.net import Geometry, Layer, Shape
from ristretto.net.op import Array

EXACT_BITS = 53
"""Sums below ``2**EXACT_BITS`` are exact in float64, and so the same here and in the simulating executor."""


@dataclass(frozen=True, eq=False)
class Sums:
    """A layer's weights in codes, and how its sums come to the output's grid.

    The accumulator's grid is that of the products, or of the bias where that one is finer: ``fl_params + max(fl_in,
    0)``. On it a total is ``sum(w * x) * 2**lift + bias``.

    Parameters
    ----------
    weights : int8 or int16 array (outputs, terms), in codes
    bias : int64 array (outputs,), on the accumulator's grid
    lift, shift : int
        Left shift of a sum to that grid, right shift of a total to the output's, bits.
    narrow : bool
        Whether every sum of products fits int32, in whatever order it is added up.
    """

    weights: Array
    bias: Array
    lift: int
    shift: int
    narrow: bool

    @classmethod
    def plan(
        cls, rows: Array, bias: Array, layer_in: FixedPoint, layer_out: FixedPoint, params: FixedPoint
    ) -> Sums | None:
        """Prepare the sums; None where `EXACT_BITS` do not hold every total that can arise.

        Parameters
        ----------
        rows : integer array (outputs, terms)
            Weights, in codes.
        bias : integer array (outputs,)
            In codes of the same format.
        layer_in, layer_out, params : FixedPoint
        """
        raised, lift = max(layer_in.fl, 0), max(-layer_in.fl, 0)
        largest = int(np.abs(rows.astype(np.int64)).sum(axis=1).max()) * -layer_in.low_code
        # Python's integers: these may be far too long for 64 bits.
        total = (largest << lift) + (int(np.abs(bias.astype(np.int64)).max()) << raised)
        if total >= 1 << EXACT_BITS:
            return None
        return cls(
            weights=rows,
            bias=bias.astype(np.int64) << raised if bias.any() else np.zeros(len(rows), np.int64),
            lift=lift if largest else 0,
            shift=kernel_shift(params.fl + raised - layer_out.fl),
            narrow=largest < 2**31,
        )


def integer_step(layer: Layer, bottom: Shape, arithmetic: Arithmetic) -> IntegerMacStep | None:
    """Give the step of a quantized layer on integer codes; None where it cannot be exact.

    Parameters
    ----------
    layer : Layer
        With all three formats.
    bottom : shape
    arithmetic : Arithmetic

    Raises
    ------
    ModelError
        When a weight is NaN.
    """
    quant = layer.quant
    geometry = layer.op.geometry(bottom)
    if quant is None or geometry is None:
        return None
    layer_in, layer_out, params = quant.layer_in, quant.layer_out, quant.params
    if not (isinstance(layer_in, FixedPoint) and isinstance(layer_out, FixedPoint) and isinstance(params, FixedPoint)):
        return None
    if max(layer_in.bw, params.bw) > WIDEST_CODE:
        return None
    with in_layer(layer.name, "its weights"):
        blobs = [params.encode(blob, arithmetic) for blob in layer.blobs]
    rows = layer.op.weight_rows(blobs[0], geometry)
    bias = blobs[1].reshape(-1) if len(blobs) > 1 else np.zeros(len(rows), np.int64)
    sums = Sums.plan(rows, bias, layer_in, layer_out, params)
    if sums is None:
        return None
    return IntegerMacStep(layer, bottom, geometry, sums, layer_in, layer_out, arithmetic)


def walk_of(geometry: Geometry) -> mac.Walk:
    """Give a layer's walk in the kernels' terms; for a deconvolution, over its bottom spread out."""
    plain = geometry.plain
    return mac.Walk(
        groups=plain.groups,
        in_shape=plain.in_shape,
        out_shape=plain.out_shape,
        window=plain.kernel,
        stride=plain.stride,
        pad=plain.pad,
        dilation=plain.dilation,
    )


class IntegerMacStep:
    """Runs a multiply-accumulate layer with its weights packed for the best kernel."""

    def __init__(
        self,
        layer: Layer,
        bottom: Shape,
        geometry: Geometry,
        sums: Sums,
        layer_in: FixedPoint,
        layer_out: FixedPoint,
        arithmetic: Arithmetic,
    ) -> None:
        self.layer, self.geometry, self.layer_out = layer, geometry, layer_out
        self.out_shape = layer.op.infer([bottom])[0]
        self.trim_input = TrimStep(layer.name, layer.bottoms[0], layer_in, arithmetic, in_codes)
        walk = walk_of(geometry)
        epilogue = mac.Epilogue(
            lift=sums.lift,
            shift=sums.shift,
            low=layer_out.low_code,
            high=layer_out.high_code,
            half_even=arithmetic.half_even,
        )
        self.sum_type = np.dtype(np.int32 if sums.narrow else np.int64)
        self.kernel = mac.choose(walk, sums.weights)(
            walk, sums.weights, sums.bias, epilogue, layer_out.code_type, self.sum_type
        )

    def run(self, state: State) -> None:
        """Trim the input in place, multiply, add, shift."""
        self.trim_input.run(state)
        value = state.blobs[self.trim_input.blob]
        assert isinstance(value, Coded)
        pictures = self.geometry.spread_out(value.codes.reshape(-1, *self.geometry.in_shape))
        top = Coded(self.kernel.run(pictures).reshape(self.out_shape), self.layer_out)
        # Codes wider than float32's fraction are rounded to float32 here, where the fork's blob holds them so.
        state.store(self.layer.name, self.layer.tops, (top if self.layer_out.bw <= WIDEST_CODE else real(top),))
