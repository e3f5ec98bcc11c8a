"""ELU: negative numbers level off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class ELU(Op):
    """``x`` above zero, ``alpha * (exp(x) - 1)`` below."""

    type = "ELU"

    alpha: float = 1.0

    @classmethod
    def parse(cls, fields: Fields) -> ELU:
        """Read ``elu_param``."""
        return cls(alpha=fields.message("elu_param").number("alpha"))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Bend the negative part; the positive one stays out of the exponential, which would overflow."""
        x = bottoms[0]
        bent = np.expm1(np.minimum(x.astype(np.float64), 0)).astype(x.dtype)
        return (np.where(x > 0, x, x.dtype.type(self.alpha) * bent),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an Elu."""
        return (OnnxNode("Elu", ("b0",), ("t0",), {"alpha": self.alpha}),)
