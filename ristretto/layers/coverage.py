"""Coverage: which axes of a bottom the blob of a Scale or a Bias layer stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshaping import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.form import Form, Pointwise
from ristretto.net.op import Array, OnnxNode, Shape, canonical_axis


@dataclass(frozen=True)
class Coverage:
    """Which axes of a bottom a smaller blob covers: `num_axes` from `axis` on; -1 are all that follow.

    A blob that covers none is one number for all.
    """

    axis: int = 1
    num_axes: int = 1

    @classmethod
    def parse(cls, param: Fields) -> Coverage:
        """Read a ``scale_param`` or ``bias_param``."""
        coverage = cls(axis=param.integer("axis"), num_axes=param.integer("num_axes"))
        if coverage.num_axes < -1:
            raise ModelError(f"num_axes {coverage.num_axes} is negative", hint="-1 means all axes that follow")
        return coverage

    def shape(self, bottom: Shape) -> Shape:
        """Give the shape of the blob that covers these axes of a bottom."""
        start = canonical_axis(self.axis, bottom)
        end = len(bottom) if self.num_axes == -1 else start + self.num_axes
        if end > len(bottom):
            raise ModelError(f"axis {self.axis} and num_axes {self.num_axes} reach past a bottom of shape {bottom}")
        return bottom[start:end]

    def part(self, bottoms: Sequence[Shape]) -> Shape:
        """Give the shape of what covers these axes: that of the second bottom, or of a blob where there is none."""
        return bottoms[1] if len(bottoms) > 1 else self.shape(bottoms[0])

    def aligned(self, part: Shape, bottom: Shape) -> Shape:
        """Give the shape in which a blob is broadcast over the bottom: its own, and a 1 for each axis behind it.

        Raises
        ------
        ModelError
            When the blob does not fit there.
        """
        if not part:
            return ()
        start = canonical_axis(self.axis, bottom)
        if part != bottom[start : start + len(part)]:
            raise ModelError(f"bottoms of shapes {bottom} and {part} do not fit from axis {self.axis} on")
        return (*part, *(1,) * (len(bottom) - start - len(part)))

    def by_channel(self, part: Array, channels: int) -> Array | None:
        """Give a blob as one number for each channel, (channels,); None where it is something else."""
        numbers = part.reshape(-1)
        if self.num_axes == 0 and numbers.size == 1:
            return np.repeat(numbers, channels)
        # What covers more axes than axis 1 and still has no more numbers has one for each channel.
        return numbers if self.num_axes and self.axis == 1 and numbers.size == channels else None

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give the form of what joins a number with that of its channel, or with one for all; None for more."""
        if len(bottoms) > 1 or self.num_axes not in (0, 1):
            return None
        if self.num_axes == 0:
            return Pointwise()
        # Counted from the end it is another axis of a blob with another number of them.
        known = self.axis == 1 or len(bottoms[0]) == 4
        return Pointwise(by_channel=True) if known and canonical_axis(self.axis, bottoms[0]) == 1 else None

    def onnx(self, op_type: str, bottom: Shape, operand: tuple[str, Shape], source: str, top: str) -> list[OnnxNode]:
        """Give the nodes that join `source` with an operand (name and shape) that covers these axes."""
        name, part = operand
        aligned = self.aligned(part, bottom)
        if aligned == part:
            return [OnnxNode(op_type, (source, name), (top,))]
        return [reshape_node(name, f"{name}_aligned", aligned), OnnxNode(op_type, (source, f"{name}_aligned"), (top,))]
