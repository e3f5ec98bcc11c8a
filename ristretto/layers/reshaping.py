"""Reshaping: what layers share that lay the same numbers out in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.net.op import Array, OnnxNode, Op, Shape


def reshape_node(source: str, target: str, shape: Shape) -> OnnxNode:
    """Give the ONNX node that lays `source` out in a shape, under the name `target`."""
    constants = {f"{target}_shape": np.array(shape, np.int64)}
    # Without allowzero a length of 0 would mean "as the input has it".
    return OnnxNode("Reshape", (source, f"{target}_shape"), (target,), {"allowzero": 1}, constants)


@dataclass(frozen=True)
class Reshaping(Op):
    """What lays the same numbers out in another shape; a subclass says in which by `infer`."""

    def shares_memory(self, bottoms: int, tops: int) -> bool:
        """Say yes: the top is the bottom, seen otherwise."""
        return True

    def channel_starts(self, bottoms: Sequence[Shape]) -> tuple[int, ...] | None:
        """Stay in place where the channels remain an axis of their own; else None."""
        (top,) = self.infer(bottoms)
        return (0,) if len(top) > 1 and top[:2] == bottoms[0][:2] else None

    def passes_on(self, bottoms: int) -> int:
        """Say the first: all of it."""
        return 1

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Reshape."""
        return (bottoms[0].reshape(self.infer([bottoms[0].shape])[0]),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Reshape to the whole shape, for a Flatten too: ONNX's own always leaves two axes."""
        return (reshape_node("b0", "t0", self.infer(bottoms)[0]),)
