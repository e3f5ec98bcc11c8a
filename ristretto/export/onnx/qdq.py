"""QDQ: formats as pairs of QuantizeLinear and DequantizeLinear, which most tools read.

A code is ``k``, a number ``k * 2**-fl``: the scale is a power of two, the zero point 0. Halves go to the even code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from onnx import TensorProto, helper

from ristretto.errors import ModelError
from ristretto.execute.lower import trimmed_blobs
from ristretto.export.onnx.dialect import OPSET, Chain, Dialect, Operands, number, stored
from ristretto.formats import HALF_EVEN, Arithmetic, FixedPoint, Format
from ristretto.net import Layer, LayerQuant, Net, OnnxNode, Shape
from ristretto.net.op import Array

CARRIERS = {4: TensorProto.INT4, 8: TensorProto.INT8, 16: TensorProto.INT16}
"""The integers that hold codes, by their bits: 4 of weights only.

onnxruntime 1.32 makes a model of its own of one with activations of 4 bits, which it then refuses: where they go
through a max pooling, or where a Clip stands before their QuantizeLinear.
"""
FEWEST_BITS_OF_ACTIVATIONS = 8
OPSET_OF_ALL_CARRIERS = 21
"""The first that has more than 8 bits, and 4."""
BIAS_BITS = 32
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Linear:
    """A format as QuantizeLinear knows it.

    Parameters
    ----------
    fl : int
        The scale is ``2**-fl``.
    carrier : int
        Bits of the integers that hold the codes.
    """

    fl: int
    carrier: int

    @property
    def scale(self) -> Array:
        """The scale, one float32."""
        return number(math.ldexp(1.0, -self.fl))

    def held(self, codes: Array) -> Array:
        """Give codes as integers of `carrier` bits."""
        return codes.astype(helper.tensor_dtype_to_np_dtype(CARRIERS[self.carrier]))


@singledispatch
def linear(fmt: Format | None, fewest: int = 0) -> Linear | None:
    """Say how QuantizeLinear knows a format, in integers of that many bits or more; None where it does not."""
    return None


@linear.register
def _(fmt: FixedPoint, fewest: int = 0) -> Linear | None:
    carrier = next((bits for bits in CARRIERS if max(fmt.bw, fewest) <= bits), None)
    return None if carrier is None else Linear(fmt.fl, carrier)


@singledispatch
def trim_nodes(fmt: Format, opset: int) -> tuple[OnnxNode, ...]:
    """Give the nodes that trim ``b0`` to a format."""
    raise ModelError(
        f"QuantizeLinear does not know {fmt.name} {fmt.describe()}", hint="--format qonnx has an operation for it"
    )


@trim_nodes.register
def _(fmt: FixedPoint, opset: int) -> tuple[OnnxNode, ...]:
    known = linear(fmt, FEWEST_BITS_OF_ACTIVATIONS)
    ends = {"low": number(fmt.low), "high": number(fmt.high)}
    if known is None:
        # No QuantizeLinear makes integers of so many bits. The same, step by step.
        up, down = number(math.ldexp(1.0, fmt.fl)), number(math.ldexp(1.0, -fmt.fl))
        return Chain().then("Clip", ends).then("Mul", {"up": up}).then("Round").then("Mul", {"down": down}).end()
    scaling = {"scale": known.scale, "zero": known.held(np.array(0))}
    chain = Chain().then("QuantizeLinear", scaling).then("DequantizeLinear", None, *scaling)
    # Behind both, as onnxruntime has no Clip for integers of 16 bits. Among the operations of opset 21 it is in
    # the way of an optimizer as well: onnxruntime 1.32 moves a DequantizeLinear of 8 bits behind a pooling or a
    # reshaping layer, and stumbles over the QuantizeLinear that it puts in its place.
    if fmt.bw < known.carrier or (known.carrier == 8 and opset >= OPSET_OF_ALL_CARRIERS):
        chain = chain.then("Clip", ends)
    return chain.end()


@dataclass(frozen=True)
class Qdq(Dialect):
    """QuantizeLinear and DequantizeLinear.

    Parameters
    ----------
    arithmetic : Arithmetic
        How weights are trimmed; activations are rounded by whoever runs the model.
    opset : int
        Version of ONNX's operations.
    """

    arithmetic: Arithmetic
    opset: int = OPSET_OF_ALL_CARRIERS

    @classmethod
    def of(cls, net: Net, arithmetic: Arithmetic) -> Qdq:
        """Give the dialect with the oldest operations that have all integers that a net's formats need."""
        quants = [layer.quant.under(arithmetic) for layer in net if layer.quant]
        found = [linear(quant.params) for quant in quants]
        found += [linear(f, FEWEST_BITS_OF_ACTIVATIONS) for quant in quants for f in (quant.layer_in, quant.layer_out)]
        carriers = {known.carrier for known in found if known}
        return cls(arithmetic, OPSET if carriers <= {8} else OPSET_OF_ALL_CARRIERS)

    @property
    def rounding(self) -> Arithmetic:
        """To the even code, as ONNX defines it."""
        return HALF_EVEN

    def formats(self, layer: Layer) -> LayerQuant | None:
        """Give the layer's own."""
        return layer.quant.under(self.arithmetic) if layer.quant else None

    def trim(self, fmt: Format) -> tuple[OnnxNode, ...]:
        """Give QuantizeLinear and DequantizeLinear, and a Clip where the word is narrower than the integers."""
        return trim_nodes(fmt, self.opset)

    def operands(self, layer: Layer, shapes: Sequence[Shape], quant: LayerQuant | None) -> Operands:
        """Give weights as integers where they are, else as trimmed float32 numbers.

        Where numbers stay float32, onnxruntime's optimizer rounds them to 8 bits by itself, if the layer reads what a
        DequantizeLinear gives. A Clip between the two keeps it from that.
        """
        params = quant.params if quant else None
        known = linear(params)
        if known is None or params is None:
            fmt = quant.layer_in if quant else None
            bounds = (fmt.low, fmt.high) if fmt else (-LARGEST, LARGEST)
            return Operands(stored(trimmed_blobs(layer, self.arithmetic), shapes), bounds=bounds if shapes else None)
        codes = [
            params.encode(blob, self.arithmetic).reshape(shape) for blob, shape in zip(layer.blobs, shapes, strict=True)
        ]
        weights, *bias = codes
        nodes = [_dequantize("w0", known.held(weights), known.scale)]
        reader = linear(quant.layer_in if quant else None)
        nodes += [_bias(numbers, known, reader) for numbers in bias]
        return Operands({}, tuple(nodes))


def _bias(codes: Array, params: Linear, reader: Linear | None) -> OnnxNode:
    """Give a bias on the grid of products, in 32 bits, as kernels for integers take it; on its own where that fails."""
    wide = codes.astype(np.int64)
    if reader is not None and 0 <= reader.fl < BIAS_BITS:
        moved = wide << reader.fl
        if not moved.size or np.abs(moved).max() < 1 << (BIAS_BITS - 1):
            scale = number(math.ldexp(1.0, -params.fl - reader.fl))
            return _dequantize("w1", moved.astype(np.int32), scale)
    return _dequantize("w1", params.held(wide), params.scale)


def _dequantize(target: str, codes: Array, scale: Array) -> OnnxNode:
    constants = {f"{target}_codes": codes, f"{target}_scale": scale}
    return OnnxNode("DequantizeLinear", tuple(constants), (target,), {}, constants)
