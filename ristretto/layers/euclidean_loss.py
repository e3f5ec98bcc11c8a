"""EuclideanLoss: half the mean squared distance of predictions from targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class EuclideanLoss(Op):
    """``sum((a - b) ** 2) / (2 * n)`` for bottoms a and b of n pictures."""

    type = "EuclideanLoss"
    higher_is_better = False
    score_bounds = (0.0, math.inf)
    fewest_tops = 0

    @classmethod
    def parse(cls, fields: Fields) -> EuclideanLoss:
        """Read nothing: there are no settings."""
        return cls()

    def bottom_counts(self) -> tuple[int, int]:
        """Predictions and targets."""
        return 2, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give a scalar."""
        predictions, targets = bottoms
        if predictions[:1] != targets[:1] or math.prod(predictions) != math.prod(targets):
            raise ModelError(f"predictions of shape {predictions} and targets of shape {targets} do not fit")
        return ((),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the loss, in float64."""
        predictions, targets = bottoms
        distance = predictions.reshape(-1).astype(np.float64) - targets.reshape(-1)
        return (np.asarray((distance * distance).sum() / (2 * len(predictions))),)

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give the sum of squares of differences, with a gradient for both bottoms."""
        half = {"half": np.array(1 / (2 * bottoms[0][0]), np.float32)}
        return (
            reshape_node("b1", "targets", bottoms[0]),
            OnnxNode("Sub", ("b0", "targets"), ("distance",)),
            OnnxNode("ReduceSumSquare", ("distance",), ("sum",), {"keepdims": 0}),
            OnnxNode("Mul", ("sum", "half"), ("t0",), constants=half),
        )
