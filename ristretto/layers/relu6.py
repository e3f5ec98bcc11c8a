"""ReLU6: a ReLU that saturates at 6, of MobileNet's forks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.layers.clip import Clip
from ristretto.net.fields import Fields
from ristretto.net.form import Form
from ristretto.net.op import Array, OnnxNode, Op, Shape

CLIP = Clip(0.0, 6.0)


@dataclass(frozen=True)
class ReLU6(Op):
    """``min(max(x, 0), 6)``."""

    type = "ReLU6"

    @classmethod
    def parse(cls, fields: Fields) -> ReLU6:
        """Take the layer as it is: it has no settings."""
        return cls()

    @property
    def rectifies(self) -> bool:
        """Always."""
        return True

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Clip."""
        return CLIP.forward(bottoms, blobs)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Clip."""
        return CLIP.form(bottoms)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Clip."""
        return CLIP.onnx(bottoms)
