"""Dropout: nothing at all in the TEST phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Same
from ristretto.net.op import Array, OnnxNode, Op, Shape
from ristretto.net.phase import Phase


@dataclass(frozen=True)
class Dropout(Op):
    """Passes its bottom on; in the TRAIN phase scaled by ``1 / (1 - dropout_ratio)``.

    The random mask of training is left out of `forward` on purpose: it serves to measure ranges in that phase, and the
    largest number that training lets through is the scaled one. `training_form` has the mask.
    """

    type = "Dropout"

    dropout_ratio: float = 0.5
    training: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> Dropout:
        """Read ``dropout_param``."""
        ratio = fields.message("dropout_param").number("dropout_ratio")
        if not 0 <= ratio < 1:
            raise ModelError(f"dropout_ratio {ratio:g} does not lie between 0 and 1")
        return cls(dropout_ratio=ratio)

    def in_phase(self, phase: Phase) -> Op:
        """Scale in the TRAIN phase only."""
        return replace(self, training=phase is Phase.TRAIN)

    @property
    def scale(self) -> float:
        """The factor in this phase."""
        return 1 / (1 - self.dropout_ratio) if self.training else 1.0

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Scale, or hand the bottom on as it is."""
        x = bottoms[0]
        return (x * x.dtype.type(self.scale) if self.training else x,)

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stay in place, in both phases."""
        return (0,)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Pass on, but for the TRAIN phase."""
        return None if self.training else Same()

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Identity, or Mul in the TRAIN phase."""
        if not self.training:
            return (OnnxNode("Identity", ("b0",), ("t0",)),)
        return (OnnxNode("Mul", ("b0", "scale"), ("t0",), constants={"scale": np.array(self.scale, np.float32)}),)

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Dropout, whose mask keeps a number with a probability of ``1 - dropout_ratio`` and scales it."""
        if not self.training:
            return self.onnx(bottoms)
        settings = {"ratio": np.array(self.dropout_ratio, np.float32), "training": np.array(True)}
        return (OnnxNode("Dropout", ("b0", "ratio", "training"), ("t0",), constants=settings),)
