"""TanH: any number to one between -1 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class TanH(Op):
    """The hyperbolic tangent."""

    type = "TanH"

    @classmethod
    def parse(cls, fields: Fields) -> TanH:
        """Take the layer as it is: it has no settings that change a result."""
        return cls()

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Apply the function to each number."""
        x = bottoms[0]
        return (np.asarray(np.tanh(x.astype(np.float64))).astype(x.dtype),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Tanh."""
        return (OnnxNode("Tanh", ("b0",), ("t0",)),)
