"""Crop: a window of one blob, as large as another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pieces
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Crop(Op):
    """Cuts its first bottom to the shape of its second from `axis` on.

    `offset` says where each axis' window starts: nothing for 0, one number for all axes, or one for each.
    """

    type = "Crop"

    axis: int = 2
    offset: tuple[int, ...] = ()

    @classmethod
    def parse(cls, fields: Fields) -> Crop:
        """Read ``crop_param``."""
        param = fields.message("crop_param")
        return cls(axis=param.integer("axis"), offset=param.integers("offset"))

    def bottom_counts(self) -> tuple[int, int]:
        """Two: one is cropped, one shows the size."""
        return 2, 2

    def _window(self, bottoms: Sequence[Shape]) -> list[tuple[int, int]]:
        """Give start and end of the window along each axis."""
        whole, reference = bottoms
        first = canonical_axis(self.axis, whole)
        cropped = len(whole) - first
        if len(self.offset) > 1 and len(self.offset) != cropped:
            raise ModelError(
                f"{len(self.offset)} offsets for {cropped} axes", hint="give one each, one for all or none"
            )
        if len(reference) < len(whole):
            raise ModelError(f"bottoms of shapes {whole} and {reference} have different numbers of axes")
        offsets = self.offset if len(self.offset) > 1 else (self.offset or (0,)) * cropped
        window = [(0, length) for length in whole[:first]]
        for axis, offset in zip(range(first, len(whole)), offsets, strict=True):
            end = offset + reference[axis]
            if end > whole[axis]:
                raise ModelError(f"axis {axis} has {whole[axis]} places, the window ends at {end}")
            window.append((offset, end))
        return window

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the window's size."""
        return (tuple(end - start for start, end in self._window(bottoms)),)

    def passes_on(self, bottoms: int) -> int:
        """Say the first: the second only shows a size."""
        return 1

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Cut the window out."""
        window = self._window([bottom.shape for bottom in bottoms])
        return (bottoms[0][tuple(slice(start, end) for start, end in window)],)

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Pick channels, lines and columns of pictures."""
        window = self._window(bottoms)
        if len(window) != 4:
            return None
        _, channels, (top, _), (left, _) = window
        return Pieces((range(*channels),), corner=(top, left))

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Slice with fixed ends: the second bottom's numbers do not matter."""
        first = canonical_axis(self.axis, bottoms[0])
        starts, ends = np.array(self._window(bottoms)[first:], np.int64).T
        axes = np.arange(first, len(bottoms[0]))
        constants = {"starts": np.ascontiguousarray(starts), "ends": np.ascontiguousarray(ends), "axes": axes}
        return (OnnxNode("Slice", ("b0", "starts", "ends", "axes"), ("t0",), constants=constants),)
