"""Bias: a number added to each index of some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ristretto.errors import ModelError
from ristretto.layers.reshape import reshape_node
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


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
        """Give a blob as one number for each channel, float64 (channels,); None where it is something else."""
        numbers = np.asarray(part, np.float64).reshape(-1)
        if self.num_axes == 0 and numbers.size == 1:
            return np.repeat(numbers, channels)
        # What covers more axes than axis 1 and still has no more numbers has one for each channel.
        return numbers if self.num_axes and self.axis == 1 and numbers.size == channels else None

    def onnx(self, op_type: str, bottom: Shape, operand: tuple[str, Shape], source: str, top: str) -> list[OnnxNode]:
        """Give the nodes that join `source` with an operand (name and shape) that covers these axes."""
        name, part = operand
        aligned = self.aligned(part, bottom)
        if aligned == part:
            return [OnnxNode(op_type, (source, name), (top,))]
        return [reshape_node(name, f"{name}_aligned", aligned), OnnxNode(op_type, (source, f"{name}_aligned"), (top,))]


@dataclass(frozen=True)
class Bias(Op):
    """Adds its blob, or its second bottom, to the axes of the first one that it covers."""

    type = "Bias"
    is_affine = True

    coverage: Coverage = field(default_factory=Coverage)

    @classmethod
    def parse(cls, fields: Fields) -> Bias:
        """Read ``bias_param``."""
        return cls(Coverage.parse(fields.message("bias_param")))

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read that of the summand."""
        return (Filler.of(fields.message("bias_param"), "filler"),)

    def bottom_counts(self) -> tuple[int, int]:
        """Two, or one where the summand is a blob."""
        return 1, 2

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the first bottom's shape."""
        self.coverage.aligned(self._part(bottoms), bottoms[0])
        return (bottoms[0],)

    def _part(self, bottoms: Sequence[Shape]) -> Shape:
        return bottoms[1] if len(bottoms) > 1 else self.coverage.shape(bottoms[0])

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the axes that are covered, unless a second bottom covers them."""
        return () if len(bottoms) > 1 else (self._part(bottoms),)

    def affine(self, blobs: Sequence[Array], channels: int) -> tuple[Array, Array] | None:
        """Give the blob as summands, where it is one number for each channel."""
        summands = self.coverage.by_channel(blobs[0], channels) if len(blobs) == 1 else None
        return None if summands is None else (np.ones(channels), summands)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Add."""
        x = bottoms[0]
        part = self._part([bottom.shape for bottom in bottoms])
        return (x + (*bottoms, *blobs)[1].reshape(self.coverage.aligned(part, x.shape)),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give an Add."""
        operand = ("b1" if len(bottoms) > 1 else "w0", self._part(bottoms))
        return tuple(self.coverage.onnx("Add", bottoms[0], operand, "b0", "t0"))
