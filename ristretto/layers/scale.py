"""Scale: a factor, and a bias if wanted, for each index of some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ristretto.layers.coverage import Coverage
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.form import Channelwise, Form, Gate
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Scale(Op):
    """Multiplies by its blob, or by its second bottom, along the axes that it covers; then adds a bias of that shape.

    The bias is always a blob: the second one, or the only one when the factors are a bottom.
    """

    type = "Scale"
    is_affine = True

    coverage: Coverage = field(default_factory=Coverage)
    bias_term: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> Scale:
        """Read ``scale_param``."""
        param = fields.message("scale_param")
        return cls(Coverage.parse(param), bias_term=param.flag("bias_term"))

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read those of factors and bias; only that of the bias where the factors are a bottom."""
        param = fields.message("scale_param")
        both = Filler.of(param, "filler", default=1.0), Filler.of(param, "bias_filler")
        return both[len(fields.values["bottom"]) - 1 :]

    def bottom_counts(self) -> tuple[int, int]:
        """Two, or one where the factors are a blob."""
        return 1, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the first bottom's shape."""
        self.coverage.aligned(self.coverage.part(bottoms), bottoms[0])
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the axes that are covered, for the factors unless they are a bottom, and for the bias."""
        blobs = 2 - len(bottoms) + self.bias_term
        return (self.coverage.part(bottoms),) * blobs

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise | None:
        """Give the blobs, where they are one number for each channel."""
        if len(blobs) != 1 + self.bias_term:
            return None
        factors, *summands = (self.coverage.by_channel(blob, channels) for blob in blobs)
        if factors is None or any(summand is None for summand in summands):
            return None
        return Channelwise(factor=factors, summand=summands[0] if summands else None)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Multiply, then add."""
        x, factors, *bias = (*bottoms, *blobs)
        aligned = self.coverage.aligned(self.coverage.part([bottom.shape for bottom in bottoms]), x.shape)
        y = x * factors.reshape(aligned)
        return (y + bias[0].reshape(aligned) if self.bias_term else y,)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give a function of the number and its channel, where the factors are a blob with one for each.

        Where they are a bottom, they must be one for each picture and channel.
        """
        if len(bottoms) == 1:
            return self.coverage.form(bottoms)
        by_channel = bottoms[1] == bottoms[0][:2] and canonical_axis(self.coverage.axis, bottoms[0]) == 0
        return Gate(pictures=0, factors=1) if by_channel and not self.bias_term else None

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Mul, and an Add for the bias."""
        part = self.coverage.part(bottoms)
        factors, bias = ("b1", "w0") if len(bottoms) > 1 else ("w0", "w1")
        scaled = "scaled" if self.bias_term else "t0"
        nodes = self.coverage.onnx("Mul", bottoms[0], (factors, part), "b0", scaled)
        if self.bias_term:
            nodes += self.coverage.onnx("Add", bottoms[0], (bias, part), scaled, "t0")
        return tuple(nodes)
