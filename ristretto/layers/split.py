"""Split: one blob under several names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Same
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Split(Op):
    """Passes its bottom on to each of `count` tops.

    Caffe puts such layers into every net by itself; a prototxt that it printed may show them.
    """

    type = "Split"

    count: int

    @classmethod
    def parse(cls, fields: Fields) -> Split:
        """Take the layer as it is: there are as many copies as tops."""
        count = len(fields.values["top"])
        if count < 1:
            raise ModelError("it has no top")
        return cls(count)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape for each top."""
        return (bottoms[0],) * self.count

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Say yes: every copy is the bottom itself."""
        return True

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Pass the bottom on."""
        return (bottoms[0],) * self.count

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stay in place."""
        return (0,)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Pass on."""
        return Same()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an Identity for each top."""
        return tuple(OnnxNode("Identity", ("b0",), (f"t{i}",)) for i in range(self.count))
