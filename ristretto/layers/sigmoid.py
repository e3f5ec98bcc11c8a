"""Sigmoid: any number to one between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


def sigmoid(x: Array) -> Array:
    """Give ``1 / (1 + exp(-x))``, for numbers of any size."""
    # exp(-log(1 + exp(-x))), as exp(-x) alone would overflow.
    return np.asarray(np.exp(-np.logaddexp(0, -x.astype(np.float64)))).astype(x.dtype)


@dataclass(frozen=True)
class Sigmoid(Op):
    """``1 / (1 + exp(-x))``."""

    type = "Sigmoid"

    @classmethod
    def parse(cls, fields: Fields) -> Sigmoid:
        """Take the layer as it is: it has no settings that change a result."""
        return cls()

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Apply the function to each number."""
        return (sigmoid(bottoms[0]),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Sigmoid."""
        return (OnnxNode("Sigmoid", ("b0",), ("t0",)),)
