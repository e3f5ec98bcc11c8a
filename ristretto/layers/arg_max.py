"""ArgMax: where the greatest numbers stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.op import FLOAT32, Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class ArgMax(Op):
    """The indices of the `top_k` greatest numbers, the greatest first; of equal ones the later stands first.

    Along an axis it puts the indices in the place of the numbers, or with `out_max_val` those numbers. Without one it
    looks at all numbers of a picture and gives (n, 1, k), or with `out_max_val` (n, 2, k) with indices and numbers;
    a 1 follows for each axis that the bottom has beyond three.
    """

    type = "ArgMax"

    out_max_val: bool = False
    top_k: int = 1
    axis: int | None = None

    @classmethod
    def parse(cls, fields: Fields) -> ArgMax:
        """Read ``argmax_param``."""
        param = fields.message("argmax_param")
        op = cls(
            out_max_val=param.flag("out_max_val"),
            top_k=param.integer("top_k"),
            axis=param.integer("axis") if param.has("axis") else None,
        )
        if op.top_k < 1:
            raise ModelError("top_k must be at least 1")
        return op

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's shape with k along the axis; without one (n, 1 or 2, k)."""
        bottom = bottoms[0]
        if not bottom:
            raise ModelError("its bottom is one number without axes")
        axis = None if self.axis is None else canonical_axis(self.axis, bottom)
        choices = math.prod(bottom[1:]) if axis is None else bottom[axis]
        if self.top_k > choices:
            raise ModelError(f"top_k {self.top_k} of {choices} numbers")
        if axis is None:
            return ((bottom[0], 2 if self.out_max_val else 1, self.top_k, *(1,) * (len(bottom) - 3)),)
        return ((*bottom[:axis], self.top_k, *bottom[axis + 1 :]),)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Sort, and take the first ones."""
        x = bottoms[0]
        (top,) = self.infer([x.shape])
        rows = x.reshape(len(x), -1) if self.axis is None else np.moveaxis(x, self.axis, -1)
        # Ascending and stable, read from its end: of equal numbers the later one comes first.
        order = np.flip(np.argsort(rows, axis=-1, kind="stable"), -1)[..., : self.top_k]
        values = np.take_along_axis(rows, order, -1)
        if self.axis is None:
            found = [order.astype(x.dtype), values] if self.out_max_val else [order.astype(x.dtype)]
            return (np.stack(found, axis=1).reshape(top),)
        chosen = values if self.out_max_val else order.astype(x.dtype)
        return (np.moveaxis(chosen, -1, self.axis),)

    def training_form(self, bottoms: Sequence[Shape]) -> None:
        """Give none: an index has no gradient."""

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a TopK over the reversed axis, since that takes the earlier one of equal numbers."""
        bottom = bottoms[0]
        flat = self.axis is None
        axis = 1 if self.axis is None else canonical_axis(self.axis, bottom)
        length = math.prod(bottom[1:]) if flat else bottom[axis]
        wants_values, wants_indices = self.out_max_val, flat or not self.out_max_val
        reverse = {"last": [length - 1], "before": [-length - 1], "axis": [axis], "step": [-1]}
        constants = {name: np.array(value, np.int64) for name, value in reverse.items()}
        nodes = [
            reshape_node("b0", "rows", (bottom[0], length) if flat else bottom),
            OnnxNode("Slice", ("rows", "last", "before", "axis", "step"), ("reversed",), constants=constants),
            OnnxNode(
                "TopK", ("reversed", "k"), ("values", "places"), {"axis": axis}, {"k": np.array([self.top_k], np.int64)}
            ),
        ]
        if wants_indices:
            # The place in the reversed row, to the index in the row.
            end = {"end": np.array(length - 1, np.int64)}
            nodes += [
                OnnxNode("Sub", ("end", "places"), ("index",), constants=end),
                OnnxNode("Cast", ("index",), ("indices",), {"to": FLOAT32}),
            ]
        parts = [name for name, wanted in (("indices", wants_indices), ("values", wants_values)) if wanted]
        if len(parts) > 1:
            nodes.append(OnnxNode("Concat", tuple(parts), ("both",), {"axis": 1}))
        return (*nodes, reshape_node("both" if len(parts) > 1 else parts[0], "t0", self.infer(bottoms)[0]))
