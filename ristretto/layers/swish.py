"""Swish: numbers weighted by their own sigmoid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.layers.sigmoid import sigmoid
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Swish(Op):
    """``x * sigmoid(beta * x)``."""

    type = "Swish"

    beta: float = 1.0

    @classmethod
    def parse(cls, fields: Fields) -> Swish:
        """Read ``swish_param``."""
        return cls(beta=fields.message("swish_param").number("beta"))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Weight each number."""
        x = bottoms[0]
        return (np.asarray(x * sigmoid(x.dtype.type(self.beta) * x)),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Sigmoid and Mul."""
        beta = np.array(self.beta, np.float32)
        return (
            OnnxNode("Mul", ("b0", "beta"), ("scaled",), constants={"beta": beta}),
            OnnxNode("Sigmoid", ("scaled",), ("weight",)),
            OnnxNode("Mul", ("b0", "weight"), ("t0",)),
        )
