"""Threshold: which numbers lie above a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import FLOAT32, Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Threshold(Op):
    """1 where x lies above the threshold, else 0."""

    type = "Threshold"

    threshold: float = 0.0

    @classmethod
    def parse(cls, fields: Fields) -> Threshold:
        """Read ``threshold_param``."""
        return cls(threshold=fields.message("threshold_param").number("threshold"))

    @property
    def rectifies(self) -> bool:
        """True unless a negative number may lie above the threshold."""
        return self.threshold >= 0

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Compare."""
        x = bottoms[0]
        return (np.asarray(x > x.dtype.type(self.threshold)).astype(x.dtype),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def training_form(self, bottoms: Sequence[Shape]) -> None:
        """Give none: a step has no gradient."""

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Greater and Cast."""
        bound = np.array(self.threshold, np.float32)
        return (
            OnnxNode("Greater", ("b0", "bound"), ("above",), constants={"bound": bound}),
            OnnxNode("Cast", ("above",), ("t0",), {"to": FLOAT32}),
        )
