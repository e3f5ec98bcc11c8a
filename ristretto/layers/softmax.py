"""Softmax: scores to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.kernels.softmax import softmax
from ristretto.net.fields import Fields
from ristretto.net.form import ChannelSoftmax, Form
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
        rows = np.moveaxis(bottoms[0], self.axis, -1)
        top = np.empty(rows.shape, rows.dtype)
        if top.size:
            length = rows.shape[-1]
            softmax(np.ascontiguousarray(rows).reshape(-1, length), top.reshape(-1, length))
        return (np.ascontiguousarray(np.moveaxis(top, -1, self.axis)),)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Go over the channels; None along another axis."""
        return ChannelSoftmax() if canonical_axis(self.axis, bottoms[0]) == 1 else None

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Softmax."""
        return (OnnxNode("Softmax", ("b0",), ("t0",), {"axis": self.axis}),)
