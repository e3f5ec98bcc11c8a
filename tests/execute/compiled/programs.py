"""Small programs, built layer by layer without a net."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ristretto.execute.compiled import Builder, Codes, Piece
from ristretto.execute.compiled.graph import Graph, Move, Multiply, Node, Outside
from ristretto.formats import FixedPoint
from ristretto.layers import Convolution
from ristretto.net import Layer, Op, Shape

SHAPE = (2, 3, 4, 5)
E = FixedPoint(8, 4)


class Program:
    """A program under construction, and the shapes of its blobs."""

    def __init__(self, shape: Shape = SHAPE) -> None:
        self.builder, self.shapes = Builder(), {"data": shape}

    def add(
        self,
        op: Op,
        *bottoms: str,
        top: str,
        trim_in: FixedPoint | None = None,
        trim_out: FixedPoint | None = None,
        codes: Codes | None = None,
        keep: Collection[str] = (),
    ) -> Program:
        """Add a layer that is named as its top; of a layer with weights they are all one."""
        shapes = [self.shapes[blob] for blob in bottoms]
        tops = op.infer(shapes)
        blobs = tuple(np.ones(shape, np.float32) for shape in op.blob_shapes(shapes))
        piece = Piece(Layer(top, op, bottoms, (top,), blobs), trim_in, trim_out, codes)
        assert self.builder.takes(piece, shapes, tops)
        self.builder.add(piece, shapes, tops, frozenset(keep))
        self.shapes[top] = tops[0]
        return self

    def conv(
        self,
        bottom: str,
        top: str,
        trim_in: FixedPoint = E,
        trim_out: FixedPoint = E,
        *,
        outputs: int = 3,
        pad: int = 0,
        bits: int = 8,
        weight: int = 1,
    ) -> Program:
        """Add a convolution on codes, 3x3 with a pad and else 1x1; all weights are one code."""
        side = 3 if pad else 1
        op = Convolution(outputs, (side, side), pad=(pad, pad))
        weights = np.full((outputs, self.shapes[bottom][1], side, side), weight, np.int16)
        codes = Codes(weights, bits, 4, np.zeros(outputs, np.int64))
        return self.add(op, bottom, top=top, trim_in=trim_in, trim_out=trim_out, codes=codes)

    def graph(self, *wanted: str) -> Graph:
        """Give the graph, with the blobs that are read afterwards stored outside."""
        for blob in wanted:
            self.builder.store(self.builder.values[blob], blob)
        return self.builder.graph


def made_by(graph: Graph, layer: str) -> Node:
    """Give the node of a layer's own work."""
    (node,) = (node for node in graph.nodes if node.layer and node.layer.name == layer and not is_move(node))
    return node


def is_move(node: Node) -> bool:
    """Whether a node only passes numbers on."""
    return isinstance(node.work, Move)


def kinds(graph: Graph) -> list[str]:
    """Name what the nodes do, in order."""
    return [
        ("load" if node.output else "store")
        if isinstance(node.work, Outside)
        else "multiply"
        if isinstance(node.work, Multiply)
        else type(node.work).__name__.lower()
        for node in graph.nodes
    ]
