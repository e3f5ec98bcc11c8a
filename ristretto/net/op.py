"""Op: what a layer computes, apart from its name, its blobs and its place in the net."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from ristretto.net.fields import Fields
from ristretto.net.phase import Phase

Shape = tuple[int, ...]
Array = NDArray[Any]


class Part(Enum):
    """The parts of a net that get a bit-width of their own."""

    CONV_PARAMS = "conv_params"
    FC_PARAMS = "fc_params"
    ACTIVATIONS = "activations"


@dataclass(frozen=True)
class OnnxNode:
    """One ONNX node as plain data.

    Inputs and outputs are names; ``b0, b1`` are the layer's bottoms, ``w0, w1`` its blobs, ``t0, t1`` its tops,
    anything else is a name private to the layer.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Geometry:
    """How a multiply-accumulate layer walks its input: plain data for an integer kernel.

    An inner product is the case of a 1x1 picture whose channels are all inputs. Pairs are (height, width).
    """

    groups: int
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def terms(self) -> int:
        """Products in one sum."""
        return self.in_shape[0] // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one picture."""
        channels, height, width = self.out_shape
        return channels * height * width * self.terms


@dataclass(frozen=True)
class Op(ABC):
    """The operation of a layer: its parameters, shapes, reference forward and ONNX form.

    A layer type is one subclass in one file of ``ristretto.layers``. All the code around it (reader, executors,
    search, documentation, tests) asks the attributes and methods below and never the type's name.
    """

    type: ClassVar[str]
    """Caffe's name of the layer type."""
    quantized_type: ClassVar[str] = ""
    """The fork's name of the quantized layer type; empty when there is none."""
    part: ClassVar[Part | None] = None
    """The part of the net that this layer's weights belong to; None for a layer without quantized weights."""
    is_data: ClassVar[bool] = False
    """Whether the layer's tops come from outside the net."""
    rectifies: ClassVar[bool] = False
    """Whether negative inputs all give zero, so that only the positive part of an input matters."""
    higher_is_better: ClassVar[bool | None] = None
    """Whether the top is a score (True), a loss (False) or neither."""

    @classmethod
    @abstractmethod
    def parse(cls, fields: Fields) -> Self:
        """Read the operation from a layer's message."""

    def in_phase(self, phase: Phase) -> Op:
        """Give the operation as it acts in a phase."""
        return self

    def declared_shape(self, top: int) -> Shape | None:
        """Give the shape of a top that the prototxt itself declares; None when the data or the bottoms decide."""
        return None

    def bottom_counts(self) -> tuple[int, int]:
        """Give the least and the greatest number of bottoms."""
        return (0, 0) if self.is_data else (1, 1)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the shapes of the tops from those of the bottoms."""
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the shapes of the weights from those of the bottoms."""
        return ()

    def macs(self, bottoms: Sequence[Shape]) -> int:
        """Give the multiply-accumulates for one picture."""
        return 0

    def geometry(self, bottom: Shape) -> Geometry | None:
        """Give the walk of a multiply-accumulate layer; None for every other."""
        return None

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Compute the tops in real units, plainly.

        Parameters
        ----------
        bottoms : sequence of float arrays
            In the layer's bottom order; all float32, or all float64 where a caller needs exact sums.
        blobs : sequence of float arrays
            The weights, of the same type.

        Returns
        -------
        tuple of float arrays
            One for each top, of the bottoms' type.
        """
        raise TypeError(f"{self.type} has no forward: its tops come from outside the net")

    def forward_codes(self, bottoms: Sequence[Array]) -> tuple[Array, ...] | None:
        """Compute the tops on integer codes where that equals `forward` at every scale; None where it does not.

        Only operations f with f(s x) = s f(x) for every s > 0 that introduce no new values may do so: maximum,
        ReLU, reordering.
        """
        return None

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...] | None:
        """Give the operation as ONNX nodes for these bottom shapes; None when it runs outside ONNX."""
        return None

    def companions(self, bottoms: Sequence[Array]) -> Mapping[str, float]:
        """Give figures to be printed beside the top, by suffix (an Accuracy: the one by argmax)."""
        return {}


