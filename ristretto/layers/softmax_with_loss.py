"""SoftmaxWithLoss: the mean negative log-probability of the true classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.labels import check_labels, count_nodes, kept_nodes
from ristretto.layers.reshaping import reshape_node
from ristretto.layers.softmax import Softmax
from ristretto.net.fields import Fields
from ristretto.net.op import INT64, Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class SoftmaxWithLoss(Op):
    """Cross-entropy over a softmax, normalized as Caffe's ``loss_param`` says."""

    type = "SoftmaxWithLoss"
    ignores_common_shift = True
    higher_is_better = False
    score_bounds = (0.0, math.inf)
    fewest_tops = 0

    axis: int = 1
    ignore_label: int | None = None
    normalization: str = "VALID"

    @classmethod
    def parse(cls, fields: Fields) -> SoftmaxWithLoss:
        """Read ``softmax_param`` and ``loss_param``; ``normalize`` is the old spelling of ``normalization``."""
        loss = fields.message("loss_param")
        normalization = loss.text("normalization")
        if loss.has("normalize") and not loss.has("normalization"):
            normalization = "VALID" if loss.flag("normalize") else "BATCH_SIZE"
        return cls(
            axis=fields.message("softmax_param").integer("axis"),
            ignore_label=loss.integer("ignore_label") if loss.has("ignore_label") else None,
            normalization=normalization,
        )

    def bottom_counts(self) -> tuple[int, int]:
        """Scores and labels."""
        return 2, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give a scalar, and the probabilities for a second top."""
        scores, labels = bottoms
        if math.prod(scores) != scores[canonical_axis(self.axis, scores)] * math.prod(labels):
            raise ModelError(f"scores of shape {scores} and labels of shape {labels} do not fit")
        return (), scores

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the loss and the probabilities."""
        probabilities = Softmax(self.axis).forward(bottoms[:1], ())[0]
        rows = np.moveaxis(probabilities, self.axis, -1)
        classes = rows.shape[-1]
        rows = rows.reshape(-1, classes)
        labels = bottoms[1].reshape(-1).astype(np.int64)
        kept = np.ones(len(labels), bool) if self.ignore_label is None else labels != self.ignore_label
        valid = labels[kept]
        check_labels(valid, classes)
        true = rows[kept, valid].astype(np.float64)
        # Caffe's floor: the logarithm of a probability of 0 would be infinite.
        total = -np.log(np.maximum(true, np.finfo(np.float32).tiny)).sum()
        # Caffe's "batch size" is all that lies before the axis of the classes.
        outer = math.prod(bottoms[0].shape[: canonical_axis(self.axis, bottoms[0].shape)])
        count = {"FULL": len(labels), "VALID": len(valid), "BATCH_SIZE": outer, "NONE": 1}
        return np.asarray(total / max(count[self.normalization], 1)), probabilities

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a LogSoftmax with a NegativeLogLikelihoodLoss, and a Softmax for the second top.

        There is no floor under the logarithm: it needs none, and Caffe's gradient knows nothing of it.
        """
        shape = bottoms[0]
        axis = canonical_axis(self.axis, shape)
        others = [place for place in range(len(shape)) if place != axis]
        rows, outer = math.prod(shape) // shape[axis], math.prod(shape[:axis])
        counts = {"FULL": rows, "VALID": None, "BATCH_SIZE": outer, "NONE": 1}
        ignored = {} if self.ignore_label is None else {"ignore_index": self.ignore_label}
        return (
            OnnxNode("Softmax", ("b0",), ("t1",), {"axis": axis}),
            OnnxNode("Transpose", ("b0",), ("turned",), {"perm": [*others, axis]}),
            reshape_node("turned", "rows", (rows, shape[axis])),
            OnnxNode("LogSoftmax", ("rows",), ("logarithms",), {"axis": 1}),
            reshape_node("b1", "named", (rows,)),
            OnnxNode("Cast", ("named",), ("labels",), {"to": INT64}),
            OnnxNode("NegativeLogLikelihoodLoss", ("logarithms", "labels"), ("sum",), {"reduction": "sum"} | ignored),
            *kept_nodes("labels", (rows,), self.ignore_label),
            *count_nodes(counts[self.normalization]),
            OnnxNode("Div", ("sum", "count"), ("t0",)),
        )
