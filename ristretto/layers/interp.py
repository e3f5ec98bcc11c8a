"""Interp: a picture resized bilinearly, corner on corner (DeepLab, PSPNet)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Interp(Op):
    """Cuts the rim off, then interpolates between pixels so that the corner pixels stay in the corners.

    The size is that of a second bottom where there is one; else it follows from `shrink` or `zoom`, alone, or is
    `size` (height, width), or comes from `shrink` and then `zoom`. A factor works on the steps between pixels: 33
    pixels zoomed by 8 are 257, and back.
    """

    type = "Interp"

    size: tuple[int, int] | None = None
    zoom: int | None = None
    shrink: int | None = None
    cut: tuple[int, int] = (0, 0)

    @classmethod
    def parse(cls, fields: Fields) -> Interp:
        """Read ``interp_param``."""
        param = fields.message("interp_param")
        if param.text("interp_type") != "bilinear":
            raise ModelError(f"interp_type {param.text('interp_type')} is not supported", hint="known is bilinear")
        cut = (-param.integer("pad_beg"), -param.integer("pad_end"))
        if min(cut) < 0:
            raise ModelError("pad_beg and pad_end must not be positive", hint="the layer can only cut off")
        both = param.has("height") and param.has("width")
        op = cls(
            size=(param.integer("height"), param.integer("width")) if both else None,
            zoom=param.integer("zoom_factor") if param.has("zoom_factor") else None,
            shrink=param.integer("shrink_factor") if param.has("shrink_factor") else None,
            cut=cut,
        )
        given = [*(op.size or ()), *(factor for factor in (op.zoom, op.shrink) if factor is not None)]
        if given and min(given) < 1:
            raise ModelError("height, width, zoom_factor and shrink_factor must be at least 1")
        if bool(given) == (len(fields.values["bottom"]) > 1):
            raise ModelError(
                "two sizes to resize to" if given else "no size to resize to",
                hint="set height and width, zoom_factor or shrink_factor, or name a second bottom of that size",
            )
        return op

    def bottom_counts(self) -> tuple[int, int]:
        """One blob, and perhaps one of the size wanted."""
        return 1, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (n, c, new height, new width)."""
        bottom = bottoms[0]
        if any(len(shape) != 4 for shape in bottoms):
            raise ModelError("its bottoms must have four axes (n, c, h, w)")
        sizes = [size - sum(self.cut) for size in bottom[2:]]
        if min(sizes) < 1:
            raise ModelError(f"pad_beg and pad_end leave nothing of a bottom with shape {bottom}")
        if len(bottoms) > 1:
            sizes = list(bottoms[1][2:])
        elif self.size and (self.zoom is None) == (self.shrink is None):
            sizes = list(self.size)
        else:
            sizes = [((size - 1) // (self.shrink or 1)) * (self.zoom or 1) + 1 for size in sizes]
        return ((*bottom[:2], *sizes),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Interpolate across, then down."""
        x = bottoms[0]
        height, width = self.infer([bottom.shape for bottom in bottoms])[0][2:]
        before, after = self.cut
        x = x[:, :, before : x.shape[2] - after, before : x.shape[3] - after]
        return (_stretch(_stretch(x, 3, width), 2, height),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Slice and a Resize."""
        before, after = self.cut
        ends = [size - after for size in bottoms[0][2:]]
        numbers = {"starts": [before, before], "ends": ends, "axes": [2, 3], "sizes": list(self.infer(bottoms)[0])}
        constants = {name: np.array(values, np.int64) for name, values in numbers.items()}
        sizes = {"sizes": constants.pop("sizes")}
        attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        return (
            OnnxNode("Slice", ("b0", "starts", "ends", "axes"), ("inner",), constants=constants),
            OnnxNode("Resize", ("inner", "", "", "sizes"), ("t0",), attributes, constants=sizes),
        )


def _stretch(x: Array, axis: int, size: int) -> Array:
    """Resize one axis; a single new pixel is the first old one."""
    number = x.dtype.type
    step = number(x.shape[axis] - 1) / number(size - 1) if size > 1 else number(0)
    places = np.arange(size, dtype=x.dtype) * step
    low = np.minimum(places.astype(np.int64), x.shape[axis] - 1)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    part = (places - low).astype(x.dtype).reshape(-1, *(1 for _ in x.shape[axis + 1 :]))
    stretched: Array = (1 - part) * x.take(low, axis) + part * x.take(high, axis)
    return stretched
