"""PriorBox: the boxes that the places of a feature map stand for (SSD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class PriorBox(Op):
    """Gives the corners (xmin, ymin, xmax, ymax) of boxes in row 0 and their variances in row 1.

    Nothing but the shapes of feature map and picture counts, so the top is a constant of the net. At each place and
    for each of `min_sizes`, in pixels, stand a square of that size, a square of the size between it and the maximum,
    where one is given, and a box of the first one's area for each ratio of width to height other than 1. Corners are
    fractions of the picture.
    """

    type = "PriorBox"

    min_sizes: tuple[float, ...]
    max_sizes: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    clip: bool = False
    variance: tuple[float, ...] = (0.1,)
    img_size: tuple[float, float] | None = None
    step: tuple[float, float] | None = None
    offset: float = 0.5

    @classmethod
    def parse(cls, fields: Fields) -> PriorBox:
        """Read ``prior_box_param``; ``flip`` adds the inverse of each ratio."""
        param = fields.message("prior_box_param")
        ratios: list[float] = []
        for ratio in param.numbers("aspect_ratio"):
            if ratio <= 0:
                raise ModelError(f"aspect_ratio {ratio} is not positive")
            # Caffe compares with those it has, the square's 1 and inverses among them, and then adds both.
            if all(abs(ratio - known) >= 1e-6 for known in (1, *ratios)):
                ratios += [ratio, 1 / ratio] if param.flag("flip") else [ratio]
        op = cls(
            min_sizes=param.numbers("min_size"),
            max_sizes=param.numbers("max_size"),
            ratios=tuple(ratios),
            clip=param.flag("clip"),
            variance=param.numbers("variance") or (0.1,),
            img_size=_pair(param, "img_size", "img_h", "img_w"),
            step=_pair(param, "step", "step_h", "step_w"),
            offset=param.number("offset"),
        )
        if not op.min_sizes or min(op.min_sizes) <= 0:
            raise ModelError("min_size must be given and positive")
        if op.max_sizes and len(op.max_sizes) != len(op.min_sizes):
            raise ModelError(f"{len(op.max_sizes)} max_size for {len(op.min_sizes)} min_size", hint="give one for each")
        if any(most <= least for least, most in zip(op.min_sizes, op.max_sizes, strict=False)):
            raise ModelError("a max_size is not greater than its min_size")
        if len(op.variance) not in (1, 4) or min(op.variance) <= 0:
            raise ModelError("variance must be one positive number, or four")
        return op

    def bottom_counts(self) -> tuple[int, int]:
        """Feature map and picture."""
        return 2, 2

    @property
    def boxes(self) -> int:
        """Boxes at each place of the feature map."""
        return len(self.min_sizes) * (1 + len(self.ratios)) + len(self.max_sizes)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (1, 2, 4 * boxes of all places)."""
        if any(len(shape) != 4 for shape in bottoms):
            raise ModelError("its bottoms must have four axes (n, c, h, w)")
        return ((1, 2, bottoms[0][2] * bottoms[0][3] * self.boxes * 4),)

    def _sides(self) -> list[tuple[float, float]]:
        """Give (width, height) of each box, in pixels."""
        sides = []
        for index, least in enumerate(self.min_sizes):
            # Caffe keeps sizes as whole pixels here, though a prototxt may say 30.5.
            least = int(least)
            sides.append((float(least), float(least)))
            if self.max_sizes:
                between = float(np.sqrt(least * int(self.max_sizes[index])))
                sides.append((between, between))
            sides += [(least * np.sqrt(ratio), least / np.sqrt(ratio)) for ratio in self.ratios]
        return sides

    def _top(self, bottoms: Sequence[Shape]) -> Array:
        height, width = bottoms[0][2:]
        img_h, img_w = self.img_size or bottoms[1][2:]
        step_h, step_w = self.step or (img_h / height, img_w / width)
        down = (np.arange(height) + self.offset) * step_h
        across = (np.arange(width) + self.offset) * step_w
        centers = np.stack(np.meshgrid(across, down), axis=-1)[:, :, None]
        half = np.array(self._sides()) / 2
        corners = np.concatenate([centers - half, centers + half], axis=-1) / [img_w, img_h, img_w, img_h]
        if self.clip:
            corners = corners.clip(0, 1)
        variances = np.broadcast_to(self.variance, corners.shape)
        return np.stack([corners.reshape(-1), variances.reshape(-1)])[None]

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Give the boxes, computed in float64."""
        return (self._top([bottom.shape for bottom in bottoms]).astype(bottoms[0].dtype),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give the boxes as a constant."""
        boxes = self._top(bottoms).astype(np.float32)
        return (OnnxNode("Identity", ("boxes",), ("t0",), constants={"boxes": boxes}),)


def _pair(param: Fields, both: str, down: str, across: str) -> tuple[float, float] | None:
    """Give (height, width) of a setting that is spelt once for both, or for each; None where it is absent."""
    if param.has(down) or param.has(across):
        if param.has(both):
            raise ModelError(f"{both} stands beside {down}/{across}", hint=f"keep either {both} or the pair")
        pair = (param.number(down), param.number(across))
    elif param.has(both):
        pair = (param.number(both), param.number(both))
    else:
        return None
    if min(pair) <= 0:
        raise ModelError(f"{both}, or {down} and {across}, must be positive")
    return pair
