"""Flatten: several axes made one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ristretto.errors import ModelError
from ristretto.layers.reshaping import Reshaping
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Same
from ristretto.net.op import Shape, canonical_axis


@dataclass(frozen=True)
class Flatten(Reshaping):
    """Joins the axes from `axis` to `end_axis`, that one included."""

    type = "Flatten"

    axis: int = 1
    end_axis: int = -1

    @classmethod
    def parse(cls, fields: Fields) -> Flatten:
        """Read ``flatten_param``."""
        param = fields.message("flatten_param")
        return cls(axis=param.integer("axis"), end_axis=param.integer("end_axis"))

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Pass on a picture of one pixel: nothing changes places."""
        (top,) = self.infer(bottoms)
        return Same() if len(bottoms[0]) == 4 and bottoms[0][1:] == (*top[1:], 1, 1) else None

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the axes before, the product, the axes after."""
        bottom = bottoms[0]
        start = canonical_axis(self.axis, bottom)
        end = canonical_axis(self.end_axis, bottom) + 1
        # Joining no axis at all adds one of length 1, in Caffe too.
        if start > end:
            raise ModelError(f"end_axis {self.end_axis} lies before axis {self.axis} in a bottom of shape {bottom}")
        return ((*bottom[:start], math.prod(bottom[start:end]), *bottom[end:]),)
