"""Slice: a blob cut into several along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pieces
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Slice(Op):
    """Cuts its bottom along `axis` before each of `points`, or into `count` equal pieces where there are none."""

    type = "Slice"

    count: int
    axis: int = 1
    points: tuple[int, ...] = ()

    @classmethod
    def parse(cls, fields: Fields) -> Slice:
        """Read ``slice_param``; ``slice_dim`` is the old name of ``axis``. There are as many pieces as tops."""
        param = fields.message("slice_param")
        if param.has("axis") and param.has("slice_dim"):
            raise ModelError("axis stands beside slice_dim", hint="keep axis, slice_dim is its old name")
        op = cls(
            count=len(fields.values["top"]),
            axis=param.integer("slice_dim" if param.has("slice_dim") else "axis"),
            points=param.integers("slice_point"),
        )
        if op.count < 1:
            raise ModelError("it has no top")
        if op.points and len(op.points) != op.count - 1:
            raise ModelError(f"{len(op.points)} slice_points cut {len(op.points) + 1} pieces, it has {op.count} tops")
        return op

    def _cuts(self, bottom: Shape) -> tuple[int, tuple[int, ...]]:
        """Give the axis, and the pieces' ends along it with a leading 0."""
        axis = canonical_axis(self.axis, bottom)
        length = bottom[axis]
        if not self.points:
            if length % self.count:
                raise ModelError(f"{self.count} tops do not divide axis {axis} of its bottom of shape {bottom}")
            return axis, tuple(length * i // self.count for i in range(self.count + 1))
        cuts = (0, *self.points, length)
        # As in Caffe the last piece may be empty, provided that there are no more pieces than numbers.
        if any(a >= b for a, b in pairwise(cuts[:-1])) or cuts[-2] > length or self.count > length:
            raise ModelError(f"slice_points {self.points} for axis {axis} of a bottom of shape {bottom}")
        return axis, cuts

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give each piece's shape."""
        bottom = bottoms[0]
        axis, cuts = self._cuts(bottom)
        return tuple((*bottom[:axis], end - start, *bottom[axis + 1 :]) for start, end in pairwise(cuts))

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Say yes for one slice, which is the whole bottom."""
        return tops == 1

    def passes_on(self, bottoms: int) -> int:
        """Say the first: in pieces."""
        return 1

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Cut."""
        axis, cuts = self._cuts(bottoms[0].shape)
        return tuple(np.split(bottoms[0], cuts[1:-1], axis))

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Pick channels; None along another axis."""
        axis, cuts = self._cuts(bottoms[0])
        return Pieces(tuple(range(start, end) for start, end in pairwise(cuts))) if axis == 1 else None

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Split."""
        axis, cuts = self._cuts(bottoms[0])
        lengths = np.diff(np.array(cuts, np.int64))
        tops = tuple(f"t{i}" for i in range(self.count))
        return (OnnxNode("Split", ("b0", "lengths"), tops, {"axis": axis}, {"lengths": lengths}),)
