"""Accuracy: the share of pictures whose true class is among the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.labels import check_labels
from ristretto.net.fields import Fields
from ristretto.net.op import Array, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Accuracy(Op):
    """Counts a picture when fewer than `top_k` other classes score at least as much as the true one.

    So a tie counts as wrong, as in Caffe since 2018; `companions` gives the figure in which it goes to the lower
    index. A score of NaN counts as wrong (Caffe would call it right). A second top gets the share of each class alone,
    0 for a class that no picture has.
    """

    type = "Accuracy"
    ignores_common_shift = True
    higher_is_better = True
    score_bounds = (0.0, 1.0)

    top_k: int = 1
    axis: int = 1
    ignore_label: int | None = None

    @classmethod
    def parse(cls, fields: Fields) -> Accuracy:
        """Read ``accuracy_param``."""
        param = fields.message("accuracy_param")
        return cls(
            top_k=param.integer("top_k"),
            axis=param.integer("axis"),
            ignore_label=param.integer("ignore_label") if param.has("ignore_label") else None,
        )

    def bottom_counts(self) -> tuple[int, int]:
        """Scores and labels."""
        return 2, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give a scalar, and (classes,) for a second top."""
        scores, labels = bottoms
        classes = scores[canonical_axis(self.axis, scores)]
        if math.prod(scores) != classes * math.prod(labels):
            raise ModelError(f"scores of shape {scores} and labels of shape {labels} do not fit")
        if self.top_k > classes:
            raise ModelError(f"top_k {self.top_k} of {classes} classes")
        return (), (classes,)

    def _counted(self, bottoms: Sequence[Array]) -> tuple[Array, Array, Array]:
        """Give the labels, which count as right by Caffe's rule, and which when a tie goes to the lower index."""
        scores = np.moveaxis(bottoms[0], self.axis, -1)
        classes = scores.shape[-1]
        scores = scores.reshape(-1, classes)
        labels = bottoms[1].reshape(-1).astype(np.int64)
        if self.ignore_label is not None:
            kept = labels != self.ignore_label
            scores, labels = scores[kept], labels[kept]
        check_labels(labels, classes)
        true = scores[np.arange(len(labels)), labels][:, None]
        # "Not smaller" rather than "at least": NaN on either side must not make a picture right.
        rivals = ~(scores < true)
        rivals[np.arange(len(labels)), labels] = False
        lower = np.arange(classes)[None, :] < labels[:, None]
        ahead = rivals & (lower | ~(scores == true))
        finite = ~np.isnan(true[:, 0])
        strict = (rivals.sum(axis=1) < self.top_k) & finite
        lenient = (ahead.sum(axis=1) < self.top_k) & finite
        return labels, strict, lenient

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the share by Caffe's rule, over all pictures and over those of each class."""
        labels, right, _ = self._counted(bottoms)
        classes = bottoms[0].shape[self.axis]
        counts = np.bincount(labels, minlength=classes)
        found = np.bincount(labels[right], minlength=classes)
        return np.asarray(_share(right)), found / np.maximum(counts, 1)

    def companions(self, bottoms: Sequence[Array]) -> Mapping[str, float]:
        """Give the share by argmax."""
        return {"argmax": _share(self._counted(bottoms)[2])}

    def per_picture(self, bottoms: Sequence[Array]) -> Mapping[str, Array]:
        """Give which pictures count as right, by Caffe's rule and by argmax.

        Nothing where a picture has many labels, which are not independent of each other, or where some labels do not
        count, so that batches weigh unlike numbers of them.
        """
        if self.ignore_label is not None or bottoms[1].size != len(bottoms[0]):
            return {}
        _, strict, lenient = self._counted(bottoms)
        return {"": strict, "argmax": lenient}


def _share(right: Array) -> float:
    return float(right.mean()) if right.size else 0.0
