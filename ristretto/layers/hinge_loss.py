"""HingeLoss: how far scores stay within the margin of a one-against-all classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.labels import check_labels
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.op import INT64, Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class HingeLoss(Op):
    """The mean over pictures of ``max(0, 1 - s * x)``, summed over classes; squared with `norm` ``L2``.

    The sign s is 1 for a picture's true class and -1 for every other.
    """

    type = "HingeLoss"
    higher_is_better = False
    score_bounds = (0.0, math.inf)
    fewest_tops = 0

    norm: str = "L1"

    @classmethod
    def parse(cls, fields: Fields) -> HingeLoss:
        """Read ``hinge_loss_param``."""
        return cls(norm=fields.message("hinge_loss_param").text("norm"))

    def bottom_counts(self) -> tuple[int, int]:
        """Scores and labels."""
        return 2, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give a scalar."""
        scores, labels = bottoms
        if len(scores) < 2 or scores[0] != math.prod(labels):
            raise ModelError(f"scores of shape {scores} and labels of shape {labels} do not fit")
        return ((),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the loss, in float64."""
        scores = bottoms[0].reshape(len(bottoms[0]), -1).astype(np.float64)
        labels = bottoms[1].reshape(-1).astype(np.int64)
        classes = scores.shape[1]
        check_labels(labels, classes)
        scores[np.arange(len(labels)), labels] *= -1
        margins = np.maximum(0, 1 + scores)
        total = margins.sum() if self.norm == "L1" else (margins * margins).sum()
        return (np.asarray(total / len(scores)),)

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give the signs from a OneHot, then the margins' sum, plain or of squares, over the pictures."""
        pictures, classes = bottoms[0][0], math.prod(bottoms[0][1:])
        numbers: dict[str, Array] = {
            "classes": np.array(classes, np.int64),
            "sides": np.array([1, -1], np.float32),
            "one": np.array(1, np.float32),
            "share": np.array(1 / pictures, np.float32),
        }
        return (
            reshape_node("b0", "scores", (pictures, classes)),
            reshape_node("b1", "named", (pictures,)),
            OnnxNode("Cast", ("named",), ("labels",), {"to": INT64}),
            OnnxNode("OneHot", ("labels", "classes", "sides"), ("signs",), {"axis": 1}, numbers),
            OnnxNode("Mul", ("scores", "signs"), ("signed",)),
            OnnxNode("Add", ("signed", "one"), ("raised",)),
            OnnxNode("Relu", ("raised",), ("margins",)),
            OnnxNode("ReduceL1" if self.norm == "L1" else "ReduceSumSquare", ("margins",), ("sum",), {"keepdims": 0}),
            OnnxNode("Mul", ("sum", "share"), ("t0",)),
        )
