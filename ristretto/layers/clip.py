"""Clip: numbers kept between two bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Clamp, Form
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Clip(Op):
    """``max(low, min(x, high))``."""

    type = "Clip"

    low: float
    high: float

    @classmethod
    def parse(cls, fields: Fields) -> Clip:
        """Read ``clip_param``, whose `min` and `max` have no defaults."""
        param = fields.message("clip_param")
        for name in ("min", "max"):
            if not param.has(name):
                raise ModelError(f"clip_param lacks {name}", hint="set both min and max")
        low, high = param.number("min"), param.number("max")
        if not low <= high:
            raise ModelError(f"min {low:g} lies above max {high:g}")
        return cls(low, high)

    @property
    def rectifies(self) -> bool:
        """True where the lower bound is zero."""
        return self.low == 0

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Keep each number between the bounds."""
        x = bottoms[0]
        return (np.asarray(np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high))),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Clip."""
        return Clamp(self.low, self.high)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Clip."""
        bounds = {"low": np.array(self.low, np.float32), "high": np.array(self.high, np.float32)}
        return (OnnxNode("Clip", ("b0", "low", "high"), ("t0",), constants=bounds),)
