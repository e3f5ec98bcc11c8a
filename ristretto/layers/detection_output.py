"""DetectionOutput: from boxes and scores to a list of detections (SSD)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Array, Op, Shape

NOTHING = -1.0
"""What fills the rows that hold no detection."""


@dataclass(frozen=True)
class DetectionOutput(Op):
    """Decodes boxes, drops those that overlap better ones of their class, and keeps the best of each picture.

    A row of the top is (picture, class, score, xmin, ymin, xmax, ymax), corners as fractions of the picture. Rows
    stand by picture, then class, then falling score.

    In Caffe the number of rows is that of the detections. Here shapes are known before data: the top has as many
    rows as there can be detections, and -1 in all columns of those left over, which programs made for Caffe skip
    (a picture's number is never -1). Where nothing at all is found, each picture gets a row with its number and -1
    in every other column, as in Caffe.
    """

    type = "DetectionOutput"

    num_classes: int
    share_location: bool = True
    background: int = 0
    code_type: str = "CORNER"
    variance_encoded_in_target: bool = False
    confidence_threshold: float = -math.inf
    nms_threshold: float = 0.3
    nms_top_k: int = -1
    nms_eta: float = 1.0
    keep_top_k: int = -1

    @classmethod
    def parse(cls, fields: Fields) -> DetectionOutput:
        """Read ``detection_output_param``; where Caffe writes its detections to, and how it draws them, is ignored."""
        param = fields.message("detection_output_param")
        nms = param.message("nms_param")
        op = cls(
            num_classes=param.integer("num_classes"),
            share_location=param.flag("share_location"),
            background=param.integer("background_label_id"),
            code_type=param.text("code_type"),
            variance_encoded_in_target=param.flag("variance_encoded_in_target"),
            confidence_threshold=(
                param.number("confidence_threshold") if param.has("confidence_threshold") else -math.inf
            ),
            nms_threshold=nms.number("nms_threshold"),
            nms_top_k=nms.integer("top_k") if nms.has("top_k") else -1,
            nms_eta=nms.number("eta"),
            keep_top_k=param.integer("keep_top_k"),
        )
        if op.num_classes < 1:
            raise ModelError("num_classes must be at least 1")
        if op.nms_threshold < 0 or not 0 < op.nms_eta <= 1:
            raise ModelError("nms_threshold must not be negative, and eta must lie between 0 and 1")
        return op

    def bottom_counts(self) -> tuple[int, int]:
        """Locations, scores, priors, and perhaps the pictures, which only Caffe's drawing needs."""
        return 3, 4

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (1, 1, rows, 7)."""
        locations, scores, priors = bottoms[:3]
        if not locations or not scores:
            raise ModelError(f"locations of shape {locations} and scores of shape {scores} have no axis of pictures")
        pictures = locations[0]
        if len(priors) < 3 or priors[1] != 2 or priors[2] % 4:
            raise ModelError(f"priors of shape {priors}; (1, 2, 4 * priors) is needed")
        count = priors[2] // 4
        sets = 1 if self.share_location else self.num_classes
        if scores[0] != pictures or math.prod(locations[1:]) != count * sets * 4:
            raise ModelError(f"locations of shape {locations} for {count} priors and {sets} sets of locations")
        if math.prod(scores[1:]) != count * self.num_classes:
            raise ModelError(f"scores of shape {scores} for {count} priors and {self.num_classes} classes")
        classes = self.num_classes - (0 <= self.background < self.num_classes)
        rows = classes * (count if self.nms_top_k < 0 else min(count, self.nms_top_k))
        if self.keep_top_k >= 0:
            rows = min(rows, self.keep_top_k)
        # A row for each picture even where none can be filled: Caffe's sign for "nothing found".
        return ((1, 1, pictures * max(rows, 1), 7),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the detections."""
        top = np.full(self.infer([bottom.shape for bottom in bottoms])[0], NOTHING, bottoms[0].dtype)
        pictures, count = len(bottoms[0]), bottoms[2].shape[2] // 4
        priors, variances = bottoms[2].reshape(-1, 2, count, 4)[0]
        locations = bottoms[0].reshape(pictures, count, -1, 4)
        scores = bottoms[1].reshape(pictures, count, self.num_classes)
        used = 0
        for picture in range(pictures):
            # A location may be wild where the score is nothing.
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                boxes = self._decode(locations[picture], priors, variances).astype(top.dtype)
                rows = self._picture(boxes, scores[picture])
            top[0, 0, used : used + len(rows), 0] = picture
            top[0, 0, used : used + len(rows), 1:] = rows
            used += len(rows)
        if not used:
            top[0, 0, :pictures, 0] = np.arange(pictures)
        return (top,)

    def _decode(self, locations: Array, priors: Array, variances: Array) -> Array:
        """Give the corners (priors, sets, 4) of one picture's boxes, in float64 for the exponentials' sake."""
        locations, priors, variances = (x.astype(np.float64) for x in (locations, priors, variances))
        if not self.variance_encoded_in_target:
            locations = locations * variances[:, None]
        priors = priors[:, None]
        size = priors[..., 2:] - priors[..., :2]
        if self.code_type != "CORNER" and (size <= 0).any():
            raise ModelError("a prior has no width or no height", hint="does the PriorBox layer fit the picture?")
        return CODES[self.code_type](locations, priors, size)

    def _picture(self, boxes: Array, scores: Array) -> Array:
        """Give the rows (detections, 6) of one picture, without its number."""
        kept = [
            (label, index)
            for label in range(self.num_classes)
            if label != self.background
            for index in self._suppress(boxes[:, 0 if self.share_location else label], scores[:, label])
        ]
        if 0 <= self.keep_top_k < len(kept):
            kept.sort(key=lambda found: -scores[found[1], found[0]])
            kept = sorted(kept[: self.keep_top_k], key=lambda found: found[0])
        rows = np.empty((len(kept), 6), scores.dtype)
        for row, (label, index) in zip(rows, kept, strict=True):
            row[:2] = label, scores[index, label]
            row[2:] = boxes[index, 0 if self.share_location else label]
        return rows

    def _suppress(self, boxes: Array, scores: Array) -> list[int]:
        """Give the boxes (priors, 4) of a class that overlap no better one too much, best first."""
        likely = np.flatnonzero(scores > self.confidence_threshold)
        likely = likely[np.argsort(-scores[likely], kind="stable")]
        if self.nms_top_k >= 0:
            likely = likely[: self.nms_top_k]
        kept: list[int] = []
        threshold = self.nms_threshold
        for index in likely:
            if (_overlaps(boxes[index], boxes[kept]) <= threshold).all():
                kept.append(int(index))
                if self.nms_eta < 1 and threshold > 0.5:
                    threshold *= self.nms_eta
        return kept


def _overlaps(box: Array, others: Array) -> Array:
    """Give the area that a box shares with each of others (m, 4), as a fraction of what both cover."""
    shared = _area(np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:]))
    covered = _area(box[:2], box[2:]) + _area(others[:, :2], others[:, 2:]) - shared
    return np.asarray(np.divide(shared, covered, out=np.zeros_like(shared), where=shared > 0))


def _area(least: Array, most: Array) -> Array:
    """Give the area between corners (..., 2); 0 where they are the wrong way round."""
    sides = np.maximum(most - least, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _from_corners(locations: Array, priors: Array, size: Array) -> Array:
    return priors + locations


def _from_corner_sizes(locations: Array, priors: Array, size: Array) -> Array:
    sides = np.concatenate([size, size], axis=-1)
    return np.asarray(priors + locations * sides)


def _from_center_sizes(locations: Array, priors: Array, size: Array) -> Array:
    center = (priors[..., :2] + priors[..., 2:]) / 2 + locations[..., :2] * size
    half = np.exp(locations[..., 2:]) * size / 2
    return np.concatenate([center - half, center + half], axis=-1)


CODES: Mapping[str, Callable[[Array, Array, Array], Array]] = {
    "CORNER": _from_corners,
    "CENTER_SIZE": _from_center_sizes,
    "CORNER_SIZE": _from_corner_sizes,
}
"""How a location, times its variance, moves a prior: by ``code_type``."""
