"""Softmax: scores to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.kernels.softmax import softmax
from ristretto.layers.along_axis import along_axis
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
        return (along_axis(bottoms[0], self.axis, softmax),)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Go over the channels; None along another axis."""
        return ChannelSoftmax() if canonical_axis(self.axis, bottoms[0]) == 1 else None

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Softmax."""
        return (OnnxNode("Softmax", ("b0",), ("t0",), {"axis": self.axis}),)
