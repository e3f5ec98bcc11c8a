"""Permute: the axes of a blob in another order (SSD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Permute(Op):
    """Puts the axes of `order` first, in that order; those it leaves out follow as they were."""

    type = "Permute"

    order: tuple[int, ...] = ()

    @classmethod
    def parse(cls, fields: Fields) -> Permute:
        """Read ``permute_param``."""
        order = fields.message("permute_param").integers("order")
        if len(set(order)) < len(order):
            raise ModelError(f"order {list(order)} names an axis twice")
        return cls(order)

    def _axes(self, count: int) -> tuple[int, ...]:
        if any(axis >= count for axis in self.order):
            raise ModelError(f"order {list(self.order)} of a bottom with {count} axes")
        return (*self.order, *(axis for axis in range(count) if axis not in self.order))

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Reorder the lengths."""
        bottom = bottoms[0]
        return (tuple(bottom[axis] for axis in self._axes(len(bottom))),)

    def passes_on(self, bottoms: int) -> int:
        """Say the first: in another order."""
        return 1

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Reorder."""
        return (np.ascontiguousarray(bottoms[0].transpose(self._axes(bottoms[0].ndim))),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Transpose."""
        return (OnnxNode("Transpose", ("b0",), ("t0",), {"perm": list(self._axes(len(bottoms[0])))}),)
