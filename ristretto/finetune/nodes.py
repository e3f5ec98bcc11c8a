"""A layer's nodes, prepared once and run on torch tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ristretto.errors import ModelError
from ristretto.finetune.functions import FUNCTIONS, Run
from ristretto.net import OnnxNode
from ristretto.net.op import Array


@dataclass(frozen=True, eq=False)
class Node:
    """One operation with what is known of its inputs beforehand.

    Parameters
    ----------
    compute : callable
    inputs : tuple
        Names of tensors, or settings as Python numbers and lists, or None for an input that is left out.
    named : tuple of bool
        Which inputs are names.
    outputs : tuple of str
    attributes : mapping of str to anything
    takes_run : bool
    """

    compute: Callable[..., Any]
    inputs: tuple[Any, ...]
    named: tuple[bool, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    takes_run: bool

    @classmethod
    def of(cls, node: OnnxNode, constants: Mapping[str, Array]) -> Node:
        """Prepare a node."""
        if node.op_type not in FUNCTIONS:
            raise ModelError(f"no torch function stands for ONNX's {node.op_type}")
        function = FUNCTIONS[node.op_type]
        inputs = [
            None if not name else constants[name].tolist() if place in function.settings else name
            for place, name in enumerate(node.inputs)
        ]
        named = tuple(bool(name) and place not in function.settings for place, name in enumerate(node.inputs))
        compute = function.compute
        if len(node.outputs) > 1 and function.compute_all:
            compute = function.compute_all
        return cls(compute, tuple(inputs), named, node.outputs, node.attributes, function.takes_run)

    def run(self, values: dict[str, Tensor], run: Run) -> None:
        """Compute the outputs from the values so far, and add them."""
        inputs = [values[i] if is_name else i for i, is_name in zip(self.inputs, self.named, strict=True)]
        first = (run,) if self.takes_run else ()
        results = self.compute(*first, *inputs, **self.attributes)
        if isinstance(results, Tensor):
            results = (results,)
        values.update(zip(self.outputs, results, strict=False))


@dataclass(frozen=True, eq=False)
class Results:
    """What a layer's nodes give.

    Parameters
    ----------
    tops : tuple of Tensor
    blobs : mapping of int to Tensor
        What blobs hold afterwards, by index, where the layer changes them itself.
    """

    tops: tuple[Tensor, ...]
    blobs: Mapping[int, Tensor]


class Nodes:
    """The nodes of a layer, for bottoms of fixed shapes.

    Parameters
    ----------
    nodes : sequence of OnnxNode
    run : Run
    """

    def __init__(self, nodes: Sequence[OnnxNode], run: Run) -> None:
        arrays: dict[str, Array] = {}
        for node in nodes:
            arrays |= node.constants
        self.nodes = [Node.of(node, arrays) for node in nodes]
        self.constants = {name: self._tensor(array, run) for name, array in arrays.items()}
        self.run = run
        self.reads = {name for node in nodes for name in node.inputs}
        self.writes = sorted({name for node in nodes for name in node.outputs if name[0] == "w" and name[1:].isdigit()})

    @staticmethod
    def _tensor(array: Array, run: Run) -> Tensor:
        dtype = run.dtype if array.dtype.kind == "f" else None
        return torch.as_tensor(np.array(array), dtype=dtype, device=run.device)

    def __call__(self, bottoms: Sequence[Tensor], blobs: Sequence[Tensor], tops: int) -> Results:
        """Run the nodes; give the tops, and what the blobs hold afterwards where that changes."""
        values = dict(self.constants)
        values |= {f"b{i}": bottom for i, bottom in enumerate(bottoms)}
        values |= {f"w{i}": blob for i, blob in enumerate(blobs)}
        for node in self.nodes:
            node.run(values, self.run)
        after = {int(name[1:]): values[name].detach() for name in self.writes}
        return Results(tuple(values[f"t{i}"] for i in range(tops)), after)
