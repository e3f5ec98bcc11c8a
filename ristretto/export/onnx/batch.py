"""Models for any number of pictures: what a net's form in ONNX has in common for two numbers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ristretto.errors import ModelError
from ristretto.execute.onnx_segment import OnnxPiece
from ristretto.net import Net, OnnxNode, Shape
from ristretto.net.op import Array

ANY = "N"
"""The number of pictures, where a model leaves it open."""
INFERRED = -1
"""What a Reshape has for the axis that takes what is left over."""


def with_batch(net: Net, inputs: Mapping[str, Shape], pictures: int) -> dict[str, Shape]:
    """Give the shapes of the data layers' tops for another number of pictures.

    The first axis of the first one counts pictures, and so do those of the same length that others begin with.
    """
    tops = {
        top: inputs[top] if top in inputs else layer.op.declared_shape(index)
        for layer in net.data_layers
        for index, top in enumerate(layer.tops)
    }
    known = {top: shape for top, shape in tops.items() if shape}
    count = next(iter(known.values()), (0,))[0]
    return {
        **inputs,
        **{top: (pictures, *shape[1:]) for top, shape in known.items() if shape[0] == count},
    }


def any_batch(pieces: Sequence[OnnxPiece], others: Sequence[OnnxPiece]) -> list[OnnxPiece]:
    """Give pieces that serve any number of pictures.

    Parameters
    ----------
    pieces, others : sequence of OnnxPiece
        Those of one net for two numbers of pictures.

    Raises
    ------
    ModelError
        When a layer's nodes differ in more than one axis of a Reshape each.
    """
    return [
        replace(piece, nodes=_common(piece.name, piece.nodes, other.nodes))
        for piece, other in zip(pieces, others, strict=True)
    ]


def _common(layer: str, nodes: Sequence[OnnxNode], others: Sequence[OnnxNode]) -> list[OnnxNode]:
    if len(nodes) != len(others):
        raise ModelError("its form in ONNX is for a fixed number of pictures", layer=layer)
    return [_common_node(layer, node, other) for node, other in zip(nodes, others, strict=True)]


def _common_node(layer: str, a: OnnxNode, b: OnnxNode) -> OnnxNode:
    if (a.op_type, a.attributes) == (b.op_type, b.attributes):
        constants = {name: _constant(a, name, a.constants[name], b.constants[name]) for name in a.constants}
        common = {name: array for name, array in constants.items() if array is not None}
        if len(common) == len(constants):
            return replace(a, constants=common)
    raise ModelError(f"its {a.op_type} in ONNX is for a fixed number of pictures", layer=layer)


def _constant(node: OnnxNode, name: str, a: Array, b: Array) -> Array | None:
    """Give a constant for any number of pictures; None where there is none."""
    if a.shape == b.shape and (a == b).all():
        return a
    is_shape = node.op_type == "Reshape" and node.inputs[1] == name
    if not is_shape or a.shape != b.shape or (a != b).sum() > 1 or (a == 0).any():
        return None
    return np.where(a == b, a, INFERRED)


def open_shape(a: Shape, b: Shape, counts: tuple[int, int]) -> list[int | str]:
    """Give a shape with an open number of pictures from those for two numbers of them."""
    return [size if size == other else _multiple(size, other, counts) for size, other in zip(a, b, strict=True)]


def _multiple(size: int, other: int, counts: tuple[int, int]) -> str:
    times, rest = divmod(other - size, counts[1] - counts[0])
    start = size - times * counts[0]
    factor = ANY if times == 1 else f"{times}*{ANY}"
    return "" if rest else factor if start == 0 else f"{factor} + {start}"
