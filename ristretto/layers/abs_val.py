"""AbsVal: numbers without their sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class AbsVal(Op):
    """``|x|``.

    It does not run on codes: the least code has no positive counterpart (-128, but no 128).
    """

    type = "AbsVal"

    @classmethod
    def parse(cls, fields: Fields) -> AbsVal:
        """Take the layer as it is: it has no settings."""
        return cls()

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Drop the signs."""
        return (np.asarray(np.abs(bottoms[0])),)

    def form(self, bottoms: Sequence[Shape]) -> Form:
        """Give a function of one number."""
        return Pointwise()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an Abs."""
        return (OnnxNode("Abs", ("b0",), ("t0",)),)
