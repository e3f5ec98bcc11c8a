"""Silence: a reader for blobs that are not wanted as outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.net.fields import Fields
from ristretto.net.op import Array, Op, Shape


@dataclass(frozen=True)
class Silence(Op):
    """Reads its bottoms and makes nothing. ONNX has no such thing, and needs none."""

    type = "Silence"
    fewest_tops = 0

    @classmethod
    def parse(cls, fields: Fields) -> Silence:
        """Take the layer as it is: it has no settings."""
        return cls()

    def bottom_counts(self) -> tuple[int, int]:
        """Any number."""
        return 1, 1 << 16

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give nothing."""
        return ()

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give nothing."""
        return ()
