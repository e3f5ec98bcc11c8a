"""Reduction: all numbers behind some axes to one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis

ONNX_OPS = {"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}


@dataclass(frozen=True)
class Reduction(Op):
    """`coeff` times the sum, the sum of absolute values, the sum of squares or the mean over `axis` and all behind it.

    The top keeps the axes before `axis`; from axis 0 on it is one number.
    """

    type = "Reduction"

    operation: str = "SUM"
    axis: int = 0
    coeff: float = 1.0

    @classmethod
    def parse(cls, fields: Fields) -> Reduction:
        """Read ``reduction_param``."""
        param = fields.message("reduction_param")
        return cls(operation=param.text("operation"), axis=param.integer("axis"), coeff=param.number("coeff"))

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the axes before."""
        return (bottoms[0][: canonical_axis(self.axis, bottoms[0])],)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Sum, then scale."""
        x = bottoms[0]
        (top,) = self.infer([x.shape])
        rows = x.reshape(*top, math.prod(x.shape[len(top) :]))
        terms = {"ASUM": np.abs, "SUMSQ": np.square}.get(self.operation, np.asarray)(rows)
        total = terms.mean(axis=-1) if self.operation == "MEAN" else terms.sum(axis=-1)
        return (np.asarray(x.dtype.type(self.coeff) * total),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Reduce of its kind, then Mul."""
        axes = list(range(canonical_axis(self.axis, bottoms[0]), len(bottoms[0])))
        constants = {"coeff": np.array(self.coeff, np.float32)}
        if self.operation == "SUM":
            # In opset 17 this one takes its axes as an input, the others take them as an attribute.
            inputs, attributes = ("b0", "axes"), {"keepdims": 0}
            reduce = OnnxNode("ReduceSum", inputs, ("total",), attributes, {"axes": np.array(axes, np.int64)})
        else:
            reduce = OnnxNode(ONNX_OPS[self.operation], ("b0",), ("total",), {"keepdims": 0, "axes": axes})
        return (reduce, OnnxNode("Mul", ("total", "coeff"), ("t0",), constants=constants))
