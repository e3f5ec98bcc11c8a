"""Op: what a layer computes, apart from its name, its blobs and its place in the net."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.form import Channelwise, Form
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
    anything else is a name private to the layer. The domain is empty for ONNX's own operations.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    domain: str = ""


FLOAT32, INT64 = 1, 7
"""ONNX's numbers for these types, as a Cast names them."""


@dataclass(frozen=True)
class Geometry:
    """How a multiply-accumulate layer walks its input: plain data for an integer kernel.

    An inner product is the case of a 1x1 picture whose channels are all inputs. A deconvolution is the case of a
    picture with zeros put between its pixels: `spread` is the distance that the pixels then have, and `pad` may be
    negative, which cuts pixels off. Pairs are (height, width).

    A kernel needs to know of neither: it walks as `plain` says over what `spread_out` gives.
    """

    groups: int
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int]
    spread: tuple[int, int] = (1, 1)

    @property
    def terms(self) -> int:
        """Products in one sum."""
        return self.in_shape[0] // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one picture."""
        channels, height, width = self.out_shape
        return channels * height * width * self.terms

    @property
    def walked(self) -> tuple[int, int, int]:
        """Channels, height and width of the picture once it is spread out and padded."""
        height, width = (
            (size - 1) * spread + 1 + 2 * max(pad, 0)
            for size, spread, pad in zip(self.in_shape[1:], self.spread, self.pad, strict=True)
        )
        return self.in_shape[0], height, width

    @property
    def plain(self) -> Geometry:
        """The same walk over what `spread_out` gives: zeros put in, nothing left to cut off."""
        channels, *sizes = self.in_shape
        height, width = (
            (size - 1) * spread + 1 + 2 * min(pad, 0)
            for size, spread, pad in zip(sizes, self.spread, self.pad, strict=True)
        )
        pad = (max(self.pad[0], 0), max(self.pad[1], 0))
        return replace(self, in_shape=(channels, height, width), pad=pad, spread=(1, 1))

    def spread_out(self, x: Array) -> Array:
        """Put zeros between the pixels of ``x`` (n, channels, height, width), and cut off where `pad` is negative."""
        if self.spread == (1, 1) and min(self.pad) >= 0:
            return x
        (down, across), (top, left) = self.spread, (max(-pad, 0) for pad in self.pad)
        height, width = (x.shape[2] - 1) * down + 1, (x.shape[3] - 1) * across + 1
        wide = np.zeros((*x.shape[:2], height, width), x.dtype)
        wide[:, :, ::down, ::across] = x
        return wide[:, :, top : height - top, left : width - left]


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
    in_original_search: ClassVar[bool] = False
    """Whether the original tool's search quantizes this type; all those with a `part` have a quantized form."""
    is_data: ClassVar[bool] = False
    """Whether the layer's tops come from outside the net."""
    fewest_tops: ClassVar[int] = 1
    """How many tops a prototxt must name; `infer` gives the most there can be."""
    higher_is_better: ClassVar[bool | None] = None
    """Whether the top is a score (True), a loss (False) or neither."""
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The least and the greatest number that a top can hold whatever the bottoms are, NaN apart: of a score or loss."""
    ignores_common_shift: ClassVar[bool] = False
    """Whether a number added to all of a picture's class scores, the first bottom, changes nothing."""
    trims_inside: ClassVar[bool] = False
    """Whether the fork's quantized layer trims each number on the way (`forward_trimmed`), not its input blob."""
    is_affine: ClassVar[bool] = False
    """Whether the type multiplies and adds numbers of its own, so that `channelwise` may say which."""

    learns: ClassVar[bool] = True
    """Whether gradients change the blobs, where there are any; others are sums that the layer keeps by itself."""

    @property
    def rectifies(self) -> bool:
        """Whether negative inputs all give zero, so that only the positive part of an input matters."""
        return False

    @property
    def commutes_with_relu(self) -> bool:
        """Whether a ReLU before the layer does what one behind it does, as with a maximum."""
        return False

    @classmethod
    @abstractmethod
    def parse(cls, fields: Fields) -> Self:
        """Read the operation from a layer's message."""

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read how new weights are made, in blob order, from a layer's message; one for each blob there may be."""
        return ()

    def in_phase(self, phase: Phase) -> Op:
        """Give the operation as it acts in a phase."""
        return self

    def declared_shape(self, top: int) -> Shape | None:
        """Give the shape of a top that the prototxt itself declares; None when the data or the bottoms decide."""
        return None

    def seeded(self, seed: int) -> Op:
        """Give the operation with its random choices drawn from a seed: of data layers, those that draw."""
        return self

    def bottom_counts(self) -> tuple[int, int]:
        """Give the least and the greatest number of bottoms."""
        return (0, 0) if self.is_data else (1, 1)

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the shapes of the tops from those of the bottoms.

        Raises
        ------
        ModelError
            When the layer cannot take these shapes. The caller puts the layer's name in front.
        """
        return (bottoms[0],)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the shapes of the weights from those of the bottoms, which `infer` has accepted."""
        return ()

    def macs(self, bottoms: Sequence[Shape]) -> int:
        """Give the multiply-accumulates for one picture.

        Counted are products with weights that are added up, as published figures have it: those of convolutions and
        inner products. Factors of single numbers, normalization, pooling and look-ups count nothing.
        """
        return 0

    def geometry(self, bottom: Shape) -> Geometry | None:
        """Give the walk of a multiply-accumulate layer; None for every other."""
        return None

    def form(self, bottoms: Sequence[Shape]) -> Form | None:
        """Give what the layer does, where a compiled program can do it; None where `forward` alone knows.

        `forward` says what is right: a program gives the same numbers to the last bit.
        """
        return None

    def weight_rows(self, weights: Array, walk: Geometry) -> Array:
        """Give the first blob, in real units or in codes, as a walk needs it: (outputs, terms)."""
        return weights.reshape(walk.out_shape[0], -1)

    @property
    def weight_axes(self) -> tuple[str, ...]:
        """What the axes of the first blob count, for a layer with a `part`: "output", "input" and so on."""
        return ()

    @property
    def quantized_settings(self) -> Mapping[str, Mapping[str, str]]:
        """What a prototxt must say beside the quantized type, by message and field, where the type itself said it.

        A depthwise convolution has as many groups as channels by its name alone; under the name that the fork knows,
        ``group`` must be written out.
        """
        return {}

    @property
    def output_channels(self) -> int | None:
        """The channels of the top, where `scaled` can give each a factor and a summand of its own; else None."""
        return None

    def scaled(self, blobs: Sequence[Array], factors: Array, summands: Array) -> tuple[Op, tuple[Array, ...]]:
        """Give the operation and weights whose top is this one's, multiplied and added to; see `output_channels`.

        Parameters
        ----------
        blobs : sequence of arrays
            The weights.
        factors, summands : float64 arrays, (channels,)

        Returns
        -------
        Op, tuple of float64 arrays
            A bias comes in where there was none and a summand is not zero.

        Raises
        ------
        ModelError
            When the weights are missing or do not fit. The caller puts the layer's name in front.
        """
        raise TypeError(f"{self.type} has no weights to scale")

    def channelwise(self, blobs: Sequence[Array], channels: int) -> Channelwise | None:
        """Give what the layer does to its only bottom, as operations by channel; None where that is not all.

        `forward` does the same operations, in the type of the blobs and the bottom.

        Parameters
        ----------
        blobs : sequence of arrays
            The weights.
        channels : int
            Of the bottom, along axis 1.
        """
        return None

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Say where the bottoms' channels go, if the layer keeps them apart and is positively homogeneous.

        That is: a bottom's channel multiplied by a positive number makes the tops' channel, of every top, the same
        multiple of what it was, and no other channel sees it.

        Parameters
        ----------
        bottoms : sequence of shapes
            Which `infer` has accepted, channels on axis 1.

        Returns
        -------
        tuple of int, or None
            For each bottom, the channel of the tops that its first channel becomes; None where that is not so.
        """
        return None

    def settings_since(self, before: Op) -> Mapping[str, Mapping[str, str]]:
        """Give what a prototxt must say, by message and field, to have this operation instead of another of its type.

        It is asked for what `scaled` may change.
        """
        return {}

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
            One for each top, of the bottoms' type; a score or a loss as float64.

        Notes
        -----
        Caffe computes in float32, and so does this where sums, products and quotients are concerned. What goes
        through a transcendental function is computed in float64 and rounded once, or by the C library as Caffe has it
        (`kernels.power`): numpy's float32 versions differ from one processor to the next.
        """
        raise TypeError(f"{self.type} has no forward: its tops come from outside the net")

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Whether, with so many of them, the tops are the first bottom's numbers themselves, under other names.

        Caffe's blobs share memory then (``ShareData``): who changes one in place changes them all.
        """
        return False

    def passes_on(self, bottoms: int) -> int:
        """Say how many of so many bottoms, from the first on, the tops take all their numbers from, unchanged.

        In whatever order, and any of them several times or not at all; 0 where a number is computed. What has a `form`
        need not say it.
        """
        return 0

    def forward_trimmed(self, bottoms: Sequence[Array], trim: Callable[[Array], Array]) -> tuple[Array, ...]:
        """Compute the tops in real units with every number on the way trimmed; for operations that `trims_inside`.

        Parameters
        ----------
        bottoms : sequence of float32 arrays, real units
        trim : callable
            Trims an array to the layer's format.
        """
        raise TypeError(f"{self.type} trims its input and output only")

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...] | None:
        """Give the operation as ONNX nodes for these bottom shapes; None when it runs outside ONNX."""
        return None

    def training_form(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...] | None:
        """Give what the layer does in training as ONNX nodes, through which gradients go back.

        They are Caffe's gradients: what has none there must have none here. An output named ``w0``, ``w1`` and so on
        is what that blob holds afterwards.

        Returns
        -------
        tuple of OnnxNode, or None
            None for a layer through which no gradient goes: it runs its `forward`.

        Raises
        ------
        ModelError
            When the layer cannot be trained. The caller puts the layer's name in front.
        """
        return self.onnx(bottoms)

    def companions(self, bottoms: Sequence[Array]) -> Mapping[str, float]:
        """Give figures to be printed beside the top, by suffix (an Accuracy: the one by argmax)."""
        return {}

    def per_picture(self, bottoms: Sequence[Array]) -> Mapping[str, Array]:
        """Give what each picture adds to the top and to the figures beside it, for a top that is their plain mean.

        Returns
        -------
        mapping of str to bool array (n,)
            By the suffix of a companion, the top's own under the empty one; nothing where the mean is of another kind.
        """
        return {}


def canonical_axis(axis: int, shape: Shape) -> int:
    """Give an axis counted from the front; -1 is the last.

    Raises
    ------
    ModelError
        When the shape has no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise ModelError(f"axis {axis} of a bottom with {len(shape)} axes")
    return axis % len(shape)
