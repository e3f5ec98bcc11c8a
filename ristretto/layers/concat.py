"""Concat: blobs joined along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Stack
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Concat(Op):
    """Joins its bottoms along `axis`, by default the channels."""

    type = "Concat"

    axis: int = 1

    @classmethod
    def parse(cls, fields: Fields) -> Concat:
        """Read ``concat_param``; ``concat_dim`` is the old name of ``axis``."""
        param = fields.message("concat_param")
        if param.has("axis") and param.has("concat_dim"):
            raise ModelError("axis stands beside concat_dim", hint="keep axis, concat_dim is its old name")
        return cls(axis=param.integer("concat_dim" if param.has("concat_dim") else "axis"))

    def bottom_counts(self) -> tuple[int, int]:
        """Any number."""
        return 1, 1 << 16

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Add the lengths along the axis."""
        first = bottoms[0]
        axis = canonical_axis(self.axis, first)
        for other in bottoms:
            rest = (*other[:axis], *other[axis + 1 :])
            if len(other) != len(first) or rest != (*first[:axis], *first[axis + 1 :]):
                raise ModelError(f"bottoms of shapes {first} and {other} cannot be joined along axis {axis}")
        return ((*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :]),)

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Say yes for a single bottom, which is passed on."""
        return bottoms == 1

    def passes_on(self, bottoms: int) -> int:
        """Say all."""
        return bottoms

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Join."""
        return (np.concatenate(bottoms, axis=self.axis),)

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stand behind those of the bottoms before; None along another axis."""
        if canonical_axis(self.axis, bottoms[0]) != 1:
            return None
        return tuple(accumulate((shape[1] for shape in bottoms[:-1]), initial=0))

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Stack channels; None along another axis."""
        return Stack() if canonical_axis(self.axis, bottoms[0]) == 1 else None

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Concat."""
        return (OnnxNode("Concat", tuple(f"b{i}" for i in range(len(bottoms))), ("t0",), {"axis": self.axis}),)
