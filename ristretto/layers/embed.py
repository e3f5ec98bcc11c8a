"""Embed: a row of numbers for each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ristretto.errors import ModelError
from ristretto.net.fields import Fields
from ristretto.net.filler import Filler
from ristretto.net.op import INT64, Array, OnnxNode, Op, Shape


@dataclass(frozen=True)
class Embed(Op):
    """Looks each number of its bottom, a whole one below `input_dim`, up in a table with a row for each."""

    type = "Embed"

    num_output: int
    input_dim: int
    bias_term: bool = True

    @classmethod
    def parse(cls, fields: Fields) -> Embed:
        """Read ``embed_param``."""
        param = fields.message("embed_param")
        op = cls(
            num_output=param.integer("num_output"),
            input_dim=param.integer("input_dim"),
            bias_term=param.flag("bias_term"),
        )
        if min(op.num_output, op.input_dim) < 1:
            raise ModelError("num_output and input_dim must be at least 1")
        return op

    @classmethod
    def parse_fillers(cls, fields: Fields) -> tuple[Filler, ...]:
        """Read those of weights and bias."""
        param = fields.message("embed_param")
        return Filler.of(param, "weight_filler"), Filler.of(param, "bias_filler")

    def infer(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give the bottom's axes, and one more."""
        return ((*bottoms[0], self.num_output),)

    def blob_shapes(self, bottoms: Sequence[Shape]) -> tuple[Shape, ...]:
        """Give (input_dim, num_output), and (num_output,) for the bias."""
        weights = (self.input_dim, self.num_output)
        return (weights, (self.num_output,)) if self.bias_term else (weights,)

    def forward(self, bottoms: Sequence[Array], blobs: Sequence[Array]) -> tuple[Array, ...]:
        """Pick the rows, then add."""
        x = bottoms[0]
        valid = (x >= 0) & (x < self.input_dim) & (x == np.floor(x))
        if not valid.all():
            wrong = x[~valid].flat[0]
            raise ModelError(
                f"no row for {wrong:g}", hint=f"its input must be whole numbers from 0 to {self.input_dim - 1}"
            )
        y = blobs[0].reshape(self.input_dim, self.num_output)[x.astype(np.int64)]
        return (y + blobs[1].reshape(-1) if self.bias_term else y,)

    def onnx(self, bottoms: Sequence[Shape]) -> tuple[OnnxNode, ...]:
        """Give Cast and Gather, and an Add for the bias.

        A number below zero is sent beyond the table, where a runtime stops: Gather itself counts it from the end.
        """
        bounds = {"first": np.array(0, np.float32), "beyond": np.array(self.input_dim, np.float32)}
        rows = "rows" if self.bias_term else "t0"
        nodes = (
            OnnxNode("Less", ("b0", "first"), ("below",), constants=bounds),
            OnnxNode("Where", ("below", "beyond", "b0"), ("safe",)),
            OnnxNode("Cast", ("safe",), ("index",), {"to": INT64}),
            OnnxNode("Gather", ("w0", "index"), (rows,), {"axis": 0}),
        )
        return (*nodes, OnnxNode("Add", ("rows", "w1"), ("t0",))) if self.bias_term else nodes
