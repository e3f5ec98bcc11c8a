"""ShuffleChannel: channels dealt out among groups (ShuffleNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pieces
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class ShuffleChannel(Op):
    """Reads the channels as `group` rows and writes them column by column."""

    type = "ShuffleChannel"

    group: int = 1

    @classmethod
    def parse(cls, fields: Fields) -> ShuffleChannel:
        """Read ``shuffle_channel_param``."""
        group = fields.message("shuffle_channel_param").integer("group")
        if group < 1:
            raise ModelError("group must be at least 1")
        return cls(group)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape."""
        bottom = bottoms[0]
        if len(bottom) < 2 or bottom[1] % self.group:
            raise ModelError(f"group {self.group} does not divide the channels of a bottom with shape {bottom}")
        return (bottom,)

    def _rows(self, bottom: Shape) -> Shape:
        return (bottom[0], self.group, bottom[1] // self.group, *bottom[2:])

    def passes_on(self, bottoms: int) -> int:
        """Say the first: in another order."""
        return 1

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Swap rows and columns of channels."""
        x = bottoms[0]
        return (np.ascontiguousarray(x.reshape(self._rows(x.shape)).swapaxes(1, 2)).reshape(x.shape),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Pick all channels."""
        rows = self._rows((1, bottoms[0][1]))
        return Pieces((np.arange(bottoms[0][1]).reshape(rows[1:]).T.reshape(-1).tolist(),))

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Reshape, a Transpose and a Reshape."""
        bottom = bottoms[0]
        rows = self._rows(bottom)
        return (
            reshape_node("b0", "dealt", rows),
            OnnxNode("Transpose", ("dealt",), ("swapped",), {"perm": [0, 2, 1, *range(3, len(rows))]}),
            reshape_node("swapped", "t0", bottom),
        )
