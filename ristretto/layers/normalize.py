"""Normalize: numbers divided by their common length (SSD)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.kernels.normalize import normalize
from ristretto.layers.along_axis import along_axis
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.form import ChannelNormalize, Form
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Normalize(Op):
    """``scale * x / sqrt(sum(x ** 2) + eps)``.

    The sum runs over a whole picture with `across_spatial`, else over the channels of each position. The scale is the
    layer's only weight: one number with `channel_shared`, else one for each channel.
    """

    type = "Normalize"

    across_spatial: bool = True
    channel_shared: bool = True
    eps: float = 1e-10

    @classmethod
    def parse(cls, fields: Fields) -> Normalize:
        """Read ``norm_param``."""
        param = fields.message("norm_param")
        return cls(
            across_spatial=param.flag("across_spatial"),
            channel_shared=param.flag("channel_shared"),
            eps=param.number("eps"),
        )

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read that of the scale."""
        return (Filler.of(fields.message("norm_param"), "scale_filler", default=1.0),)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape."""
        if len(bottoms[0]) < 2:
            raise ModelError(f"its bottom has {len(bottoms[0])} axes; (n, c, ...) is needed")
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the shape of the scale."""
        return ((1,) if self.channel_shared else (bottoms[0][1],),)

    def _axes(self, count: int) -> tuple[int, ...]:
        return tuple(range(1, count)) if self.across_spatial else (1,)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Divide by the length and scale, in float64."""
        (x,) = bottoms
        scales = np.broadcast_to(blobs[0].reshape(-1), x.shape[1])
        if self.across_spatial:
            # A picture is one row, each number of which has its channel's scale.
            x, scales = x.reshape(len(x), -1), np.repeat(scales, math.prod(x.shape[2:]))
        scales = np.array(scales, x.dtype)
        top = along_axis(x, 1, lambda rows, out: normalize(rows, self.eps, scales, out))
        return (top.reshape(bottoms[0].shape),)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give that of vectors of channels; None for whole pictures."""
        return None if self.across_spatial else ChannelNormalize(self.eps)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give the parts, as ONNX's LpNormalization has no eps."""
        count = len(bottoms[0])
        axes = np.array(self._axes(count), np.int64)
        shape = np.array([-1, *(1 for _ in range(count - 2))], np.int64)
        return (
            OnnxNode("Mul", ("b0", "b0"), ("squares",)),
            OnnxNode("ReduceSum", ("squares", "axes"), ("sum",), {"keepdims": 1}, constants={"axes": axes}),
            OnnxNode("Add", ("sum", "eps"), ("base",), constants={"eps": np.array(self.eps, np.float32)}),
            OnnxNode("Sqrt", ("base",), ("length",)),
            OnnxNode("Div", ("b0", "length"), ("unit",)),
            OnnxNode("Reshape", ("w0", "shape"), ("scale",), constants={"shape": shape}),
            OnnxNode("Mul", ("unit", "scale"), ("t0",)),
        )
