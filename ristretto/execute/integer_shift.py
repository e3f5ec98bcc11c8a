"""One layer with power-of-two weights on integer codes: shifts in place of multiplications."""

from __future__ import annotations

import math

import numpy as np

from ristretto.errors import in_layer
from ristretto.execute.integer_mac import EXACT_BITS, walk_of
from ristretto.execute.trim_step import WIDEST_CODE, TrimStep, in_codes
from ristretto.execute.values import Coded, State, real
from ristretto.formats import Arithmetic, FixedPoint, PowerOfTwo
from ristretto.kernels.mac import Codes
from ristretto.kernels.shift import ShiftAccumulate
from ristretto.net import Layer, Shape


def shift_step(layer: Layer, bottom: Shape, arithmetic: Arithmetic) -> IntegerShiftStep | None:
    """Give the step of a layer with power-of-two weights; None for any other, and where sums may not be exact.

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
    quant, geometry = layer.quant, layer.op.geometry(bottom)
    if quant is None or geometry is None:
        return None
    layer_in, layer_out, params = quant.layer_in, quant.layer_out, quant.params
    if not (isinstance(layer_in, FixedPoint) and isinstance(layer_out, FixedPoint) and isinstance(params, PowerOfTwo)):
        return None
    if layer_in.bw > WIDEST_CODE:
        return None
    with in_layer(layer.name, "its weights"):
        codes = params.encode(layer.blobs[0], arithmetic)
    rows = layer.op.weight_rows(codes, geometry)
    if max(map(_shifted_ones, rows)) * -layer_in.low_code >= 1 << EXACT_BITS:
        return None
    return IntegerShiftStep(layer, bottom, rows, layer_in, layer_out, params, arithmetic)


def _shifted_ones(row: Codes) -> int:
    """Give the sum of a row's weights without their signs, on the grid of the smallest: exact, however long."""
    return sum(int(count) << shift for shift, count in enumerate(np.bincount(np.abs(row) - 1)))


class IntegerShiftStep:
    """Runs a multiply-accumulate layer by shifting its input codes.

    The sums lie on a grid of ``2**(exp_min - fl_in)``. The bias is a float32 that no format covers; it is added in
    float64, as the simulating executor does, and the total is rounded once.
    """

    def __init__(
        self,
        layer: Layer,
        bottom: Shape,
        rows: Codes,
        layer_in: FixedPoint,
        layer_out: FixedPoint,
        params: PowerOfTwo,
        arithmetic: Arithmetic,
    ) -> None:
        geometry = layer.op.geometry(bottom)
        assert geometry is not None
        self.layer, self.geometry, self.layer_out, self.arithmetic = layer, geometry, layer_out, arithmetic
        self.out_shape = layer.op.infer([bottom])[0]
        self.trim_input = TrimStep(layer.name, layer.bottoms[0], layer_in, arithmetic, in_codes)
        self.kernel = ShiftAccumulate(walk_of(geometry), rows)
        self.step = math.ldexp(1.0, params.exp_min - layer_in.fl)
        bias = layer.blobs[1].reshape(-1, 1, 1) if len(layer.blobs) > 1 else np.zeros((1, 1, 1))
        self.bias = bias.astype(np.float64)

    def run(self, state: State) -> None:
        """Trim the input in place, shift and add, round."""
        self.trim_input.run(state)
        value = state.blobs[self.trim_input.blob]
        assert isinstance(value, Coded)
        pictures = self.geometry.spread_out(value.codes.reshape(-1, *self.geometry.in_shape))
        totals = self.kernel.run(pictures) * self.step + self.bias
        # The bias may be NaN.
        with in_layer(self.layer.name, f"blob '{self.layer.tops[0]}'"):
            codes = self.layer_out.encode(totals, self.arithmetic)
        top = Coded(codes.reshape(self.out_shape), self.layer_out)
        state.store(self.layer.name, self.layer.tops, (top if self.layer_out.bw <= WIDEST_CODE else real(top),))
