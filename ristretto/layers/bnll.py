"""BNLL: a smooth ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class BNLL(Op):
    """``log(1 + exp(x))``, the binomial normal log likelihood."""

    type = "BNLL"

    @classmethod
    def parse(cls, fields: Fields) -> BNLL:
        """Take the layer as it is: it has no settings."""
        return cls()

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Apply the function to each number."""
        x = bottoms[0]
        return (np.asarray(np.logaddexp(0, x.astype(np.float64))).astype(x.dtype),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Softplus."""
        return (OnnxNode("Softplus", ("b0",), ("t0",)),)
