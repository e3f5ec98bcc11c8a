"""One quantized layer on integer codes."""

from __future__ import annotations

import numpy as np

from ristretto.errors import ModelError
from ristretto.execute.values import Coded, State, Value, real
from ristretto.formats import FixedPoint, Format, Rounding
from ristretto.kernels import mac
from ristretto.kernels.trim import requantize
from ristretto.net import Layer, LayerQuant, Shape

WIDEST_CODE = 16
"""Blobs of up to this many bits stay codes between layers; wider ones go on as float32, as in the fork."""
ACCUMULATOR_BITS = 62
"""What the kernels' 64-bit accumulator holds with room for the rounding."""
WIDEST_LEFT_SHIFT = 32
"""Shifting by more saturates everything but zero just the same."""


def runs_in_integers(quant: LayerQuant) -> bool:
    """Whether a layer's input and weights are codes of up to 16 bits, and its output has a grid."""
    operands = (quant.layer_in, quant.params)
    narrow = all(isinstance(fmt, FixedPoint) and fmt.bw <= WIDEST_CODE for fmt in operands)
    return narrow and isinstance(quant.layer_out, FixedPoint)


def trimmed(value: Value, fmt: Format, rounding: Rounding) -> Value:
    """Trim a value: codes are shifted to the new grid, real numbers encoded; wide formats stay real."""
    if not isinstance(fmt, FixedPoint) or fmt.bw > WIDEST_CODE:
        return fmt.trim(real(value), rounding)
    if not isinstance(value, Coded):
        return Coded(fmt.encode(value, rounding), fmt)
    if value.fmt == fmt:
        return value
    codes = np.empty(value.codes.shape, fmt.code_type)
    # Codes have 16 bits at most: a longer shift either way only saturates, or gives zero.
    shift = max(-WIDEST_LEFT_SHIFT, min(value.fmt.fl - fmt.fl, ACCUMULATOR_BITS))
    half_even = rounding is Rounding.HALF_EVEN
    source = np.ascontiguousarray(value.codes).reshape(-1)
    requantize(source, codes.reshape(-1), shift, fmt.low_code, fmt.high_code, half_even)
    return Coded(codes, fmt)


class IntegerMacStep:
    """Runs a multiply-accumulate layer with its weights packed for the best kernel.

    The accumulator's grid is that of the products, or of the bias where that one is finer: ``fl_params + max(fl_in,
    0)``. Sums of products fit int32 when ``max over outputs of sum|w| * max|x| < 2**31``, which is computed here, at
    load time; else they are summed in int64.

    Raises
    ------
    ModelError
        When even 62 bits do not hold every possible total.
    """

    def __init__(self, layer: Layer, bottom: Shape, rounding: Rounding) -> None:
        quant = layer.quant
        assert quant is not None
        layer_in, layer_out, params = quant.layer_in, quant.layer_out, quant.params
        assert isinstance(layer_in, FixedPoint)
        assert isinstance(layer_out, FixedPoint)
        assert isinstance(params, FixedPoint)
        geometry = layer.op.geometry(bottom)
        assert geometry is not None, "only multiply-accumulate layers are quantized"
        self.layer, self.layer_in, self.layer_out, self.rounding = layer, layer_in, layer_out, rounding
        outputs = geometry.out_shape[0]
        weights = params.encode(layer.blobs[0], rounding).reshape(outputs, -1)
        bias = params.encode(layer.blobs[1], rounding).reshape(-1) if len(layer.blobs) > 1 else np.zeros(outputs, int)
        raised = max(layer_in.fl, 0)
        lift = max(-layer_in.fl, 0)
        shift = params.fl + raised - layer_out.fl
        sums = np.abs(weights.astype(np.int64)).sum(axis=1) * -layer_in.low_code
        widest = (int(sums.max()) << lift) + (int(np.abs(bias.astype(np.int64)).max()) << raised)
        needed = max(widest, 1 << max(shift - 1, 0) if shift <= ACCUMULATOR_BITS else 0).bit_length() + 1
        if needed > ACCUMULATOR_BITS:
            raise ModelError(
                f"its accumulator needs {needed} bits, the integer executor has {ACCUMULATOR_BITS}",
                layer=layer.name,
                hint="a fractional length in its quantization_param is far off; or use --executor simulate",
            )
        walk = mac.Walk(
            groups=geometry.groups,
            in_shape=geometry.in_shape,
            out_shape=geometry.out_shape,
            window=geometry.kernel,
            stride=geometry.stride,
            pad=geometry.pad,
            dilation=geometry.dilation,
        )
        epilogue = mac.Epilogue(
            lift=lift,
            shift=max(-WIDEST_LEFT_SHIFT, min(shift, ACCUMULATOR_BITS)),
            low=layer_out.low_code,
            high=layer_out.high_code,
            half_even=rounding is Rounding.HALF_EVEN,
        )
        self.sum_type = np.dtype(np.int32 if int(sums.max()) < 2**31 else np.int64)
        self.out_shape = layer.op.infer([bottom])[0]
        aligned = bias.astype(np.int64) << raised
        self.kernel = mac.choose(walk, weights)(
            walk, weights, aligned, epilogue, layer_out.code_type, self.sum_type
        )

    def run(self, state: State) -> None:
        """Trim the input in place, multiply, add, shift."""
        blob = self.layer.bottoms[0]
        value = trimmed(state.blobs[blob], self.layer_in, self.rounding)
        state.blobs[blob] = value
        assert isinstance(value, Coded)
        walk = self.kernel.walk
        codes = self.kernel.run(value.codes.reshape(-1, *walk.in_shape)).reshape(self.out_shape)
        top = Coded(codes, self.layer_out)
        # Codes wider than float32's fraction are rounded to float32 here, where the fork's blob holds them so.
        state.store(self.layer.name, self.layer.tops, (top if self.layer_out.bw <= WIDEST_CODE else real(top),))
