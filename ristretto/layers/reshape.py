"""Reshape: the same numbers under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.layers.reshaping import Reshaping
from ristretto.net.fields import Fields
from ristretto.net.op import Shape

COPIED, INFERRED = 0, -1
"""What a prototxt has for an axis that keeps the bottom's length, and for the one that takes what is left over."""


@dataclass(frozen=True)
class Reshape(Reshaping):
    """Puts `dims` in the place of `num_axes` axes from `axis` on; -1 axes are all that follow.

    A negative `axis` counts from the end, where -1 is the place behind the last axis.
    """

    type = "Reshape"

    dims: tuple[int, ...] = ()
    axis: int = 0
    num_axes: int = -1

    @classmethod
    def parse(cls, fields: Fields) -> Reshape:
        """Read ``reshape_param``."""
        param = fields.message("reshape_param")
        op = cls(param.message("shape").integers("dim"), param.integer("axis"), param.integer("num_axes"))
        if min(op.dims, default=0) < INFERRED:
            raise ModelError(f"shape {op.dims} has a negative length", hint="-1 means what is left over, 0 a copy")
        if op.dims.count(INFERRED) > 1:
            raise ModelError(f"shape {op.dims} has -1 twice", hint="only one axis can take what is left over")
        if op.num_axes < -1:
            raise ModelError(f"num_axes {op.num_axes} is negative", hint="-1 means all axes that follow")
        return op

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape with the new axes in it."""
        bottom = bottoms[0]
        start = self.axis if self.axis >= 0 else len(bottom) + self.axis + 1
        end = len(bottom) if self.num_axes == -1 else start + self.num_axes
        if not 0 <= start <= end <= len(bottom):
            raise ModelError(f"axis {self.axis} and num_axes {self.num_axes} for a bottom of shape {bottom}")
        middle = list(self.dims)
        for index, length in enumerate(middle):
            if length == COPIED:
                if start + index >= len(bottom):
                    raise ModelError(f"shape {self.dims} has a 0 where the bottom's shape {bottom} has no axis")
                middle[index] = bottom[start + index]
        count = math.prod(bottom)
        if INFERRED in middle:
            known = math.prod((*bottom[:start], *bottom[end:], *(length for length in middle if length != INFERRED)))
            if known == 0 or count % known:
                raise ModelError(f"shape {self.dims}: {known} does not divide the {count} numbers of its bottom")
            middle[middle.index(INFERRED)] = count // known
        top = (*bottom[:start], *middle, *bottom[end:])
        if math.prod(top) != count:
            raise ModelError(f"a top of shape {top} cannot hold a bottom of shape {bottom}")
        return (top,)
