"""InnerProduct: a fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Array, Geometry, OnnxNode, Op, Part, Shape


@dataclass(frozen=True)
class InnerProduct(Op):
    """Multiplies each flattened picture by a matrix."""

    type = "InnerProduct"
    quantized_type = "FcRistretto"
    part = Part.FC_PARAMS

    num_output: int
    bias_term: bool = True

    @classmethod
    def parse(cls, fields: Fields) -> InnerProduct:
        """Read ``inner_product_param``."""
        param = fields.message("inner_product_param")
        if param.integer("axis") != 1 or param.flag("transpose"):
            raise ModelError("axis and transpose are not supported", hint="use axis 1 and weights as (outputs, inputs)")
        if param.integer("num_output") < 1:
            raise ModelError("num_output must be at least 1")
        return cls(num_output=param.integer("num_output"), bias_term=param.flag("bias_term"))

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, num_output)."""
        return ((bottoms[0][0], self.num_output),)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (num_output, inputs), and (num_output,) for the bias."""
        weights = (self.num_output, math.prod(bottoms[0][1:]))
        return (weights, (self.num_output,)) if self.bias_term else (weights,)

    def macs(self, bottoms: Sequence[Shape]) -> int:
        """Give the products for one picture."""
        return self.geometry(bottoms[0]).macs

    def geometry(self, bottom: Shape) -> Geometry:
        """Give a 1x1 picture whose channels are all inputs."""
        return Geometry(
            groups=1,
            in_shape=(math.prod(bottom[1:]), 1, 1),
            out_shape=(self.num_output, 1, 1),
            kernel=(1, 1),
            stride=(1, 1),
            pad=(0, 0),
            dilation=(1, 1),
        )

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Multiply the flattened pictures by the transposed weights."""
        x = bottoms[0].reshape(len(bottoms[0]), -1)
        y = np.matmul(x, blobs[0].reshape(self.num_output, -1).T)
        if self.bias_term:
            y += blobs[1].reshape(-1)
        return (y,)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Flatten and Gemm."""
        operands = ("flat", "w0", "w1") if self.bias_term else ("flat", "w0")
        return (
            OnnxNode("Flatten", ("b0",), ("flat",), {"axis": 1}),
            OnnxNode("Gemm", operands, ("t0",), {"transB": 1}),
        )
