"""ReLU: negative numbers become zero, or small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Channelwise, Clamp, Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class ReLU(Op):
    """``max(x, 0) + negative_slope * min(x, 0)``."""

    type = "ReLU"

    negative_slope: float = 0.0

    @classmethod
    def parse(cls, fields: Fields) -> ReLU:
        """Read ``relu_param``."""
        return cls(negative_slope=fields.message("relu_param").number("negative_slope"))

    @property
    def rectifies(self) -> bool:
        """True without a slope."""
        return self.negative_slope == 0

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Clip below zero, or scale."""
        x = bottoms[0]
        if self.negative_slope == 0:
            return (np.maximum(x, 0),)
        return (np.where(x > 0, x, x * x.dtype.type(self.negative_slope)),)

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stay in place; a slope below zero is a factor, too."""
        return (0,)

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise | None:
        """Give the slope; None for zero."""
        return Channelwise(slope=np.full(channels, self.negative_slope)) if self.negative_slope else None

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Clip below zero; a slope makes it a function."""
        return Clamp(0.0, math.inf) if self.negative_slope == 0 else Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Relu or LeakyRelu."""
        if self.negative_slope == 0:
            return (OnnxNode("Relu", ("b0",), ("t0",)),)
        return (OnnxNode("LeakyRelu", ("b0",), ("t0",), {"alpha": self.negative_slope}),)
