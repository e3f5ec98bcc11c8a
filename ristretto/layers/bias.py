"""Bias: a number added to each index of some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ristretto.layers.coverage import Coverage
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.form import Channelwise, Form
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Bias(Op):
    """Adds its blob, or its second bottom, to the axes of the first one that it covers."""

    type = "Bias"
    is_affine = True

    coverage: Coverage = field(default_factory=Coverage)

    @classmethod
    def parse(cls, fields: Fields) -> Bias:
        """Read ``bias_param``."""
        return cls(Coverage.parse(fields.message("bias_param")))

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read that of the summand."""
        return (Filler.of(fields.message("bias_param"), "filler"),)

    def bottom_counts(self) -> tuple[int, int]:
        """Two, or one where the summand is a blob."""
        return 1, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the first bottom's shape."""
        self.coverage.aligned(self.coverage.part(bottoms), bottoms[0])
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the axes that are covered, unless a second bottom covers them."""
        return () if len(bottoms) > 1 else (self.coverage.part(bottoms),)

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise | None:
        """Give the blob as summands, where it is one number for each channel."""
        summands = self.coverage.by_channel(blobs[0], channels) if len(blobs) == 1 else None
        return None if summands is None else Channelwise(summand=summands)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Add."""
        x = bottoms[0]
        part = self.coverage.part([bottom.shape for bottom in bottoms])
        return (x + (*bottoms, *blobs)[1].reshape(self.coverage.aligned(part, x.shape)),)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give a function of the number and its channel, where the summands are a blob with one for each."""
        return self.coverage.form(bottoms)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an Add."""
        operand = ("b1" if len(bottoms) > 1 else "w0", self.coverage.part(bottoms))
        return tuple(self.coverage.onnx("Add", bottoms[0], operand, "b0", "t0"))
