"""PReLU: a ReLU with learned slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.form import Channelwise, Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class PReLU(Op):
    """``max(x, 0) + slope * min(x, 0)`` with a slope for each channel, or one for all."""

    type = "PReLU"

    channel_shared: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> PReLU:
        """Read ``prelu_param``."""
        return cls(channel_shared=fields.message("prelu_param").flag("channel_shared"))

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read that of the slopes."""
        return (Filler.of(fields.message("prelu_param"), "filler", default=0.25),)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape."""
        if len(bottoms[0]) < 2:
            raise ModelError(f"its bottom has {len(bottoms[0])} axes; (n, channels, ...) is needed")
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (channels,), or no axis for the one slope of all."""
        return ((),) if self.channel_shared else ((bottoms[0][1],),)

    def _aligned(self, bottom: Shape) -> Shape:
        return () if self.channel_shared else (bottom[1], *(1,) * (len(bottom) - 2))

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Scale what is negative."""
        x = bottoms[0]
        slopes = blobs[0].reshape(self._aligned(x.shape))
        return (np.where(x > 0, x, np.minimum(x, 0) * slopes),)

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stay in place."""
        return (0,)

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise:
        """Give the slopes."""
        return Channelwise(slope=np.broadcast_to(blobs[0].reshape(-1), channels))

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of the number and its channel."""
        return Pointwise(by_channel=not self.channel_shared)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a PRelu."""
        slopes = reshape_node("w0", "slopes", self._aligned(bottoms[0]))
        return (slopes, OnnxNode("PRelu", ("b0", "slopes"), ("t0",)))
