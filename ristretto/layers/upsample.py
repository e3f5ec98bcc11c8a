"""Upsample: a larger picture without interpolation (YOLO, SegNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import INT64, Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Upsample(Op):
    """Two layers of one name, told apart by their bottoms.

    With one bottom (YOLO's), each pixel becomes a block of `scale` (down, across), 1 by default. With two (SegNet's),
    each number goes to the place in its channel's new picture that the second bottom names, as the second top of a
    max pooling does, and all else is 0; the new picture is `size`, or `scale`, 2 by default, times the old one less
    `less` (SegNet's ``pad_out_h``, ``pad_out_w``).
    """

    type = "Upsample"

    scale: tuple[int, int] = (1, 1)
    size: tuple[int, int] | None = None
    less: tuple[int, int] = (0, 0)

    @classmethod
    def parse(cls, fields: Fields) -> Upsample:
        """Read ``upsample_param``."""
        param = fields.message("upsample_param")
        places = len(fields.values["bottom"]) > 1
        pair = param.has("scale_h") or param.has("scale_w")
        if param.has("scale") and pair:
            raise ModelError("scale stands beside scale_h/scale_w", hint="keep one of the two")
        scale = (2, 2) if places else (1, 1)
        if pair:
            scale = (param.integer("scale_h"), param.integer("scale_w"))
        elif param.has("scale"):
            scale = (param.integer("scale"), param.integer("scale"))
        size = (param.integer("upsample_h"), param.integer("upsample_w"))
        op = cls(scale, size if any(size) else None, (int(param.flag("pad_out_h")), int(param.flag("pad_out_w"))))
        if min(scale) < 1 or (op.size and min(op.size) < 1):
            raise ModelError("scale and size must be at least 1", hint="scale_h and scale_w, and upsample_h and _w too")
        if any(less and factor != 2 for less, factor in zip(op.less, scale, strict=True)):
            raise ModelError("pad_out_h and pad_out_w go with a scale of 2 only", hint="set upsample_h and upsample_w")
        if (op.size or any(op.less)) and not places:
            raise ModelError(
                "upsample_h, upsample_w and pad_out need a second bottom", hint="with one bottom only scale counts"
            )
        return op

    def bottom_counts(self) -> tuple[int, int]:
        """One blob, and perhaps the places of its numbers."""
        return 1, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, c, new height, new width)."""
        bottom = bottoms[0]
        if len(bottom) != 4:
            raise ModelError(f"its bottom has {len(bottom)} axes; (n, c, h, w) is needed")
        if bottoms[1:] and bottoms[1] != bottom:
            raise ModelError(f"places of shape {bottoms[1]} for a bottom of shape {bottom}")
        down, across = self.scale
        size = self.size or (bottom[2] * down - self.less[0], bottom[3] * across - self.less[1])
        return ((*bottom[:2], *size),)

    def passes_on(self, bottoms: int) -> int:
        """Say the first, where its pixels are repeated; none where zeros come in between."""
        return 1 if bottoms == 1 else 0

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Repeat the pixels, or put them in their places."""
        x = bottoms[0]
        if len(bottoms) == 1:
            return (x.repeat(self.scale[0], axis=2).repeat(self.scale[1], axis=3),)
        top = self.infer([bottom.shape for bottom in bottoms])[0]
        places = bottoms[1].reshape(x.shape[0] * x.shape[1], -1).astype(np.int64)
        pixels = top[2] * top[3]
        if places.size and (places.min() < 0 or places.max() >= pixels):
            wrong = places[(places < 0) | (places >= pixels)][0]
            raise ModelError(
                f"place {wrong} in a picture of {top[2]} by {top[3]}", hint="does the size fit the pooling's bottom?"
            )
        y = np.zeros((len(places), pixels), x.dtype)
        np.put_along_axis(y, places, x.reshape(places.shape), axis=1)
        return (y.reshape(top),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Resize, or a ScatterElements on flattened channels."""
        if len(bottoms) == 1:
            scales = np.array([1, 1, *self.scale], np.float32)
            attributes = {
                "mode": "nearest",
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            }
            return (OnnxNode("Resize", ("b0", "", "scales"), ("t0",), attributes, constants={"scales": scales}),)
        top = self.infer(bottoms)[0]
        flat = np.array([bottoms[0][0] * bottoms[0][1], bottoms[0][2] * bottoms[0][3]], np.int64)
        wide = np.array([flat[0], top[2] * top[3]], np.int64)
        return (
            OnnxNode("Reshape", ("b0", "flat"), ("values",), constants={"flat": flat}),
            OnnxNode("Reshape", ("b1", "flat"), ("named",)),
            OnnxNode("Cast", ("named",), ("places",), {"to": INT64}),
            OnnxNode("ConstantOfShape", ("wide",), ("zeros",), constants={"wide": wide}),
            OnnxNode("ScatterElements", ("zeros", "places", "values"), ("put",), {"axis": 1}),
            OnnxNode("Reshape", ("put", "whole"), ("t0",), constants={"whole": np.array(top, np.int64)}),
        )
