"""Dialect: how formats are said in ONNX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ristretto.formats import EXACT, Arithmetic, Format
from ristretto.net import Layer, LayerQuant, OnnxNode, Shape
from ristretto.net.op import Array

OPSET = 17
"""ONNX's operations as most tools know them; what the layers' forms are written in."""


@dataclass(frozen=True, eq=False)
class Operands:
    """How a layer gets its weights.

    Parameters
    ----------
    weights : mapping of str to array
        Those that are stored as the layer reads them, as ``w0`` and so on.
    nodes : tuple of OnnxNode
        What makes the others.
    bounds : pair of float or None
        Between which the layer's input is held by a Clip. The numbers lie there anyway: it stands there to be in the
        way of optimizers.
    """

    weights: Mapping[str, Array]
    nodes: tuple[OnnxNode, ...] = ()
    bounds: tuple[float, float] | None = None


class Dialect(ABC):
    """A way to say in ONNX which numbers a blob or weights may be."""

    opset: int = OPSET
    """Version of ONNX's operations."""
    domains: ClassVar[Mapping[str, int]] = {}
    """Versions of the sets of operations that are used beside ONNX's own."""

    @property
    def rounding(self) -> Arithmetic:
        """How whoever runs a model trims activations: where halves go."""
        return EXACT

    @abstractmethod
    def formats(self, layer: Layer) -> LayerQuant | None:
        """Give the formats of a layer as far as this dialect says them; None for a layer in float."""

    @abstractmethod
    def trim(self, fmt: Format) -> tuple[OnnxNode, ...]:
        """Give the nodes that make ``t0`` of ``b0`` by trimming it.

        Raises
        ------
        ModelError
            When the dialect has no word for the format. The caller puts the layer's name in front.
        """

    @abstractmethod
    def operands(self, layer: Layer, shapes: Sequence[Shape], quant: LayerQuant | None) -> Operands:
        """Say how a layer gets its weights.

        Parameters
        ----------
        layer : Layer
            With its weights as they are in the caffemodel.
        shapes : sequence of shapes
            Of the weights.
        quant : LayerQuant or None
            What `formats` gives.
        """


class Plain(Dialect):
    """Everything in float32; formats are left out."""

    def formats(self, layer: Layer) -> None:
        """Give none."""

    def trim(self, fmt: Format) -> tuple[OnnxNode, ...]:
        """Never asked for."""
        raise TypeError("the float net has no formats")

    def operands(self, layer: Layer, shapes: Sequence[Shape], quant: LayerQuant | None) -> Operands:
        """Give the weights as they are."""
        return Operands(stored(layer.blobs, shapes))


def stored(blobs: Sequence[Array], shapes: Sequence[Shape]) -> dict[str, Array]:
    """Give weights by the names that a layer has for them, in the shapes that it takes."""
    return {f"w{i}": blob.reshape(shape) for i, (blob, shape) in enumerate(zip(blobs, shapes, strict=True))}


@dataclass(frozen=True, eq=False)
class Chain:
    """Nodes in a row, from ``b0`` to ``t0``, each with one main input: what a trim is made of.

    Parameters
    ----------
    source : str
        What the next node reads.
    nodes : tuple of OnnxNode
    """

    source: str = "b0"
    nodes: tuple[OnnxNode, ...] = field(default=())

    def then(
        self, op_type: str, constants: Mapping[str, Array] | None = None, *others: str, **options: object
    ) -> Chain:
        """Add a node that reads what the last one made, then constants, which it brings along, and others by name."""
        own = dict(constants or {})
        target = f"{op_type.lower()}{len(self.nodes)}"
        domain = str(options.pop("domain", ""))
        node = OnnxNode(op_type, (self.source, *own, *others), (target,), options, own, domain)
        return Chain(target, (*self.nodes, node))

    def end(self) -> tuple[OnnxNode, ...]:
        """Give the nodes; the last one makes ``t0``."""
        *others, last = self.nodes
        return (*others, OnnxNode(last.op_type, last.inputs, ("t0",), last.attributes, last.constants, last.domain))


def number(value: float) -> Array:
    """Give one number in float32, as an array without axes; infinity for what float32 does not reach."""
    with np.errstate(over="ignore"):
        return np.array(value, np.float32)
