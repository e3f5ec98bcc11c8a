"""Tile: a blob repeated along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.op import Array, OnnxNode, Op, Shape, canonical_axis


@dataclass(frozen=True)
class Tile(Op):
    """Sets `tiles` copies of its bottom side by side along `axis`."""

    type = "Tile"

    tiles: int
    axis: int = 1

    @classmethod
    def parse(cls, fields: Fields) -> Tile:
        """Read ``tile_param``, whose `tiles` has no default."""
        param = fields.message("tile_param")
        if not param.has("tiles"):
            raise ModelError("tile_param lacks tiles", hint="say how many copies")
        op = cls(tiles=param.integer("tiles"), axis=param.integer("axis"))
        if op.tiles < 1:
            raise ModelError(f"tiles {op.tiles} must be at least 1")
        return op

    def _repeats(self, bottom: Shape) -> list[int]:
        repeats = [1] * len(bottom)
        repeats[canonical_axis(self.axis, bottom)] = self.tiles
        return repeats

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Multiply the length of the axis."""
        bottom = bottoms[0]
        return (tuple(length * times for length, times in zip(bottom, self._repeats(bottom), strict=True)),)

    def passes_on(self, bottoms: int) -> int:
        """Say the first: several times."""
        return 1

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Repeat."""
        return (np.tile(bottoms[0], self._repeats(bottoms[0].shape)),)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give a Tile."""
        repeats = np.array(self._repeats(bottoms[0]), np.int64)
        return (OnnxNode("Tile", ("b0", "repeats"), ("t0",), constants={"repeats": repeats}),)
