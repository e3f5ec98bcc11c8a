"""Executor: a net prepared once as a list of steps, then run on batches from any number of threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np

from ristretto.errors import DataError, ModelError
from ristretto.execute.values import Run, State
from ristretto.formats import EXACT, Arithmetic
from ristretto.net import Layer, Net, Scheme, Shape
from ristretto.net.op import Array
from ristretto.passes import SpellOutSharing


class Step(Protocol):
    """A piece of a prepared net."""

    def run(self, state: State) -> None:
        """Read bottoms from the state's blobs and store tops there."""


class Executor(ABC):
    """A prepared net.

    Parameters
    ----------
    net : Net
        Of one phase, with its weights.
    inputs : mapping of str to shape
        The shapes of the data layers' tops for one batch.
    keep : collection of str
        Which values a run keeps, as ``LAYER.topK``.
    arithmetic : Arithmetic
        How numbers are trimmed: where halves go, and which of the original's defects are repeated.
    threads : int
        How many share the work on one batch; its numbers do not depend on it. Batches may also run side by side.

    Raises
    ------
    ModelError
        When weights are missing or do not fit, a layer asks for stochastic rounding, or no layer makes what is to be
        kept.
    """

    name: ClassVar[str]

    def __init__(
        self,
        net: Net,
        inputs: Mapping[str, Shape],
        *,
        keep: Collection[str] = (),
        arithmetic: Arithmetic = EXACT,
        threads: int = 1,
    ) -> None:
        # As the net has them: what spells sharing out may read one that nobody reads otherwise.
        self.outputs = net.outputs
        producers = {blob: net.producer(blob) for blob in net.outputs}
        # By output blob, the layer whose first top it still is: another one may have changed it in place.
        self.scored = {blob: layer.name for blob, layer in producers.items() if layer and layer.tops[0] == blob}
        self.net = SpellOutSharing(net.shapes(inputs), arithmetic)(net)
        self.shapes = self.net.shapes(inputs)
        self.inputs = {
            top: shape
            for layer in net.data_layers
            for top, shape in zip(layer.tops, self.shapes[layer.name], strict=True)
        }
        self.keep = frozenset(keep)
        if unknown := self.keep - {f"{layer.name}.top{i}" for layer in net for i in range(len(layer.tops))}:
            raise ModelError(f"net '{net.name}' has no value '{min(unknown)}' to keep")
        self.arithmetic = arithmetic
        self.threads = threads
        for layer in self.net:
            check_ready(layer, self.net.bottom_shapes(layer, self.shapes))
        self.steps: Sequence[Step] = self.plan()

    @abstractmethod
    def plan(self) -> Sequence[Step]:
        """Prepare the steps."""

    def run(self, batch: Mapping[str, Array]) -> Run:
        """Run one batch.

        Parameters
        ----------
        batch : mapping of str to array
            The data layers' tops, in real units, with the shapes given at construction; taken as float32.

        Raises
        ------
        DataError
            When a blob is missing or has another shape.
        ModelError
            When a layer finds numbers that it cannot work on.
        """
        for blob, shape in self.inputs.items():
            if blob not in batch or batch[blob].shape != shape:
                got = batch[blob].shape if blob in batch else "nothing"
                raise DataError(f"blob '{blob}' needs shape {shape}, the batch holds {got}")
        state = State({}, self.keep)
        for layer in self.net.data_layers:
            state.store(layer.name, layer.tops, tuple(np.asarray(batch[top], np.float32) for top in layer.tops))
        for step in self.steps:
            step.run(state)
        outputs = {blob: state.blobs[blob] for blob in self.outputs}
        pictures = {blob: state.pictures[layer] for blob, layer in self.scored.items() if state.pictures.get(layer)}
        return Run(outputs, state.kept, state.companions, pictures)


def check_ready(layer: Layer, bottoms: Sequence[Shape]) -> None:
    """Raise a ModelError when a layer lacks weights, or asks for what no executor does."""
    if not layer.op.is_data and layer.op.blob_shapes(bottoms) and not layer.blobs:
        raise ModelError("no weights", layer=layer.name, hint="does the caffemodel belong to this prototxt?")
    if layer.quant and layer.op.trims_inside and (layer.quant.params is None or layer.quant.params.on_one_grid):
        raise ModelError(
            f"{layer.type} takes minifloat only", layer=layer.name, hint="set precision: MINIFLOAT, or its plain type"
        )
    if layer.quant and layer.quant.scheme is Scheme.STOCHASTIC:
        raise ModelError(
            "rounding_scheme STOCHASTIC gives another score on every run",
            layer=layer.name,
            hint="set rounding_scheme: NEAREST to score the net",
        )
