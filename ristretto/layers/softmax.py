"""Softmax: scores to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Softmax(Op):
    """``exp(x) / sum(exp(x))`` along `axis`, with the maximum taken off first."""

    type = "Softmax"
    ignores_common_shift = True

    axis: int = 1

    @classmethod
    def parse(cls, fields: Fields) -> Softmax:
        """Read ``softmax_param``."""
        return cls(axis=fields.message("softmax_param").integer("axis"))

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape."""
        canonical_axis(self.axis, bottoms[0])
        return (bottoms[0],)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Normalize the exponentials, in float64."""
        x = bottoms[0].astype(np.float64)
        powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return ((powers / powers.sum(axis=self.axis, keepdims=True)).astype(bottoms[0].dtype),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Softmax."""
        return (OnnxNode("Softmax", ("b0",), ("t0",), {"axis": self.axis}),)
