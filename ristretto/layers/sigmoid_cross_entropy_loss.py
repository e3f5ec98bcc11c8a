"""SigmoidCrossEntropyLoss: the negative log-likelihood of independent yes-or-no targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.labels import count_nodes, kept_nodes
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.op import INT64, Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class SigmoidCrossEntropyLoss(Op):
    """Cross-entropy over a sigmoid, normalized as Caffe's ``loss_param`` says; by the batch's size when it is silent.

    Targets lie between 0 and 1; one whose integer part is `ignore_label` counts for nothing.
    """

    type = "SigmoidCrossEntropyLoss"
    higher_is_better = False
    fewest_tops = 0

    ignore_label: int | None = None
    normalization: str = "BATCH_SIZE"

    @classmethod
    def parse(cls, fields: Fields) -> SigmoidCrossEntropyLoss:
        """Read ``loss_param``; ``normalize`` is the old spelling of ``normalization``."""
        loss = fields.message("loss_param")
        normalization = "BATCH_SIZE"
        if loss.has("normalization"):
            normalization = loss.text("normalization")
        elif loss.has("normalize"):
            normalization = "VALID" if loss.flag("normalize") else "BATCH_SIZE"
        return cls(
            ignore_label=loss.integer("ignore_label") if loss.has("ignore_label") else None,
            normalization=normalization,
        )

    def bottom_counts(self) -> tuple[int, int]:
        """Scores and targets."""
        return 2, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give a scalar."""
        scores, targets = bottoms
        if scores[:1] != targets[:1] or math.prod(scores) != math.prod(targets):
            raise ModelError(f"scores of shape {scores} and targets of shape {targets} do not fit")
        return ((),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the loss, in float64."""
        scores = bottoms[0].reshape(-1).astype(np.float64)
        targets = bottoms[1].reshape(-1).astype(np.float64)
        kept = np.ones(len(scores), bool) if self.ignore_label is None else np.trunc(targets) != self.ignore_label
        scores, targets = scores[kept], targets[kept]
        # log(1 + exp(x)) - t * x, written so that no large exponential occurs.
        losses = np.maximum(scores, 0) - scores * targets + np.log1p(np.exp(-np.abs(scores)))
        count = {"FULL": kept.size, "VALID": len(scores), "BATCH_SIZE": len(bottoms[0]), "NONE": 1}
        return (np.asarray(losses.sum() / max(count[self.normalization], 1)),)

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give ``log(1 + exp(x)) - t * x``, which a Softplus keeps finite, summed over what counts."""
        size = math.prod(bottoms[0])
        counts = {"FULL": size, "VALID": None, "BATCH_SIZE": bottoms[0][0], "NONE": 1}
        return (
            reshape_node("b0", "scores", (size,)),
            reshape_node("b1", "targets", (size,)),
            OnnxNode("Softplus", ("scores",), ("yes",)),
            OnnxNode("Mul", ("scores", "targets"), ("meant",)),
            OnnxNode("Sub", ("yes", "meant"), ("each",)),
            OnnxNode("Cast", ("targets",), ("whole",), {"to": INT64}),
            *kept_nodes("whole", (size,), self.ignore_label),
            OnnxNode(
                "Where", ("kept", "each", "nothing"), ("losses",), constants={"nothing": np.zeros((), np.float32)}
            ),
            OnnxNode("ReduceSum", ("losses",), ("sum",), {"keepdims": 0}),
            *count_nodes(counts[self.normalization]),
            OnnxNode("Div", ("sum", "count"), ("t0",)),
        )
