"""InnerProduct: a fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.layers.scaling import scaled_blobs
from ristretto.layers.sums import matmul
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.op import Array, Geometry, OnnxNode, Op, Part, Shape, canonical_axis


@dataclass(frozen=True)
class InnerProduct(Op):
    """Multiplies all numbers from `axis` on, by default those of a picture, by a matrix.

    The matrix lies as (outputs, inputs), or with `transpose` as (inputs, outputs).
    """

    type = "InnerProduct"
    quantized_type = "FcRistretto"
    part = Part.FC_PARAMS
    in_original_search = True

    num_output: int
    bias_term: bool = True
    axis: int = 1
    transpose: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> InnerProduct:
        """Read ``inner_product_param``."""
        param = fields.message("inner_product_param")
        if param.integer("num_output") < 1:
            raise ModelError("num_output must be at least 1")
        return cls(
            num_output=param.integer("num_output"),
            bias_term=param.flag("bias_term"),
            axis=param.integer("axis"),
            transpose=param.flag("transpose"),
        )

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read those of weights and bias."""
        param = fields.message("inner_product_param")
        return Filler.of(param, "weight_filler"), Filler.of(param, "bias_filler")

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the axes before, and num_output."""
        bottom = bottoms[0]
        return ((*bottom[: canonical_axis(self.axis, bottom)], self.num_output),)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (num_output, inputs), or turned around, and (num_output,) for the bias."""
        inputs = self.geometry(bottoms[0]).terms
        weights = (inputs, self.num_output) if self.transpose else (self.num_output, inputs)
        return (weights, (self.num_output,)) if self.bias_term else (weights,)

    def macs(self, bottoms: Sequence[Shape]) -> int:
        """Give the products for one picture: those of one row, times the rows that it has."""
        bottom = bottoms[0]
        return self.geometry(bottom).macs * math.prod(bottom[1 : canonical_axis(self.axis, bottom)])

    def geometry(self, bottom: Shape) -> Geometry:
        """Give a 1x1 picture whose channels are all inputs."""
        return Geometry(
            groups=1,
            in_shape=(math.prod(bottom[canonical_axis(self.axis, bottom) :]), 1, 1),
            out_shape=(self.num_output, 1, 1),
            kernel=(1, 1),
            stride=(1, 1),
            pad=(0, 0),
            dilation=(1, 1),
        )

    def weight_rows(self, weights: Array, walk: Geometry) -> Array:
        """Give (outputs, inputs)."""
        if not self.transpose:
            return weights.reshape(self.num_output, walk.terms)
        return np.ascontiguousarray(weights.reshape(walk.terms, self.num_output).T)

    @property
    def weight_axes(self) -> tuple[str, ...]:
        """Outputs first, or last where the matrix is turned around."""
        return ("input", "output") if self.transpose else ("output", "input")

    @property
    def output_channels(self) -> int | None:
        """All outputs, where they stand on axis 1."""
        return self.num_output if self.axis == 1 else None

    def scaled(self, blobs: Sequence[Array], factors: Array, summands: Array) -> tuple[Op, tuple[Array, ...]]:
        """Multiply each output's row."""
        outputs = self.num_output
        view, aligned = ((-1, outputs), (1, outputs)) if self.transpose else ((outputs, -1), (outputs, 1))
        blobs = scaled_blobs(blobs, factors, summands, view=view, aligned=aligned, bias_term=self.bias_term)
        return replace(self, bias_term=len(blobs) > 1), blobs

    def settings_since(self, before: Op) -> Mapping[str, Mapping[str, str]]:
        """Name a bias that has come in."""
        assert isinstance(before, InnerProduct)
        return {"inner_product_param": {"bias_term": "true"}} if self.bias_term > before.bias_term else {}

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Multiply the flattened rows by the weights."""
        x = bottoms[0]
        walk = self.geometry(x.shape)
        y = matmul(x.reshape(-1, walk.terms), self.weight_rows(blobs[0], walk).T)
        if self.bias_term:
            y += blobs[1].reshape(-1)
        return (y.reshape(self.infer([x.shape])[0]),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Flatten and Gemm, and a Reshape where the top has other than two axes."""
        (top,) = self.infer(bottoms)
        operands = ("rows", "w0", "w1") if self.bias_term else ("rows", "w0")
        product = "t0" if len(top) == 2 else "product"
        nodes = (
            OnnxNode("Flatten", ("b0",), ("rows",), {"axis": len(top) - 1}),
            OnnxNode("Gemm", operands, (product,), {"transB": 0 if self.transpose else 1}),
        )
        return nodes if len(top) == 2 else (*nodes, reshape_node(product, "t0", top))
